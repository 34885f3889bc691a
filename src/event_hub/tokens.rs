//! Tokens for the hub, from whatever the account has.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::error::EventHubError;
use crate::account::{Access, Settings};
use crate::input::EventHubInput;
use crate::microsoft::cloud::Audience;
use crate::microsoft::event_hubs::{ConnectionString, Namespace, Token};
use crate::time::Ticks;

/// The most one exchange with Entra ID may take.
const EXCHANGE: Duration = Duration::from_secs(30);
/// A signature of ours is renewed this long before its end.
const EARLY: Duration = Duration::from_secs(900);

type Answer = Result<Token, EventHubError>;

/// Gives tokens that are good for some minutes at least.
#[derive(Debug)]
pub(super) struct Tokens(Source);

#[derive(Debug)]
enum Source {
    /// Entra ID is asked on a thread of its own: its client waits for answers, and the connections may not wait with it.
    Entra(mpsc::Sender<(bool, oneshot::Sender<Answer>)>),
    Shared {
        string: ConnectionString,
        uri: String,
        held: Option<Token>,
    },
}

impl Tokens {
    /// For an input; asks nothing yet.
    ///
    /// # Errors
    /// An account or a connection string that cannot be used.
    pub(super) fn new(access: Access, settings: &Settings, input: &EventHubInput) -> Result<Self, EventHubError> {
        let account = match access {
            Access::ConnectionString(secret) => {
                let string = ConnectionString::read(&secret)?;
                string.check(&input.namespace, &input.hub)?;
                let uri = Namespace::uri(&input.namespace, &input.hub);
                return Ok(Self(Source::Shared { string, uri, held: None }));
            }
            Access::Application(account) => account,
        };
        // Once here, for what is wrong with it; its client stays on the thread that uses it.
        account.tokens(&settings.http(EXCHANGE)?, Audience::EventHubs)?;
        let settings = settings.clone();
        let (ask, asked) = mpsc::channel::<(bool, oneshot::Sender<Answer>)>();
        thread::Builder::new().name("tokens".to_owned()).spawn(move || {
            let mut tokens = settings
                .http(EXCHANGE)
                .map_err(EventHubError::from)
                .and_then(|http| Ok(account.tokens(&http, Audience::EventHubs)?));
            for (anew, answer) in asked {
                let token = match &mut tokens {
                    Ok(tokens) => {
                        if anew {
                            tokens.forget();
                        }
                        tokens.token(Ticks::now()).map(|token| Token::Jwt(token.clone())).map_err(EventHubError::from)
                    }
                    // It worked a moment ago.
                    Err(error) => Err(EventHubError::Start(std::io::Error::other(error.to_string()))),
                };
                // Whoever asked may have given up.
                let _ = answer.send(token);
            }
        })?;
        Ok(Self(Source::Entra(ask)))
    }

    /// A token: the one of before while it is good. `anew` when the service refused that one.
    ///
    /// # Errors
    /// Those of Entra ID, or a signature that expired.
    pub(super) async fn get(&mut self, anew: bool) -> Answer {
        match &mut self.0 {
            Source::Entra(ask) => {
                let (answer, answered) = oneshot::channel();
                let gone = || EventHubError::Start(std::io::Error::other("the thread for tokens ended"));
                ask.send((anew, answer)).map_err(|_| gone())?;
                answered.await.map_err(|_| gone())?
            }
            Source::Shared { string, uri, held } => {
                let now = Ticks::now();
                match held {
                    Some(token @ Token::SharedAccess { .. }) if !anew && good(token, now) => Ok(token.clone()),
                    _ => Ok(held.insert(string.token(uri, now)?).clone()),
                }
            }
        }
    }
}

fn good(token: &Token, now: Ticks) -> bool {
    match token {
        Token::SharedAccess { expires, .. } => now.plus(EARLY) < *expires,
        Token::Jwt(_) => false,
    }
}
