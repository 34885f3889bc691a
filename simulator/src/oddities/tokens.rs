//! Answers of token endpoints that are not as the standard has them.

use serde_json::{Value, json};

use super::Outcome::Unnoticed;
use super::{Asked, Oddity, Place, always, behind, edit};
use crate::wire::Response;

pub(super) const ROWS: &[Oddity] = &[
    token("a life that is a text", "MicrosoftDocs/azure-docs#54997", |r, _| with(r, "expires_in", json!("3599"))),
    token("a life with a fraction", "badgateway/oauth2-client#123", |r, _| with(r, "expires_in", json!(2700.5))),
    token("a life that is a text with a fraction", "delta-io/delta-sharing#628", |r, _| with(r, "expires_in", json!("3600.0"))),
    token("a life that is missing", "guillp/requests_oauth2client#26", |r, _| without(r, "expires_in")),
    token("a life that is null", "apigee/microgateway-edgeauth#47", |r, _| with(r, "expires_in", Value::Null)),
    token("a life in milliseconds", "OAuth-Apis/apis#56", |r, _| with(r, "expires_in", json!(3_599_000))),
    token("a life that is an empty text", "H2CK/oidc#250", |r, _| with(r, "expires_in", json!(""))),
    token("a type in small letters", "Switcheo/carbon-js-sdk#681", |r, _| with(r, "token_type", json!("bearer"))),
    token("a type in capital letters", "oauthlib/oauthlib#674", |r, _| with(r, "token_type", json!("BEARER"))),
    token("a type that is missing", "spring-attic/spring-security-oauth#354", |r, _| without(r, "token_type")),
    token("members that nobody knows", "joshstar/AniList-API-Docs#87", |r, _| {
        with(with(r, "expires", json!(1_414_234_981)), "scope", json!(["a", "b"]))
    }),
    token("a byte order mark before a token", "restsharp/RestSharp#900", |r, _| behind(r, b"\xef\xbb\xbf")),
];

const fn token(name: &'static str, report: &'static str, bend: fn(Response, &Asked<'_>) -> Response) -> Oddity {
    Oddity { place: Place::Token, ..always(name, report, Unnoticed, bend) }
}

fn with(response: Response, name: &str, value: Value) -> Response {
    edit(response, |body| body[name] = value)
}

fn without(response: Response, name: &str) -> Response {
    edit(response, |body| {
        body.as_object_mut().map(|members| members.remove(name));
    })
}
