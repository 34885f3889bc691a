//! What any answer tells beyond its status: when to come back, where it wanted to send us, whose page it really is.

use std::fmt;
use std::time::Duration;

use http::HeaderMap;
use http::header::{CONTENT_TYPE, DATE, HeaderName, LOCATION, RETRY_AFTER, WARNING};

use crate::masking::foreign_text;
use crate::time::Ticks;

/// `Retry-After`, in seconds or as a date; a date counts from the answer's own `Date`, so that a wrong clock here does
/// not matter, and from `now` without one. A date that has passed is zero; what is neither is `None`.
pub fn retry_after(headers: &HeaderMap, now: Ticks) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit mean "not soon": a caller bounds its waits anyway.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::from(u32::MAX))));
    }
    Some(Ticks::parse_http(text)?.since(date(headers).unwrap_or(now)))
}

/// What says that data which was read with success is not all there is: another status than 200, or a `Warning`. `None` when
/// nothing does.
pub fn partial(status: u16, headers: &HeaderMap) -> Option<String> {
    if status != 200 {
        return Some(format!("HTTP {status} in place of 200"));
    }
    let said = headers.get_all(WARNING).iter().map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let doubted = said.filter(|text| {
        let lower = text.trim().to_ascii_lowercase();
        // A proxy that packed the body anew, and an interface that will end some day, leave nothing out.
        !lower.is_empty() && !lower.starts_with("214 ") && !lower.contains("deprecat") && !lower.contains("sunset")
    });
    doubted.map(|text| format!("a Warning came with it: {}", foreign_text(&text))).next()
}

/// The service's clock: the `Date` header.
pub fn date(headers: &HeaderMap) -> Option<Ticks> {
    Ticks::parse_http(text(headers, &DATE)?)
}

/// The host that a redirect names; its path may hold what is not ours to log.
pub fn redirect_host(headers: &HeaderMap) -> String {
    let target = text(headers, &LOCATION).and_then(|location| location.parse::<http::Uri>().ok());
    target.and_then(|uri| uri.host().map(foreign_text)).unwrap_or_else(|| "the same host".to_owned())
}

/// A body behind what some services put in front of it: byte order marks and blanks.
pub fn text_of(body: &[u8]) -> &[u8] {
    let mut text = body.trim_ascii_start();
    while let Some(rest) = text.strip_prefix(b"\xef\xbb\xbf") {
        text = rest.trim_ascii_start();
    }
    text
}

/// Whether the body is a web page: the content type says so, or it starts like one.
pub fn is_html(headers: &HeaderMap, body: &[u8]) -> bool {
    let declared =
        text(headers, &CONTENT_TYPE).is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/html"));
    declared || text_of(body).first() == Some(&b'<')
}

/// A web page's title, short and plain.
pub fn title(body: &[u8]) -> Option<String> {
    // The title is in the first lines; a page of megabytes need not be searched.
    let head = String::from_utf8_lossy(&body[..body.len().min(16 << 10)]);
    let lower = head.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let open = start + lower[start..].find('>')? + 1;
    let end = open + lower[open..].find("</title")?;
    Some(foreign_text(&head[open..end])).filter(|title| !title.is_empty())
}

/// A header as text; `None` when it is missing or holds other bytes than visible ASCII.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Writes what every failed request says behind what was asked: the status, what it means, the service's code and text, and
/// the id under which the service logged it; of each what there is.
///
/// # Errors
/// The formatter's.
pub fn describe(
    f: &mut fmt::Formatter<'_>,
    status: Option<u16>,
    failure: &impl fmt::Display,
    said: [&Option<String>; 2],
    request_id: Option<&str>,
) -> fmt::Result {
    if let Some(status) = status {
        write!(f, "HTTP {status}: ")?;
    }
    write!(f, "{failure}")?;
    for text in said.into_iter().flatten() {
        write!(f, ": {text}")?;
    }
    request_id.map_or(Ok(()), |id| write!(f, " (request id {id})"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn retry_after_in_every_spelling() {
        let now = Ticks::parse("2026-11-22T12:00:00Z").unwrap();
        type Row<'a> = (&'a [(&'a str, &'a str)], Option<u64>);
        let table: [Row<'_>; 10] = [
            (&[], None),
            (&[("retry-after", "10")], Some(10)),
            (&[("retry-after", " 0 ")], Some(0)),
            (&[("retry-after", "99999999999999999999999")], Some(u64::from(u32::MAX))),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "soon")], None),
            (&[("retry-after", "")], None),
            (&[("retry-after", "Sun, 22 Nov 2026 12:02:00 GMT")], Some(120)),
            (&[("retry-after", "Sun, 22 Nov 2026 11:00:00 GMT")], Some(0)),
            // The service's clock is an hour behind ours: 30 s, not an hour ago.
            (&[("retry-after", "Sun, 22 Nov 2026 11:00:30 GMT"), ("date", "Sun, 22 Nov 2026 11:00:00 GMT")], Some(30)),
        ];
        for (pairs, expected) in table {
            assert_eq!(retry_after(&headers(pairs), now), expected.map(Duration::from_secs), "{pairs:?}");
        }
    }

    #[test]
    fn what_says_that_data_is_not_whole() {
        let told = "a Warning came with it: 199 - \"Microsoft/Defender/504/10000\"";
        type Row<'a> = (u16, &'a [(&'a str, &'a str)], Option<&'a str>);
        let table: [Row<'_>; 9] = [
            (200, &[], None),
            (206, &[], Some("HTTP 206 in place of 200")),
            (203, &[("warning", "214 - \"x\"")], Some("HTTP 203 in place of 200")),
            (200, &[("warning", "199 - \"Microsoft/Defender/504/10000\"")], Some(told)),
            (
                200,
                &[("warning", "110 proxy \"Response is stale\"")],
                Some("a Warning came with it: 110 proxy \"Response is stale\""),
            ),
            (200, &[("warning", "214 proxy \"Transformation applied\"")], None),
            (200, &[("warning", "299 - \"This API is deprecated\"")], None),
            (
                200,
                &[("warning", "299 - \"Sunset: 2027-02-01\""), ("warning", "199 - \"Microsoft/Defender/504/10000\"")],
                Some(told),
            ),
            (200, &[("warning", "")], None),
        ];
        for (status, pairs, expected) in table {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            assert_eq!(partial(status, &headers).as_deref(), expected, "{status} {pairs:?}");
        }
    }

    #[test]
    fn redirects_name_only_the_host() {
        let host = |location: &str| redirect_host(&headers(&[("location", location)]));
        assert_eq!(host("https://login.portal.example/sso?token=abc"), "login.portal.example");
        assert_eq!(host("/elsewhere?token=abc"), "the same host");
        assert_eq!(redirect_host(&HeaderMap::new()), "the same host");
    }

    #[test]
    fn web_pages_and_their_titles() {
        assert!(is_html(&headers(&[("content-type", "Text/HTML; charset=utf-8")]), b"x"));
        assert!(is_html(&HeaderMap::new(), b"\n <!DOCTYPE html>"));
        assert!(is_html(&HeaderMap::new(), "\u{feff}<html>".as_bytes()));
        assert!(!is_html(&headers(&[("content-type", "application/json")]), b"{}"));
        assert_eq!(title(b"<html><head><TITLE lang=x>\n Access\tdenied </Title>").as_deref(), Some("Access denied"));
        for page in [&b"<html>"[..], b"<title></title>", b"<title>never closed", b"\xff\xfe"] {
            assert_eq!(title(page), None);
        }
    }
}
