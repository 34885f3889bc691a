//! What stands in the way for good: faults of the way to a host that a person has to mend. Everything else passes. A name that
//! is not known is both: mended by a person who has just typed it, and passing for an input that is at work.
//!
//! The feeds that do not come through the client of this module, AMQP, ask the same questions here.

use std::fmt;
use std::io;

use rustls::{AlertDescription, CertificateError, Error as TlsError};

use crate::masking::foreign_text;
use crate::time::Ticks;

/// Why asking again brings the same until somebody has acted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// The name server says that there is no such host. A mistyped URL is what that means nearly always while the form is open,
    /// and it is refused there; it may also be said falsely, of a zone that is being set up, so a run is tried again.
    NoSuchHost,
    /// The certificate that was shown is not believed.
    Certificate(Disbelief),
    /// What answers speaks no TLS: a page of a proxy, or another service on that port.
    NoTls,
    /// There is no version or cipher of TLS that both sides know, or the other side refused ours.
    TlsRefused(String),
    /// The proxy answered the request for a tunnel with this status.
    Proxy(u16),
}

/// Why a certificate is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disbelief {
    /// No trusted authority signed it: a self-signed one, or that of a proxy which inspects TLS.
    UnknownIssuer,
    /// Its time is over.
    Expired {
        /// When it ended, where that is known.
        end: Option<Ticks>,
    },
    /// Its time has not begun.
    NotValidYet {
        /// When it begins, where that is known.
        start: Option<Ticks>,
    },
    /// It is for other hosts.
    OtherHost {
        /// Those it is for, cut.
        names: String,
    },
    /// Its authority took it back.
    Revoked,
    /// Anything else, in the words of the library.
    Unusable(String),
}

impl Barrier {
    /// What a failure of TLS means; `None` for one that may pass.
    pub fn of_tls(error: &TlsError) -> Option<Self> {
        Some(match error {
            TlsError::InvalidCertificate(reason) => Self::Certificate(Disbelief::of(reason)),
            TlsError::NoCertificatesPresented | TlsError::UnsupportedNameType => {
                Self::Certificate(Disbelief::Unusable(error.to_string()))
            }
            // What begins with `HTTP/1.1` or `<html>` is no message of TLS.
            TlsError::InvalidMessage(_) => Self::NoTls,
            TlsError::PeerIncompatible(_) | TlsError::NoApplicationProtocol => Self::TlsRefused(foreign_text(&error.to_string())),
            TlsError::AlertReceived(alert) => match alert {
                AlertDescription::CloseNotify
                | AlertDescription::UserCanceled
                | AlertDescription::InternalError
                | AlertDescription::BadRecordMac
                | AlertDescription::DecryptError => return None,
                alert => Self::TlsRefused(format!("{alert:?}")),
            },
            _ => return None,
        })
    }

    /// What a proxy's answer to a request for a tunnel means; `None` where the proxy says that its own way fails for now.
    pub fn of_proxy(status: u16) -> Option<Self> {
        match status {
            408 | 425 | 429 | 500 | 502..=504 | 520..=599 => None,
            status => Some(Self::Proxy(status)),
        }
    }

    /// What an error of input and output means: what TLS said is inside, and a name server's answer is text alone.
    pub fn of_io(error: &io::Error) -> Option<Self> {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
            return Self::of_tls(tls);
        }
        // The system's number is lost on the way through the standard library; these are its texts for a name that does not
        // exist or has no address, of glibc, musl, macOS and Windows. A name server that is out of order has another one.
        const NONE: [&str; 6] = [
            "Name or service not known",
            "No address associated with hostname",
            "Name does not resolve",
            "Name has no usable address",
            "nodename nor servname provided",
            "No such host is known",
        ];
        let text = error.to_string();
        NONE.iter().any(|none| text.contains(none)).then_some(Self::NoSuchHost)
    }

    /// What to do about it, as one clause to put behind the message.
    pub fn remedy(&self) -> String {
        const SETTINGS: &str = "the Configuration page of the app, tab Settings";
        match self {
            Self::NoSuchHost => format!(
                "check its spelling where it is set (the account's cloud and URLs, the input, or the proxy on {SETTINGS}) and this \
                 machine's name server; where only a proxy knows names of the internet, set the proxy"
            ),
            Self::Certificate(reason) => reason.remedy(),
            Self::NoTls => "what answers there speaks no TLS: check the port of the URL, and whether a proxy or a sign-in page \
                            answers in the host's place"
                .to_owned(),
            Self::TlsRefused(_) => "TLS 1.2 or 1.3 is needed: check what stands between this machine and the host, a proxy or a \
                                    firewall that inspects TLS, and that the URL names the right host"
                .to_owned(),
            Self::Proxy(407) => format!(
                "enter the proxy's user name and password on {SETTINGS} (the add-on signs in by Basic authentication), or have the \
                 proxy let this machine through without"
            ),
            Self::Proxy(401 | 403) => {
                format!(
                    "have the proxy allow CONNECT from this machine to this host and port, or name another proxy on {SETTINGS}"
                )
            }
            Self::Proxy(_) => {
                format!("check that the proxy's URL on {SETTINGS} names an HTTP proxy that allows CONNECT to this host and port")
            }
        }
    }
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchHost => f.write_str("there is no host of this name, says the name server"),
            Self::Certificate(reason) => write!(f, "its certificate is not trusted: {reason}"),
            Self::NoTls => f.write_str("no TLS: something else answered"),
            Self::TlsRefused(reason) => write!(f, "no TLS that both sides accept: {reason}"),
            Self::Proxy(407) => f.write_str("the proxy refused the connection: 407, it wants another user name or password"),
            Self::Proxy(status) => write!(f, "the proxy refused the connection: {status}"),
        }
    }
}

impl Disbelief {
    fn of(error: &CertificateError) -> Self {
        use CertificateError as E;
        let time = |at: &rustls::pki_types::UnixTime| {
            i64::try_from(at.as_secs()).ok().and_then(|seconds| seconds.checked_mul(crate::time::PER_SECOND)).map(Ticks)
        };
        match error {
            E::UnknownIssuer => Self::UnknownIssuer,
            E::Expired => Self::Expired { end: None },
            E::ExpiredContext { not_after, .. } => Self::Expired { end: time(not_after) },
            E::NotValidYet => Self::NotValidYet { start: None },
            E::NotValidYetContext { not_before, .. } => Self::NotValidYet { start: time(not_before) },
            E::NotValidForName => Self::OtherHost { names: String::new() },
            E::NotValidForNameContext { presented, .. } => {
                // `DnsName("x.example")`, as the library prints them.
                let bare = |name: &String| name.split('"').nth(1).unwrap_or(name).to_owned();
                let names: Vec<_> = presented.iter().take(5).map(bare).collect();
                Self::OtherHost { names: foreign_text(&names.join(", ")) }
            }
            E::Revoked => Self::Revoked,
            other => Self::Unusable(foreign_text(&other.to_string())),
        }
    }

    fn remedy(&self) -> String {
        match self {
            Self::UnknownIssuer => "where TLS is inspected on the way, put the certificate of the inspecting authority into a PEM file \
                                    and name it as CA bundle on the Configuration page of the app, tab Settings; where a CA bundle is \
                                    set, it alone is trusted, so the host's authority must be in it"
                .to_owned(),
            Self::Expired { .. } | Self::NotValidYet { .. } => {
                "check this machine's clock; if it is right, whoever runs the host, or the proxy that inspects TLS, has to renew the \
                 certificate"
                    .to_owned()
            }
            Self::OtherHost { .. } => "check the URL's spelling, and whether something else answers in the host's place: a proxy, a \
                                       sign-in page, an entry of the hosts file"
                .to_owned(),
            Self::Revoked | Self::Unusable(_) => {
                "whoever runs the host, or the proxy that inspects TLS, has to replace the certificate".to_owned()
            }
        }
    }
}

impl fmt::Display for Disbelief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = |f: &mut fmt::Formatter<'_>, what: &str, when: &Option<Ticks>| match when {
            Some(when) => write!(f, "{what} {when}"),
            None => f.write_str(what.trim_end_matches(" at").trim_end_matches(" before")),
        };
        match self {
            Self::UnknownIssuer => f.write_str("no trusted authority signed it (UnknownIssuer)"),
            Self::Expired { end } => at(f, "it expired at", end),
            Self::NotValidYet { start } => at(f, "it is not valid yet before", start),
            Self::OtherHost { names } if names.is_empty() => f.write_str("it is for another host"),
            Self::OtherHost { names } => write!(f, "it is for other hosts ({names})"),
            Self::Revoked => f.write_str("its authority has revoked it"),
            Self::Unusable(reason) => write!(f, "it cannot be used ({reason})"),
        }
    }
}
