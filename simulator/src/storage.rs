//! The blob service of a storage account, as far as it is read: List Containers, List Blobs and Get Blob with a range; by a
//! token with the role *Storage Blob Data Reader* or by an account's shared access signature.
//!
//! Facts: Microsoft's REST reference of the blob service (operations, error codes, "Create an account SAS") and the streaming
//! API's layout: one container per table, one append blob per hour, a record per line.

mod access;

use std::collections::BTreeMap;

pub use access::Signature;

use crate::model::World;
use crate::time::Time;
use crate::wire::{Request, Response};

/// The account's name.
pub const ACCOUNT: &str = "contosologs";
/// The name under which it is reached through the proxy.
pub const HOST: &str = "contosologs.blob.core.windows.net";
/// The role that lets an application read.
pub const READER_ROLE: &str = "Storage Blob Data Reader";
/// What the containers' names begin with; the table's name in lower case follows.
pub const CONTAINER: &str = "insights-logs-advancedhunting-";
/// The most entries one list holds.
const MOST: usize = 5000;

/// An append blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// All that was appended.
    pub bytes: Vec<u8>,
    /// When it was created.
    pub created: Time,
    /// When something was appended last.
    pub modified: Time,
}

/// The account's containers and blobs.
#[derive(Clone, Debug)]
pub struct Storage {
    /// By container and name.
    pub containers: BTreeMap<String, BTreeMap<String, Blob>>,
    /// The most entries one list holds; the service's own is 5,000.
    pub page: usize,
    /// Containers that the role was not given for.
    pub closed: Vec<String>,
}

impl Default for Storage {
    fn default() -> Self {
        Storage { containers: BTreeMap::new(), page: MOST, closed: Vec::new() }
    }
}

impl Storage {
    /// Appends to a blob, which is made when it is not there, with its container.
    pub fn append(&mut self, container: &str, name: &str, bytes: &[u8], now: Time) {
        let blobs = self.containers.entry(container.to_string()).or_default();
        let blob = blobs.entry(name.to_string()).or_insert(Blob { bytes: Vec::new(), created: now, modified: now });
        blob.bytes.extend_from_slice(bytes);
        blob.modified = now;
    }

    /// Delivers records as the streaming API does: a line each, in the blob of the hour, in the container of the table.
    pub fn deliver(&mut self, table: &str, tenant: &str, hour: Time, records: &[String], now: Time) {
        let lines: String = records.iter().map(|record| format!("{record}\r\n")).collect();
        self.append(&container(table), &blob_name(tenant, hour), lines.as_bytes(), now);
    }

    /// Removes a blob, as a retention rule does.
    pub fn remove(&mut self, container: &str, name: &str) {
        if let Some(blobs) = self.containers.get_mut(container) {
            blobs.remove(name);
        }
    }
}

/// The container of a table.
pub fn container(table: &str) -> String {
    format!("{CONTAINER}{}", table.to_ascii_lowercase())
}

/// The blob of an hour.
pub fn blob_name(tenant: &str, hour: Time) -> String {
    let text = hour.to_string();
    let (year, month, day, hour) = (&text[..4], &text[5..7], &text[8..10], &text[11..13]);
    format!("tenantId={tenant}/y={year}/m={month}/d={day}/h={hour}/m=00/PT1H.json")
}

/// Answers one request.
pub fn answer(world: &mut World, request: &Request, now: Time) -> Response {
    let serial = world.next_serial();
    let response = match operate(world, request, now) {
        Ok(response) => response,
        Err((status, code)) => error(status, code, now),
    };
    let id = format!("{serial:08x}-001e-0042-0000-{:012x}", now.0 & 0xffff_ffff_ffff);
    response.header("x-ms-request-id", &id).header("x-ms-version", "2021-12-02").header("Server", "Windows-Azure-Blob/1.0")
}

/// A status and the service's code for it.
type Refused = (u16, &'static str);

fn operate(world: &World, request: &Request, now: Time) -> Result<Response, Refused> {
    let segments = request.segments();
    let value = |name: &str| request.query_value(name).unwrap_or_default();
    let is_list = value("comp") == "list";
    let (container, blob) = match segments.split_first() {
        None => (None, None),
        Some((container, [])) => (Some(container.as_str()), None),
        Some((container, name)) => (Some(container.as_str()), Some(name.join("/"))),
    };
    access::check(world, request, container, blob.is_some(), is_list, now)?;
    if request.method != "GET" {
        return Err((405, "UnsupportedHttpVerb"));
    }
    let storage = &world.storage;
    let Some(container) = container else {
        return if is_list { Ok(list_containers(storage, request)) } else { Err((400, "InvalidQueryParameterValue")) };
    };
    if !is_container_name(container) {
        return Err((400, "InvalidResourceName"));
    }
    let blobs = storage.containers.get(container).ok_or((404, "ContainerNotFound"))?;
    match blob {
        Some(name) => get_blob(blobs.get(&name).ok_or((404, "BlobNotFound"))?, request),
        None if is_list && value("restype") == "container" => Ok(list_blobs(storage, container, blobs, request)),
        None => Err((400, "InvalidQueryParameterValue")),
    }
}

/// 3 to 63 lower-case letters, digits and single dashes.
fn is_container_name(name: &str) -> bool {
    (3..=63).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
        && !name.contains("--")
}

/// What a list shows at most, and where it begins. A marker is opaque to callers; here it is the name to go on with.
fn paging(storage: &Storage, request: &Request) -> (usize, String) {
    let most = request.query_value("maxresults").and_then(|text| text.parse().ok()).unwrap_or(MOST);
    let marker = request.query_value("marker").unwrap_or_default();
    (most.min(storage.page).max(1), marker.strip_prefix("2!").unwrap_or_default().to_string())
}

fn list_containers(storage: &Storage, request: &Request) -> Response {
    let (most, from) = paging(storage, request);
    let prefix = request.query_value("prefix").unwrap_or_default();
    let mut names = storage.containers.keys().filter(|name| name.starts_with(&prefix) && **name >= from);
    let mut entries = String::new();
    for name in names.by_ref().take(most) {
        entries.push_str(&format!(
            "<Container><Name>{name}</Name><Properties><LeaseState>available</LeaseState></Properties></Container>"
        ));
    }
    let next = names.next().map(|name| format!("2!{name}")).unwrap_or_default();
    listed("", &prefix, &format!("<Containers>{entries}</Containers>"), &next)
}

fn list_blobs(storage: &Storage, container: &str, blobs: &BTreeMap<String, Blob>, request: &Request) -> Response {
    let (most, from) = paging(storage, request);
    let prefix = request.query_value("prefix").unwrap_or_default();
    let delimiter = request.query_value("delimiter").filter(|text| !text.is_empty());
    let (mut entries, mut count, mut next) = (String::new(), 0, String::new());
    let mut folder = String::new();
    for (name, blob) in blobs.range(from..).filter(|(name, _)| name.starts_with(&prefix)) {
        if !folder.is_empty() && name.starts_with(&folder) {
            continue;
        }
        if count == most {
            next = format!("2!{name}");
            break;
        }
        count += 1;
        let cut =
            delimiter.as_ref().and_then(|delimiter| name[prefix.len()..].find(delimiter.as_str()).map(|at| at + delimiter.len()));
        if let Some(end) = cut {
            folder = name[..prefix.len() + end].to_string();
            entries.push_str(&format!("<BlobPrefix><Name>{}</Name></BlobPrefix>", escaped(&folder)));
            continue;
        }
        entries.push_str(&format!(
            "<Blob><Name>{}</Name><Properties><Creation-Time>{}</Creation-Time><Last-Modified>{}</Last-Modified><Etag>0x{:X}</Etag>\
             <Content-Length>{}</Content-Length><Content-Type>application/octet-stream</Content-Type><BlobType>AppendBlob</BlobType>\
             </Properties><OrMetadata /></Blob>",
            escaped(name),
            blob.created.http_date(),
            blob.modified.http_date(),
            blob.modified.0,
            blob.bytes.len(),
        ));
    }
    listed(&format!(" ContainerName=\"{container}\""), &prefix, &format!("<Blobs>{entries}</Blobs>"), &next)
}

/// The frame of both lists. The service begins it with a byte order mark.
fn listed(attribute: &str, prefix: &str, entries: &str, next: &str) -> Response {
    let marker =
        if next.is_empty() { "<NextMarker />".to_string() } else { format!("<NextMarker>{}</NextMarker>", escaped(next)) };
    let text = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"https://{ACCOUNT}.blob.core.windows.net/\"\
         {attribute}><Prefix>{}</Prefix>{entries}{marker}</EnumerationResults>",
        escaped(prefix)
    );
    Response::new(200, "application/xml", text)
}

fn get_blob(blob: &Blob, request: &Request) -> Result<Response, Refused> {
    let length = blob.bytes.len();
    let range = request.header_value("x-ms-range").or(request.header_value("range")).and_then(|text| text.strip_prefix("bytes="));
    let response = match range {
        None => Response::new(200, "application/octet-stream", blob.bytes.clone()),
        Some(range) => {
            let (first, last) = range.split_once('-').ok_or((400, "InvalidHeaderValue"))?;
            let first: usize = first.parse().map_err(|_| (400, "InvalidHeaderValue"))?;
            let last = if last.is_empty() { length } else { last.parse().map_err(|_| (400, "InvalidHeaderValue"))? };
            if first >= length {
                return Err((416, "InvalidRange"));
            }
            let last = last.min(length - 1);
            Response::new(206, "application/octet-stream", &blob.bytes[first..=last])
                .header("Content-Range", &format!("bytes {first}-{last}/{length}"))
        }
    };
    Ok(response
        .header("x-ms-blob-type", "AppendBlob")
        .header("x-ms-creation-time", &blob.created.http_date())
        .header("Last-Modified", &blob.modified.http_date())
        .header("Accept-Ranges", "bytes"))
}

/// An error as the service writes it: in the body, and its code in a header as well.
pub(crate) fn error(status: u16, code: &str, now: Time) -> Response {
    let message = match code {
        "AuthorizationPermissionMismatch" => "This request is not authorized to perform this operation using this permission.",
        "AuthorizationFailure" | "AuthorizationResourceTypeMismatch" | "AuthorizationServiceMismatch" => {
            "This request is not authorized to perform this operation."
        }
        "AuthenticationFailed" => {
            "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature."
        }
        "NoAuthenticationInformation" | "InvalidAuthenticationInfo" => {
            "Server failed to authenticate the request. Please refer to the information in the www-authenticate header."
        }
        "ContainerNotFound" => "The specified container does not exist.",
        "BlobNotFound" => "The specified blob does not exist.",
        "InvalidRange" => "The range specified is invalid for the current size of the resource.",
        "ServerBusy" => "The server is busy.",
        "OperationTimedOut" => "The operation could not be completed within the permitted time.",
        "InternalError" => "Server encountered an internal error. Please try again after some time.",
        _ => "The request is not valid.",
    };
    let text = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}\nRequestId:00000000-001e-0042-0000-\
         000000000000\nTime:{now}</Message></Error>"
    );
    Response::new(status, "application/xml", text).header("x-ms-error-code", code)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests;
