//! The only two ways in which text that is not ours gets into a message: [`foreign_text`] for what somebody answered,
//! [`admin_text`] for what an admin typed.
//!
//! Whoever answers may repeat what we sent: a proxy's page titled with the URL it blocked, an error that quotes the request. So
//! every [`Secret`](crate::secret::Secret) of this process is known here, and any piece of one, raw or encoded, is replaced by
//! `***`. An admin may paste a secret into the wrong field, or write one into a URL: of a setting only what has the shape of
//! something harmless is shown.

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What stands in place of a secret.
const MASK: &str = "***";
/// The longest piece of somebody else's text that goes into a message, in characters.
const LONGEST: usize = 300;
/// The longest piece of a setting that goes into a message, in characters.
const LONGEST_SETTING: usize = 120;
/// So many bytes in a row that stand in a secret too are taken for a part of it: whoever quotes may cut.
const PIECE: usize = 12;
/// A shorter secret is not looked for: masking every `ab` would make messages unreadable and tell the secret by its gaps.
const SHORTEST: usize = 4;
/// The most bytes of a text that are searched. What is behind them is not shown either.
const SEARCHED: usize = 64 << 10;
/// How many secrets are known at once. A process that runs for months renews its tokens; what was used last is kept.
const KNOWN: usize = 128;

static SECRETS: Mutex<VecDeque<String>> = Mutex::new(VecDeque::new());

fn secrets() -> MutexGuard<'static, VecDeque<String>> {
    SECRETS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers a secret, so that no message repeats it. [`Secret`](crate::secret::Secret) calls it when one is made and when one
/// is sent.
pub(crate) fn remember(secret: &str) {
    let mut known = secrets();
    if known.back().is_some_and(|newest| newest == secret) {
        return;
    }
    known.retain(|other| other != secret);
    if known.len() >= KNOWN {
        known.pop_front();
    }
    known.push_back(secret.to_owned());
}

/// Text of whoever answered, fit for one line of ours: without anything secret that we sent, white space and control
/// characters as single spaces, cut after 300 characters.
pub fn foreign_text(text: &str) -> String {
    one_line(&without_shapes(&without_secrets(front(text, SEARCHED))), LONGEST)
}

/// As much of a setting that an admin typed as can be shown in a message: one line of at most 120 characters, without known
/// secrets, credentials, queries, the values of a connection string, and words that look like keys.
pub fn admin_text(text: &str) -> String {
    let text = without_secrets(front(text, SEARCHED));
    one_line(&without_keys(without_credentials(&text)), LONGEST_SETTING)
}

/// The text without any piece of a secret that this process holds, however it is encoded: percent signs, entities of XML,
/// escapes of JSON, and these within each other.
pub fn without_secrets(text: &str) -> String {
    let mut hidden = vec![false; text.len()];
    let secrets: Vec<Needle> = secrets().iter().flat_map(|secret| secret_parts(secret)).flat_map(forms).collect();
    let mut view: View = text.bytes().enumerate().map(|(at, byte)| (byte, at, at + 1)).collect();
    // What is encoded twice shows in the third view.
    for _ in 0..3 {
        for secret in &secrets {
            secret.hide(&view, &mut hidden);
        }
        let decoded = decoded(&view);
        if decoded.len() == view.len() {
            break;
        }
        view = decoded;
    }
    let mut shown = String::with_capacity(text.len());
    let mut masked = false;
    for (at, c) in text.char_indices() {
        let hide = hidden[at..at + c.len_utf8()].contains(&true);
        match (hide, masked) {
            (true, false) => shown.push_str(MASK),
            (true, true) => {}
            (false, _) => shown.push(c),
        }
        masked = hide;
    }
    shown
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

/// The bytes of a text as they read when decoded, each with the range of the original that it stands for.
type View = Vec<(u8, usize, usize)>;

/// A secret as it is held, and decoded: a signature is held as it is sent, encoded, and whoever quotes it may have decoded it.
fn forms(secret: &str) -> impl Iterator<Item = Needle> {
    let plain: Vec<u8> = percent_encoding::percent_decode_str(secret).collect();
    let other = (plain != secret.as_bytes()).then_some(plain);
    Needle::new(secret.as_bytes()).into_iter().chain(other.and_then(|plain| Needle::new(&plain)))
}

/// What to look for: a secret in lower case, since a page may show a URL in another case.
enum Needle {
    /// All of it.
    Whole(Vec<u8>),
    /// Every run of [`PIECE`] bytes in it.
    Pieces(HashSet<[u8; PIECE]>),
}

impl Needle {
    /// `None` for what is too short to be looked for.
    fn new(secret: &[u8]) -> Option<Self> {
        let secret = secret.to_ascii_lowercase();
        let pieces: HashSet<[u8; PIECE]> = secret.windows(PIECE).filter_map(|piece| piece.try_into().ok()).collect();
        match secret.len() {
            ..SHORTEST => None,
            SHORTEST..PIECE => Some(Self::Whole(secret)),
            _ => Some(Self::Pieces(pieces)),
        }
    }

    fn hide(&self, view: &View, hidden: &mut [bool]) {
        let length = match self {
            Self::Whole(secret) => secret.len(),
            Self::Pieces(_) => PIECE,
        };
        for part in view.windows(length) {
            let found = match self {
                Self::Whole(secret) => part.iter().zip(secret).all(|(shown, byte)| shown.0.eq_ignore_ascii_case(byte)),
                Self::Pieces(pieces) => pieces.contains(&std::array::from_fn(|at| part[at].0.to_ascii_lowercase())),
            };
            if found {
                for (_, from, to) in part {
                    hidden[*from..*to].fill(true);
                }
            }
        }
    }
}

/// One layer of encoding less.
fn decoded(view: &View) -> View {
    let mut out = View::with_capacity(view.len());
    let mut at = 0;
    while let Some((byte, from, to)) = view.get(at) {
        match escape(&view[at..]) {
            Some((bytes, length)) => {
                let to = view[at + length - 1].2;
                out.extend(bytes.into_iter().map(|byte| (byte, *from, to)));
                at += length;
            }
            None => {
                out.push((*byte, *from, *to));
                at += 1;
            }
        }
    }
    out
}

/// The bytes that an escape at the beginning stands for, and its length.
fn escape(view: &[(u8, usize, usize)]) -> Option<(Vec<u8>, usize)> {
    let ascii = |from: usize, to: usize| -> Option<String> {
        view.get(from..to)?.iter().map(|(byte, ..)| byte.is_ascii().then_some(char::from(*byte))).collect()
    };
    let scalar = |code: u32| char::from_u32(code).map(|c| c.to_string().into_bytes());
    match view.first()?.0 {
        b'%' => Some((vec![u8::from_str_radix(&ascii(1, 3)?, 16).ok()?], 3)),
        b'\\' if view.get(1)?.0 == b'u' => Some((scalar(u32::from_str_radix(&ascii(2, 6)?, 16).ok()?)?, 6)),
        b'\\' => Some((vec![Some(view.get(1)?.0).filter(|byte| b"\"\\/".contains(byte))?], 2)),
        b'&' => {
            let end = view.iter().take(10).position(|(byte, ..)| *byte == b';')?;
            let name = ascii(1, end)?;
            let bytes = match name.as_str() {
                "amp" => vec![b'&'],
                "lt" => vec![b'<'],
                "gt" => vec![b'>'],
                "quot" => vec![b'"'],
                "apos" => vec![b'\''],
                _ => {
                    let number = name.strip_prefix('#')?;
                    scalar(match number.strip_prefix(['x', 'X']) {
                        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                        None => number.parse().ok()?,
                    })?
                }
            };
            Some((bytes, end + 1))
        }
        _ => None,
    }
}

/// Names whose values are secrets wherever they appear, in lower case.
const SECRET_NAMES: [&str; 12] = [
    "sig",
    "signature",
    "sharedaccesskey",
    "sharedaccesssignature",
    "accountkey",
    "client_secret",
    "client_assertion",
    "access_token",
    "refresh_token",
    "password",
    "bearer",
    "basic",
];

/// The text without what has the shape of a secret, whoever's it is: values behind a secret's name, and tokens (`eyJ…`).
fn without_shapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // Whether the last word was a secret's name, and only delimiters came since.
    let mut named = false;
    let mut rest = text;
    while !rest.is_empty() {
        let is_word = |c: char| c.is_alphanumeric() || "_-+/.~%!*$".contains(c);
        let word = &rest[..rest.find(|c| !is_word(c)).unwrap_or(rest.len())];
        if word.is_empty() {
            let c = rest.chars().next().unwrap_or_default();
            // `sig=x`, `"client_secret": "x"`, `Bearer x`; a full stop or a comma ends it.
            named &= c.is_whitespace() || "=:\"'".contains(c);
            out.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        }
        let lower = word.to_ascii_lowercase();
        let is_name = SECRET_NAMES.iter().any(|name| lower == *name || lower.ends_with(&format!("%26{name}")));
        let encoded = SECRET_NAMES.iter().any(|name| lower.contains(&format!("{name}%3d")));
        let is_token = word.len() > 20 && word.contains("eyJ");
        let key_like = word.len() >= SHORTEST && word.chars().any(|c| !c.is_ascii_lowercase());
        if is_token || encoded || (named && key_like) {
            out.push_str(MASK);
            named = false;
        } else {
            out.push_str(word);
            named = is_name;
        }
        rest = &rest[word.len()..];
    }
    out
}

/// A setting without what may be credentials: of a URL the user information, the query and the fragment, of a connection string
/// everything behind its first name.
fn without_credentials(text: &str) -> String {
    let scheme =
        text.find("://").filter(|at| text[..*at].bytes().all(|byte| byte.is_ascii_alphanumeric())).map_or(0, |at| at + 3);
    let (scheme, rest) = text.split_at(scheme);
    let rest = match rest.rsplit_once('@') {
        // The @ may stand in a query, or the ? in a password: neither side can be told.
        Some((before, after)) if before.contains(['?', '#']) || after.is_empty() => return format!("{scheme}{MASK}"),
        Some((_, after)) => format!("{MASK}@{after}"),
        None => rest.to_owned(),
    };
    let cut = match rest.find(['?', ';', '=', '#']) {
        Some(at) => format!("{}{}{MASK}", &rest[..at], &rest[at..=at]),
        None => rest,
    };
    // `user:password` without a host: what follows a colon has to be a port, or a time's minutes.
    let number = |text: &str| text.chars().next().is_none_or(|c| c.is_ascii_digit() || "/\\ ]:".contains(c));
    match cut.match_indices(':').find(|(at, _)| !number(&cut[at + 1..])) {
        Some((at, _)) => format!("{scheme}{}:{MASK}", &cut[..at]),
        None => format!("{scheme}{cut}"),
    }
}

/// A setting without words that look like keys: 20 characters or more with capitals, small letters and digits or the signs of
/// Base64 among them, and no parts such as paths, times and GUIDs have.
fn without_keys(text: String) -> String {
    let is_key = |word: &str| {
        let long = word.len() >= 20;
        let has = |test: fn(char) -> bool| word.chars().any(test);
        let mixed = has(|c| c.is_ascii_lowercase()) && has(|c| c.is_ascii_uppercase()) && has(|c| c.is_ascii_digit());
        long && (mixed || has(|c| c == '~' || c == '+'))
    };
    if !text.split([' ', '/', '\\', '.', ':', '\'', '"', '(', ')', ',']).any(is_key) {
        return text;
    }
    text.split(' ').map(|word| if word.len() >= 20 { MASK } else { word }).collect::<Vec<_>>().join(" ")
}

/// White space and control characters as single spaces, cut after a number of characters.
fn one_line(text: &str, longest: usize) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty());
    let line = words.collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The first bytes of a text, up to a character's boundary.
fn front(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_is_one_short_line() {
        assert_eq!(foreign_text("a\r\n\tb\u{0}\u{1b}[31mc  d"), "a b [31mc d");
        assert_eq!(foreign_text(&"ü".repeat(400)).chars().count(), 301);
        assert_eq!(foreign_text(" \n"), "");
    }

    #[test]
    fn a_secret_is_found_however_it_is_quoted() {
        let secret = "Xy8~q/p+W=\"ü&klmNO-long";
        remember(secret);
        for quoted in [
            secret.to_owned(),
            secret.to_ascii_uppercase(),
            "Xy8%7Eq%2Fp%2BW%3D%22%C3%BC%26klmNO-long".to_owned(),
            "Xy8%257eq%252fp%252bW%253d%2522%25c3%25bc%2526klmNO-long".to_owned(),
            "Xy8~q/p+W=&quot;&#252;&amp;klmNO-long".to_owned(),
            "Xy8~q\\/p\\u002bW=\\\"\\u00fc&klmNO-long".to_owned(),
        ] {
            assert_eq!(foreign_text(&format!("blocked: {quoted}!")), "blocked: ***!", "{quoted}");
        }
        // Whoever quotes may cut.
        assert_eq!(foreign_text("got Xy8~q/p+W=\"ü&k…"), "got ***…");
        remember("pw1!");
        assert_eq!(foreign_text("user svc, pw1! is wrong"), "user svc, *** is wrong");
    }

    #[test]
    fn what_is_no_secret_of_a_connection_string_is_shown() {
        remember("Endpoint=sb://soc-hub.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0LWtleS0xMjM=");
        remember("sv=2022-11-02&sr=c&sp=rl&se=2027-01-01T00:00:00Z&sig=Zm9vYmFyYmF6cXV4%2BAb%3D");
        assert_eq!(
            foreign_text("soc-hub.servicebus.windows.net refused c2VjcmV0LWtleS0xMjM="),
            "soc-hub.servicebus.windows.net refused ***"
        );
        assert_eq!(foreign_text("se=2027-01-01T00:00:00Z is over, Zm9vYmFyYmF6cXV4+Ab="), "se=2027-01-01T00:00:00Z is over, ***");
    }

    #[test]
    fn shapes_of_secrets_are_masked_whoever_they_belong_to() {
        for (said, shown) in [
            ("GET /c?sv=2022&sig=aB%2Fc12345%3D&se=1 blocked", "GET /c?sv=2022&sig=***&se=1 blocked"),
            ("https%3A%2F%2Fx%3Fsv%3D1%26sig%3DaBcd12345", "***"),
            ("Authorization: Bearer AbC.d3f", "Authorization: Bearer ***"),
            ("{\"client_secret\": \"Q~1aaaa\"}", "{\"client_secret\": \"***\"}"),
            ("token eyJ0eXAiOiJKV1QiLCJhbGciOi.x.y is bad", "token *** is bad"),
            ("SharedAccessKeyName=listen;SharedAccessKey=abc1=", "SharedAccessKeyName=listen;SharedAccessKey=***="),
            ("Bearer token is missing", "Bearer token is missing"),
            ("the password has expired", "the password has expired"),
        ] {
            assert_eq!(foreign_text(said), shown);
        }
    }

    #[test]
    fn settings_are_shown_without_what_may_be_a_secret() {
        for (typed, shown) in [
            ("proxy:3128", "proxy:3128"),
            ("http://proxy.example:3128/", "http://proxy.example:3128/"),
            ("svc:s3cret@host:3128", "***@host:3128"),
            ("http://svc:s3cret@host:3128", "http://***@host:3128"),
            ("http://svc:p@ss@host", "http://***@host"),
            ("http://svc:p?ss@host", "http://***"),
            ("http://svc:s3 cret@ho st", "http://***@ho st"),
            ("svc:secret", "svc:***"),
            ("http://svc:secret", "http://svc:***"),
            ("https://x.example/c?sig=s3@cret", "https://***"),
            ("https://x.example/c?sig=s3cret", "https://x.example/c?***"),
            ("Endpoint=sb://x/;SharedAccessKey=abc", "Endpoint=***"),
            ("a b;s3cret", "a b;***"),
            ("2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z"),
            ("11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-555555555555"),
            ("abc8Q~0123456789abcdefghijABCDEFGHIJ", "***"),
            ("/opt/splunk/etc/auth/cacert.pem", "/opt/splunk/etc/auth/cacert.pem"),
            ("[::1]:80", "[::1]:80"),
            ("earliest", "earliest"),
        ] {
            assert_eq!(admin_text(typed), shown, "{typed}");
        }
    }

    #[test]
    fn a_key_is_masked_and_what_it_is_called_is_not() {
        let line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDBmaskedkey01";
        for secret in [
            format!("-----BEGIN PRIVATE KEY-----\n{line}\n-----END PRIVATE KEY-----\n"),
            format!("-----BEGIN PRIVATE KEY----- {line} -----END PRIVATE KEY-----"),
            format!("3:-----BEGIN PRIVATE KEY-----\n{line}"),
            format!("{line}\n-----END PRIV"),
            "ATE KEY-----\n".to_owned(),
        ] {
            remember(&secret);
            assert_eq!(foreign_text("the private key is not its own"), "the private key is not its own", "{secret}");
            assert!(!secret.contains(line) || foreign_text(&format!("x {line} y")) == "x *** y", "{secret}");
        }
    }
}
