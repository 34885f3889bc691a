//! The answers of List Containers and List Blobs.

use quick_xml::Reader;
use quick_xml::events::Event;

use crate::time::Ticks;

/// Containers of an account.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Containers {
    /// Their names, in order.
    pub names: Vec<String>,
    /// Where the next answer begins; empty when this was the last.
    pub next: String,
}

/// Blobs of a container.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Blobs {
    /// In the order of their names.
    pub blobs: Vec<Listed>,
    /// Beginnings of names, each with its slash, where folders were asked for.
    pub folders: Vec<String>,
    /// Where the next answer begins; empty when this was the last.
    pub next: String,
    /// The service's clock when it answered.
    pub at: Option<Ticks>,
}

/// A blob as a list tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// When it was created; a blob that takes its place has another time.
    pub created: Option<Ticks>,
    /// When it was written last.
    pub modified: Option<Ticks>,
}

/// Reads an answer of List Containers.
///
/// # Errors
/// What is wrong with it, as a clause.
pub(super) fn containers(body: &[u8], _at: Option<Ticks>) -> Result<Containers, String> {
    let mut list = Containers::default();
    read(body, |path, text| match path {
        ["Containers", "Container", "Name"] => list.names.push(text),
        ["NextMarker"] => list.next = text,
        _ => {}
    })?;
    Ok(list)
}

/// Reads an answer of List Blobs.
///
/// # Errors
/// What is wrong with it, as a clause.
pub(super) fn blobs(body: &[u8], at: Option<Ticks>) -> Result<Blobs, String> {
    let mut list = Blobs { at, ..Blobs::default() };
    let (mut blob, mut size) = (Listed::default(), None);
    let mut sizeless = false;
    read(body, |path, text| match path {
        ["Blobs", "Blob", "Name"] => blob.name = text,
        ["Blobs", "Blob", "Properties", "Content-Length"] => size = text.parse().ok(),
        ["Blobs", "Blob", "Properties", "Creation-Time"] => blob.created = Ticks::parse_http(&text),
        ["Blobs", "Blob", "Properties", "Last-Modified"] => blob.modified = Ticks::parse_http(&text),
        ["Blobs", "Blob"] => {
            let mut whole = std::mem::take(&mut blob);
            match size.take() {
                Some(size) => whole.size = size,
                None => sizeless = true,
            }
            list.blobs.push(whole);
        }
        ["Blobs", "BlobPrefix", "Name"] => list.folders.push(text),
        ["NextMarker"] => list.next = text,
        _ => {}
    })?;
    if sizeless || list.blobs.iter().any(|blob| blob.name.is_empty()) {
        return Err("a blob in the list has no name or no size".to_owned());
    }
    Ok(list)
}

/// Calls `ended` with every element below the root when it ends: the names on the way to it, and the text directly in it.
fn read(body: &[u8], mut ended: impl FnMut(&[&str], String)) -> Result<(), String> {
    let text = std::str::from_utf8(body).map_err(|_| "the list is not UTF-8".to_owned())?;
    let malformed = |at: u64| format!("the list is no XML near byte {at}");
    let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
    // Of each open element its name, its text, and whether that is percent-encoded.
    let mut open: Vec<(String, String, bool)> = Vec::new();
    let mut whole = false;
    loop {
        let at = reader.buffer_position();
        match reader.read_event().map_err(|_| malformed(at))? {
            Event::Start(tag) => {
                let name = tag.name().as_ref().to_owned();
                if open.is_empty() && name != "EnumerationResults" {
                    return Err(format!("the answer is <{name}>, no list"));
                }
                // A name with characters that XML cannot hold comes as Name Encoded="true".
                let encoded = tag.attributes().flatten().any(|a| a.key.as_ref() == "Encoded" && a.value.as_ref() == "true");
                open.push((name, String::new(), encoded));
            }
            Event::End(_) => {
                let Some((name, text, encoded)) = open.pop() else { return Err(malformed(at)) };
                whole |= open.is_empty();
                let mut path: Vec<&str> = open.iter().skip(1).map(|(name, _, _)| name.as_str()).collect();
                path.push(&name);
                let text = if encoded {
                    percent_encoding::percent_decode_str(&text).decode_utf8().map_err(|_| malformed(at))?.into_owned()
                } else {
                    text
                };
                if !open.is_empty() {
                    ended(&path, text);
                }
            }
            Event::Text(text) => {
                if let Some((_, content, _)) = open.last_mut() {
                    content.push_str(&text.xml10_content());
                }
            }
            Event::CData(text) => {
                if let Some((_, content, _)) = open.last_mut() {
                    content.push_str(&text.xml10_content());
                }
            }
            Event::GeneralRef(name) => {
                let Some((_, content, _)) = open.last_mut() else { return Err(malformed(at)) };
                match name.resolve_char_ref().map_err(|_| malformed(at))? {
                    Some(character) => content.push(character),
                    None => content.push_str(quick_xml::escape::resolve_xml_entity(&name).ok_or_else(|| malformed(at))?),
                }
            }
            Event::Eof if whole => return Ok(()),
            Event::Eof => return Err(format!("the list is cut off after {} bytes", body.len())),
            Event::DocType(_) => return Err(malformed(at)),
            Event::Empty(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The form of Microsoft's page on List Blobs.
    const BLOBS: &str = r#"<?xml version="1.0" encoding="utf-8"?>
<EnumerationResults ServiceEndpoint="https://contoso.blob.core.windows.net/" ContainerName="c">
  <Prefix>tenantId=t/</Prefix><MaxResults>5000</MaxResults>
  <Blobs>
    <Blob><Name>tenantId=t/y=2026/m=11/d=22/h=08/m=00/PT1H.json</Name><Properties><Creation-Time>Sun, 22 Nov 2026 08:00:10 GMT</Creation-Time>
      <Last-Modified>Sun, 22 Nov 2026 08:59:00 GMT</Last-Modified><Etag>0x8</Etag><Content-Length>9007199254740993</Content-Length>
      <BlobType>AppendBlob</BlobType><Content-MD5 /></Properties><OrMetadata /></Blob>
    <Blob><Name Encoded="true">a%EF%BF%BEb</Name><Properties><Content-Length>0</Content-Length></Properties></Blob>
    <BlobPrefix><Name>a &amp; &#98;/</Name></BlobPrefix>
  </Blobs>
  <NextMarker>2!96!x</NextMarker>
</EnumerationResults>"#;

    #[test]
    fn blobs_folders_and_the_marker() {
        let list = blobs(format!("\u{feff}{BLOBS}").as_bytes(), None).unwrap();
        let first = Listed {
            name: "tenantId=t/y=2026/m=11/d=22/h=08/m=00/PT1H.json".to_owned(),
            size: 9_007_199_254_740_993,
            created: Ticks::parse("2026-11-22T08:00:10Z"),
            modified: Ticks::parse("2026-11-22T08:59:00Z"),
        };
        let second = Listed { name: "a\u{fffe}b".to_owned(), ..Listed::default() };
        assert_eq!((list.blobs, list.folders, list.next.as_str()), (vec![first, second], vec!["a & b/".to_owned()], "2!96!x"));
        let none = blobs(b"<EnumerationResults><Blobs /><NextMarker /></EnumerationResults>", None).unwrap();
        assert_eq!(none, Blobs::default());
    }

    #[test]
    fn containers_by_name() {
        let text = "<EnumerationResults><Prefix>i</Prefix><Containers><Container><Name>ia</Name><Properties><Etag>x</Etag></Properties>\
                    </Container><Container><Name>ib</Name></Container></Containers><NextMarker>/contoso/ic</NextMarker></EnumerationResults>";
        let list = containers(text.as_bytes(), None).unwrap();
        assert_eq!((list.names, list.next.as_str()), (vec!["ia".to_owned(), "ib".to_owned()], "/contoso/ic"));
    }

    #[test]
    fn an_answer_that_is_no_list_is_never_an_empty_one() {
        let table = [
            ("", "the list is cut off after 0 bytes"),
            ("<EnumerationResults><Blobs>", "the list is cut off after 27 bytes"),
            ("<Error><Code>x</Code></Error>", "the answer is <Error>, no list"),
            ("{}", "the list is cut off after 2 bytes"),
            ("<EnumerationResults></Blobs>", "the list is no XML near byte 20"),
            (
                "<EnumerationResults><Blobs><Blob><Name>a</Name></Blob></Blobs></EnumerationResults>",
                "a blob in the list has no name or no size",
            ),
        ];
        for (text, reason) in table {
            assert_eq!(blobs(text.as_bytes(), None).unwrap_err(), reason, "{text}");
        }
        for length in 1..BLOBS.len() {
            assert!(blobs(&BLOBS.as_bytes()[..length], None).is_err(), "{length}");
        }
    }
}
