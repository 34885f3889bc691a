//! A service that repeats what it was told, in every place of its answer that a message could take over.

use crate::json::Json;
use crate::object;
use crate::wire::{Request, Response, Service};

/// What is repeated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// The credentials of the `Authorization` header, without their scheme.
    Authorization,
    /// The body: the form with which a token is asked for.
    Body,
    /// The query: a shared access signature.
    Query,
    /// Something that the service could have learned in another way.
    Text(String),
}

/// In what it is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The service's own error.
    Error,
    /// A page with a title.
    Page,
}

impl Repeated {
    fn of(&self, request: &Request) -> String {
        match self {
            Self::Authorization => {
                let value = request.header_value("authorization").unwrap_or_default();
                value.split_once(' ').map_or(value, |(_, credentials)| credentials).to_string()
            }
            Self::Body => String::from_utf8_lossy(&request.body).into_owned(),
            Self::Query => request.query.clone(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// The answer: an error of the service, or a page.
pub(crate) fn answer(service: Service, status: u16, form: Form, repeated: &Repeated, request: &Request) -> Response {
    let text = repeated.of(request);
    let response = match service {
        _ if form == Form::Page => {
            Response::new(status, "text/html", format!("<html><head><title>{text}</title></head><body>{text}</body></html>"))
        }
        Service::Login => Response::json(status, &entra(&text)),
        Service::Storage => {
            let error = format!("<?xml version=\"1.0\"?><Error><Code>{text}</Code><Message>{text}</Message></Error>");
            Response::new(status, "application/xml", error.replace('&', "&amp;"))
        }
        Service::Splunkd => Response::json(status, &messages(&text)),
        Service::Graph | Service::Defender => Response::json(status, &error(&text)),
    };
    // A header is one line of visible characters.
    let line: String = text.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
    let names = ["request-id", "client-request-id", "x-ms-request-id", "x-ms-error-code", "WWW-Authenticate", "Warning"];
    names.into_iter().fold(response, |response, name| response.header(name, &line))
}

fn entra(text: &str) -> Json {
    object! {
        "error" => text,
        "error_description" => format!("AADSTS7000215: {text} Trace ID: {text} Timestamp: {text}"),
        "suberror" => text,
        "timestamp" => text,
        "trace_id" => text,
        "correlation_id" => text,
        "error_uri" => text,
    }
}

fn error(text: &str) -> Json {
    let inner = object! {
        "code" => text,
        "message" => text,
        "date" => text,
        "request-id" => text,
        "client-request-id" => text,
    };
    object! { "error" => object! { "code" => text, "message" => text, "target" => text, "innerError" => inner } }
}

fn messages(text: &str) -> Json {
    object! { "messages" => Json::List(vec![object! { "type" => "ERROR", "text" => text }]) }
}
