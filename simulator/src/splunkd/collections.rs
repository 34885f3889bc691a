//! The data endpoints of the KV store: documents come bare, not in splunkd's envelope.

use serde_json::Value;

use super::answers::message;
use super::{KvStore, Splunkd};
use crate::json::Json;
use crate::object;
use crate::wire::{Request, Response};

pub(super) fn answer(splunkd: &mut Splunkd, request: &Request, collection: &str, key: Option<&str>) -> Response {
    let json = &Request::get("/?output_mode=json");
    if splunkd.kv_store == KvStore::Starting {
        return message(json, 503, "ERROR", "KV Store is initializing. Please try again later.");
    }
    if request.method == "POST" && request.content_type() != "application/json" {
        return message(json, 400, "ERROR", "JSON in the request body requires the content type application/json.");
    }
    splunkd.keys += 1;
    let fresh = format!("{:024x}", splunkd.keys);
    let Some(documents) = splunkd.collections.get_mut(collection) else {
        return message(json, 404, "ERROR", &format!("Collection {collection} does not exist."));
    };
    let missing = || message(json, 404, "ERROR", "Could not find object.");
    let parsed: Value = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
    match (request.method.as_str(), key) {
        ("GET", None) => {
            let query: Value =
                request.query_value("query").and_then(|query| serde_json::from_str(&query).ok()).unwrap_or(Value::Null);
            let matches = |document: &&Json| {
                query
                    .as_object()
                    .is_none_or(|wanted| wanted.iter().all(|(name, value)| document.copy_of(name) == Json::from(value)))
            };
            let skip = request.query_value("skip").and_then(|skip| skip.parse().ok()).unwrap_or(0);
            let limit =
                request.query_value("limit").and_then(|limit| limit.parse().ok()).filter(|limit| *limit > 0).unwrap_or(50_000);
            Response::json(200, &Json::List(documents.values().filter(matches).skip(skip).take(limit).cloned().collect()))
        }
        ("GET", Some(key)) => documents.get(key).map_or_else(missing, |document| Response::json(200, document)),
        ("POST", Some("batch_save")) => {
            let Value::Array(items) = &parsed else {
                return message(json, 400, "ERROR", "A JSON array is expected.");
            };
            let mut keys = Vec::new();
            for (at, item) in items.iter().enumerate() {
                let key = item["_key"].as_str().map_or_else(|| format!("{fresh}{at}"), str::to_string);
                documents.insert(key.clone(), stored(item, &key));
                keys.push(key);
            }
            Response::json(200, &Json::from(keys))
        }
        ("POST", None) if parsed.is_object() => {
            let key = parsed["_key"].as_str().map_or(fresh, str::to_string);
            if documents.contains_key(&key) {
                return message(json, 409, "ERROR", "A document with the same key and user already exists.");
            }
            documents.insert(key.clone(), stored(&parsed, &key));
            Response::json(201, &object! { "_key" => key })
        }
        ("POST", Some(key)) if parsed.is_object() => match documents.get_mut(key) {
            Some(document) => {
                *document = stored(&parsed, key);
                Response::json(200, &object! { "_key" => key })
            }
            None => missing(),
        },
        ("POST", _) => message(json, 400, "ERROR", "JSON in the request is invalid."),
        ("DELETE", None) => {
            documents.clear();
            Response::empty(200)
        }
        ("DELETE", Some(key)) => documents.remove(key).map_or_else(missing, |_| Response::empty(200)),
        _ => message(json, 405, "ERROR", "Method Not Allowed"),
    }
}

fn stored(item: &Value, key: &str) -> Json {
    let mut members = match Json::from(item) {
        Json::Object(members) => members,
        _ => Vec::new(),
    };
    members.retain(|(name, _)| name != "_key" && name != "_user");
    members.push(("_user".into(), Json::from("nobody")));
    members.push(("_key".into(), Json::from(key)));
    Json::Object(members)
}
