//! The only two ways in which text that is not ours gets into a message: [`foreign_text`] for what somebody answered,
//! [`admin_text`] for what an admin typed.
//!
//! Whoever answers may repeat what we sent: a proxy's page titled with the URL it blocked, an error that quotes the request. So
//! every [`Secret`](crate::secret::Secret) of this process is known here, and any piece of one, raw or encoded, is replaced by
//! `***`. A secret that is no more than a common word is masked where it stands as a word in somebody else's text. An admin may paste a secret into the wrong field, or write one into a URL: of a setting only what has the shape of
//! something harmless is shown.

mod known;
mod view;

pub(crate) use known::remember;

use known::Whose;

/// What stands in place of a secret.
const MASK: &str = "***";
/// The longest piece of somebody else's text that goes into a message, in characters.
const LONGEST: usize = 300;
/// The longest piece of a setting that goes into a message, in characters.
const LONGEST_SETTING: usize = 120;
/// The most bytes of a text that are searched. What is behind them is not shown either.
const SEARCHED: usize = 64 << 10;
/// How many layers of escapes are undone: a URL in a URL in a JSON text in a web page.
const LAYERS: usize = 4;
/// The shortest word that may be a key or a password.
const SHORTEST: usize = 4;

/// Text of whoever answered, fit for one line of ours: without anything secret that we sent, white space and control
/// characters as single spaces, cut after 300 characters.
pub fn foreign_text(text: &str) -> String {
    one_line(&without_shapes(&masked(front(text, SEARCHED), Whose::Foreign)), LONGEST)
}

/// As much of a setting that an admin typed as can be shown in a message: one line of at most 120 characters, without known
/// secrets, credentials, queries, the values of a connection string, and words that look like keys.
pub fn admin_text(text: &str) -> String {
    let text = masked(front(text, SEARCHED), Whose::Foreign);
    one_line(&without_keys(without_credentials(&text)), LONGEST_SETTING)
}

/// The text without any piece of a secret that this process holds, however it is encoded: percent signs, entities of XML,
/// escapes of JSON, and these within each other; Base64, quoted-printable, hexadecimal digits; wrapped lines. For text that was put
/// together here: a secret that is a short word of small letters is left, since it may be meant as the word.
pub fn without_secrets(text: &str) -> String {
    masked(text, Whose::Ours)
}

fn masked(text: &str, whose: Whose) -> String {
    let index = known::index();
    if index.is_empty() {
        return text.to_owned();
    }
    let mut hidden = vec![false; text.len()];
    if whose == Whose::Foreign {
        hide_tokens(text, &mut hidden);
    }
    let mut view = view::of(text);
    // What is encoded twice shows in the third view.
    for _ in 0..LAYERS {
        index.hide(&view, whose, &mut hidden);
        for other in view::unquoted(&view).into_iter().chain(view::decoded_runs(&view)) {
            index.hide(&other, whose, &mut hidden);
        }
        let Some(unescaped) = view::unescaped(&view) else { break };
        view = unescaped;
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

/// Marks each token as a whole: where only its beginning is known from another one, what follows its dots would be shown.
fn hide_tokens(text: &str, hidden: &mut [bool]) {
    let mut at = 0;
    for piece in text.split_inclusive(|c| !is_word(c)) {
        let word = piece.trim_end_matches(|c| !is_word(c));
        if is_token(word) {
            hidden[at..at + word.len()].fill(true);
        }
        at += piece.len();
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "_-+/.~%!*$".contains(c)
}

fn is_token(word: &str) -> bool {
    word.len() > 20 && word.contains("eyJ")
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
        let key_like = word.len() >= SHORTEST && word.chars().any(|c| !c.is_ascii_lowercase());
        if is_token(word) || encoded || (named && key_like) {
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
        // A person: nobody writes a password so.
        Some((before, after)) if scheme.is_empty() && !before.contains([':', '/', ' ']) && is_domain(after) => {
            format!("{before}@{after}")
        }
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

fn is_domain(text: &str) -> bool {
    text.contains('.') && text.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '-')
}

/// A setting without words that look like keys or passwords: 20 characters or more of letters and digits that change all the
/// time, as those of random texts do and those of names do not; signs of Base64 or of Entra's secrets in as many; 24 hexadecimal
/// digits and more; eight or more with letters, digits and signs that names and addresses do not have. Paths, times and GUIDs have
/// parts, which are looked at one by one.
fn without_keys(text: String) -> String {
    let is_key = |word: &str| {
        let has = |test: fn(char) -> bool| word.chars().any(test);
        let (letters, digits) = (has(|c| c.is_ascii_alphabetic()), has(|c| c.is_ascii_digit()));
        let random = letters && digits && changes(word) * 4 > word.len();
        let long = word.len() >= 20 && !is_guid(word) && (random || has(|c| c == '~' || c == '+'));
        let hex = word.len() >= 24 && letters && digits && word.chars().all(|c| c.is_ascii_hexdigit());
        let password = word.len() >= 8 && letters && digits && has(|c| "!$%^&~+|<>{}`?".contains(c) || !c.is_ascii());
        long || hex || password
    };
    if !text.split([' ', '/', '\\', '.', ':', '\'', '"', '(', ')', ',']).any(is_key) {
        return text;
    }
    text.split(' ').map(|word| if word.len() >= 8 { MASK } else { word }).collect::<Vec<_>>().join(" ")
}

/// How often small letters, capitals and digits follow on another kind. A capital that begins a word is none of it.
fn changes(word: &str) -> usize {
    let kind = |byte: u8| match byte {
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let is_change =
        |pair: &&[u8]| !matches!((kind(pair[0]), kind(pair[1])), (0, _) | (_, 0) | (2, 1)) && kind(pair[0]) != kind(pair[1]);
    word.as_bytes().windows(2).filter(is_change).count()
}

fn is_guid(word: &str) -> bool {
    word.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && word.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
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
#[allow(clippy::unwrap_used)]
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
        let _held = remember(secret);
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
        let _held = remember("pw1!");
        assert_eq!(foreign_text("user svc, pw1! is wrong"), "user svc, *** is wrong");
    }

    /// A text in each of the ways in which services, proxies and pages quote.
    fn quoted(secret: &str) -> Vec<(&'static str, String)> {
        use base64::Engine as _;
        use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
        let each = |form: &dyn Fn(u8) -> String| secret.bytes().map(form).collect::<String>();
        let chars = |form: &dyn Fn(char) -> String| secret.chars().map(form).collect::<String>();
        let percent = each(&|byte| format!("%{byte:02X}"));
        let wrapped = |text: &str, with: &str| {
            text.chars()
                .enumerate()
                .map(|(at, c)| if at % 9 == 8 { format!("{c}{with}") } else { c.to_string() })
                .collect::<String>()
        };
        vec![
            ("as it is", secret.to_owned()),
            ("capitals", secret.to_ascii_uppercase()),
            ("percent", percent.clone()),
            ("form", percent.replace("%20", "+")),
            ("percent twice", percent.replace('%', "%25")),
            ("percent three times", percent.replace('%', "%2525")),
            ("json", chars(&|c| format!("\\u{:04x}", u32::from(c)))),
            ("json in json", serde_json::to_string(&serde_json::to_string(secret).unwrap()).unwrap()),
            ("entities in decimals", chars(&|c| format!("&#{};", u32::from(c)))),
            ("entities in hexadecimals", chars(&|c| format!("&#x{:X};", u32::from(c)))),
            ("entities without end", chars(&|c| format!("&#x{:X}", u32::from(c)))),
            ("entities of percent", percent.replace('%', "&percnt;")),
            ("base64", STANDARD.encode(secret)),
            ("base64 for URLs", URL_SAFE_NO_PAD.encode(secret)),
            ("base64 of a login", STANDARD.encode(format!("svc:{secret}"))),
            ("base64 of a longer one", STANDARD.encode(format!("svc12:{secret}@x"))),
            ("base64 in percent", STANDARD.encode(secret).replace('=', "%3D").replace('+', "%2B").replace('/', "%2F")),
            ("base64, wrapped", wrapped(&STANDARD.encode(secret), "\r\n")),
            ("hexadecimal", each(&|byte| format!("{byte:02x}"))),
            ("quoted-printable", each(&|byte| format!("={byte:02X}"))),
            ("quoted-printable, wrapped", wrapped(&secret.replace('=', "=3D"), "=\r\n")),
            ("wrapped", wrapped(secret, "\r\n  ")),
            ("wrapped in json", wrapped(secret, "\\n")),
            ("UTF-16", secret.chars().flat_map(|c| [c, '\0']).collect()),
            ("source", chars(&|c| format!("\\u{{{:x}}}", u32::from(c)))),
            ("script", each(&|byte| format!("\\x{byte:02x}"))),
        ]
    }

    #[test]
    fn a_secret_is_found_in_every_encoding() {
        for secret in [
            "kQ7~Zr9.vW_x-3bN+pL/8sT=hJ&dF%2m!",
            "a b c d pass phrase 77 with blanks",
            "Tr0ub4dor&3",
            "eyJ0eXAiOiJKV1QifQ.eyJyb2xlcyI6WyJBIl19.c2lnbmF0dXJlLW9mLXRoaXM",
            "pl\u{e4}sschen-9-w\u{f6}rd-zeichen",
        ] {
            let _held = remember(secret);
            // Any eight bytes of it would be too much.
            let pieces: Vec<String> =
                secret.as_bytes().windows(8).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
            for (how, text) in quoted(secret) {
                let shown = foreign_text(&format!("<p>blocked: {text} is no answer</p>"));
                assert!(
                    shown.contains(MASK) && shown.starts_with("<p>blocked: ") && shown.ends_with(" is no answer</p>"),
                    "{how}: {shown}"
                );
                assert!(
                    !pieces.iter().any(|piece| shown.to_ascii_lowercase().contains(&piece.to_ascii_lowercase())),
                    "{how}: {shown}"
                );
                // What is left of the encoding is less than its edges.
                assert!(shown.len() < 60, "{how}: {shown}");
            }
        }
    }

    #[test]
    fn a_secret_that_is_cut_is_found() {
        let _held = remember("vU5qHn2XwYt8LbRk4CzM");
        for (said, shown) in [
            ("got vU5qHn2X... for", "got ***... for"),
            ("got vU5qHn2XwYt8Lb\u{2026}", "got ***\u{2026}"),
            ("got ...wYt8LbRk4CzM", "got ...***"),
            ("got ...LbRk4CzM", "got ...LbRk4CzM"),
        ] {
            assert_eq!(foreign_text(said), shown);
        }
    }

    #[test]
    fn a_secret_that_is_a_word_is_masked_as_a_word_and_not_in_our_own_text() {
        let _held = remember("splunking");
        assert_eq!(foreign_text("wrong: splunking, not splunkings"), "wrong: ***, not splunkings");
        assert_eq!(foreign_text("q%3Dsplunking%26x"), "q%3D***%26x");
        assert_eq!(without_secrets("splunking goes on"), "splunking goes on");
        // A GUID is no secret, and what is short cannot be told from anything.
        let _held = remember("ab1");
        let plain = "tenant 11111111-2222-3333-4444-555555555555 ab1";
        assert_eq!(foreign_text(plain), plain);
    }

    #[test]
    fn a_secret_that_is_held_is_known_however_many_come_after_it() {
        let held = crate::secret::Secret::new("held-9sKd2-through-all");
        for number in 0..400 {
            remember(&format!("passing-token-number-{number}"));
        }
        assert_eq!(foreign_text("x held-9sKd2-through-all y"), "x *** y");
        drop(held);
    }

    /// 64 KiB against 128 secrets of the size of tokens is a matter of milliseconds, whatever stands there.
    #[test]
    fn hostile_texts_take_no_time() {
        let mut state = 7u64;
        let mut random = |length: usize| -> String {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(state >> 58) as usize])
            };
            (0..length).map(|_| next()).collect()
        };
        let secrets: Vec<_> = (0..128).map(|_| remember(&random(2500))).collect();
        let repeated = remember(&"a".repeat(2500));
        for text in [
            random(SEARCHED),
            "a".repeat(SEARCHED),
            "%25".repeat(SEARCHED / 3),
            "&#x25;".repeat(SEARCHED / 6),
            "=3D".repeat(SEARCHED / 3),
            secrets.iter().map(|secret| &secret[100..600]).collect(),
        ] {
            let begun = std::time::Instant::now();
            foreign_text(&text);
            // Without optimization, on a busy machine.
            assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?} for {}", begun.elapsed(), &text[..20]);
        }
        drop(repeated);
    }

    #[test]
    fn what_is_no_secret_of_a_connection_string_is_shown() {
        let _held = remember(
            "Endpoint=sb://soc-hub.servicebus.windows.net/;SharedAccessKeyName=listen;SharedAccessKey=c2VjcmV0LWtleS0xMjM=",
        );
        let _held = remember("sv=2022-11-02&sr=c&sp=rl&se=2027-01-01T00:00:00Z&sig=Zm9vYmFyYmF6cXV4%2BAb%3D");
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

    /// All tokens begin alike, so that of another account makes the beginning of this one known.
    #[test]
    fn a_token_is_masked_whole_though_only_its_beginning_is_known() {
        let _held = remember("eyJ0eXAiOiJKV1QiLCJub25jZSI6.one.two");
        assert_eq!(foreign_text("token eyJ0eXAiOiJKV1QiLCJub25jZSI6.x.y, bad"), "token ***, bad");
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
            ("ann.lee@contoso.example", "ann.lee@contoso.example"),
            ("svc:pw@contoso.example", "***@contoso.example"),
            ("http://secret@contoso.example", "http://***@contoso.example"),
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
            ("9f86d081884c7d659a2feaa0c55ad015", "***"),
            ("Summer2026!", "***"),
            ("soc-prod_2", "soc-prod_2"),
            ("Contoso-Defender-Incidents-2026", "Contoso-Defender-Incidents-2026"),
            ("contosoDefenderAlertsEurope01", "contosoDefenderAlertsEurope01"),
            ("da637578995287051192_756343937", "da637578995287051192_756343937"),
            ("01a2b3c4-d5e6-47f8-89a0-b1c2d3e4f5a6", "01a2b3c4-d5e6-47f8-89a0-b1c2d3e4f5a6"),
            ("aZ3bY9cX1dW7eV5fU2gT", "***"),
            ("x9k2m4p7q1w8e5r3t6y0", "***"),
            ("status eq 'new'", "status eq 'new'"),
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
