//! What splunkd and a persistent REST handler say to each other: `restmap.conf` with `scripttype = persist` and a `driver`
//! of one's own. splunkd starts the driver once and sends it one request after the other on standard input; standard
//! output is the wire, and nothing else may be written to it.
//!
//! The framing is not documented. It is that of Splunk's own `persistconn` modules, which are the default driver: see
//! `packet`.

mod packet;
mod request;

use std::io::{BufRead, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::masking;
use packet::Block;
pub use packet::WireError;
pub use request::Request;

/// What a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body. splunkd writes it as JSON.
    pub payload: Value,
}

impl Answer {
    /// 200 with a body.
    pub fn ok(payload: Value) -> Self {
        Self { status: 200, payload }
    }

    /// A refusal in the form of splunkd's own.
    pub fn error(status: u16, text: &str) -> Self {
        Self { status, payload: json!({"messages": [{"type": "ERROR", "text": text}]}) }
    }
}

/// Answers requests until standard input ends, which is how splunkd ends a handler.
///
/// # Errors
/// See [`WireError`]: after one the two sides no longer agree where a packet begins, so the process has to end; splunkd
/// starts another.
pub fn serve(
    mut input: impl BufRead,
    mut output: impl Write,
    mut answer: impl FnMut(&Request) -> Answer,
) -> Result<(), WireError> {
    let mut open = false;
    while let Some(packet) = packet::read(&mut input)? {
        if packet.opens {
            if open {
                return Err(WireError::OutOfTurn("a request begins before the one before it ended"));
            }
            open = true;
            // Of the script that it names there is only this one. No text is no error.
            reply(&mut output, b"")?;
        }
        if !open {
            return Err(WireError::OutOfTurn("a packet belongs to no request"));
        }
        if let Some(block) = packet.block {
            let answered = match block {
                Block::Whole(bytes) => match Request::read(&bytes) {
                    Ok(request) => answer(&request),
                    Err(fault) => Answer::error(400, &fault),
                },
                Block::TooLarge(length) => {
                    Answer::error(400, &format!("the request has {length} bytes, more than any request here needs"))
                }
            };
            let answered = Answer { payload: without_secrets(answered.payload), ..answered };
            reply(&mut output, &serde_json::to_vec(&answered).map_err(|e| WireError::Write(e.into()))?)?;
        }
        open = !packet.closes;
        output.flush().map_err(WireError::Write)?;
    }
    Ok(())
}

/// The last guard: whatever an answer was put together from, no secret of this process leaves with it.
fn without_secrets(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(masking::without_secrets(&text)),
        Value::Array(values) => values.into_iter().map(without_secrets).collect(),
        Value::Object(members) => members.into_iter().map(|(name, value)| (name, without_secrets(value))).collect(),
        other => other,
    }
}

fn reply(output: &mut impl Write, bytes: &[u8]) -> Result<(), WireError> {
    writeln!(output, "{}", bytes.len()).and_then(|()| output.write_all(bytes)).map_err(WireError::Write)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::{BufReader, Read};

    use proptest::prelude::*;

    use super::*;

    const REQUEST: &str =
        r#"{"method":"POST","rest_path":"/a","form":[["x","1"]],"session":{"authtoken":"k"},"server":{"rest_uri":"u"}}"#;

    fn block(json: &str) -> String {
        format!("{}\n{json}", json.len())
    }

    /// A whole request in one packet.
    fn joined(json: &str) -> String {
        format!("\x071\n8\ndefender0\n{}", block(json))
    }

    /// What is written for a whole input, with an answer that repeats the form.
    fn written(input: impl BufRead) -> (String, Result<(), WireError>) {
        let mut output = Vec::new();
        let end = serve(input, &mut output, |request| Answer::ok(json!(request.form)));
        (String::from_utf8(output).unwrap(), end)
    }

    const ANSWERED: &str = "0\n36\n{\"status\":200,\"payload\":[[\"x\",\"1\"]]}";

    /// Gives one byte at a time.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            (into[0], self.0) = (*first, rest);
            Ok(1)
        }
    }

    #[test]
    fn packets_joined_split_and_with_stray_newlines() {
        let block = block(REQUEST);
        let forms = [
            joined(REQUEST),
            format!("\x011\n8\ndefender0\n\x02{block}\x04"),
            format!("\x031\n8\ndefender0\n{block}\x04"),
            format!("\n\n\x09\n\n3\n\n8\ndefender6\n--rest0\n\n4\nabcd\n\n\x0e\n{block}\n"),
        ];
        for form in &forms {
            for whole in [written(form.as_bytes()), written(BufReader::with_capacity(1, Trickle(form.as_bytes())))] {
                assert_eq!(whole.0, ANSWERED, "{form:?}");
                assert!(whole.1.is_ok());
            }
        }
        let (text, end) = written(forms.concat().as_bytes());
        assert_eq!(text, ANSWERED.repeat(forms.len()));
        assert!(end.is_ok());
    }

    #[test]
    fn a_request_that_is_none_is_answered_and_the_next_is_served() {
        let large = "x".repeat(2 << 20);
        for (json, part) in [
            ("", "is not a JSON object"),
            ("[]", "is not a JSON object"),
            ("{\"method\":\"s3cr3t", "is not a JSON object"),
            ("{\"method\":[\"s3cr3t\"]}", "is not a JSON object"),
            (large.as_str(), "2097152 bytes"),
        ] {
            let (text, end) = written(format!("{}{}", joined(json), joined(REQUEST)).as_bytes());
            assert!(text.contains("\"status\":400") && text.contains(part) && !text.contains("s3cr3t"), "{text}");
            assert!(text.ends_with(ANSWERED) && end.is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_packet_ends_the_conversation() {
        let table: [(&str, &str); 16] = [
            ("\x10", "no packet begins with byte 0x10"),
            ("GET / HTTP/1.1", "no packet begins with byte 0x47"),
            ("\0", "no packet begins with byte 0x00"),
            ("\x08", "no packet begins with byte 0x08"),
            ("\x02", "ended inside a packet"),
            ("\x011\n8\ndef", "ended inside a packet"),
            ("\x071\n8\ndefender0\n99\n{}", "ended inside a packet"),
            ("\x071\n8\ndefender0\n99999999999\n{}", "ended inside a packet"),
            ("\x01-1\n", "a length is not a number"),
            ("\x01 1\n", "a length is not a number"),
            ("\x0118446744073709551616\n", "a length is not a number"),
            ("\x01100000\n", "100000 words"),
            ("\x011\n999999999999\n", "999999999999 bytes"),
            ("\x022\n{}", "belongs to no request"),
            ("\x04", "belongs to no request"),
            ("\x011\n1\na0\n\x011\n1\na0\n", "before the one before it ended"),
        ];
        for (input, part) in table {
            let (_, end) = written(input.as_bytes());
            let error = end.unwrap_err().to_string();
            assert!(error.contains(part), "{input:?}: {error}");
        }
        // The end between packets is none, also inside a request.
        for input in ["", "\n\n", "\x011\n1\na0\n"] {
            assert!(written(input.as_bytes()).1.is_ok());
        }
    }

    #[test]
    fn a_closed_output_is_told() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let end = serve(joined(REQUEST).as_bytes(), Closed, |_| Answer::ok(Value::Null));
        assert!(matches!(end, Err(WireError::Write(_))));
    }

    proptest! {
        #[test]
        fn any_bytes_end_or_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = written(bytes.as_slice());
        }

        #[test]
        fn any_bytes_in_a_block_are_answered_once(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let mut input = format!("\x071\n1\na0\n{}\n", bytes.len()).into_bytes();
            input.extend(&bytes);
            let mut output = Vec::new();
            serve(input.as_slice(), &mut output, |_| Answer::ok(Value::Null)).unwrap();
            let (_, reply) = std::str::from_utf8(&output).unwrap().strip_prefix("0\n").unwrap().split_once('\n').unwrap();
            let status = &serde_json::from_str::<Value>(reply).unwrap()["status"];
            prop_assert!(*status == 200 || *status == 400);
        }
    }
}
