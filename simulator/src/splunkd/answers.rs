//! The envelope of splunkd's answers: JSON where `output_mode=json` was sent, else XML.

use crate::json::Json;
use crate::object;
use crate::time::Time;
use crate::wire::{Request, Response, percent_encode};

/// One object.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) content: Json,
}

/// `output_mode` counts in the query and in the form alike.
fn wants_json(request: &Request) -> bool {
    let mode = request
        .query_value("output_mode")
        .or_else(|| request.form().into_iter().find(|(key, _)| key == "output_mode").map(|(_, value)| value));
    mode.as_deref() == Some("json")
}

/// An answer that holds a message and no objects.
pub(super) fn message(request: &Request, status: u16, kind: &str, text: &str) -> Response {
    if wants_json(request) {
        return Response::json(status, &object! { "messages" => vec![object! { "type" => kind, "text" => text }] });
    }
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response>\n  <messages>\n    <msg type=\"{kind}\">{}</msg>\n  </messages>\n</response>\n",
        escape(text)
    );
    Response::new(status, "text/xml; charset=UTF-8", body)
}

/// The object that was made.
pub(super) fn created(request: &Request, path: &str, entry: Entry, now: Time) -> Response {
    listed(request, path, vec![entry], 201, now)
}

/// A list of objects; one object is a list of one.
pub(super) fn listed(request: &Request, path: &str, entries: Vec<Entry>, status: u16, now: Time) -> Response {
    let wanted = request.query_value("count").and_then(|count| count.parse::<i64>().ok()).unwrap_or(30);
    let offset = request.query_value("offset").and_then(|offset| offset.parse::<usize>().ok()).unwrap_or(0);
    let total = entries.len();
    let limit = usize::try_from(wanted).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
    let base = format!("/servicesNS/nobody/{}/{path}", super::APP);
    let shown: Vec<_> = entries.into_iter().skip(offset).take(limit).collect();
    if !wants_json(request) {
        return Response::new(status, "text/xml; charset=UTF-8", atom(&base, &shown, now));
    }
    let updated = Time::from_unix(now.unix()).to_string().replace('Z', "+00:00");
    let entry = |entry: Entry| {
        let id = format!("{base}/{}", percent_encode(&entry.name));
        object! {
            "name" => entry.name,
            "id" => format!("https://127.0.0.1:8089{id}"),
            "updated" => updated.as_str(),
            "links" => object! { "alternate" => id.as_str(), "list" => id.as_str(), "edit" => id.as_str(), "remove" => id.as_str() },
            "author" => "nobody",
            "acl" => object! {
                "app" => super::APP, "can_list" => true, "can_write" => true, "modifiable" => true, "owner" => "nobody",
                "perms" => object! { "read" => vec!["admin", "sc_admin", "defender_responder"], "write" => vec!["admin", "sc_admin"] },
                "removable" => true, "sharing" => "app",
            },
            "content" => entry.content,
        }
    };
    let body = object! {
        "links" => object! { "create" => format!("{base}/_new"), "_reload" => format!("{base}/_reload") },
        "origin" => format!("https://127.0.0.1:8089{base}"),
        "updated" => updated.as_str(),
        "generator" => object! { "build" => "ad166be3a4f8", "version" => "10.0.2" },
        "entry" => Json::List(shown.into_iter().map(entry).collect()),
        "paging" => object! { "total" => total as i64, "perPage" => wanted, "offset" => offset as i64 },
        "messages" => Json::List(Vec::new()),
    };
    Response::json(status, &body)
}

fn atom(base: &str, entries: &[Entry], now: Time) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\" xmlns:s=\"http://dev.splunk.com/ns/rest\">\n  <id>https://127.0.0.1:8089{base}</id>\n  <updated>{now}</updated>\n"
    );
    for entry in entries {
        out.push_str(&format!(
            "  <entry>\n    <title>{}</title>\n    <content type=\"text/xml\">\n      <s:dict>\n",
            escape(&entry.name)
        ));
        if let Json::Object(members) = &entry.content {
            for (name, value) in members {
                let text = value.text().map_or_else(|| value.render(), str::to_string);
                out.push_str(&format!("        <s:key name=\"{}\">{}</s:key>\n", escape(name), escape(&text)));
            }
        }
        out.push_str("      </s:dict>\n    </content>\n  </entry>\n");
    }
    out.push_str("</feed>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
