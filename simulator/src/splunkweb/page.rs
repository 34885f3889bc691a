//! The HTML around an app's view, and the files it needs.

use std::fs;

use super::{Site, Visit};
use crate::object;
use crate::splunkd::APP;
use crate::wire::Response;

/// Enough of RequireJS: it defines `define.amd`, which a bundled library must not fall for, and loads the view's script.
pub(super) const LOADER: &str = r#"(function () {
  window.define = function () { throw new Error('Mismatched anonymous define() module'); };
  window.define.amd = { jQuery: true };
  window.require = window.requirejs = function (names) {
    names.forEach(function (name) {
      var script = document.createElement('script');
      script.src = name;
      document.head.appendChild(script);
    });
  };
  document.addEventListener('DOMContentLoaded', function () {
    var view = document.body.getAttribute('data-script');
    if (view) { window.require([view]); }
  });
})();
"#;

/// A Simple XML dashboard: its label, its script, and the HTML of its panels.
pub(super) fn view(site: &Site, name: &str, visit: &Visit) -> Response {
    let path = site.default.join("data/ui/views").join(format!("{name}.xml"));
    let Some(xml) = fs::read_to_string(path).ok().filter(|_| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) else {
        return Response::new(404, "text/html; charset=utf-8", format!("<h1>404</h1><p>The view {name} cannot be found.</p>"));
    };
    let between =
        |start: &str, end: &str| xml.split_once(start).and_then(|(_, rest)| Some(rest.split_once(end)?.0)).unwrap_or("");
    let (label, script, html) = (between("<label>", "</label>"), between("script=\"", "\""), between("<html>", "</html>"));
    let (back, ink) = if visit.theme == "dark" { ("#111215", "#fafafa") } else { ("#f7f7f7", "#2c2c2c") };
    let script = if script.is_empty() { String::new() } else { format!("/en-US/static/app/{APP}/{script}") };
    // XML's <div/> is no end tag to HTML.
    let html = html.trim().replace("/>", "></div>");
    let body = format!(
        "<!DOCTYPE html>\n<html lang=\"en-US\"><head><meta charset=\"utf-8\"><title>{label} | Splunk</title>\n\
         <script src=\"/en-US/config\"></script><script src=\"/en-US/static/loader.js\"></script><link rel=\"icon\" href=\"data:,\">\n\
         <style>body{{margin:0;background:{back};color:{ink};font:14px/20px 'Splunk Platform Sans','Proxima Nova',Roboto,Arial,sans-serif}}\n\
         .bar{{background:#171d21;color:#fff;padding:10px 20px;font-weight:600}} .bar a{{color:#fff;margin-left:24px;text-decoration:none}}\n\
         .dashboard{{padding:0 20px 20px}} input,select,button{{font:inherit}} h2{{color:inherit}}</style></head>\n\
         <body data-script=\"{script}\"><header class=\"bar\">splunk&gt;<a href=\"/en-US/app/{APP}/configuration\">Defender Add-on for Splunk</a></header>\n\
         <div class=\"dashboard\" role=\"main\">{html}</div></body></html>\n"
    );
    Response::new(200, "text/html; charset=utf-8", body)
        .header("Set-Cookie", &format!("splunkweb_csrf_token_{}={}; Path=/; SameSite=Lax", visit.port, visit.csrf))
        .header("Set-Cookie", &format!("splunkd_{}={}; Path=/; HttpOnly; SameSite=Lax", visit.port, visit.session))
        .header("Set-Cookie", &format!("theme={}; Path=/", visit.theme))
        // The page must live without inline script; styles are the header's own.
        .header("Content-Security-Policy", "script-src 'self'")
}

/// Other apps are not here.
pub(super) fn elsewhere(app: &str, view: &str) -> Response {
    let text = format!("<h1>{app} / {view}</h1><p>In Splunk, this is another app. The stand-in has its address only.</p>");
    Response::new(200, "text/html; charset=utf-8", text)
}

/// What Splunk Web tells scripts about itself.
pub(super) fn config(visit: &Visit) -> Response {
    let values = object! {
        "LOCALE" => "en-US", "MRSPARKLE_ROOT_PATH" => "", "MRSPARKLE_PORT_NUMBER" => visit.port.as_str(),
        "SPLUNKD_PATH" => "/en-US/splunkd/__raw", "USERNAME" => "admin", "BUILD_NUMBER" => "ad166be3a4f8", "BUILD_PUSH_NUMBER" => 0,
        "VERSION_LABEL" => "10.0.2", "SPLUNK_UI_THEME" => "enterprise",
    };
    Response::new(200, "text/javascript", format!("window.$C = {};\n", values.render()))
}

/// The theme the user chose.
pub(super) fn theme(visit: &Visit) -> Response {
    let theme = if visit.theme == "dark" { "dark" } else { "light" };
    let script = format!("window.__get_theme__ = {{ getTheme: function () {{ return Promise.resolve('{theme}'); }} }};\n");
    Response::new(200, "text/javascript", script)
}

/// A file of the app's `appserver/static`.
pub(super) fn file(site: &Site, name: &str) -> Response {
    let kind = match name.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("png") => "image/png",
        _ => "text/plain",
    };
    match site.statics.iter().find_map(|folder| fs::read(folder.join(name)).ok()) {
        Some(bytes) => Response::new(200, kind, bytes),
        None => Response::new(404, "text/plain", "404 Not Found"),
    }
}
