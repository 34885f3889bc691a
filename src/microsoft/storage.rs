//! A storage account's blob service: its containers, the blobs in them, and pieces of blobs. Reads only.
//!
//! Three requests of its REST API are all there is to it (List Containers, List Blobs, Get Blob); `DESIGN.md` says why no
//! library makes them. The names of requests, parameters, headers and error codes are those of Microsoft's pages on it.

mod access;
mod error;
mod list;

use http::header::{AUTHORIZATION, CONTENT_RANGE, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use self::access::{Access, AccessError};
use self::error::Asked;
pub use self::error::{Failure, StorageError};
pub use self::list::{Blobs, Containers, Listed};
use super::{answer, guid};
use crate::http::{Http, HttpError, Response};
use crate::time::Ticks;

/// The version of the REST API whose answers are read here.
const API_VERSION: &str = "2021-12-02";
const VERSION: HeaderName = HeaderName::from_static("x-ms-version");
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");
const RANGE: HeaderName = HeaderName::from_static("x-ms-range");
const CREATION_TIME: HeaderName = HeaderName::from_static("x-ms-creation-time");

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
        let answer = self.get(asked, "/", &query, None)?;
        list::containers(answer.body(), date(&answer)).map_err(|reason| asked.unreadable(reason))
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
        let answer = self.get(asked, &format!("/{container}"), &query, None)?;
        list::blobs(answer.body(), date(&answer)).map_err(|reason| asked.unreadable(reason))
    }

    /// `length` bytes of a blob from `offset` on; at least one byte there has to be.
    ///
    /// # Errors
    /// See [`StorageError`].
    pub fn read(&mut self, container: &str, blob: &str, offset: u64, length: u64) -> Result<Piece, Box<StorageError>> {
        let path = format!("{container}/{blob}");
        let asked = Asked::new("Get Blob", &path);
        let range = format!("bytes={offset}-{}", offset + length - 1);
        let answer = self.get(asked, &format!("/{}", utf8_percent_encode(&path, PATH)), "", Some(&range))?;
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

    fn get(&mut self, asked: Asked<'_>, path: &str, query: &str, range: Option<&str>) -> Result<Response, Box<StorageError>> {
        let held = self.access.holds(Ticks::now());
        let mut answer = self.send(asked, path, query, range)?;
        if answer.status() == http::StatusCode::UNAUTHORIZED && held {
            // The token may have been withdrawn before its time; one that was fetched for this very request was not.
            self.access.forget();
            answer = self.send(asked, path, query, range)?;
        }
        error::classify(asked, &self.access, &answer, Ticks::now())?;
        Ok(answer)
    }

    fn send(&mut self, asked: Asked<'_>, path: &str, query: &str, range: Option<&str>) -> Result<Response, Box<StorageError>> {
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
        if let Some(range) = range {
            headers.insert(RANGE, HeaderValue::from_str(range).map_err(|_| setup("the range is no header text"))?);
        }
        if let Some(token) = self.access.token(Ticks::now()).map_err(|e| asked.failed(Failure::Token(e)))? {
            let bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()));
            let mut bearer = bearer.map_err(|_| setup("the token is no header text"))?;
            bearer.set_sensitive(true);
            headers.insert(AUTHORIZATION, bearer);
        }
        self.http.send(request).map_err(|e| asked.unanswered(e))
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
