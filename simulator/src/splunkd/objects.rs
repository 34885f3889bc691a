//! Objects of other parts of splunkd that an app's page looks at: indexes, the app itself, saved searches.

use super::answers::{Entry, listed};
use super::{APP, Splunkd, User, conf_entry, forbidden, not_found};
use crate::json::Json;
use crate::object;
use crate::time::Time;
use crate::wire::{Request, Response};

pub(super) fn indexes(splunkd: &Splunkd, request: &Request, now: Time) -> Response {
    let internal = ["_audit", "_internal"].map(|name| (name, true)).into_iter();
    let names = internal.chain(splunkd.indexes.iter().map(|name| (name.as_str(), false)));
    let entry = |(name, internal): (&str, bool)| Entry {
        name: name.to_string(),
        content: object! { "isInternal" => internal, "disabled" => false, "datatype" => "event" },
    };
    listed(request, "data/indexes", names.map(entry).collect(), 200, now)
}

pub(super) fn app(splunkd: &mut Splunkd, request: &Request, user: &User, name: &str, now: Time) -> Response {
    if name != APP {
        return not_found(request, name);
    }
    if request.method == "POST" {
        if !user.capabilities.contains("admin_all_objects") {
            return forbidden(request, user, "admin_all_objects");
        }
        let configured = request.form().into_iter().find(|(key, _)| key == "configured");
        splunkd.configured = configured.map_or(splunkd.configured, |(_, value)| ["1", "true"].contains(&value.as_str()));
    }
    let content = object! { "configured" => splunkd.configured, "disabled" => false, "label" => "Defender Add-on for Splunk" };
    listed(request, "apps/local", vec![Entry { name: name.to_string(), content }], 200, now)
}

pub(super) fn saved_searches(splunkd: &Splunkd, request: &Request, now: Time) -> Response {
    // `f` names the settings wanted, with * for any; without it all come.
    let wanted: Vec<String> = request.query_pairs().into_iter().filter(|(key, _)| key == "f").map(|(_, value)| value).collect();
    let fits = |name: &str| {
        wanted.is_empty()
            || name.starts_with("eai:")
            || wanted.iter().any(|want| want.strip_suffix('*').map_or(want == name, |start| name.starts_with(start)))
    };
    let entry = |(name, values): (&String, &super::Stanza)| {
        let mut entry = conf_entry(name, values);
        if let Json::Object(members) = &mut entry.content {
            members.retain(|(name, _)| fits(name));
        }
        entry
    };
    listed(request, "saved/searches", splunkd.saved_searches.iter().map(entry).collect(), 200, now)
}
