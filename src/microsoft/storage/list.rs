//! The answers of List Containers and List Blobs.

use std::fmt;

use super::xml;
use crate::time::Ticks;

/// What one answer may list. The service gives 5,000 entries at most.
const MOST: usize = 10_000;
/// The longest name of a blob, in bytes: 1,024 characters of UTF-8.
const LONGEST_NAME: usize = 4 * 1024;
/// The longest mark of a next answer that is sent back, in bytes. The service's have some hundred.
const LONGEST_MARKER: usize = 4 * 1024;

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
    /// Entries that tell no name or no size.
    pub odd: usize,
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
    /// Why it cannot be read, where the list says so already.
    pub obstacle: Option<Obstacle>,
}

/// What keeps a blob from being read, whoever asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Its tier is Archive: it has to be rehydrated first.
    Archived,
    /// It is encrypted with a key that was sent with it and is kept by nobody but its writer.
    CustomerKey,
    /// It is a page blob: its size is no length of text.
    Pages,
    /// It is stored with a `Content-Encoding`, which pieces of it cannot be freed from.
    Encoded,
}

/// A clause.
impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Archived => "it is archived",
            Self::CustomerKey => "it is encrypted with a key that only its writer has",
            Self::Pages => "it is a page blob",
            Self::Encoded => "it is stored with a Content-Encoding",
        })
    }
}

/// Reads an answer of List Containers.
///
/// # Errors
/// What is wrong with it, as a clause.
pub fn containers(body: &[u8]) -> Result<Containers, String> {
    let (mut list, mut is_list) = (Containers::default(), false);
    read(body, |path, text| {
        match path {
            ["Containers", "Container", "Name"] => list.names.push(text),
            ["Containers"] => is_list = true,
            ["NextMarker"] => list.next = text,
            _ => {}
        }
        bounded(path, list.names.len(), &list.next)
    })?;
    if is_list { Ok(list) } else { Err("the list is none of containers".to_owned()) }
}

/// Reads an answer of List Blobs. An entry without a name or a size is counted and takes nothing else with it; snapshots and
/// removed blobs are left out, which were not asked for.
///
/// # Errors
/// What is wrong with it, as a clause.
pub fn blobs(body: &[u8], at: Option<Ticks>) -> Result<Blobs, String> {
    let (mut list, mut is_list) = (Blobs { at, ..Blobs::default() }, false);
    let (mut blob, mut size, mut is_old) = (Listed::default(), None, false);
    read(body, |path, text| {
        match path {
            ["Blobs", "Blob", "Name"] => blob.name = text,
            ["Blobs", "Blob", "Snapshot"] => is_old |= !text.is_empty(),
            ["Blobs", "Blob", "Deleted"] => is_old |= text == "true",
            ["Blobs", "Blob", "Properties", property] => match *property {
                "Content-Length" => size = text.trim().parse().ok(),
                "Creation-Time" => blob.created = Ticks::parse_http(&text),
                "Last-Modified" => blob.modified = Ticks::parse_http(&text),
                "AccessTier" if text == "Archive" => blob.obstacle = Some(Obstacle::Archived),
                "CustomerProvidedKeySha256" if !text.is_empty() => blob.obstacle = Some(Obstacle::CustomerKey),
                "BlobType" if text == "PageBlob" => blob.obstacle = Some(Obstacle::Pages),
                "Content-Encoding" if !matches!(text.as_str(), "" | "identity") => blob.obstacle = Some(Obstacle::Encoded),
                _ => {}
            },
            ["Blobs", "Blob"] => {
                let mut whole = std::mem::take(&mut blob);
                match (size.take(), std::mem::take(&mut is_old)) {
                    (_, true) => {}
                    (Some(size), _) if !whole.name.is_empty() && whole.name.len() <= LONGEST_NAME => {
                        whole.size = size;
                        list.blobs.push(whole);
                    }
                    _ => list.odd += 1,
                }
            }
            ["Blobs", "BlobPrefix", "Name"] => list.folders.push(text),
            ["Blobs"] => is_list = true,
            ["NextMarker"] => list.next = text,
            _ => {}
        }
        bounded(path, list.blobs.len() + list.folders.len() + list.odd, &list.next)
    })?;
    if is_list { Ok(list) } else { Err("the list is none of blobs".to_owned()) }
}

fn read(body: &[u8], ended: impl FnMut(&[&str], String) -> Result<(), String>) -> Result<(), String> {
    xml::read(body, "EnumerationResults", ended).map_err(|reason| format!("the list {reason}"))
}

/// What no list of the service holds: more than it may, or an error beside what it lists.
fn bounded(path: &[&str], entries: usize, next: &str) -> Result<(), String> {
    if matches!(path, ["Error", ..]) {
        return Err("holds an error".to_owned());
    }
    if entries > MOST {
        return Err(format!("has more than {MOST} entries"));
    }
    if next.len() > LONGEST_MARKER {
        return Err(format!("has a NextMarker of more than {LONGEST_MARKER} bytes"));
    }
    Ok(())
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
            obstacle: None,
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
        let list = containers(text.as_bytes()).unwrap();
        assert_eq!((list.names, list.next.as_str()), (vec!["ia".to_owned(), "ib".to_owned()], "/contoso/ic"));
    }

    #[test]
    fn an_answer_that_is_no_list_is_never_an_empty_one() {
        let table = [
            ("", "the list is cut off after 0 bytes"),
            ("<EnumerationResults><Blobs>", "the list is cut off after 27 bytes"),
            ("<Error><Code>x</Code></Error>", "the list is <Error> and no <EnumerationResults>"),
            ("{}", "the list is cut off after 2 bytes"),
            ("<EnumerationResults></Blobs>", "the list is no XML near byte 20"),
            ("<EnumerationResults><Containers/><NextMarker/></EnumerationResults>", "the list is none of blobs"),
            ("<EnumerationResults/>", "the list is none of blobs"),
            ("<EnumerationResults><Blobs/><Error><Code>x</Code></Error></EnumerationResults>", "the list holds an error"),
        ];
        for (text, reason) in table {
            assert_eq!(blobs(text.as_bytes(), None).unwrap_err(), reason, "{text}");
        }
        for length in 1..BLOBS.len() {
            assert!(blobs(&BLOBS.as_bytes()[..length], None).is_err(), "{length}");
        }
    }

    #[test]
    fn an_odd_entry_takes_nothing_else_with_it() {
        let blob = |name: &str, properties: &str, more: &str| {
            format!("<Blob><Name>{name}</Name><Properties>{properties}</Properties>{more}</Blob>")
        };
        let size = "<Content-Length>5</Content-Length>";
        let entries = [
            blob("a", size, "<Snapshot>2026-11-22T08:00:00.0000000Z</Snapshot>"),
            blob("a", size, "<Snapshot/>"),
            blob("b", "", ""),
            blob("", size, ""),
            blob("c", "<Content-Length>99999999999999999999</Content-Length>", ""),
            blob("d", size, "<Deleted>true</Deleted>"),
            blob(&"e".repeat(5_000), size, ""),
            blob("f", &format!("{size}<AccessTier>Archive</AccessTier>"), ""),
            blob("g", &format!("{size}<BlobType>PageBlob</BlobType>"), ""),
            blob("h", &format!("{size}<Content-Encoding>gzip</Content-Encoding>"), ""),
            blob("i", &format!("{size}<CustomerProvidedKeySha256>x=</CustomerProvidedKeySha256>"), ""),
            blob("j", &format!("{size}<AccessTier>Cool</AccessTier><BlobType>BlockBlob</BlobType><Content-Encoding/>"), ""),
        ];
        let text = format!("<EnumerationResults><Blobs>{}</Blobs><NextMarker/></EnumerationResults>", entries.concat());
        let list = blobs(text.as_bytes(), None).unwrap();
        let found: Vec<(&str, Option<Obstacle>)> = list.blobs.iter().map(|blob| (blob.name.as_str(), blob.obstacle)).collect();
        assert_eq!(
            found,
            [
                ("a", None),
                ("f", Some(Obstacle::Archived)),
                ("g", Some(Obstacle::Pages)),
                ("h", Some(Obstacle::Encoded)),
                ("i", Some(Obstacle::CustomerKey)),
                ("j", None),
            ]
        );
        assert_eq!(list.odd, 4);
    }

    #[test]
    fn one_answer_has_its_bounds() {
        let many = "<Blob></Blob>".repeat(MOST + 1);
        let text = format!("<EnumerationResults><Blobs>{many}</Blobs></EnumerationResults>");
        assert_eq!(blobs(text.as_bytes(), None).unwrap_err(), "the list has more than 10000 entries");
        let names = "<Container><Name>c</Name></Container>".repeat(MOST + 1);
        let text = format!("<EnumerationResults><Containers>{names}</Containers></EnumerationResults>");
        assert_eq!(containers(text.as_bytes()).unwrap_err(), "the list has more than 10000 entries");
        let text = format!("<EnumerationResults><Blobs/><NextMarker>{}</NextMarker></EnumerationResults>", "x".repeat(5_000));
        assert_eq!(blobs(text.as_bytes(), None).unwrap_err(), "the list has a NextMarker of more than 4096 bytes");
    }
}
