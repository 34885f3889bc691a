//! Accounts and settings as splunkd keeps them: `defender_account.conf`, `defender_settings.conf` and the secrets in
//! `storage/passwords`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use log::LevelFilter;

use crate::http::{Http, HttpError, NoProxy, Proxy, Transport, Trust};
use crate::masking::admin_text;
use crate::microsoft::certificate::{Certificate, CertificateError};
use crate::microsoft::client::Client;
use crate::microsoft::cloud::{Api, Audience, Cloud, Hosts, Overrides, check_client, check_tenant};
use crate::microsoft::token::{self, Credential, TokenError, TokenSource};
use crate::pem::is_invisible;
use crate::secret::Secret;
use crate::splunk::log::parse_level;
use crate::splunk::rest::{App, RestError, Settings as Stanza, Splunkd};
use crate::time::Ticks;

/// This add-on, as splunkd knows it.
pub const APP: App = App { id: "TA_defender", secret_role: "defender_responder" };

/// File and realm of accounts; a secret's name in the realm is `<account>.<secret>`.
const ACCOUNTS: &str = "defender_account";
/// File of the settings, and realm of the proxy's password.
const SETTINGS: &str = "defender_settings";
/// The proxy's stanza, for messages.
const PROXY: &str = "defender_settings.conf [proxy]";
/// A value of `auth`, and the secret's name that goes with it.
const CONNECTION_STRING: &str = "connection_string";
/// Whether a clear-text secret found in the conf file is moved to `storage/passwords`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClearText {
    /// Store it, read it back, blank it.
    Move,
    /// Only use it: a form is being checked and nothing is to change.
    Use,
}

/// One Entra application in one tenant.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its stanza.
    pub name: String,
    /// The Entra tenant: a GUID or a domain.
    pub tenant_id: String,
    cloud: Cloud,
    client_id: String,
    hosts: Hosts,
    credential: Credential,
}

/// Why an account cannot be used. Always names it.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// No such stanza.
    #[error(
        "there is no account `{}` on this server: add it on the Configuration page of the app, tab Accounts",
        admin_text(name)
    )]
    Missing {
        /// The account.
        name: String,
    },
    /// A setting is missing or wrong.
    #[error("account `{}`: {setting}: {reason}", admin_text(name))]
    Wrong {
        /// The account.
        name: String,
        /// The setting in `defender_account.conf`.
        setting: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A connection string, where an Entra application is needed.
    #[error(
        "account `{}`: auth: connection_string opens an event hub or a storage account and nothing else: this needs \
         client_secret or certificate",
        admin_text(name)
    )]
    NoApplication {
        /// The account.
        name: String,
    },
    /// Settings that fit nothing.
    #[error("account `{}`: {reason}", admin_text(name))]
    Unusable {
        /// The account.
        name: String,
        /// Which setting, and what is wrong with it.
        reason: String,
    },
    /// The secret is nowhere.
    #[error(
        "account `{}` has no {secret}: enter it again for this account, or store it in storage/passwords with realm \
         {ACCOUNTS} and username {}.{secret}",
        admin_text(name),
        admin_text(name)
    )]
    NoSecret {
        /// The account.
        name: String,
        /// `client_secret`, `certificate_key` or `connection_string`.
        secret: &'static str,
    },
    /// Certificate and key cannot be used.
    #[error("account `{}`: {reason}", admin_text(name))]
    Certificate {
        /// The account.
        name: String,
        /// Which part, and why.
        #[source]
        reason: CertificateError,
    },
    /// splunkd did not answer as needed.
    #[error(transparent)]
    Splunkd(#[from] RestError),
}

impl Account {
    /// Reads an account and its secret.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub fn load(splunkd: &Splunkd, name: &str, clear_text: ClearText) -> Result<Self, AccountError> {
        Self::of(splunkd, name, &conf(splunkd, name)?, clear_text)
    }

    fn of(splunkd: &Splunkd, name: &str, stanza: &Stanza, clear_text: ClearText) -> Result<Self, AccountError> {
        let get = |setting: &str| stanza.get(setting).map(|text| pasted(text)).filter(|text| !text.is_empty());
        let wrong = |setting, reason: String| AccountError::Wrong { name: name.to_owned(), setting, reason };
        let required = |setting| get(setting).ok_or_else(|| wrong(setting, "it is required and missing".to_owned()));
        let cloud: Cloud = get("cloud").unwrap_or("commercial").parse().map_err(|reason| wrong("cloud", reason))?;
        let overrides = Overrides { login_url: get("login_url"), graph_url: get("graph_url"), defender_url: get("defender_url") };
        let unusable = |reason| AccountError::Unusable { name: name.to_owned(), reason };
        let hosts = Hosts::new(cloud, overrides).map_err(unusable)?;
        let (tenant_id, client_id) = (required("tenant_id")?.to_owned(), required("client_id")?.to_owned());
        check_tenant(&tenant_id).and_then(|()| check_client(&client_id)).map_err(unusable)?;
        let credential = match get("auth").unwrap_or("client_secret").to_ascii_lowercase().as_str() {
            "client_secret" => Credential::Secret(client_secret(splunkd, name, stanza, clear_text)?),
            "certificate" => {
                let public = required("certificate")?;
                Credential::Certificate(Arc::new(certificate(splunkd, name, public)?))
            }
            CONNECTION_STRING => return Err(AccountError::NoApplication { name: name.to_owned() }),
            other => {
                let reason = format!("`{}` is not one of client_secret, certificate, {CONNECTION_STRING}", admin_text(other));
                return Err(wrong("auth", reason));
            }
        };
        Ok(Self { name: name.to_owned(), tenant_id, cloud, client_id, hosts, credential })
    }

    /// The base URL of one of its APIs: its cloud's, or the one that replaces it.
    pub fn base(&self, api: Api) -> &str {
        self.hosts.base(api)
    }

    /// A client of one of its APIs; asks nothing yet.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn client(self, http: &Http, api: Api) -> Result<Client, TokenError> {
        let tokens = self.tokens(http, Audience::Api(api))?;
        Ok(Client::new(http.clone(), tokens, &self.hosts, api))
    }

    /// Its tokens for one service; asks for none yet.
    ///
    /// # Errors
    /// See [`TokenError`].
    pub fn tokens(&self, http: &Http, audience: Audience) -> Result<TokenSource, TokenError> {
        let Self { tenant_id, cloud, client_id, hosts, credential, .. } = self;
        let account = token::Account { cloud: *cloud, hosts, tenant_id, client_id };
        TokenSource::new(http.clone(), account, audience, credential.clone())
    }
}

/// What opens an event hub or a storage account.
#[derive(Clone, Debug)]
pub enum Access {
    /// An Entra application with a role there.
    Application(Box<Account>),
    /// A connection string as the Azure portal shows it: a shared key or signature is in it.
    ConnectionString(Secret),
}

impl Access {
    /// Reads an account and its secret.
    ///
    /// # Errors
    /// See [`AccountError`].
    pub fn load(splunkd: &Splunkd, name: &str, clear_text: ClearText) -> Result<Self, AccountError> {
        let stanza = conf(splunkd, name)?;
        if stanza.get("auth").is_none_or(|auth| !auth.trim().eq_ignore_ascii_case(CONNECTION_STRING)) {
            return Account::of(splunkd, name, &stanza, clear_text).map(|account| Self::Application(Box::new(account)));
        }
        let stored = splunkd.secret(ACCOUNTS, &format!("{name}.{CONNECTION_STRING}"))?;
        entered(stored, name, CONNECTION_STRING).map(Self::ConnectionString)
    }
}

fn conf(splunkd: &Splunkd, name: &str) -> Result<Stanza, AccountError> {
    splunkd.conf(ACCOUNTS, name)?.ok_or_else(|| AccountError::Missing { name: name.to_owned() })
}

/// The client secret: from `storage/passwords`, or from the conf file where configuration management put it. What stands
/// in the file is the newer one, for it is blanked once it was stored.
fn client_secret(splunkd: &Splunkd, name: &str, stanza: &Stanza, clear_text: ClearText) -> Result<Secret, AccountError> {
    const SECRET: &str = "client_secret";
    let username = format!("{name}.{SECRET}");
    let written = stanza.get(SECRET).map(|text| pasted(text)).filter(|text| text.bytes().any(|b| b != b'*'));
    let Some(written) = written.map(Secret::new) else {
        return entered(splunkd.secret(ACCOUNTS, &username)?, name, SECRET);
    };
    if clear_text == ClearText::Move {
        // Where it cannot be blanked, it is found here again with every run, and storing it each time would be for nothing.
        let stored = match splunkd.secret(ACCOUNTS, &username) {
            Ok(Some(stored)) if stored == written => Ok(()),
            _ => splunkd.set_secret(ACCOUNTS, &username, &written),
        };
        let moved = stored.and_then(|()| {
            splunkd.set_conf(ACCOUNTS, name, &[(SECRET, "")])?;
            Ok(splunkd.conf(ACCOUNTS, name)?.is_some_and(|stanza| stanza.get(SECRET).is_none_or(String::is_empty)))
        });
        match moved {
            Ok(true) => {
                log::info!(
                    "account `{}`: its client_secret was moved from defender_account.conf to storage/passwords",
                    admin_text(name)
                )
            }
            Ok(false) => log::warn!(
                "account `{}`: its client_secret is stored in storage/passwords, but still stands in defender_account.conf, \
                 which something else owns: remove it there",
                admin_text(name)
            ),
            Err(error) => {
                log::warn!(
                    "account `{}`: its client_secret stays in clear text in defender_account.conf: {error}",
                    admin_text(name)
                );
            }
        }
    }
    Ok(written)
}

/// A stored secret as it was meant.
fn entered(stored: Option<Secret>, name: &str, kind: &'static str) -> Result<Secret, AccountError> {
    let none = || AccountError::NoSecret { name: name.to_owned(), secret: kind };
    let stored = stored.ok_or_else(none)?;
    let meant = pasted(stored.expose());
    if meant.is_empty() {
        return Err(none());
    }
    if meant.len() == stored.expose().len() {
        return Ok(stored);
    }
    log::info!(
        "account `{name}`: the stored {kind} is used without the blanks, line ends, quotes or invisible characters around it"
    );
    Ok(Secret::new(meant))
}

/// A value without what pasting leaves around it: white space, line ends, a byte order mark and other characters that nobody
/// sees, and one pair of quotes. No value of an account begins or ends with any of them; Entra ID makes no such secret.
fn pasted(text: &str) -> &str {
    fn bare(text: &str) -> &str {
        text.trim_matches(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c))
    }
    const QUOTES: [(char, char); 7] = [
        ('"', '"'),
        ('\'', '\''),
        ('`', '`'),
        ('\u{201c}', '\u{201d}'),
        ('\u{201e}', '\u{201c}'),
        ('\u{2018}', '\u{2019}'),
        ('\u{ab}', '\u{bb}'),
    ];
    let text = bare(text);
    let inside = QUOTES.iter().find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close));
    inside.map_or(text, bare)
}

fn certificate(splunkd: &Splunkd, name: &str, public: &str) -> Result<Certificate, AccountError> {
    const KEY: &str = "certificate_key";
    let key = splunkd.secret(ACCOUNTS, &format!("{name}.{KEY}"))?;
    let key = key.ok_or_else(|| AccountError::NoSecret { name: name.to_owned(), secret: KEY })?;
    // A conf value is one line: line breaks of the PEM text may be written as \n.
    let public = public.replace("\\n", "\n");
    let certificate =
        Certificate::from_pem(&public, &key).map_err(|reason| AccountError::Certificate { name: name.to_owned(), reason })?;
    if let Some(warning) = certificate.expiry_warning(Ticks::now()) {
        log::warn!("account `{}`: {warning}", admin_text(name));
    }
    Ok(certificate)
}

/// `defender_settings.conf`; a missing stanza means defaults.
#[derive(Clone, Debug)]
pub struct Settings {
    proxy: Option<Proxy>,
    ca_bundle: Option<PathBuf>,
    /// How much is logged.
    pub level: LevelFilter,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn load(splunkd: &Splunkd) -> Result<Self, RestError> {
        let get = |stanza: &Option<Stanza>, setting: &str| {
            let text = stanza.as_ref().and_then(|stanza| stanza.get(setting)).map(|text| pasted(text).to_owned());
            text.filter(|text| !text.is_empty())
        };
        let proxy = splunkd.conf(SETTINGS, "proxy")?;
        let tls = splunkd.conf(SETTINGS, "tls")?;
        let logging = splunkd.conf(SETTINGS, "logging")?;
        let url = get(&proxy, "url");
        let credentials = match get(&proxy, "username") {
            Some(user) if url.is_some() => {
                let password = splunkd.password(SETTINGS, "proxy")?;
                // Basic authentication has no line ends; a blank may belong to a password that a person chose.
                let password = password.map(|password| Secret::new(password.expose().trim_end_matches(['\r', '\n'])));
                Some((user, password.unwrap_or_else(|| Secret::new(""))))
            }
            _ => None,
        };
        let no_proxy = get(&proxy, "no_proxy").unwrap_or_default();
        if let Some(fault) = NoProxy::read(&no_proxy).fault().filter(|_| url.is_some()) {
            log::warn!("{PROXY} {fault}");
        }
        let level = get(&logging, "level").map(|text| {
            parse_level(&text).unwrap_or_else(|| {
                log::warn!(
                    "defender_settings.conf [logging] level: `{}` is none of DEBUG, INFO, WARN, ERROR; INFO is used",
                    admin_text(&text)
                );
                LevelFilter::Info
            })
        });
        Ok(Self {
            proxy: url.map(|url| Proxy::new(url, credentials, no_proxy)),
            ca_bundle: get(&tls, "ca_bundle").map(PathBuf::from),
            level: level.unwrap_or(LevelFilter::Info),
        })
    }

    /// What a run goes on in spite of, and a form should not accept.
    ///
    /// # Errors
    /// [`HttpError::Setup`] for exceptions of the proxy that are none.
    pub fn check(&self) -> Result<(), HttpError> {
        let fault = self.proxy.as_ref().and_then(|proxy| NoProxy::read(&proxy.no_proxy).fault());
        fault.map_or(Ok(()), |fault| Err(HttpError::Setup(format!("{PROXY} {fault}"))))
    }

    /// The client for Microsoft's hosts.
    ///
    /// # Errors
    /// [`HttpError::Setup`].
    pub fn http(&self, limit: Duration) -> Result<Http, HttpError> {
        Http::new(&self.transport(limit))
    }

    /// How Microsoft's hosts are reached.
    pub fn transport(&self, limit: Duration) -> Transport {
        let trust = self.ca_bundle.clone().map_or(Trust::PublicRoots, Trust::Bundle);
        Transport { trust, proxy: self.proxy.clone(), limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pasting_leaves_is_no_part_of_a_value() {
        for text in [
            "v~1.2_x",
            " v~1.2_x\n",
            "\tv~1.2_x\r\n",
            "\u{feff}v~1.2_x",
            "\u{200b}v~1.2_x\u{2060}\u{a0}",
            "\"v~1.2_x\"",
            "'v~1.2_x'\n",
            "\u{201c}v~1.2_x\u{201d}",
            " \" v~1.2_x \" ",
            "v~1.2_x\0",
        ] {
            assert_eq!(pasted(text), "v~1.2_x", "{text:?}");
        }
        // One quote, and quotes within, may belong to it.
        for text in ["\"a", "a'", "a\"b\"c", "\"", ""] {
            assert_eq!(pasted(text), text);
        }
        assert_eq!(pasted("\"\""), "");
    }
}
