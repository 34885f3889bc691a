//! One packet, as bytes:
//!
//! ```text
//! packet = op, [command, param] if INIT, [string] if BLOCK
//! op     = one byte: 0x01 INIT | 0x02 BLOCK | 0x04 END | 0x08 ALLOW_STREAM; a newline in its place is skipped
//! command = number, that many strings;  param = string
//! string = number, that many bytes;  number = digits and a newline; blank lines before it are skipped
//! ```
//!
//! A newline is 0x0A, so BLOCK with ALLOW_STREAM alone cannot be said; nothing says it.

use std::io::{self, BufRead, ErrorKind, Read};

const INIT: u8 = 0x01;
const BLOCK: u8 = 0x02;
const END: u8 = 0x04;
/// "For future use" in splunkd's own driver.
const ALLOW_STREAM: u8 = 0x08;

/// The most words a command may have; ours has one.
const WORDS: u64 = 64;
/// The most bytes of one of them, and of the parameter.
const WORD_LIMIT: u64 = 64 << 10;
/// The most bytes of a request that is read. One that names an account has about a thousand.
const BLOCK_LIMIT: u64 = 1 << 20;

/// Why the conversation cannot go on. Never repeats what was read.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Standard input could not be read.
    #[error("cannot read standard input: {0}")]
    Read(#[source] io::Error),
    /// Standard output could not be written.
    #[error("cannot write to standard output: {0}")]
    Write(#[source] io::Error),
    /// The end came too early.
    #[error("standard input ended inside a packet")]
    Ended,
    /// Somebody else than splunkd writes here.
    #[error("no packet begins with byte {0:#04x}; splunkd starts this program and writes packets to it")]
    UnknownOp(u8),
    /// Where digits belong.
    #[error("a length is not a number")]
    NotANumber,
    /// A command or a word of it beyond reason.
    #[error("a command of {0} {1} is more than splunkd sends")]
    TooMuch(u64, &'static str),
    /// A packet that no other led to.
    #[error("{0}")]
    OutOfTurn(&'static str),
}

/// One packet.
#[derive(Debug)]
pub(super) struct Packet {
    /// It begins a request.
    pub(super) opens: bool,
    /// What the request says.
    pub(super) block: Option<Block>,
    /// It ends the request.
    pub(super) closes: bool,
}

/// What a request says.
#[derive(Debug)]
pub(super) enum Block {
    /// JSON.
    Whole(Vec<u8>),
    /// So many bytes, which were passed over.
    TooLarge(u64),
}

/// Reads the next packet; `None` at the end of the input.
pub(super) fn read(input: &mut impl BufRead) -> Result<Option<Packet>, WireError> {
    let op = loop {
        match byte(input)? {
            None => return Ok(None),
            Some(b'\n') => {}
            Some(op) => break op,
        }
    };
    if op & !(INIT | BLOCK | END | ALLOW_STREAM) != 0 || op & (INIT | BLOCK | END) == 0 {
        return Err(WireError::UnknownOp(op));
    }
    if op & INIT != 0 {
        command(input)?;
    }
    let block = if op & BLOCK != 0 { Some(block(input)?) } else { None };
    Ok(Some(Packet { opens: op & INIT != 0, block, closes: op & END != 0 }))
}

/// Passes over the command and its parameter: which script is to run, where one driver serves many.
fn command(input: &mut impl BufRead) -> Result<(), WireError> {
    let words = number(input)?;
    if words > WORDS {
        return Err(WireError::TooMuch(words, "words"));
    }
    for _ in 0..=words {
        let length = number(input)?;
        if length > WORD_LIMIT {
            return Err(WireError::TooMuch(length, "bytes"));
        }
        pass_over(input, length)?;
    }
    Ok(())
}

fn block(input: &mut impl BufRead) -> Result<Block, WireError> {
    let length = number(input)?;
    if length > BLOCK_LIMIT {
        pass_over(input, length)?;
        return Ok(Block::TooLarge(length));
    }
    // Grows with what comes, not with what is announced.
    let mut bytes = Vec::new();
    let read = input.take(length).read_to_end(&mut bytes).map_err(WireError::Read)?;
    if read as u64 == length { Ok(Block::Whole(bytes)) } else { Err(WireError::Ended) }
}

fn pass_over(input: &mut impl BufRead, length: u64) -> Result<(), WireError> {
    let passed = io::copy(&mut input.take(length), &mut io::sink()).map_err(WireError::Read)?;
    if passed == length { Ok(()) } else { Err(WireError::Ended) }
}

fn number(input: &mut impl BufRead) -> Result<u64, WireError> {
    let mut value: Option<u64> = None;
    loop {
        match (byte(input)?.ok_or(WireError::Ended)?, value) {
            (b'\n', None) => {}
            (b'\n', Some(value)) => return Ok(value),
            (digit @ b'0'..=b'9', _) => {
                let longer = value.unwrap_or(0).checked_mul(10).and_then(|tens| tens.checked_add(u64::from(digit - b'0')));
                value = Some(longer.ok_or(WireError::NotANumber)?);
            }
            _ => return Err(WireError::NotANumber),
        }
    }
}

fn byte(input: &mut impl BufRead) -> Result<Option<u8>, WireError> {
    loop {
        match input.fill_buf() {
            Ok(bytes) => {
                let first = bytes.first().copied();
                if first.is_some() {
                    input.consume(1);
                }
                return Ok(first);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(WireError::Read(error)),
        }
    }
}
