//! One request, as splunkd describes it in JSON.

use std::fmt;

use serde::Deserialize;

use crate::secret::Secret;

/// What of a request is needed here. The query is not: what a request asks for is in its form.
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path below `/services` or the namespace, without slashes around it.
    pub path: String,
    /// The fields of the form, decoded, in order.
    pub form: Vec<(String, String)>,
    /// Where splunkd listens.
    pub server_uri: String,
    /// Opens splunkd's REST with the rights of the user who asks; `None` where `restmap.conf` keeps it back.
    pub session_key: Option<Secret>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A form may hold what its sender took for the right field.
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Document {
    method: String,
    rest_path: String,
    #[serde(default)]
    path_info: Option<String>,
    #[serde(default)]
    form: Vec<(String, String)>,
    server: Server,
    #[serde(default)]
    session: Session,
}

#[derive(Deserialize)]
struct Server {
    rest_uri: String,
}

#[derive(Default, Deserialize)]
struct Session {
    #[serde(default)]
    authtoken: Option<String>,
}

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// A sentence that names the place, and nothing of what stands there.
    pub(super) fn read(json: &[u8]) -> Result<Self, String> {
        let document: Document = serde_json::from_slice(json)
            .map_err(|e| format!("the request is not a JSON object as splunkd sends it (column {})", e.column()))?;
        Ok(Self {
            path: path(&document.rest_path, document.path_info.as_deref().unwrap_or_default()),
            method: document.method,
            form: document.form,
            server_uri: document.server.rest_uri,
            session_key: document.session.authtoken.filter(|key| !key.is_empty()).map(Secret::new),
        })
    }
}

/// `rest_path` is the whole path, and `path_info` what follows the stanza's `match`; a version that leaves the second out of
/// the first is understood too.
fn path(rest_path: &str, path_info: &str) -> String {
    let (start, end) = (rest_path.trim_matches('/'), path_info.trim_matches('/'));
    let whole = end.is_empty() || start.strip_suffix(end).is_some_and(|before| before.is_empty() || before.ends_with('/'));
    if whole { start.to_owned() } else { format!("{start}/{end}") }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_request_as_splunkd_sends_it() {
        let json = r#"{"output_mode":"json","output_mode_explicit":true,"server":{"rest_uri":"https://127.0.0.1:8089",
            "hostname":"h","servername":"s","guid":"g"},"restmap":{"name":"script:x","conf":{}},"path_info":"b",
            "query":[["output_mode","json"]],"form":[["account","a b"],["account",""]],"connection":{"src_ip":"127.0.0.1"},
            "session":{"user":"admin","authtoken":"s3cr3t"},"rest_path":"/a/b","lang":"en-US","method":"POST",
            "ns":{"app":"TA_x","user":"nobody"}}"#;
        let request = Request::read(json.as_bytes()).unwrap();
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "a/b"));
        assert_eq!(request.form, [("account", "a b"), ("account", "")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(request.server_uri, "https://127.0.0.1:8089");
        assert_eq!(request.session_key, Some(Secret::new("s3cr3t")));
        assert!(!format!("{request:?}").contains("s3cr3t"));
    }

    #[test]
    fn paths() {
        for (rest_path, path_info, expected) in [
            ("/a", "", "a"),
            ("/a/b/", "b", "a/b"),
            ("/a", "b", "a/b"),
            ("a", "/b/c/", "a/b/c"),
            ("/ab", "b", "ab/b"),
            ("/", "", ""),
        ] {
            assert_eq!(path(rest_path, path_info), expected);
        }
    }
}
