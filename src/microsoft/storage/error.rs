//! A request to a storage account that brought no data: what happened, to what, and what to do.

use std::fmt;
use std::time::Duration;

use super::access::{Access, MAKE};
use super::list::Obstacle;
use super::xml;
use crate::http::{HttpError, Response};
use crate::masking::foreign_text;
use crate::microsoft::answer;
use crate::microsoft::token::TokenError;
use crate::retry::Throttled;
use crate::time::Ticks;
use http::HeaderName;

const ERROR_CODE: HeaderName = HeaderName::from_static("x-ms-error-code");
const WARNING: HeaderName = HeaderName::from_static("warning");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");

/// A request that failed.
#[derive(Debug, thiserror::Error)]
pub struct StorageError {
    /// The operation by Microsoft's name.
    pub operation: &'static str,
    /// Container, or container and blob; empty for the account itself.
    pub object: String,
    /// The answer's status, when there was one.
    pub status: Option<u16>,
    /// Azure's error code.
    pub code: Option<String>,
    /// Azure's text, on one line and cut.
    pub message: Option<String>,
    /// The id that Microsoft's support asks for.
    pub request_id: Option<String>,
    /// What kind of failure it is.
    #[source]
    pub failure: Failure,
}

/// Kinds of failure, as callers tell them apart.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No token, so nothing was asked.
    #[error(transparent)]
    Token(TokenError),
    /// 429 or 503: too much was asked, or the service is busy.
    #[error("asked to wait")]
    Throttled {
        /// How long, when the service said it.
        retry_after: Option<Duration>,
    },
    /// 401: the token is not one for Storage, or of another tenant.
    #[error("the token was not accepted")]
    Unauthorized,
    /// 403 for a token: its application has no role here, or the account's firewall is closed.
    #[error("not permitted")]
    Forbidden,
    /// 403 for a signature that does not permit this.
    #[error("the shared access signature does not permit this")]
    Signature,
    /// 403 for a signature whose time is over.
    #[error("the shared access signature expired at {0}")]
    Expired(Ticks),
    /// 404 for a container.
    #[error("there is no such container")]
    NoContainer,
    /// 404 for a blob.
    #[error("there is no such blob")]
    NoBlob,
    /// Another blob stands under the name of the one that was listed.
    #[error("it is another blob than the one that was listed")]
    Changed,
    /// 416: the blob ends before the bytes that were asked for.
    #[error("the blob is shorter than it was")]
    Shorter,
    /// A blob that nobody can read as it is: 409, or the list said so.
    #[error("{0}")]
    Obstacle(Obstacle),
    /// 403: the key in a Key Vault that the account is encrypted with.
    #[error("the storage account cannot use its encryption key")]
    KeyVault,
    /// A name or a content that this program does not read.
    #[error("{0}")]
    Unfit(String),
    /// A list that goes on and on.
    #[error("the list has no end: {0}")]
    Endless(String),
    /// The other 4xx.
    #[error("the request was refused")]
    BadRequest,
    /// 408 and 5xx: the service failed.
    #[error("the service failed")]
    Server,
    /// No answer.
    #[error(transparent)]
    Unreachable(HttpError),
    /// No answer in time.
    #[error(transparent)]
    TimedOut(HttpError),
    /// The transport, the account or the input is set up wrongly.
    #[error(transparent)]
    Setup(HttpError),
    /// An answer that was cut, or another's.
    #[error("the answer cannot be used: {0}")]
    Unreadable(String),
    /// A web page in place of an answer: somebody between us and Azure answered.
    #[error("{}", match title { Some(title) => format!("a page titled \"{title}\" answered"), None => "something that is not Azure Storage answered".to_owned() })]
    NotStorage {
        /// The page's title.
        title: Option<String>,
    },
    /// A redirect, which is never followed.
    #[error("a redirect to {host} was not followed")]
    Redirect {
        /// Where it pointed; the host alone.
        host: String,
    },
}

/// The request that an answer belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    operation: &'static str,
    object: &'a str,
}

/// The operation that is about one blob.
const GET_BLOB: &str = "Get Blob";

impl<'a> Asked<'a> {
    /// Bytes of a blob.
    pub(super) fn blob(object: &'a str) -> Self {
        Self::new(GET_BLOB, object)
    }

    fn is_of_blob(self) -> bool {
        self.operation == GET_BLOB
    }

    pub(super) fn new(operation: &'static str, object: &'a str) -> Self {
        Self { operation, object }
    }

    pub(super) fn failed(self, failure: Failure) -> Box<StorageError> {
        Box::new(StorageError {
            operation: self.operation,
            object: self.object.to_owned(),
            status: None,
            code: None,
            message: None,
            request_id: None,
            failure,
        })
    }

    pub(super) fn unanswered(self, error: HttpError) -> Box<StorageError> {
        self.failed(match error {
            HttpError::Unreachable { .. } | HttpError::Barred { .. } => Failure::Unreachable(error),
            HttpError::TimedOut { .. } => Failure::TimedOut(error),
            HttpError::TooLarge { .. } => Failure::Unreadable(error.to_string()),
            HttpError::Setup(_) => Failure::Setup(error),
        })
    }

    pub(super) fn unreadable(self, reason: String) -> Box<StorageError> {
        self.failed(Failure::Unreadable(reason))
    }
}

/// Reads the head of an answer; `Ok` is 200 or 206.
pub(super) fn classify(asked: Asked<'_>, access: &Access, answer: &Response, now: Ticks) -> Result<(), Box<StorageError>> {
    let (status, headers, body) = (answer.status().as_u16(), answer.headers(), answer.body().as_slice());
    if asked.is_of_blob() && matches!(status, 200 | 206) {
        return Ok(());
    }
    if status == 200 && !is_page(body) {
        // What somebody in between gave in the service's place may be old or cut.
        return match answer::text(headers, &WARNING) {
            Some(warning) => Err(asked.unreadable(format!("the list came with a warning: {}", foreign_text(warning)))),
            None => Ok(()),
        };
    }
    if status == 206 {
        return Err(asked.unreadable("the list is a part of one (206)".to_owned()));
    }
    let (code, message) = said(body);
    let code = code.or_else(|| answer::text(headers, &ERROR_CODE).map(foreign_text));
    let is_azures = code.is_some() || headers.contains_key(&REQUEST_ID);
    let failure = match (status, code.as_deref().unwrap_or_default()) {
        (300..=399, _) => Failure::Redirect { host: answer::redirect_host(headers) },
        (429 | 503, _) => Failure::Throttled { retry_after: answer::retry_after(headers, now) },
        (408 | 500.., _) => Failure::Server,
        _ if !is_azures => Failure::NotStorage { title: answer::title(body) },
        (401, _) => Failure::Unauthorized,
        (403, code) if code.starts_with("KeyVault") => Failure::KeyVault,
        (403, _) => match access.expires() {
            Some(end) if end <= answer::date(headers).unwrap_or(now) => Failure::Expired(end),
            _ if matches!(access, Access::Signature(_)) => Failure::Signature,
            _ => Failure::Forbidden,
        },
        (404, "BlobNotFound") => Failure::NoBlob,
        (404, "" | "ResourceNotFound") if asked.is_of_blob() => Failure::NoBlob,
        (409, "BlobArchived" | "BlobBeingRehydrated") => Failure::Obstacle(Obstacle::Archived),
        (409, "BlobUsesCustomerSpecifiedEncryption") => Failure::Obstacle(Obstacle::CustomerKey),
        (404, "ContainerNotFound" | "") => Failure::NoContainer,
        (409, "ContainerBeingDeleted") => Failure::NoContainer,
        (416, _) => Failure::Shorter,
        _ => Failure::BadRequest,
    };
    Err(Box::new(StorageError {
        status: Some(status),
        code,
        message,
        request_id: answer::text(headers, &REQUEST_ID).map(foreign_text),
        ..*asked.failed(failure)
    }))
}

/// Whether it is a web page and no list.
fn is_page(body: &[u8]) -> bool {
    let start = body.trim_ascii_start();
    [&b"<!doctype"[..], b"<html"].iter().any(|tag| start.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag)))
}

/// Code and message of `<Error>`, as far as they can be read; fit for messages. The message ends with lines that repeat the
/// request's id and time, which are left out.
pub fn said(body: &[u8]) -> (Option<String>, Option<String>) {
    let (mut code, mut message) = (None, None);
    // What came before a fault was said all the same.
    let _ = xml::read(body, "Error", |path, text| {
        match path {
            ["Code"] => code = Some(foreign_text(&text)),
            ["Message"] => drop(message.get_or_insert(foreign_text(text.lines().next().unwrap_or_default()))),
            _ => {}
        }
        Ok(())
    });
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    (said(code), said(message))
}

impl fmt::Display for StorageError {
    /// What happened, to what, in Azure's words where there are any. What to do is [`StorageError::remedy`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Failure::Token(error) = &self.failure {
            return write!(f, "{error}");
        }
        write!(f, "Azure Storage: {}", self.operation)?;
        if !self.object.is_empty() {
            // Names come from lists.
            write!(f, " {}", foreign_text(&self.object))?;
        }
        f.write_str(": ")?;
        let Self { status, failure, code, message, request_id, .. } = self;
        answer::describe(f, *status, failure, [code, message], request_id.as_deref())
    }
}

impl Throttled for StorageError {
    fn is_throttled(&self) -> bool {
        self.is_throttled()
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after()
    }
}

impl StorageError {
    /// What is known of a blob without an answer of its own.
    pub fn of_blob(container: &str, blob: &str, failure: Failure) -> Box<Self> {
        Asked::blob(&format!("{container}/{blob}")).failed(failure)
    }

    /// A list of a container, or with an empty name of the account's containers, that has no end.
    pub fn endless(container: &str, reason: String) -> Box<Self> {
        let operation = if container.is_empty() { "List Containers" } else { "List Blobs" };
        Asked::new(operation, container).failed(Failure::Endless(reason))
    }

    /// How long the service asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match &self.failure {
            Failure::Throttled { retry_after } => *retry_after,
            Failure::Token(error) => error.retry_after(),
            _ => None,
        }
    }

    /// Whether the service asked to slow down, with or without saying for how long.
    pub fn is_throttled(&self) -> bool {
        match &self.failure {
            Failure::Throttled { .. } => true,
            Failure::Token(error) => error.is_throttled(),
            _ => false,
        }
    }

    /// Whether there is no such host to ask, for a token or for blobs.
    pub fn names_no_host(&self) -> bool {
        match &self.failure {
            Failure::Token(error) => error.names_no_host(),
            Failure::Unreachable(error) => error.names_no_host(),
            _ => false,
        }
    }

    /// Whether asking again cannot help until a person has acted.
    pub fn is_permanent(&self) -> bool {
        match &self.failure {
            Failure::Token(error) => error.is_permanent(),
            Failure::Unauthorized
            | Failure::Forbidden
            | Failure::Signature
            | Failure::Expired(_)
            | Failure::Obstacle(_)
            | Failure::KeyVault
            | Failure::Unfit(_)
            | Failure::Endless(_)
            | Failure::BadRequest
            | Failure::NotStorage { .. }
            | Failure::Redirect { .. } => true,
            Failure::Unreachable(error) | Failure::TimedOut(error) | Failure::Setup(error) => error.needs_a_person(),
            // Containers appear with their first record, and blobs end with their retention.
            Failure::NoContainer
            | Failure::NoBlob
            | Failure::Changed
            | Failure::Shorter
            | Failure::Throttled { .. }
            | Failure::Server
            | Failure::Unreadable(_) => false,
        }
    }

    /// Whether it may be the fault of one container or blob alone, so that others may still be read.
    pub fn is_about_one(&self) -> bool {
        let about_all =
            matches!(self.failure, Failure::Token(_) | Failure::Expired(_) | Failure::Setup(_) | Failure::Throttled { .. });
        !about_all && !self.object.is_empty()
    }

    /// Whether it may be the fault of one blob alone, so that others of its container may still be read.
    pub fn is_about_blob(&self) -> bool {
        self.operation == GET_BLOB && self.is_about_one() && !matches!(self.failure, Failure::NoContainer)
    }

    /// Whether what stands between this machine and the object may be at fault, or the service itself: then the next object
    /// fails in the same way. Otherwise it is surely the object.
    pub fn is_of_the_way(&self) -> bool {
        matches!(
            self.failure,
            Failure::Unauthorized
                | Failure::Forbidden
                | Failure::Signature
                | Failure::Server
                | Failure::Unreachable(_)
                | Failure::TimedOut(_)
                | Failure::Unreadable(_)
                | Failure::NotStorage { .. }
                | Failure::Redirect { .. }
                | Failure::Throttled { .. }
        )
    }

    /// What to do about it, as one clause to put behind the message; `None` where waiting is all there is.
    pub fn remedy(&self) -> Option<String> {
        const WHERE: &str = "(Azure portal: the storage account, Access control (IAM); it may take ten minutes to count)";
        const ALL: &str = "to read named containers alone, name their tables in the input's `tables`";
        Some(match &self.failure {
            Failure::Token(error) => return error.remedy(),
            Failure::Unauthorized => "check that the account's tenant is the one of the storage account's subscription".to_owned(),
            Failure::Forbidden => {
                let listing = if self.object.is_empty() { format!("; {ALL}") } else { String::new() };
                format!(
                    "give the app the role Storage Blob Data Reader on the storage account {WHERE}, and let this machine through the \
                     storage account's firewall{listing}"
                )
            }
            Failure::Signature => {
                let listing = if self.object.is_empty() { format!("; {ALL}") } else { String::new() };
                format!("{MAKE}, let this machine through the storage account's firewall{listing}")
            }
            Failure::Expired(_) => format!("{MAKE} and store it as the account's connection string"),
            Failure::NoContainer => {
                "Defender makes it with the table's first record: check the input's `tables`, and that the streaming settings send the \
                 table to this storage account"
                    .to_owned()
            }
            Failure::Obstacle(Obstacle::Archived) => {
                "rehydrate it to the tier Hot or Cool (Azure portal: the blob, Change tier): it is then read by itself".to_owned()
            }
            Failure::Obstacle(Obstacle::CustomerKey) => "write it without a customer-provided key: this add-on has none".to_owned(),
            Failure::Unfit(_) if self.operation != GET_BLOB => "check the input's tables".to_owned(),
            Failure::Obstacle(Obstacle::Pages | Obstacle::Encoded) | Failure::Unfit(_) => {
                "store it as an append or block blob of plain text, a record per line".to_owned()
            }
            Failure::KeyVault => {
                "enable the storage account's key in its Key Vault, and the account's access to it (Azure portal: the storage account, \
                 Encryption)"
                    .to_owned()
            }
            Failure::Endless(_) => "check that storage_account names Azure Storage itself; see what stands in between".to_owned(),
            Failure::BadRequest => "check the input's storage_account and tables".to_owned(),
            Failure::NotStorage { .. } | Failure::Redirect { .. } => {
                "a proxy or sign-in page stands between this machine and Azure, or storage_account names another service: let this \
                 machine reach the host directly or set the proxy"
                    .to_owned()
            }
            Failure::Unreachable(error) => error.remedy().unwrap_or_else(|| {
                "check storage_account, name resolution, firewall, proxy and, where TLS is inspected, ca_bundle in \
                 defender_settings.conf"
                    .to_owned()
            }),
            Failure::Setup(_) => "check the proxy, the CA bundle and the input's storage_account".to_owned(),
            Failure::NoBlob
            | Failure::Changed
            | Failure::Shorter
            | Failure::Throttled { .. }
            | Failure::Server
            | Failure::TimedOut(_)
            | Failure::Unreadable(_) => return None,
        })
    }
}
