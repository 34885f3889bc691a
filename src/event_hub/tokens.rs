//! Tokens for the hub, from whatever the account has.

use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::error::EventHubError;
use super::reading::lock;
use super::receive::every;
use crate::account::{Access, Settings};
use crate::input::{EventHubInput, StreamInput};
use crate::microsoft::cloud::Audience;
use crate::microsoft::event_hubs::{Cbs, ConnectionString, Namespace, Token, What};
use crate::time::Ticks;

/// The most one exchange with Entra ID may take.
const EXCHANGE: Duration = Duration::from_secs(30);
/// A signature of ours is renewed this long before its end.
const EARLY: Duration = Duration::from_secs(900);

/// Between two looks whether the token must be renewed.
const LOOK: Duration = Duration::from_secs(30);

pub(super) type Answer = Result<Token, EventHubError>;

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
    #[cfg(test)]
    Played(Played),
}

/// Answers of a test, by whether a fresh token is asked for.
#[cfg(test)]
struct Played(Box<dyn FnMut(bool) -> Answer + Send>);

#[cfg(test)]
impl std::fmt::Debug for Played {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Played")
    }
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

    /// Tokens of a test.
    #[cfg(test)]
    pub(super) fn played(answer: impl FnMut(bool) -> Answer + Send + 'static) -> Self {
        Self(Source::Played(Played(Box::new(answer))))
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
            #[cfg(test)]
            Source::Played(played) => (played.0)(anew),
        }
    }
}

impl Tokens {
    /// Puts a token; where it is refused, once more with one made anew. Answers with the one that was accepted.
    ///
    /// # Errors
    /// A refusal of both, and whatever else came of it.
    pub(super) async fn put(&mut self, cbs: &mut Cbs, token: Token) -> Answer {
        match cbs.put(&token).await {
            Err(fault) if fault.what == What::Unauthorized => {
                let fresh = self.get(true).await?;
                cbs.put(&fresh).await?;
                Ok(fresh)
            }
            put => Ok(put.map(|()| token)?),
        }
    }

    /// Puts a new token in time in place of one that will expire, for as long as the connection lasts. Ends with what a
    /// person has to mend, and with silence, after which another connection is needed: a late answer would be taken for that
    /// to the next token. What else passes is said, and tried again with the next look.
    pub(super) async fn keep(&mut self, cbs: &mut Cbs, current: &Current, input: &StreamInput) -> EventHubError {
        let mut looks = every(LOOK);
        loop {
            looks.tick().await;
            match self.renew(cbs, current).await {
                Ok(()) => {}
                Err(error) if error.is_permanent() => return error,
                Err(EventHubError::Fault(fault)) if fault.what == What::Silent => return fault.into(),
                // The one in use is good for some minutes more. After that the service ends the links, and the next
                // connection begins with another token.
                Err(error) => log::warn!("{input}: the token is not renewed yet: {error}"),
            }
        }
    }

    async fn renew(&mut self, cbs: &mut Cbs, current: &Current) -> Result<(), EventHubError> {
        let token = self.get(false).await?;
        if token != current.get() {
            current.set(self.put(cbs, token).await?);
        }
        Ok(())
    }
}

/// The token of a connection that was accepted last; requests carry it as well.
#[derive(Debug)]
pub(super) struct Current(Mutex<Token>);

impl Current {
    /// Begins with the first.
    pub(super) fn new(token: Token) -> Self {
        Self(Mutex::new(token))
    }

    /// A copy of it.
    pub(super) fn get(&self) -> Token {
        lock(&self.0).clone()
    }

    fn set(&self, token: Token) {
        *lock(&self.0) = token;
    }
}

fn good(token: &Token, now: Ticks) -> bool {
    match token {
        Token::SharedAccess { expires, .. } => now.plus(EARLY) < *expires,
        Token::Jwt(_) => false,
    }
}
