//! Requests and answers as values, so that every stand-in can be called without a socket.

use std::time::Duration;

use crate::json::Json;
use crate::time::Time;

/// Which party a request is meant for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// Entra ID, the token endpoint.
    Login,
    /// Microsoft Graph.
    Graph,
    /// The Defender for Endpoint and Microsoft 365 Defender APIs.
    Defender,
    /// splunkd's management port.
    Splunkd,
    /// The blob service of a storage account.
    Storage,
}

/// One request, as it came over the wire.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path, still percent-encoded, without the query.
    pub path: String,
    /// The query, still percent-encoded, without the question mark.
    pub query: String,
    /// Header names in lower case, with their values, in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Scheme, host and port that were asked, for links that lead back; empty in-process.
    pub origin: String,
}

impl Request {
    /// A `GET` of a path with query.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A request without a body. `target` is `path?query`, percent-encoded.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Request { method: method.to_string(), path: path.to_string(), query: query.to_string(), ..Request::default() }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.to_string()));
        self
    }

    /// Adds `Authorization: Bearer …`.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Gives the request a body and its type.
    #[must_use]
    pub fn body(mut self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self.header("content-type", content_type)
    }

    /// The value of a header, given in lower case.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The parts of the path between slashes, percent-decoded one by one; an empty last part is dropped.
    pub fn segments(&self) -> Vec<String> {
        let mut parts: Vec<_> = self.path.trim_start_matches('/').split('/').map(percent_decode).collect();
        if parts.last().is_some_and(String::is_empty) {
            parts.pop();
        }
        parts
    }

    /// The query as pairs, decoded.
    pub fn query_pairs(&self) -> Vec<(String, String)> {
        form_pairs(&self.query)
    }

    /// The first query value of a name.
    pub fn query_value(&self, name: &str) -> Option<String> {
        self.query_pairs().into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The body as form pairs, decoded.
    pub fn form(&self) -> Vec<(String, String)> {
        form_pairs(&String::from_utf8_lossy(&self.body))
    }

    /// The media type of the body, without parameters, in lower case.
    pub fn content_type(&self) -> String {
        let value = self.header_value("content-type").unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// The credential after a scheme such as `Bearer`; schemes compare without case.
    pub fn credential(&self, scheme: &str) -> Option<&str> {
        let (given, credential) = self.header_value("authorization")?.split_once(' ')?;
        given.eq_ignore_ascii_case(scheme).then(|| credential.trim())
    }
}

/// How the bytes of an answer reach the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Delivery {
    /// As they are.
    #[default]
    Whole,
    /// After waiting.
    Late(Duration),
    /// In pieces of so many bytes, with a wait before each.
    Slow {
        /// Bytes in a piece.
        piece: usize,
        /// Wait before each.
        pause: Duration,
    },
    /// The framing promises all of it, and the connection ends after so many bytes.
    Cut(usize),
    /// Everything, then one blank every so often, and never an end.
    Endless(Duration),
    /// No answer at all; the connection stays open.
    Silent,
    /// The connection is closed without an answer.
    Refused,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Headers besides those of the framing.
    pub headers: Vec<(String, String)>,
    /// The body before compression.
    pub body: Vec<u8>,
    /// How it is sent.
    pub delivery: Delivery,
}

impl Response {
    /// An answer with a body of a given type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Response {
            status,
            headers: vec![("Content-Type".to_string(), content_type.to_string())],
            body: body.into(),
            delivery: Delivery::Whole,
        }
    }

    /// A JSON answer.
    pub fn json(status: u16, body: &Json) -> Self {
        Self::new(status, "application/json; charset=utf-8", body.render())
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Response { status, headers: Vec::new(), body: Vec::new(), delivery: Delivery::Whole }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_string(), value.to_string()));
        self
    }

    /// The value of a header, whatever its case.
    pub fn header_value(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Stamps the service's clock on it, unless a fault already did; an empty date is a fault's way to have none.
    #[must_use]
    pub(crate) fn dated(mut self, now: Time) -> Self {
        match self.header_value("date") {
            None => self.header("Date", &now.http_date()),
            Some("") => {
                self.headers.retain(|(name, _)| name != "Date");
                self
            }
            Some(_) => self,
        }
    }
}

/// Decodes `%XX`; what is not an escape stays as it is.
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |place: usize| bytes.get(place).and_then(|byte| (*byte as char).to_digit(16));
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, _, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Encodes everything but unreserved characters.
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Reads `a=b&c=d`; a plus sign is a blank there.
pub fn form_pairs(text: &str) -> Vec<(String, String)> {
    text.split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(&name.replace('+', " ")), percent_decode(&value.replace('+', " ")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_plus_is_a_blank_in_a_query_and_a_plus_in_a_path() {
        let request = Request::get("/a+b/c%2Fd/?$filter=x+ge+2021-01-01T00:00:00%2B02:00");
        assert_eq!(request.segments(), ["a+b", "c/d"]);
        assert_eq!(request.query_value("$filter").unwrap(), "x ge 2021-01-01T00:00:00+02:00");
    }

    #[test]
    fn encoding_reads_back() {
        let text = "a b+c%d/é雪:";
        assert_eq!(percent_decode(&percent_encode(text)), text);
    }
}
