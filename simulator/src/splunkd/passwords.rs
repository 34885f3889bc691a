//! `storage/passwords`: entries are named `realm:user:`, with `:` and `\` inside the parts escaped by a backslash.

use super::answers::{Entry, created, listed, message};
use super::{Masking, Splunkd, User};
use crate::json::Json;
use crate::object;
use crate::time::Time;
use crate::wire::{Request, Response};

pub(super) fn answer(splunkd: &mut Splunkd, request: &Request, user: &User, name: Option<&str>, now: Time) -> Response {
    // Splunk 9.1 and older named the second one admin_all_objects; both admins hold both.
    let needed = if request.method == "GET" { "list_storage_passwords" } else { "edit_storage_passwords" };
    if !user.capabilities.contains(needed) {
        let text =
            format!("You (user={}) do not have permission to perform this operation (requires capability: {needed}).", user.name);
        return message(request, 403, "ERROR", &text);
    }
    let form = request.form();
    let field = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    let path = "storage/passwords";
    let masking = splunkd.masking;
    match (request.method.as_str(), name) {
        ("GET", None) => {
            // `search=realm=X` finds more than that realm in the real one, too: callers have to compare themselves.
            let search = request.query_value("search").unwrap_or_default();
            let wanted = search.rsplit('=').next().unwrap_or_default().trim_matches('"').to_string();
            let entries = splunkd.passwords.iter().filter(|((realm, user), _)| realm.contains(&wanted) || user.contains(&wanted));
            // `f` names the members wanted; without it all come, the clear text among them.
            let wanted: Vec<String> =
                request.query_pairs().into_iter().filter(|(key, _)| key == "f").map(|(_, value)| value).collect();
            let cut = |mut entry: Entry| {
                if let Json::Object(members) = &mut entry.content {
                    members.retain(|(name, _)| wanted.is_empty() || wanted.iter().any(|want| want == name));
                }
                entry
            };
            let entries = entries.map(|((realm, user), password)| cut(entry(realm, user, password, masking))).collect();
            listed(request, path, entries, 200, now)
        }
        ("POST", None) => {
            let (Some(user), Some(password)) = (field("name"), field("password")) else {
                return message(request, 400, "ERROR", "The following required arguments are missing: name, password.");
            };
            if password.is_empty() || user.is_empty() {
                return message(request, 400, "ERROR", "Name and password must not be empty.");
            }
            if password.len() > 255 {
                return message(request, 400, "ERROR", "The password is longer than 255 characters and cannot be encrypted.");
            }
            let realm = field("realm").unwrap_or_default();
            let key = (realm.to_string(), user.to_string());
            if splunkd.passwords.contains_key(&key) {
                let text = format!("Cannot create \"{}\": an object with name={} already exists", user, title(realm, user));
                return message(request, 409, "ERROR", &text);
            }
            splunkd.passwords.insert(key, password.to_string());
            created(request, path, entry(realm, user, password, masking), now)
        }
        (method, Some(name)) => {
            let key = parts(name).filter(|key| splunkd.passwords.contains_key(key));
            let Some(key) = key else {
                return message(request, 404, "ERROR", &format!("Could not find object id={name}"));
            };
            match method {
                "GET" => {}
                "POST" => {
                    if field("name").is_some() || field("realm").is_some() {
                        return message(request, 400, "ERROR", "Argument \"name\" is not supported by this handler.");
                    }
                    match field("password").filter(|password| !password.is_empty()) {
                        Some(password) if password.len() > 255 => {
                            return message(
                                request,
                                400,
                                "ERROR",
                                "The password is longer than 255 characters and cannot be encrypted.",
                            );
                        }
                        Some(password) => {
                            splunkd.passwords.insert(key.clone(), password.to_string());
                        }
                        None => {
                            return message(request, 400, "ERROR", "The following required arguments are missing: password.");
                        }
                    }
                }
                "DELETE" => {
                    splunkd.passwords.remove(&key);
                    // splunkd answers with what is left.
                    let left = splunkd.passwords.iter().map(|((realm, user), password)| entry(realm, user, password, masking));
                    return listed(request, path, left.collect(), 200, now);
                }
                _ => return message(request, 405, "ERROR", "Method Not Allowed"),
            }
            let password = splunkd.passwords.get(&key).cloned().unwrap_or_default();
            listed(request, path, vec![entry(&key.0, &key.1, &password, masking)], 200, now)
        }
        _ => message(request, 405, "ERROR", "Method Not Allowed"),
    }
}

fn entry(realm: &str, user: &str, password: &str, masking: Masking) -> Entry {
    let clear = match masking {
        Masking::Clear => password,
        Masking::Masked => "********",
    };
    let content = object! {
        "clear_password" => clear,
        "eai:acl" => Json::Null,
        "eai:appName" => super::APP,
        "eai:userName" => "nobody",
        "encr_password" => "$7$bm90IGEgcmVhbCBlbmNyeXB0ZWQgcGFzc3dvcmQ=",
        "password" => "********",
        "realm" => Some(realm).filter(|realm| !realm.is_empty()),
        "username" => user,
    };
    Entry { name: title(realm, user), content }
}

fn title(realm: &str, user: &str) -> String {
    let escaped = |part: &str| part.replace('\\', "\\\\").replace(':', "\\:");
    format!("{}:{}:", escaped(realm), escaped(user))
}

/// Reads `realm:user:`; the last colon may be missing, and without a realm the name is `:user:` or `user`.
fn parts(name: &str) -> Option<(String, String)> {
    let mut found = vec![String::new()];
    let mut characters = name.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => found.last_mut()?.push(characters.next()?),
            ':' => found.push(String::new()),
            other => found.last_mut()?.push(other),
        }
    }
    match &found[..] {
        [user] => Some((String::new(), user.clone())),
        [realm, user] => Some((realm.clone(), user.clone())),
        [realm, user, rest] if rest.is_empty() => Some((realm.clone(), user.clone())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_escape_and_read_back() {
        for (realm, user) in [("defender_account", "demo.client_secret"), ("a:b", "c\\d"), ("", "x"), ("start:", ":end")] {
            assert_eq!(parts(&title(realm, user)), Some((realm.to_string(), user.to_string())));
        }
        assert_eq!(title("a:b", "c"), "a\\:b:c:");
        assert_eq!(parts("r:u"), Some(("r".to_string(), "u".to_string())));
        assert_eq!(parts("a:b:c:d"), None);
    }
}
