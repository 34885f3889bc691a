//! The secrets of this process, and where a text holds a piece of one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::view::View;

/// So many bytes in a row that stand in a secret too are taken for a part of it: whoever quotes may cut.
const PIECE: usize = 12;
/// So many are enough at a secret's beginning, where most cut.
const BEGINNING: usize = 8;
/// A shorter secret is not looked for: masking every `ab` would make messages unreadable and tell the secret by its gaps.
const SHORTEST: usize = 4;
/// Every so many bytes of a secret a window is looked up: then each run of [`PIECE`] or of [`BEGINNING`] holds a whole one.
const STEP: usize = PIECE + 1 - WINDOW;
const WINDOW: usize = 7;
/// The most places that are kept of one window: a secret that repeats itself has the same run at each.
const PLACES: usize = 8;
/// How many secrets that nobody holds any more are still known: a message may come late.
const KEPT: usize = 128;

struct Known {
    secrets: VecDeque<Arc<str>>,
    /// Made when a message is, and dropped when another secret comes.
    index: Option<Arc<Index>>,
}

static KNOWN: Mutex<Known> = Mutex::new(Known { secrets: VecDeque::new(), index: None });

fn known() -> MutexGuard<'static, Known> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers a secret for as long as the text that is given back lives, and after that until many others came.
pub(crate) fn remember(secret: &str) -> Arc<str> {
    let mut known = known();
    if let Some(at) = known.secrets.iter().rposition(|other| **other == *secret)
        && let Some(same) = known.secrets.remove(at)
    {
        known.secrets.push_back(Arc::clone(&same));
        return same;
    }
    if known.secrets.len() >= KEPT
        && let Some(at) = known.secrets.iter().position(|other| Arc::strong_count(other) == 1)
    {
        known.secrets.remove(at);
    }
    let secret = Arc::<str>::from(secret);
    known.secrets.push_back(Arc::clone(&secret));
    known.index = None;
    secret
}

/// What is looked for now.
pub(super) fn index() -> Arc<Index> {
    let mut known = known();
    if let Some(index) = &known.index {
        return Arc::clone(index);
    }
    let index = Arc::new(Index::of(known.secrets.iter()));
    known.index = Some(Arc::clone(&index));
    index
}

/// What of a secret is secret: of a connection string its keys, of a signed URL's query its signature, of a PEM file what is
/// between its lines of dashes. The rest, such as a host's name, belongs into messages.
fn secret_parts(secret: &str) -> Vec<&str> {
    const HARMLESS: [&str; 8] = [
        "endpoint",
        "blobendpoint",
        "entitypath",
        "sharedaccesskeyname",
        "accountname",
        "defaultendpointsprotocol",
        "endpointsuffix",
        "usedevelopmentemulator",
    ];
    // A long one is stored in pieces, which are secrets too: the first begins with their number, the last may begin in a label.
    if secret.contains("-----") {
        let is_label = |part: &str| part.starts_with("BEGIN ") || part.starts_with("END ") || part.ends_with(" KEY");
        return secret.split("-----").filter(|part| !is_label(part)).flat_map(str::lines).collect();
    }
    let named = |part: &str, name: &str| part.get(..name.len() + 1).is_some_and(|p| p.eq_ignore_ascii_case(&format!("{name}=")));
    if secret.contains("sig=") {
        let parts = secret.split(['&', '?', ';', ' ']);
        return parts.filter(|part| named(part, "sig")).map(|part| &part["sig=".len()..]).collect();
    }
    if secret.to_ascii_lowercase().contains("endpoint") && secret.contains(';') {
        let parts = secret.split(';').filter(|part| !HARMLESS.iter().any(|name| named(part, name)));
        return parts.map(|part| part.split_once('=').map_or(part, |(_, value)| value)).collect();
    }
    vec![secret]
}

/// Which secrets a text is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// Somebody else's text: all.
    Foreign,
    /// Our own, put together already: not those that are a short word such as `alerts`, which may be meant as the word.
    Ours,
}

/// The secrets in the form in which views are compared ([`plain`]).
pub(super) struct Index {
    needles: Vec<Needle>,
    /// By the first bytes: those that are found as a whole only.
    short: HashMap<[u8; SHORTEST], Vec<u32>>,
    /// By a window of bytes: which secret it stands in, and where.
    long: HashMap<[u8; WINDOW], Vec<(u32, u32)>>,
}

struct Needle {
    bytes: Vec<u8>,
    /// Small letters alone: it may be a word of a message.
    is_word: bool,
}

/// How a byte is compared: in lower case, since a page may show a URL in another one; Base64 as its variant for URLs; and not
/// at all where lines are wrapped or forms write a blank as a plus sign.
fn plain(byte: u8) -> Option<u8> {
    match byte {
        0..=b' ' | 0x7F | b'+' | b'-' => None,
        b'_' => Some(b'/'),
        byte => Some(byte.to_ascii_lowercase()),
    }
}

impl Index {
    fn of<'a>(secrets: impl Iterator<Item = &'a Arc<str>>) -> Self {
        let mut index = Self { needles: Vec::new(), short: HashMap::new(), long: HashMap::new() };
        let mut seen = HashSet::new();
        for part in secrets.flat_map(|secret| secret_parts(secret)) {
            // A signature is held as it is sent, encoded, and whoever quotes it may have decoded it.
            let decoded: Vec<u8> = percent_encoding::percent_decode_str(part).collect();
            for bytes in [part.as_bytes(), &decoded] {
                let is_word = bytes.iter().all(u8::is_ascii_lowercase);
                let bytes: Vec<u8> = bytes.iter().filter_map(|byte| plain(*byte)).collect();
                if seen.insert(bytes.clone()) {
                    index.add(Needle { bytes, is_word });
                }
            }
        }
        index
    }

    fn add(&mut self, needle: Needle) {
        let number = u32::try_from(self.needles.len()).unwrap_or(u32::MAX);
        if needle.bytes.len() < PIECE {
            let Some(first) = needle.bytes.first_chunk() else { return };
            self.short.entry(*first).or_default().push(number);
        } else {
            for at in (0..=needle.bytes.len() - WINDOW).step_by(STEP) {
                let Some(window) = needle.bytes[at..].first_chunk() else { continue };
                let places = self.long.entry(*window).or_default();
                if places.len() < PLACES {
                    places.push((number, u32::try_from(at).unwrap_or(u32::MAX)));
                }
            }
        }
        self.needles.push(needle);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Marks what a view shows of secrets.
    pub(super) fn hide(&self, view: &View, whose: Whose, hidden: &mut [bool]) {
        // What is compared, and where in the view it stands.
        let (text, places): (Vec<u8>, Vec<usize>) =
            view.iter().enumerate().filter_map(|(at, shown)| Some((plain(shown.byte)?, at))).unzip();
        let mut mark = |from: usize, to: usize| {
            let (first, last) = (&view[places[from]], &view[places[to - 1]]);
            hidden[first.from as usize..last.to as usize].fill(true);
        };
        let mut at = 0;
        while at < text.len() {
            let mut next = at + 1;
            if let Some(first) = text[at..].first_chunk::<SHORTEST>()
                && let Some(found) = self.short.get(first)
            {
                for number in found {
                    let Needle { bytes, is_word } = &self.needles[*number as usize];
                    let whole = || !is_word || (whose == Whose::Foreign && is_whole_word(view, &places[at..at + bytes.len()]));
                    if text[at..].starts_with(bytes) && whole() {
                        mark(at, at + bytes.len());
                    }
                }
            }
            if let Some(window) = text[at..].first_chunk::<WINDOW>()
                && let Some(found) = self.long.get(window)
            {
                for (number, offset) in found {
                    let Needle { bytes, is_word } = &self.needles[*number as usize];
                    let offset = *offset as usize;
                    let same = |(one, other): &(&u8, &u8)| one == other;
                    let before = text[..at].iter().rev().zip(bytes[..offset].iter().rev()).take_while(same).count();
                    let behind = text[at..].iter().zip(&bytes[offset..]).take_while(same).count();
                    let is_beginning = before == offset && before + behind >= BEGINNING && !is_word;
                    if before + behind >= PIECE || is_beginning {
                        mark(at - before, at + behind);
                        next = next.max((at + behind).saturating_sub(STEP));
                    }
                }
            }
            at = next;
        }
    }
}

/// Whether what stands at these places of a view is not a part of a longer word.
fn is_whole_word(view: &View, places: &[usize]) -> bool {
    let (Some(first), Some(last)) = (places.first(), places.last()) else { return false };
    let is_letter = |at: Option<usize>| at.and_then(|at| view.get(at)).is_some_and(|shown| shown.byte.is_ascii_alphanumeric());
    !is_letter(first.checked_sub(1)) && !is_letter(last.checked_add(1))
}
