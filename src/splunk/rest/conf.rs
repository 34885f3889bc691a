//! Conf files and `server/info`, as splunkd merges and tells them.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Call, Object, Posted, RestError, Splunkd, contents, list, segment, text};

/// One conf stanza: its settings as splunkd merges them.
pub type Settings = BTreeMap<String, String>;

impl Splunkd {
    /// A stanza of `<file>.conf`; `None` when there is no such stanza.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn conf(&self, file: &str, stanza: &str) -> Result<Option<Settings>, RestError> {
        let call = Call::new(Object::stanza(file, stanza), self.conf_path(file, Some(stanza)));
        Ok(self
            .get(&call)?
            .map(|answer| entries(&call, &answer))
            .transpose()?
            .and_then(|found| found.into_iter().next())
            .map(|(_, settings)| settings))
    }

    /// A saved search by its path, which the payload of an alert action tells; `None` when there is none. It has the settings
    /// of its alert actions, those of `alert_actions.conf` among them where the search has none of its own.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn saved_search(&self, path: &str) -> Result<Option<Settings>, RestError> {
        let call = Call::new(Object::SavedSearch, path.to_owned());
        let found = self.get(&call)?.map(|answer| entries(&call, &answer)).transpose()?;
        Ok(found.and_then(|found| found.into_iter().next()).map(|(_, settings)| settings))
    }

    /// All stanzas of `<file>.conf` by name, `[default]` aside; none when there is no such file.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn conf_stanzas(&self, file: &str) -> Result<BTreeMap<String, Settings>, RestError> {
        let mut found = self.all(Call::new(Object::conf(file), self.conf_path(file, None)))?;
        found.remove("default");
        Ok(found)
    }

    /// The inputs of a scheme by name, in whatever app's configuration they stand; none when this splunkd has no such scheme.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn inputs(&self, scheme: &str) -> Result<BTreeMap<String, Settings>, RestError> {
        self.all(Call::new(Object::Inputs(scheme.to_owned()), self.app_path(&format!("data/inputs/{}", segment(scheme)))))
    }

    fn all(&self, mut call: Call) -> Result<BTreeMap<String, Settings>, RestError> {
        // Without it splunkd gives thirty.
        call.query = "&count=0";
        let found = self.get(&call)?.map(|answer| entries(&call, &answer)).transpose()?.unwrap_or_default();
        Ok(found.into_iter().collect())
    }

    /// Changes settings of a stanza, which is created when it does not exist. Settings not named stay.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn set_conf(&self, file: &str, stanza: &str, settings: &[(&str, &str)]) -> Result<(), RestError> {
        let object = Object::stanza(file, stanza);
        let change = Call::new(object.clone(), self.conf_path(file, Some(stanza)));
        let create = Call::new(object, self.conf_path(file, None));
        let named: Vec<_> = [("name", stanza)].into_iter().chain(settings.iter().copied()).collect();
        // Created by another run, or by a first attempt whose answer was lost: then there is something to change.
        for (call, form) in [(&change, settings), (&create, &named), (&change, settings)] {
            if self.post(call, form)? == Posted::Done {
                return Ok(());
            }
        }
        Err(RestError::NotFound { object: change.object.to_string() })
    }

    /// What this server is: `server_roles` of `server/info`, such as `search_head`, `shc_member`, `shc_captain`.
    ///
    /// # Errors
    /// See [`RestError`].
    pub fn server_roles(&self) -> Result<Vec<String>, RestError> {
        let call = Call::new(Object::ServerInfo, "/services/server/info".to_owned());
        let Some(answer) = self.get(&call)? else { return Err(RestError::NotFound { object: call.object.to_string() }) };
        let found = contents(&call, &answer)?;
        let roles = found.first().and_then(|content| content.get("server_roles")).and_then(Value::as_array);
        Ok(roles.map(|roles| roles.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default())
    }

    fn conf_path(&self, file: &str, stanza: Option<&str>) -> String {
        let file = self.app_path(&format!("configs/conf-{}", segment(file)));
        stanza.map_or(file.clone(), |stanza| format!("{file}/{}", segment(stanza)))
    }
}

/// Names and settings of every entry of an answer, without splunkd's own `eai:` members.
fn entries(call: &Call, answer: &Value) -> Result<Vec<(String, Settings)>, RestError> {
    let found = list(call, answer)?.iter().filter_map(|entry| {
        let content = entry.get("content")?.as_object()?;
        let ours = content.iter().filter(|(name, _)| !name.starts_with("eai:"));
        Some((text(entry.get("name")), ours.map(|(name, value)| (name.clone(), text(Some(value)))).collect()))
    });
    Ok(found.collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::stand_in::{KEY, StandIn};

    #[test]
    fn a_stanza_is_read_as_text_without_splunkds_own_members() {
        let splunkd = StandIn::always(
            200,
            r#"{"entry":[{"name":"Contoso","content":{"tenant_id":"t","disabled":false,"n":12345678901234567890,"empty":null,"eai:acl":null,"eai:appName":"x"}}]}"#,
        );
        let settings = splunkd.client().conf("test_account", "Contoso").unwrap().unwrap();
        let expected = [("tenant_id", "t"), ("disabled", "false"), ("n", "12345678901234567890"), ("empty", "")];
        assert_eq!(settings, expected.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        let asked = &splunkd.asked()[0];
        assert_eq!(asked.line, "GET /servicesNS/nobody/TA_test/configs/conf-test_account/Contoso?output_mode=json");
        assert_eq!(asked.authorization, format!("Splunk {KEY}"));
    }

    #[test]
    fn a_bad_byte_in_another_setting_does_not_matter() {
        let bodies = [
            r#"{"entry":[{"name":"a","content":{"tenant_id":"t","note":"x\ud800\x"}}]}"#,
            "{\"entry\":[{\"name\":\"a\",\"content\":{\"note\":\"a\u{0}b\u{1}\",\"tenant_id\":\"t\"}}]}",
            r#"{"entry":[{"name":"a","content":{"n":NaN,"tenant_id":"t","tenant_id":"t"}}]}"#,
            "\u{feff}{\"entry\":[{\"name\":\"a\",\"content\":{\"tenant_id\":\"t\"}}]}\n\0",
        ];
        for body in bodies {
            let splunkd = StandIn::always(200, body);
            let settings = splunkd.client().conf("f", "a").unwrap().unwrap();
            assert_eq!(settings["tenant_id"], "t", "{body}");
        }
        let roles = StandIn::always(200, "{\"entry\":[{\"content\":{\"x\":\"\u{1}\",\"server_roles\":[\"search_head\"]}}]}");
        assert_eq!(roles.client().server_roles().unwrap(), ["search_head"]);
    }

    #[test]
    fn names_are_encoded() {
        let splunkd = StandIn::always(404, "");
        assert_eq!(splunkd.client().conf("f", "a/b ?&#%ü").unwrap(), None);
        assert_eq!(
            splunkd.lines(),
            ["GET /servicesNS/nobody/TA_test/configs/conf-f/a%2Fb%20%3F%26%23%25%C3%BC?output_mode=json"]
        );
    }

    #[test]
    fn all_stanzas_of_a_file() {
        let splunkd = StandIn::in_turn([
            (
                200,
                r#"{"entry":[{"name":"default","content":{}},{"name":"odd"},{"name":"a","content":{"x":"1"}},{"name":"b","content":{}}]}"#,
            ),
            (404, "{}"),
        ]);
        let found = splunkd.client().conf_stanzas("f").unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(found["a"]["x"], "1");
        assert!(splunkd.client().conf_stanzas("f").unwrap().is_empty());
        assert_eq!(splunkd.lines()[0], "GET /servicesNS/nobody/TA_test/configs/conf-f?output_mode=json&count=0");
    }

    #[test]
    fn inputs_of_a_scheme() {
        let splunkd = StandIn::in_turn([
            (200, r#"{"entry":[{"name":"a","content":{"feed":"alerts","disabled":false,"eai:acl":{}}}]}"#),
            (404, "{}"),
        ]);
        let found = splunkd.client().inputs("test").unwrap();
        assert_eq!(found["a"], [("disabled", "false"), ("feed", "alerts")].map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        assert!(splunkd.client().inputs("test").unwrap().is_empty());
        assert_eq!(splunkd.lines()[0], "GET /servicesNS/nobody/TA_test/data/inputs/test?output_mode=json&count=0");
    }

    #[test]
    fn settings_are_changed_or_the_stanza_created() {
        let splunkd = StandIn::in_turn([(200, "{}"), (404, "{}"), (201, "{}")]);
        splunkd.client().set_conf("f", "s", &[("a", "x&y=z ü+"), ("b", "")]).unwrap();
        splunkd.client().set_conf("f", "new", &[("a", "1")]).unwrap();
        let asked = splunkd.asked();
        assert_eq!(asked[0].line, "POST /servicesNS/nobody/TA_test/configs/conf-f/s?output_mode=json");
        assert_eq!(asked[0].form, [("a", "x&y=z ü+"), ("b", "")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(asked[2].line, "POST /servicesNS/nobody/TA_test/configs/conf-f?output_mode=json");
        assert_eq!(asked[2].form, [("name", "new"), ("a", "1")].map(|(k, v)| (k.to_owned(), v.to_owned())));
    }

    #[test]
    fn a_stanza_that_another_run_creates_meanwhile_is_changed() {
        let splunkd = StandIn::in_turn([(404, "{}"), (409, "{}"), (200, "{}")]);
        splunkd.client().set_conf("f", "s", &[("a", "1")]).unwrap();
        assert_eq!(splunkd.lines()[0], splunkd.lines()[2]);
    }

    #[test]
    fn roles_of_the_server() {
        let splunkd = StandIn::in_turn([
            (200, r#"{"entry":[{"name":"server-info","content":{"server_roles":["search_head","shc_member"]}}]}"#),
            (200, r#"{"entry":[{"name":"server-info","content":{}}]}"#),
        ]);
        assert_eq!(splunkd.client().server_roles().unwrap(), ["search_head", "shc_member"]);
        assert!(splunkd.client().server_roles().unwrap().is_empty());
        assert_eq!(splunkd.lines()[0], "GET /services/server/info?output_mode=json");
    }
}
