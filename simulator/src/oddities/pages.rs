//! Pages that are not as long, not as many and not in the order that was asked for.

use serde_json::{Value, json};

use super::Outcome::{Unnoticed, Warned};
use super::{Asked, Oddity, always, edit, edit_rows};
use crate::wire::Response;

pub(super) const ROWS: &[Oddity] = &[
    always("a next page behind every page that holds rows", "OData/WebApi#2434", Unnoticed, |r, a| {
        if rows_of(&r) == 0 { r } else { link(r, &format!("{}?$skip=20", a.request.path)) }
    }),
    always("a next page behind every page", "AutoMapper/AutoMapper.Extensions.OData#176", Warned("next page"), |r, a| {
        link(r, &format!("{}?$skip=20", a.request.path))
    }),
    always("a page that names itself as the next", "NangoHQ/nango#4199", Warned("next page"), |r, a| {
        link(r, &format!("{}?{}", a.request.path, a.request.query))
    }),
    always("a next page on another host", "OData/odata.net#812", Unnoticed, |r, _| {
        if rows_of(&r) == 0 { r } else { link(r, "https://elsewhere.example/?$skip=20") }
    }),
    always("a next page that is null", "OData/WebApi#2594", Unnoticed, |r, _| {
        edit(r, |body| body["@odata.nextLink"] = Value::Null)
    }),
    always("pages of ten rows whatever was asked for", "elastic/integrations#20234", Unnoticed, |r, a| short(r, a, 10)),
    always("pages of six rows", "microsoftgraph/microsoft-graph-docs#3551", Unnoticed, |r, a| short(r, a, 6)),
    always("rows in no order", "demisto/content#45413", Unnoticed, |r, a| {
        edit_rows(r, |rows| {
            // Another order for each request, and the same for the same one.
            let turn = a.request.query.len() % rows.len().max(1);
            rows.rotate_left(turn);
            rows.reverse();
        })
    }),
    always("a count that is too small", "simple-odata-client/Simple.OData.Client#810", Unnoticed, |r, _| {
        edit(r, |body| body["@odata.count"] = json!(0))
    }),
];

fn rows_of(response: &Response) -> usize {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    body["value"].as_array().map_or(0, Vec::len)
}

fn link(response: Response, target: &str) -> Response {
    edit(response, |body| body["@odata.nextLink"] = json!(target))
}

/// At most so many rows, and a next page where there were more.
fn short(response: Response, asked: &Asked<'_>, most: usize) -> Response {
    if rows_of(&response) <= most {
        return response;
    }
    let cut = edit_rows(response, |rows| rows.truncate(most));
    link(cut, &format!("{}?$skip={most}", asked.request.path))
}
