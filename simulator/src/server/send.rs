//! Sends answers, in the framing and at the pace they ask for.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::{Encoding, LOOK, Wire};
use crate::model::Transfer;
use crate::wire::{Delivery, Request, Response};

/// Bytes in a chunk of a chunked answer.
const CHUNK: usize = 8 * 1024;
/// Bodies below this are not worth compressing.
const GZIP_FROM: usize = 512;

/// Sends an answer; false when the connection is over.
pub(super) fn send(
    wire: &mut Wire,
    request: &Request,
    response: Response,
    transfer: Transfer,
    encoding: Encoding,
    keep: bool,
    stop: &AtomicBool,
) -> io::Result<bool> {
    match response.delivery {
        Delivery::Refused => return Ok(false),
        Delivery::Silent => {
            let mut ignored = Vec::new();
            while wire.more(&mut ignored, stop)? > 0 {}
            return Ok(false);
        }
        Delivery::Late(wait) => pause(wait, stop),
        _ => {}
    }
    let endless = matches!(response.delivery, Delivery::Endless(_));
    let is_encoded = response.header_value("content-encoding").is_some();
    let mut body = response.body;
    let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let takes_gzip =
        request.header_value("accept-encoding").is_some_and(|value| value.split(',').any(|part| part.trim().starts_with("gzip")));
    if encoding == Encoding::Gzip && takes_gzip && !is_encoded && body.len() >= GZIP_FROM && !endless {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&body)?;
        body = gzip.finish()?;
        head.push_str("Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n");
    }
    let chunked = endless || (transfer == Transfer::Chunked && response.status == 200);
    if chunked {
        head.push_str("Transfer-Encoding: chunked\r\n");
    } else if response.status != 204 {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    if !keep {
        head.push_str("Connection: close\r\n");
    }
    head.push_str("\r\n");

    let (piece, wait) = match response.delivery {
        Delivery::Slow { piece, pause } => (piece, pause),
        _ => (CHUNK, Duration::ZERO),
    };
    let cut = match response.delivery {
        Delivery::Cut(after) => Some(after.min(body.len())),
        _ => None,
    };
    wire.write_all(head.as_bytes())?;
    wire.flush()?;
    for part in body[..cut.unwrap_or(body.len())].chunks(piece) {
        if wait > Duration::ZERO {
            pause(wait, stop);
            if stop.load(Ordering::SeqCst) {
                return Ok(false);
            }
        }
        if chunked {
            let mut framed = format!("{:x}\r\n", part.len()).into_bytes();
            framed.extend_from_slice(part);
            framed.extend_from_slice(b"\r\n");
            wire.write_all(&framed)?;
        } else {
            wire.write_all(part)?;
        }
        if wait > Duration::ZERO {
            wire.flush()?;
        }
    }
    if cut.is_some() {
        wire.flush()?;
        return Ok(false);
    }
    if let Delivery::Endless(wait) = response.delivery {
        while !stop.load(Ordering::SeqCst) {
            wire.write_all(b"1\r\n \r\n")?;
            wire.flush()?;
            pause(wait, stop);
        }
        return Ok(false);
    }
    if chunked {
        wire.write_all(b"0\r\n\r\n")?;
    }
    wire.flush()?;
    Ok(true)
}

/// Waits, in steps short enough to stop in between.
fn pause(wait: Duration, stop: &AtomicBool) {
    let until = Instant::now() + wait;
    while !stop.load(Ordering::SeqCst) {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        thread::sleep(left.min(LOOK));
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        407 => "Proxy Authentication Required",
        409 => "Conflict",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
