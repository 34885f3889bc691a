//! `/splunkd/__raw`: what `web.conf` exposes goes on to splunkd with the key of the browser's session.

use std::sync::{Mutex, OnceLock};

use super::Visit;
use crate::model::World;
use crate::object;
use crate::simulator::{answer_unlocked, clock, lock};
use crate::splunkd::persist::Handlers;
use crate::wire::{Request, Response, Service};

/// An `[expose:…]` stanza.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Exposed {
    pattern: Vec<String>,
    methods: Vec<String>,
}

/// Reads `web.conf`.
pub(super) fn exposed(conf: &str) -> Vec<Exposed> {
    let mut found = Vec::new();
    for line in conf.lines() {
        if line.starts_with("[expose:") {
            found.push(Exposed::default());
        } else if let (Some(last), Some((key, value))) = (found.last_mut(), line.split_once('=')) {
            match key.trim() {
                "pattern" => last.pattern = value.trim().split('/').map(str::to_string).collect(),
                "methods" => last.methods = value.split(',').map(|method| method.trim().to_string()).collect(),
                _ => {}
            }
        }
    }
    found
}

impl Exposed {
    fn covers(&self, path: &[String], method: &str) -> bool {
        path.len() == self.pattern.len()
            && path.iter().zip(&self.pattern).all(|(part, wanted)| wanted == "*" || part == wanted)
            && self.methods.iter().any(|one| one == method)
    }
}

pub(super) fn answer(
    world: &Mutex<World>,
    handlers: &OnceLock<Handlers>,
    exposed: &[Exposed],
    visit: &Visit,
    request: &Request,
) -> Response {
    let refused = |status: u16, text: &str| {
        Response::json(status, &object! { "messages" => vec![object! { "type" => "ERROR", "text" => text }] })
    };
    // Splunk Web wants the cookie's token back in a header with everything that changes something.
    let has_cookie =
        request.header_value("cookie").is_some_and(|text| text.contains(&format!("_token_{}={}", visit.port, visit.csrf)));
    let has_header = request.header_value("x-splunk-form-key") == Some(visit.csrf.as_str());
    let is_script = request.header_value("x-requested-with") == Some("XMLHttpRequest");
    if request.method != "GET" && !(has_cookie && has_header && is_script) {
        return refused(401, "Splunk cannot authenticate the request. CSRF validation failed.");
    }
    let segments = request.segments();
    let path = match segments.get(3).map(String::as_str) {
        Some("services") => segments.get(4..),
        Some("servicesNS") => segments.get(6..),
        _ => None,
    };
    if !path.is_some_and(|path| exposed.iter().any(|one| one.covers(path, &request.method))) {
        return Response::new(404, "text/html", "<h1>404 Not Found</h1><p>Page not found!</p>");
    }
    let mut onward = Request {
        path: request.path.trim_start_matches("/en-US/splunkd/__raw").to_string(),
        headers: request.headers.iter().filter(|(name, _)| name == "content-type").cloned().collect(),
        ..request.clone()
    };
    onward = onward.header("authorization", &format!("Splunk {}", visit.session));
    if let Some(response) = answer_unlocked(world, handlers, Service::Splunkd, &onward) {
        return response;
    }
    let mut world = lock(world);
    let now = clock(&world);
    crate::answer(&mut world, Service::Splunkd, &onward, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_part_of_a_path() {
        let exposed = exposed("[expose:a]\npattern = data/inputs/defender/*\nmethods = GET, POST\n");
        let covers = |path: &str, method: &str| {
            let parts: Vec<String> = path.split('/').map(str::to_string).collect();
            exposed.iter().any(|one| one.covers(&parts, method))
        };
        assert!(covers("data/inputs/defender/x", "POST"));
        assert!(!covers("data/inputs/defender/x", "DELETE"));
        assert!(!covers("data/inputs/defender/x/enable", "POST"));
        assert!(!covers("data/inputs/defender", "GET"));
    }
}
