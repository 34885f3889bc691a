//! Splunk Web, as far as an app's page can tell: the page around a Simple XML view with a script of its own, `$C`, RequireJS's
//! `define.amd`, themes, the cookies of a session, and the proxy to splunkd with its checks.

mod page;
mod proxy;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use crate::accounts::ADMIN_SESSION_KEY;
use crate::model::{Transfer, World};
use crate::server::{Encoding, Listener};
use crate::splunkd::{APP, persist::Handlers};
use crate::wire::{Request, Response};

/// Where the files of the app are.
#[derive(Clone, Debug)]
pub struct Site {
    /// The app's `default` folder.
    pub default: PathBuf,
    /// Folders whose files are served as the app's `appserver/static`.
    pub statics: Vec<PathBuf>,
}

/// An open Splunk Web.
pub struct SplunkWeb {
    listener: Listener,
}

impl SplunkWeb {
    pub(crate) fn open(world: &Arc<Mutex<World>>, handlers: &Arc<OnceLock<Handlers>>, site: Site, port: u16) -> io::Result<Self> {
        let exposed = proxy::exposed(&fs::read_to_string(site.default.join("web.conf"))?);
        let (world, handlers) = (Arc::clone(world), Arc::clone(handlers));
        let handler = Arc::new(move |request: &Request| {
            let response = answer(&world, &handlers, &site, &exposed, request);
            (response, Transfer::Length, Encoding::Identity)
        });
        let listener = Listener::start(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), None, handler)?;
        Ok(Self { listener })
    }

    /// The address of the app's page.
    pub fn url(&self) -> String {
        format!("http://{}/en-US/app/{APP}/configuration", self.listener.address())
    }
}

/// What the browser says about its session.
struct Visit {
    port: String,
    /// The key of the session at splunkd.
    session: String,
    csrf: String,
    theme: String,
}

impl Visit {
    fn of(request: &Request) -> Self {
        let cookies: Vec<(String, String)> = request
            .header_value("cookie")
            .unwrap_or_default()
            .split(';')
            .filter_map(|pair| {
                let (name, value) = pair.trim().split_once('=')?;
                Some((name.to_string(), value.to_string()))
            })
            .collect();
        let cookie = |name: &str| cookies.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
        let port = request.origin.rsplit(':').next().unwrap_or_default().to_string();
        Visit {
            // Whoever comes without a session is let in as admin: there is no log-in page here.
            session: cookie(&format!("splunkd_{port}")).unwrap_or_else(|| ADMIN_SESSION_KEY.to_string()),
            csrf: cookie(&format!("splunkweb_csrf_token_{port}")).unwrap_or_else(|| "17640123456789012345".to_string()),
            theme: request.query_value("theme").or_else(|| cookie("theme")).unwrap_or_else(|| "light".to_string()),
            port,
        }
    }
}

fn answer(
    world: &Mutex<World>,
    handlers: &OnceLock<Handlers>,
    site: &Site,
    exposed: &[proxy::Exposed],
    request: &Request,
) -> Response {
    let segments = request.segments();
    // `static/@<build>/…` is `static/…`, under a name that changes with each build of Splunk.
    let is_build = |at: usize, part: &str| at == 2 && part.starts_with('@');
    let parts: Vec<&str> =
        segments.iter().enumerate().filter(|(at, part)| !is_build(*at, part)).map(|(_, part)| part.as_str()).collect();
    let visit = Visit::of(request);
    let home = format!("/en-US/app/{APP}/configuration");
    match parts[..] {
        [] | ["en-US"] | ["en-US", "app", APP] => Response::empty(303).header("Location", &home),
        ["en-US", "splunkd", "__raw", ..] => proxy::answer(world, handlers, exposed, &visit, request),
        ["en-US", "app", APP, view] => page::view(site, view, &visit),
        ["en-US", "app", app, view] => page::elsewhere(app, view),
        ["en-US", "config"] => page::config(&visit),
        ["en-US", "static", "loader.js"] => Response::new(200, "text/javascript", page::LOADER),
        ["en-US", "static", "build", "api", "get_theme.js"] => page::theme(&visit),
        ["en-US", "static", "app", APP, file] if !file.contains("..") => page::file(site, file),
        _ => Response::new(404, "text/plain", "404 Not Found"),
    }
}
