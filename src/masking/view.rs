//! A text as it reads when something of its encoding is undone, each byte with the part of the original it stands for.

/// One byte of a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub(super) byte: u8,
    /// The bytes of the original that it stands for.
    pub(super) from: u32,
    pub(super) to: u32,
}

pub(super) type View = Vec<Shown>;

/// A shorter run is no Base64 and no hexadecimal digits of anything worth looking for: what is encoded would have less than
/// four bytes.
const RUN: usize = 6;

/// The text as it is.
pub(super) fn of(text: &str) -> View {
    (0u32..).zip(text.bytes()).map(|(at, byte)| Shown { byte, from: at, to: at + 1 }).collect()
}

/// One layer of escapes less: percent signs, entities of XML and HTML, and the escapes of JSON, of scripts and of source code.
/// `None` where there is none.
pub(super) fn unescaped(view: &View) -> Option<View> {
    replaced(view, |rest| match rest.first()?.byte {
        b'%' => percent(rest),
        b'\\' => backslash(rest),
        b'&' => entity(rest),
        _ => None,
    })
}

/// The text as quoted-printable, which mail and some gateways write: `=2B`, and `=` at the end of a line that goes on. `None`
/// where there is none.
pub(super) fn unquoted(view: &View) -> Option<View> {
    replaced(view, |rest| {
        if rest.first()?.byte != b'=' {
            return None;
        }
        match (rest.get(1)?.byte, rest.get(2).map(|shown| shown.byte)) {
            (b'\r', Some(b'\n')) => Some((Vec::new(), 3)),
            (b'\n', _) => Some((Vec::new(), 2)),
            _ => Some((vec![hex(rest, 1, 3)?.try_into().ok()?], 3)),
        }
    })
}

/// What runs of Base64 and of hexadecimal digits stand for, wherever they begin.
pub(super) fn decoded_runs(view: &View) -> Vec<View> {
    let mut views = Vec::new();
    for (alphabet, group, bits) in [(base64 as fn(u8) -> Option<u32>, 4, 6), (digit, 2, 4)] {
        // Line breaks within a run are those of its wrapping.
        let packed: Vec<(Option<u32>, Shown)> = view
            .iter()
            .filter(|shown| !matches!(shown.byte, b'\r' | b'\n'))
            .map(|shown| (alphabet(shown.byte), *shown))
            .collect();
        for run in packed.split(|(value, _)| value.is_none()).filter(|run| run.len() >= RUN) {
            for skipped in 0..group {
                views.push(bytes_of(&run[skipped..], bits));
            }
        }
    }
    views
}

/// The bytes that a run's bits make, each with all characters that have a part in it.
fn bytes_of(run: &[(Option<u32>, Shown)], bits: usize) -> View {
    (0..run.len() * bits / 8)
        .filter_map(|number| {
            let characters = run.get(number * 8 / bits..=(number * 8 + 7) / bits)?;
            let value = characters.iter().fold(0u32, |value, (part, _)| (value << bits) | part.unwrap_or(0));
            let behind = (number * 8 + 7) / bits * bits + bits - (number + 1) * 8;
            let ((_, first), (_, last)) = (characters.first()?, characters.last()?);
            Some(Shown { byte: (value >> behind) as u8, from: first.from, to: last.to })
        })
        .collect()
}

fn base64(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    }))
}

fn digit(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

/// A view in which what `escape` finds at a place, and how long it is there, is replaced.
fn replaced(view: &View, escape: impl Fn(&[Shown]) -> Option<(Vec<u8>, usize)>) -> Option<View> {
    let mut out = View::with_capacity(view.len());
    let (mut at, mut found) = (0, false);
    while let Some(shown) = view.get(at) {
        match escape(&view[at..]) {
            Some((bytes, length)) => {
                found = true;
                let to = view[at + length - 1].to;
                out.extend(bytes.into_iter().map(|byte| Shown { byte, from: shown.from, to }));
                at += length;
            }
            None => {
                out.push(*shown);
                at += 1;
            }
        }
    }
    found.then_some(out)
}

/// A number in hexadecimal digits.
fn hex(view: &[Shown], from: usize, to: usize) -> Option<u32> {
    view.get(from..to)?.iter().try_fold(0u32, |value, shown| Some(value.checked_mul(16)? + digit(shown.byte)?))
}

fn scalar(code: u32) -> Option<Vec<u8>> {
    char::from_u32(code).map(|c| c.to_string().into_bytes())
}

/// `%2B`, and `%u002B` of old scripts.
fn percent(view: &[Shown]) -> Option<(Vec<u8>, usize)> {
    if matches!(view.get(1)?.byte, b'u' | b'U') {
        return Some((scalar(hex(view, 2, 6)?)?, 6));
    }
    Some((vec![hex(view, 1, 3)?.try_into().ok()?], 3))
}

/// `\u002b`, `\u{2b}`, `\x2b`, `\"`, `\n`.
fn backslash(view: &[Shown]) -> Option<(Vec<u8>, usize)> {
    match view.get(1)?.byte {
        b'u' if view.get(2)?.byte == b'{' => {
            let end = view.iter().take(10).position(|shown| shown.byte == b'}')?;
            Some((scalar(hex(view, 3, end)?)?, end + 1))
        }
        b'u' => Some((scalar(hex(view, 2, 6)?)?, 6)),
        b'x' => Some((vec![hex(view, 2, 4)?.try_into().ok()?], 4)),
        b'n' | b'r' | b't' => Some((vec![b' '], 2)),
        byte @ (b'"' | b'\'' | b'\\' | b'/') => Some((vec![byte], 2)),
        _ => None,
    }
}

/// The names of HTML for what secrets are made of.
const ENTITIES: [(&str, u8); 35] = [
    ("amp", b'&'),
    ("lt", b'<'),
    ("gt", b'>'),
    ("quot", b'"'),
    ("apos", b'\''),
    ("sol", b'/'),
    ("plus", b'+'),
    ("equals", b'='),
    ("num", b'#'),
    ("percnt", b'%'),
    ("lowbar", b'_'),
    ("colon", b':'),
    ("semi", b';'),
    ("excl", b'!'),
    ("quest", b'?'),
    ("commat", b'@'),
    ("dollar", b'$'),
    ("ast", b'*'),
    ("lpar", b'('),
    ("rpar", b')'),
    ("lsqb", b'['),
    ("lbrack", b'['),
    ("rsqb", b']'),
    ("rbrack", b']'),
    ("lcub", b'{'),
    ("lbrace", b'{'),
    ("rcub", b'}'),
    ("rbrace", b'}'),
    ("verbar", b'|'),
    ("vert", b'|'),
    ("bsol", b'\\'),
    ("hat", b'^'),
    ("grave", b'`'),
    ("period", b'.'),
    ("comma", b','),
];

/// `&plus;`, `&#43;`, `&#x2b;`, and the numbers also without their end, as browsers read them.
fn entity(view: &[Shown]) -> Option<(Vec<u8>, usize)> {
    if view.get(1)?.byte == b'#' {
        let is_hex = matches!(view.get(2)?.byte, b'x' | b'X');
        let (first, base) = if is_hex { (3, 16) } else { (2, 10) };
        let digits: String =
            view[first..].iter().take(8).map(|shown| char::from(shown.byte)).take_while(|c| c.is_digit(base)).collect();
        let end = first + digits.len();
        let ended = usize::from(view.get(end).is_some_and(|shown| shown.byte == b';'));
        return Some((scalar(u32::from_str_radix(&digits, base).ok()?)?, end + ended));
    }
    let end = view.iter().take(8).position(|shown| shown.byte == b';')?;
    let name: String = view[1..end].iter().map(|shown| char::from(shown.byte).to_ascii_lowercase()).collect();
    if name == "nbsp" {
        return Some((vec![b' '], end + 1));
    }
    ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, byte)| (vec![*byte], end + 1))
}
