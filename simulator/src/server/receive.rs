//! Reads requests: head, then a body of known length or in chunks.

use std::io::{self, Write};
use std::sync::atomic::AtomicBool;

use super::Wire;
use crate::wire::Request;

/// A longer head is refused; a longer body, too.
const HEAD_LIMIT: usize = 64 * 1024;
const BODY_LIMIT: usize = 64 * 1024 * 1024;

/// A request, and whether the caller wants to send another one.
pub(super) struct Incoming {
    pub(super) request: Request,
    pub(super) keep: bool,
}

/// Reads one request; `None` when the caller is gone, an inner error when it is not HTTP.
pub(super) fn receive(
    wire: &mut Wire,
    held: &mut Vec<u8>,
    scheme: &str,
    stop: &AtomicBool,
) -> io::Result<Option<Result<Incoming, String>>> {
    let (mut request, length, version) = loop {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(held) {
            Ok(httparse::Status::Complete(length)) => {
                let target = parsed.path.unwrap_or_default().to_string();
                let mut request = Request::new(parsed.method.unwrap_or_default(), &target);
                let decoded = |header: &httparse::Header<'_>| {
                    (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).trim().to_string())
                };
                request.headers = parsed.headers.iter().map(decoded).collect();
                break (request, length, parsed.version.unwrap_or(0));
            }
            Ok(httparse::Status::Partial) if held.len() > HEAD_LIMIT => {
                return Ok(Some(Err("The request's head is too long.".to_string())));
            }
            Ok(httparse::Status::Partial) => {}
            Err(error) => return Ok(Some(Err(format!("This is not an HTTP request: {error}.")))),
        }
        if wire.more(held, stop)? == 0 {
            return Ok(None);
        }
    };
    held.drain(..length);
    if request.header_value("host").is_none() && version == 1 {
        return Ok(Some(Err("The header Host is missing.".to_string())));
    }
    if request.header_value("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        wire.flush()?;
    }
    let chunked = request.header_value("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    if chunked {
        loop {
            match httparse::parse_chunk_size(held) {
                Ok(httparse::Status::Complete((start, size))) => {
                    let (size, end) = (size as usize, start + size as usize + 2);
                    if size > BODY_LIMIT {
                        return Ok(Some(Err("The request's body is too long.".to_string())));
                    }
                    while held.len() < end {
                        if wire.more(held, stop)? == 0 {
                            return Ok(None);
                        }
                    }
                    request.body.extend_from_slice(&held[start..start + size]);
                    held.drain(..end);
                    if size == 0 {
                        break;
                    }
                }
                Ok(httparse::Status::Partial) => {
                    if wire.more(held, stop)? == 0 {
                        return Ok(None);
                    }
                }
                Err(_) => {
                    return Ok(Some(Err("A chunk of the request's body has no size.".to_string())));
                }
            }
        }
    } else {
        let size: usize = request.header_value("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
        if size > BODY_LIMIT {
            return Ok(Some(Err("The request's body is too long.".to_string())));
        }
        while held.len() < size {
            if wire.more(held, stop)? == 0 {
                return Ok(None);
            }
        }
        request.body = held.drain(..size).collect();
    }
    request.origin = format!("{scheme}://{}", request.header_value("host").unwrap_or_default());
    let wishes = request.header_value("connection").unwrap_or_default().to_ascii_lowercase();
    let keep = if version == 1 { !wishes.contains("close") } else { wishes.contains("keep-alive") };
    Ok(Some(Ok(Incoming { request, keep })))
}
