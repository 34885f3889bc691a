//! A storage account's blob service: its containers, the blobs in them, and pieces of blobs. Reads only.
//!
//! Three requests of its REST API are all there is to it (List Containers, List Blobs, Get Blob); `DESIGN.md` says why no
//! library makes them. The names of requests, parameters, headers and error codes are those of Microsoft's pages on it.

mod access;
mod error;
mod list;
mod names;
mod xml;

use http::header::{AUTHORIZATION, CONTENT_RANGE, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use self::access::{Access, AccessError};
use self::error::Asked;
pub use self::error::{Failure, StorageError, said};
pub use self::list::{Blobs, Containers, Listed, Obstacle, blobs, containers};
pub use self::names::{is_blob_name, is_container_name};
use super::{answer, guid};
use crate::http::{Http, HttpError, Reading, Response};
use crate::time::Ticks;

/// The version of the REST API whose answers are read here.
const API_VERSION: &str = "2021-12-02";
const VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const RANGE: HeaderName = HeaderName::from_static("x-ms-range");
const CREATION_TIME: HeaderName = HeaderName::from_static("x-ms-creation-time");

/// The most bytes of a list that are read. 5,000 blobs with long names are half of it.
const LIST_LIMIT: usize = 16 << 20;
/// The most bytes of an answer without data that are read; the service's own have some hundred.
const ERROR_LIMIT: u64 = 64 << 10;

/// What stands in a path as it is: slashes part a blob's name, and `=` is in every name that Defender gives.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b'=');
/// What stands in a query as it is.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A client of one storage account.
#[derive(Debug)]
pub struct Storage {
    http: Http,
    base: String,
    access: Access,
}

/// A piece of a blob.
#[derive(Debug)]
pub struct Piece {
    /// Its bytes; fewer than were asked for where the service gave fewer.
    pub bytes: Vec<u8>,
    /// When the blob was created: another time than the list told is another blob of the same name.
    pub created: Option<Ticks>,
}

impl Storage {
    /// Asks nothing yet. `base` is the URL of the account's blob service, without a trailing slash.
    pub fn new(http: Http, base: &str, access: Access) -> Self {
        Self { http, base: base.to_owned(), access }
    }

    /// The containers whose names begin with `prefix`; those after `marker`, where there are more than one answer holds.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn containers(&mut self, prefix: &str, marker: &str) -> Result<Containers, Box<StorageError>> {
        let query = format!("comp=list&prefix={}{}", encoded(prefix), marked(marker));
        let asked = Asked::new("List Containers", "");
        let answer = self.get(asked, "/", &query, Wanted::List)?;
        list::containers(answer.body()).map_err(|reason| asked.unreadable(reason))
    }

    /// The blobs of a container whose names begin with `prefix`, in the order of their names; those after `marker`. With
    /// `folders`, names that go on after a slash behind the prefix are given as that beginning alone.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn blobs(&mut self, container: &str, prefix: &str, folders: bool, marker: &str) -> Result<Blobs, Box<StorageError>> {
        let delimiter = if folders { "&delimiter=/" } else { "" };
        let query = format!("restype=container&comp=list&prefix={}{delimiter}{}", encoded(prefix), marked(marker));
        let asked = Asked::new("List Blobs", container);
        if !is_container_name(container) {
            return Err(asked.failed(Failure::Unfit("no container can have this name".to_owned())));
        }
        let answer = self.get(asked, &format!("/{}", utf8_percent_encode(container, PATH)), &query, Wanted::List)?;
        list::blobs(answer.body(), date(&answer)).map_err(|reason| asked.unreadable(reason))
    }

    /// `length` bytes of a blob from `offset` on; at least one byte there has to be.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn read(&mut self, container: &str, blob: &str, offset: u64, length: u64) -> Result<Piece, Box<StorageError>> {
        let path = format!("{container}/{blob}");
        let asked = Asked::blob(&path);
        if !is_container_name(container) || !is_blob_name(blob) {
            return Err(asked.failed(Failure::Unfit("it has a name that a URL cannot carry as it is".to_owned())));
        }
        let wanted = Wanted::Bytes { offset, length };
        let answer = self.get(asked, &format!("/{}", utf8_percent_encode(&path, PATH)), "", wanted)?;
        let (head, bytes) = answer.into_parts();
        // What stands between may answer with another range, with all of it, or with a page of its own.
        let given = answer::text(&head.headers, &CONTENT_RANGE);
        let first = given.and_then(|range| range.strip_prefix("bytes ")?.split_once('-')?.0.parse::<u64>().ok());
        if first != Some(offset) || bytes.is_empty() || bytes.len() as u64 > length {
            let given = given.unwrap_or("no range");
            return Err(
                asked.unreadable(format!("{given}, {} bytes, where {length} from {offset} on were asked for", bytes.len()))
            );
        }
        let created = answer::text(&head.headers, &CREATION_TIME).and_then(Ticks::parse_http);
        Ok(Piece { bytes, created })
    }

    fn get(&mut self, asked: Asked<'_>, path: &str, query: &str, wanted: Wanted) -> Result<Response, Box<StorageError>> {
        let held = self.access.holds(Ticks::now());
        let mut answer = self.send(asked, path, query, wanted)?;
        if answer.status() == http::StatusCode::UNAUTHORIZED && held {
            // The token may have been withdrawn before its time; one that was fetched for this very request was not.
            self.access.forget();
            answer = self.send(asked, path, query, wanted)?;
        }
        error::classify(asked, &self.access, &answer, Ticks::now())?;
        Ok(answer)
    }

    fn send(&mut self, asked: Asked<'_>, path: &str, query: &str, wanted: Wanted) -> Result<Response, Box<StorageError>> {
        let setup = |reason: &str| asked.unanswered(HttpError::Setup(reason.to_owned()));
        let signature = self.access.query();
        let join = if query.is_empty() || signature.is_empty() { "" } else { "&" };
        let url = format!("{}{path}?{query}{join}{signature}", self.base);
        let url = url.trim_end_matches('?');
        // The URL may hold the signature, so no message may hold the URL.
        let mut request =
            http::Request::get(url).body(Vec::new()).map_err(|_| setup("the names and the signature do not make a URL"))?;
        let headers = request.headers_mut();
        headers.insert(VERSION, HeaderValue::from_static(API_VERSION));
        if let Some(id) = guid::random().ok().and_then(|id| HeaderValue::from_str(&id).ok()) {
            headers.insert(CLIENT_REQUEST_ID, id);
        }
        if let Wanted::Bytes { offset, length } = wanted {
            let range = format!("bytes={offset}-{}", offset.saturating_add(length) - 1);
            headers.insert(RANGE, HeaderValue::from_str(&range).map_err(|_| setup("the range is no header text"))?);
        }
        if let Some(token) = self.access.token(Ticks::now()).map_err(|e| asked.failed(Failure::Token(e)))? {
            let bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
            let mut bearer = bearer.map_err(|_| setup("the token is no header text"))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        let (head, body) = self.http.open(request, Reading::AtOnce).map_err(|e| asked.unanswered(e))?.into_parts();
        if !matches!(head.status.as_u16(), 200 | 206) {
            // Its status says what it is, also where its text breaks off.
            return Ok(Response::from_parts(head, body.read_front(ERROR_LIMIT).unwrap_or_default()));
        }
        let most = wanted.most();
        let body = body.read_front(most as u64 + 1).map_err(|e| asked.unanswered(e))?;
        if body.len() > most && wanted == Wanted::List {
            return Err(asked.unreadable(format!("the list is larger than {} MB", LIST_LIMIT >> 20)));
        }
        Ok(Response::from_parts(head, body))
    }
}

/// What an answer should hold, which says how much of it is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A list.
    List,
    /// So many bytes of a blob.
    Bytes { offset: u64, length: u64 },
}

impl Wanted {
    fn most(self) -> usize {
        match self {
            Self::List => LIST_LIMIT,
            Self::Bytes { length, .. } => usize::try_from(length).unwrap_or(usize::MAX),
        }
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

fn marked(marker: &str) -> String {
    if marker.is_empty() { String::new() } else { format!("&marker={}", encoded(marker)) }
}

/// The service's clock when it answered.
fn date(answer: &Response) -> Option<Ticks> {
    answer::date(answer.headers())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
