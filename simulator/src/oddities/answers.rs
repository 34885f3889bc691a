//! Answers with a success in their first line that are none, or are written in an odd way.

use serde_json::{Value, json};

use super::Outcome::{Failed, Retried, Unnoticed};
use super::{Oddity, always, behind, edit, edit_rows, once, set};
use crate::wire::Response;

/// More than a reader may hold.
const MANY_BLANKS: usize = 30 << 20;

pub(super) const ROWS: &[Oddity] = &[
    once("206 with a Warning and half the rows", "demisto/content#2982", Retried, |r, _| {
        with_status(half(r), 206).header("Warning", "199 - \"Microsoft/Defender/504/10000\"")
    }),
    always("206 with a Warning and no row, for ever", "microsoftgraph/microsoft-graph-docs#4184", Failed(1, "206"), |r, _| {
        with_status(edit_rows(r, Vec::clear), 206).header("Warning", "199 - \"Microsoft/WDATP/401/228\"")
    }),
    once("206 without any content", "microsoftgraph/microsoft-graph-explorer-v4#1266", Retried, |r, _| {
        with_status(body(r, ""), 206)
    }),
    once("200 with a provider's failure in a Warning", "microsoftgraph/microsoft-graph-docs#3280", Retried, |r, _| {
        half(r).header("Warning", "199 - \"Microsoft/MCAS/502/16\"")
    }),
    once("200 with an error beside an empty list", "Esri/resource-proxy#214", Retried, |r, _| {
        edit(r, |body| *body = json!({"value": [], "error": {"code": "UpstreamTimeout", "message": "498"}}))
    }),
    once("200 with an error in place of the list", "demisto/content#566", Retried, |r, _| {
        edit(r, |body| *body = json!({"error": {"code": "UnknownError", "message": ""}}))
    }),
    once("200 with an empty body", "marklogic/node-client-api#81", Retried, |r, _| body(r, "")),
    once("204 in place of a list", "carrot/restful-api-spec#1", Retried, |r, _| with_status(body(r, ""), 204)),
    once("200 with an empty object", "OpenBazaar/openbazaar-go#420", Retried, |r, _| body(r, "{}")),
    once("a list that is null", "DataZooDE/erpl-web#79", Retried, |r, _| edit(r, |body| body["value"] = Value::Null)),
    once("a list that is an object", "open-horizon/exchange-api#480", Retried, |r, _| edit(r, |body| body["value"] = json!({}))),
    once("an array around the answer", "OneUptime/oneuptime#3497", Retried, |r, _| Response {
        body: [b"[", &r.body[..], b"]"].concat(),
        ..r
    }),
    always("a page to sign in, with 200", "openonion/connectonion#736", Failed(2, "a page titled"), |r, _| {
        let page = "<!DOCTYPE html><html><head><title>Sign in</title></head><body></body></html>";
        set(body(r, page), "Content-Type", "text/html")
    }),
    always("a page that calls itself JSON", "openam-jp/openam#423", Failed(2, "a page titled"), |r, _| {
        body(r, "\n<html><head><title>Blocked</title></head></html>")
    }),
    once("JSON that is cut off and said to be whole", "OData/WebApi#2094", Retried, |mut r, _| {
        r.body.truncate(r.body.len() * 2 / 3);
        r
    }),
    once("an object behind the answer", "OData/WebApi#2262", Retried, |mut r, _| {
        r.body.extend_from_slice(b"{\"error\":{\"code\":\"InternalServerError\"}}");
        r
    }),
    once("a list that stands there twice", "tavily-ai/tavily-python#193", Retried, |mut r, _| {
        r.body.pop();
        r.body.extend_from_slice(b",\"value\":[]}");
        r
    }),
    always("a byte order mark", "square/moshi#169", Unnoticed, |r, _| behind(r, b"\xef\xbb\xbf")),
    always("two byte order marks and a line", "mendix/RestServices#53", Unnoticed, |r, _| {
        behind(r, b"\r\n\xef\xbb\xbf\xef\xbb\xbf\r\n")
    }),
    always("UTF-16 with its mark", "cloudflare/workerd#4977", Failed(2, "not JSON"), |r, _| {
        let wide = String::from_utf8_lossy(&r.body).encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        behind(Response { body: wide, ..r }, b"\xff\xfe")
    }),
    always("no type of content", "aacerox/node-rest-client#197", Unnoticed, |mut r, _| {
        r.headers.clear();
        r
    }),
    always("text/plain as its type", "VBA-tools/VBA-Web#268", Unnoticed, |r, _| set(r, "Content-Type", "text/plain")),
    always("a thousand blank lines in front", "restsharp/RestSharp#826", Unnoticed, |r, _| {
        behind(r, &[b"\r\n".as_slice(); 1_000].concat())
    }),
    always("thirty megabytes of blanks", "wazuh/wazuh#8831", Failed(1, "blanks"), |r, _| Response {
        body: vec![b' '; MANY_BLANKS],
        ..r
    }),
    once("a body that is not packed though it says so", "projectdiscovery/httpx#307", Retried, |r, _| {
        r.header("Content-Encoding", "gzip")
    }),
    once("bytes that are no text", "apache/trafficcontrol#1737", Retried, |mut r, _| {
        let middle = r.body.len() / 2;
        r.body[middle] = 0xff;
        r
    }),
];

fn body(response: Response, text: &str) -> Response {
    Response { body: text.into(), ..response }
}

fn with_status(response: Response, status: u16) -> Response {
    Response { status, ..response }
}

fn half(response: Response) -> Response {
    edit_rows(response, |rows| rows.truncate(rows.len() / 2))
}
