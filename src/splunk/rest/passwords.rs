//! Secrets of any length in `storage/passwords`, which encrypts at most 255 characters per entry.
//!
//! A value that does not fit is kept as `<name>.1`, `<name>.2`, …; the first piece starts with `<number of pieces>:`, so
//! that what an earlier, longer value left behind is not read. A short value is kept as `<name>`, which is read first.

use serde_json::{Map, Value};

use super::{Call, Object, Posted, RestError, Splunkd, contents, segment, text};
use crate::secret::Secret;

/// The most one entry holds, in bytes.
const PIECE: usize = 250;
/// More pieces than any key or connection string fills; a larger count is damage.
const MOST: usize = 999;

impl Splunkd {
    /// A secret of `storage/passwords`; `None` when there is none.
    ///
    /// # Errors
    /// [`RestError::Masked`] when splunkd gives asterisks instead; otherwise see [`RestError`].
    pub fn password(&self, realm: &str, username: &str) -> Result<Option<Secret>, RestError> {
        let call = self.password_call(realm, username);
        let Some(answer) = self.get(&call)? else { return Ok(None) };
        let found = contents(&call, &answer)?;
        // splunkd looks names up, it does not compare them; another one's secret would be sent to the wrong place.
        let same = |content: &Map<String, Value>, member: &str, expected: &str| text(content.get(member)) == expected;
        let Some(content) = found.iter().find(|content| same(content, "realm", realm) && same(content, "username", username))
        else {
            return Ok(None);
        };
        match content.get("clear_password").and_then(Value::as_str) {
            Some(clear) if clear.chars().any(|c| c != '*') => Ok(Some(Secret::new(clear))),
            _ => Err(RestError::Masked { object: call.object.to_string() }),
        }
    }

    /// Stores a secret, over one of the same name. splunkd keeps at most 255 characters; see
    /// [`Splunkd::set_secret`](Self::set_secret) for any length.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn set_password(&self, realm: &str, username: &str, secret: &Secret) -> Result<(), RestError> {
        let change = self.password_call(realm, username);
        let create = Call::new(change.object.clone(), self.app_path("storage/passwords"));
        let form = [("name", username), ("realm", realm), ("password", secret.expose())];
        // A change names its entry in the path only.
        for (call, form) in [(&create, &form[..]), (&change, &form[2..])] {
            if self.post(call, form)? == Posted::Done {
                return Ok(());
            }
        }
        Err(RestError::NotFound { object: change.object.to_string() })
    }

    /// Deletes a secret; false when there was none.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn delete_password(&self, realm: &str, username: &str) -> Result<bool, RestError> {
        let call = self.password_call(realm, username);
        let answer = self.exchange(&call, "DELETE", &[])?;
        if answer.status() == 404 {
            return Ok(false);
        }
        self.accept(&call, &answer).map(|()| true)
    }

    /// A secret kept whole or in pieces; `None` when there is none.
    ///
    /// # Errors
    /// [`RestError::Incomplete`] when a piece is missing; otherwise as [`Splunkd::password`].
    pub fn secret(&self, realm: &str, name: &str) -> Result<Option<Secret>, RestError> {
        if let Some(whole) = self.password(realm, name)? {
            return Ok(Some(whole));
        }
        let Some(first) = self.password(realm, &piece(name, 1))? else { return Ok(None) };
        let incomplete = |fault: String| RestError::Incomplete {
            object: Object::Secret { realm: realm.to_owned(), username: name.to_owned() }.to_string(),
            fault,
        };
        let (count, start) =
            open(first.expose()).ok_or_else(|| incomplete("the first piece does not say how many".to_owned()))?;
        let mut value = start.to_owned();
        for number in 2..=count {
            let next = self.password(realm, &piece(name, number))?;
            let next = next.ok_or_else(|| incomplete(format!("piece {number} of {count} is missing")))?;
            value.push_str(next.expose());
        }
        Ok(Some(Secret::new(value)))
    }

    /// Stores a secret, in pieces when it is long, deletes what an earlier one left, and reads it back.
    ///
    /// # Errors
    /// [`RestError::NotKept`] when something else comes back; otherwise as [`Splunkd::set_password`].
    pub fn set_secret(&self, realm: &str, name: &str, secret: &Secret) -> Result<(), RestError> {
        let pieces = split(secret.expose());
        if let [whole] = pieces.as_slice() {
            self.set_password(realm, name, &Secret::new(*whole))?;
            self.delete_pieces_from(realm, name, 1)?;
        } else {
            let count = pieces.len();
            // The piece with the number comes last: until then a reader finds the old value or an error, no mixture
            // that looks whole, unless the old one had as many pieces.
            for (at, text) in pieces.iter().enumerate().rev() {
                let text = if at == 0 { format!("{count}:{text}") } else { (*text).to_owned() };
                self.set_password(realm, &piece(name, at + 1), &Secret::new(text))?;
            }
            self.delete_pieces_from(realm, name, count + 1)?;
            self.delete_password(realm, name)?;
        }
        if self.secret(realm, name)?.as_ref() == Some(secret) {
            return Ok(());
        }
        Err(RestError::NotKept { object: Object::Secret { realm: realm.to_owned(), username: name.to_owned() }.to_string() })
    }

    /// Deletes a secret however it is kept; false when there was none.
    ///
    /// # Errors
    /// As [`Splunkd::delete_password`].
    pub fn delete_secret(&self, realm: &str, name: &str) -> Result<bool, RestError> {
        let whole = self.delete_password(realm, name)?;
        Ok(self.delete_pieces_from(realm, name, 1)? || whole)
    }

    /// Deletes pieces from a number on, up to the first that does not exist.
    fn delete_pieces_from(&self, realm: &str, name: &str, from: usize) -> Result<bool, RestError> {
        let mut number = from;
        while number <= MOST && self.delete_password(realm, &piece(name, number))? {
            number += 1;
        }
        Ok(number > from)
    }

    fn password_call(&self, realm: &str, username: &str) -> Call {
        let path = format!("{}/{}", self.app_path("storage/passwords"), segment(&secret_name(realm, username)));
        Call::new(Object::Secret { realm: realm.to_owned(), username: username.to_owned() }, path)
    }
}

/// splunkd's name of a secret: `realm:username:`, with colons and backslashes inside the parts escaped.
fn secret_name(realm: &str, username: &str) -> String {
    let escape = |part: &str| part.replace('\\', r"\\").replace(':', r"\:");
    format!("{}:{}:", escape(realm), escape(username))
}

fn piece(name: &str, number: usize) -> String {
    format!("{name}.{number}")
}

/// The number of pieces, and what the first one holds of the value.
fn open(first: &str) -> Option<(usize, &str)> {
    let (count, start) = first.split_once(':')?;
    let count = count.parse().ok().filter(|count| (1..=MOST).contains(count))?;
    Some((count, start))
}

/// The value in pieces that fit, the first with room for the number; one piece when it fits whole.
fn split(value: &str) -> Vec<&str> {
    if value.len() <= PIECE {
        return vec![value];
    }
    // Room for `999:`, whatever the number turns out to be.
    let mut room = PIECE - 4;
    let mut pieces = Vec::new();
    let mut rest = value;
    while !rest.is_empty() {
        let (start, after) = rest.split_at(rest.floor_char_boundary(room));
        pieces.push(start);
        rest = after;
        room = PIECE;
    }
    pieces
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::super::stand_in::StandIn;
    use super::*;

    const REALM: &str = "test_account";

    fn exposed(secret: Option<Secret>) -> Option<String> {
        secret.map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn a_secret_is_created_changed_and_deleted() {
        let splunkd = StandIn::with_passwords();
        let client = splunkd.client();
        assert_eq!(exposed(client.password(REALM, "a.client_secret").unwrap()), None);
        client.set_password(REALM, "a.client_secret", &Secret::new("p&w=1 ü~")).unwrap();
        client.set_password(REALM, "a.client_secret", &Secret::new("+2%")).unwrap();
        assert_eq!(exposed(client.password(REALM, "a.client_secret").unwrap()), Some("+2%".to_owned()));
        assert!(client.delete_password(REALM, "a.client_secret").unwrap());
        assert!(!client.delete_password(REALM, "a.client_secret").unwrap());
        let path = "/servicesNS/nobody/TA_test/storage/passwords";
        let own = format!("{path}/test_account:a.client_secret:?output_mode=json");
        assert_eq!(
            splunkd.lines(),
            [
                format!("GET {own}"),
                format!("POST {path}?output_mode=json"),
                format!("POST {path}?output_mode=json"),
                format!("POST {own}"),
                format!("GET {own}"),
                format!("DELETE {own}"),
                format!("DELETE {own}"),
            ]
        );
    }

    #[test]
    fn names_with_colons_are_escaped_as_splunkd_does() {
        assert_eq!(secret_name("r", "u"), "r:u:");
        assert_eq!(secret_name(r"a:b", r"c\d:"), r"a\:b:c\\d\::");
        assert_eq!(segment(&secret_name("a:b", "c/d")), "a%5C:b:c%2Fd:");
    }

    #[test]
    fn another_ones_secret_is_not_taken() {
        let entry = r#"{"entry":[{"name":"x","content":{"realm":"other","username":"u","clear_password":"s"}}]}"#;
        assert_eq!(exposed(StandIn::always(200, entry).client().password(REALM, "u").unwrap()), None);
        assert_eq!(exposed(StandIn::always(200, r#"{"entry":[]}"#).client().password(REALM, "u").unwrap()), None);
    }

    #[test]
    fn a_masked_secret_is_not_a_secret() {
        for member in ["", r#","clear_password":"********""#, r#","clear_password":null"#, r#","clear_password":"""#] {
            let entry = format!(r#"{{"entry":[{{"content":{{"realm":"{REALM}","username":"u"{member}}}}}]}}"#);
            let error = StandIn::always(200, &entry).client().password(REALM, "u").unwrap_err();
            assert_eq!(
                error.to_string(),
                "splunkd masks the secret u of realm test_account; allow this server to read it in clear text: limits.conf \
                 [storage_passwords_masking] view_cleartext_allowlist"
            );
            assert!(error.needs_a_person());
        }
    }

    #[test]
    fn a_role_that_may_not_read_secrets_is_named() {
        let error = StandIn::always(403, "{}").client().secret(REALM, "u").unwrap_err();
        assert_eq!(
            error.to_string(),
            "splunkd refuses the secret u of realm test_account: the owner of this search or input needs a role with the \
             capability list_storage_passwords (edit_storage_passwords to change a secret), such as test_reader"
        );
        assert!(error.needs_a_person());
    }

    #[test]
    fn a_long_secret_goes_and_comes_in_pieces_and_leaves_none_behind() {
        let splunkd = StandIn::with_passwords();
        let client = splunkd.client();
        let get = |name: &str| exposed(client.password(REALM, name).unwrap());
        // Each follows the one before it: whole, more, fewer, the edge of one piece, none.
        for (length, first) in
            [(10, None), (1000, Some("5:")), (300, Some("2:")), (251, Some("2:")), (250, None), (740, Some("3:"))]
        {
            let value: String = "0123456789".chars().cycle().take(length).collect();
            client.set_secret(REALM, "k", &Secret::new(value.clone())).unwrap();
            assert_eq!(exposed(client.secret(REALM, "k").unwrap()), Some(value));
            assert_eq!(get("k").is_none(), first.is_some(), "{length}");
            let count = first.map_or(0, |first| {
                assert!(get("k.1").unwrap().starts_with(first), "{length}");
                first.trim_end_matches(':').parse().unwrap()
            });
            let kept = (1..10).take_while(|number| get(&format!("k.{number}")).is_some()).count();
            assert_eq!(kept, count, "{length}");
        }
        assert!(client.delete_secret(REALM, "k").unwrap());
        assert!(!client.delete_secret(REALM, "k").unwrap());
        assert!(client.secret(REALM, "k").unwrap().is_none());
    }

    #[test]
    fn pieces_beyond_the_number_are_ignored_and_missing_ones_reported() {
        let client = StandIn::with_passwords().client();
        let set = |name: &str, text: &str| client.set_password(REALM, name, &Secret::new(text)).unwrap();
        set("k.1", "2:ab");
        let error = client.secret(REALM, "k").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the secret k of realm test_account is stored in pieces and incomplete (piece 2 of 2 is missing); enter it again"
        );
        assert!(error.needs_a_person());
        set("k.2", "c:d");
        set("k.3", "stale");
        assert_eq!(exposed(client.secret(REALM, "k").unwrap()), Some("abc:d".to_owned()));
        for damaged in ["ab", ":ab", "0:ab", "x:ab", "1000:ab", "-1:ab"] {
            set("k.1", damaged);
            assert!(matches!(client.secret(REALM, "k"), Err(RestError::Incomplete { .. })), "{damaged}");
        }
    }

    #[test]
    fn what_comes_back_is_compared() {
        let other = format!(r#"{{"entry":[{{"content":{{"realm":"{REALM}","username":"k","clear_password":"old"}}}}]}}"#);
        let splunkd = StandIn::new(move |asked| match asked.line.split_once(' ').unwrap().0 {
            "DELETE" => (404, "{}".to_owned()),
            "POST" => (201, "{}".to_owned()),
            _ => (200, other.clone()),
        });
        let error = splunkd.client().set_secret(REALM, "k", &Secret::new("new")).unwrap_err();
        assert!(matches!(error, RestError::NotKept { .. }), "{error}");
        assert!(!error.to_string().contains("new") && !error.to_string().contains("old"));
    }

    proptest! {
        #[test]
        fn pieces_fit_and_join_to_the_value(value in "[ -~ü漢🦀\n]{0,1200}") {
            let pieces = split(&value);
            prop_assert_eq!(pieces.concat(), value.as_str());
            prop_assert_eq!(pieces.len() == 1, value.len() <= PIECE);
            let prefix = if pieces.len() > 1 { format!("{}:", pieces.len()).len() } else { 0 };
            prop_assert!(pieces[0].len() + prefix <= PIECE);
            prop_assert!(pieces.iter().all(|piece| piece.len() <= PIECE));
        }
    }
}
