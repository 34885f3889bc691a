//! The wire of the REST mode, without a splunkd: packets as bytes in, replies as bytes out.

use serde_json::{Value, json};

use crate::support::{Ended, Program, Running};

/// A request for a route that there is not, which needs nobody else.
fn request() -> String {
    json!({
        "method": "GET", "rest_path": "/defender/nothing", "query": [["output_mode", "json"]],
        "session": {"user": "admin", "authtoken": "s3cr3t"}, "server": {"rest_uri": "https://127.0.0.1:1"},
    })
    .to_string()
}

fn init(op: char) -> String {
    format!("{op}1\n8\ndefender0\n")
}

fn block(json: &str) -> String {
    format!("{}\n{json}", json.len())
}

/// A whole request in one packet.
fn joined(json: &str) -> String {
    format!("{}{}", init('\x07'), block(json))
}

/// The program, waiting for packets.
fn started() -> Running {
    Program::new(&["--rest"]).input_held_open("").start()
}

/// What becomes of these bytes and the end.
fn served(bytes: &[u8]) -> Ended {
    let mut running = started();
    running.write(bytes);
    running.close_stdin();
    running.end()
}

/// The replies in what was written.
fn replies(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.iter().position(|b| *b == b'\n').unwrap();
        let length: usize = std::str::from_utf8(&bytes[..end]).unwrap().parse().unwrap();
        let (reply, rest) = bytes[end + 1..].split_at(length);
        found.push(String::from_utf8(reply.to_vec()).unwrap());
        bytes = rest;
    }
    found
}

/// What a whole request is answered with.
fn answered() -> Vec<String> {
    replies(&served(joined(&request()).as_bytes()).exits(0).quietly().stdout)
}

#[test]
fn a_request_is_answered_and_the_end_of_the_input_ends_it() {
    let found = answered();
    assert_eq!((found.len(), found[0].as_str()), (2, ""));
    let expected = json!({
        "status": 404,
        "payload": {"messages": [{
            "type": "ERROR",
            "text": "there is nothing at `defender/nothing`: this add-on answers defender/test_connection",
        }]},
    });
    assert_eq!(serde_json::from_str::<Value>(&found[1]).unwrap(), expected);
    // Nothing at all is no request.
    for input in ["", "\n", "\n\n\n"] {
        let ended = served(input.as_bytes()).exits(0).quietly();
        assert!(ended.stdout.is_empty());
    }
}

#[test]
fn a_packet_may_be_cut_anywhere() {
    let expected = answered();
    let packet = joined(&request());
    let one: usize = expected.iter().map(|reply| reply.len().to_string().len() + 1 + reply.len()).sum();
    let mut running = started();
    for at in 1..packet.len() {
        running.write(&packet.as_bytes()[..at]);
        // Time enough to have read it, where the machine is quick; where it is not, it is a packet in one piece.
        std::thread::sleep(std::time::Duration::from_millis(1));
        running.write(&packet.as_bytes()[at..]);
        running.wait_until("the replies are there", |running| running.taken() == one * at);
    }
    running.close_stdin();
    let found = replies(&running.end().exits(0).quietly().stdout);
    assert_eq!(found, vec![expected; packet.len() - 1].concat());
}

#[test]
fn joined_split_and_with_stray_newlines() {
    let (expected, block) = (answered(), block(&request()));
    let forms = [
        joined(&request()),
        format!("{}\x02{block}\x04", init('\x01')),
        format!("{}{block}\x04", init('\x03')),
        format!("\n\n\x09\n1\n\n8\ndefender\n\n5\nparam\n\x06\n\n{block}\n"),
    ];
    let input = forms.concat().repeat(3);
    assert_eq!(replies(&served(input.as_bytes()).exits(0).quietly().stdout), vec![expected; 12].concat());
}

#[test]
fn twenty_thousand_requests() {
    let expected = answered();
    let found = replies(&served(joined(&request()).repeat(20_000).as_bytes()).exits(0).quietly().stdout);
    assert_eq!(found.len(), 40_000);
    assert!(found.chunks(2).all(|pair| pair == expected));
}

#[test]
fn what_splunkd_never_sends() {
    let large = "x".repeat(3 << 20);
    // A block that is no request is answered, and the conversation goes on.
    for (block_of, part) in [
        ("{", "is not a JSON object"),
        ("null", "is not a JSON object"),
        ("{\"method\":\"POST\"}", "is not a JSON object"),
        (large.as_str(), "3145728 bytes"),
    ] {
        let ended = served(format!("{}{}", joined(block_of), joined(&request())).as_bytes()).exits(0).quietly();
        let found = replies(&ended.stdout);
        let answer: Value = serde_json::from_str(&found[1]).unwrap();
        assert_eq!(answer["status"], 400);
        assert!(answer["payload"]["messages"][0]["text"].as_str().unwrap().contains(part), "{answer}");
        assert_eq!(found[2..], answered());
    }
    // What is no packet leaves the two apart about where the next one begins.
    let (request, word) = (request(), "x".repeat(70_000));
    for (input, said) in [
        ("\x40".to_owned(), "no packet begins with byte 0x40; splunkd starts this program and writes packets to it"),
        ("<input>".to_owned(), "no packet begins with byte 0x3c; splunkd starts this program and writes packets to it"),
        (format!("{}\x02-1\n", init('\x01')), "a length is not a number"),
        (format!("{}\x0212x\n", init('\x01')), "a length is not a number"),
        (format!("{}\x02{}\n", init('\x01'), "9".repeat(40)), "a length is not a number"),
        (format!("{}\x0299999999999999999\n{request}", init('\x01')), "standard input ended inside a packet"),
        ("\x0199999\n".to_owned(), "a command of 99999 words is more than splunkd sends"),
        (format!("\x011\n70000\n{word}"), "a command of 70000 bytes is more than splunkd sends"),
        (joined(&request)[..40].to_owned(), "standard input ended inside a packet"),
        (format!("\x02{}", block(&request)), "a packet belongs to no request"),
        (format!("{}{}", init('\x01'), init('\x01')), "a request begins before the one before it ended"),
    ] {
        let ended = served(input.as_bytes()).exits(1);
        assert_eq!(ended.said("ERROR"), [format!("rest: {said}")], "{input:.60}");
        assert!(!ended.stderr.contains("s3cr3t"));
    }
}

#[test]
fn memory_does_not_follow_what_is_announced() {
    let mut running = started();
    running.write(joined(&request()).as_bytes());
    running.wait_until("the replies are there", |running| running.taken() > 100);
    let before = running.peak_memory_kb();
    let gigabyte = format!("{}\x06{}\n", init('\x01'), 1_u64 << 30);
    running.write(gigabyte.as_bytes());
    let piece = vec![b' '; 1 << 20];
    for _ in 0..64 {
        running.write(&piece);
    }
    let after = running.peak_memory_kb();
    assert!(after < before + 8192, "{before} kB grew to {after} kB");
    running.close_stdin();
    assert_eq!(running.end().exits(1).said("ERROR"), ["rest: standard input ended inside a packet"]);
}

#[test]
fn splunkd_asks_it_to_end_or_goes_away() {
    let mut running = started();
    running.write(joined(&request()).as_bytes());
    running.wait_until("the replies are there", |running| running.taken() > 100);
    running.terminate();
    running.end().exits(0).quietly();

    let mut running = Program::new(&["--rest"]).input_held_open("").unread().start();
    running.close_stdout();
    running.write(joined(&request()).as_bytes());
    let ended = running.end().exits(1);
    assert!(ended.said("ERROR")[0].starts_with("rest: cannot write to standard output: "), "{}", ended.stderr);
}
