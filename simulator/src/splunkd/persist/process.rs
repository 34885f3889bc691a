//! One driver process, and the packets that go to it and come back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::lock;

const INIT: u8 = 1;
const BLOCK: u8 = 2;
const END: u8 = 4;
const ALLOW_STREAM: u8 = 8;

/// What an ended process gets to say goodbye.
const GRACE: Duration = Duration::from_secs(2);
/// Longer replies are none.
const REPLY_LIMIT: u64 = 16 << 20;

/// A driver that runs.
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    replies: Receiver<Vec<u8>>,
    /// How many requests it had: each comes in another shape.
    asked: usize,
}

/// Why there is no reply.
pub(super) enum Lost {
    /// The driver cannot run the script.
    Refused(String),
    TimedOut,
    Ended,
    Garbled,
}

impl Process {
    pub(super) fn start(program: &Path, arguments: &[String], home: &Path, log: &Arc<Mutex<Vec<u8>>>) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("SPLUNK_HOME", home)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (tell, replies) = mpsc::channel();
        if let (Some(stdout), Some(mut stderr)) = (stdout, stderr) {
            thread::spawn(move || {
                let mut stdout = BufReader::new(stdout);
                // The channel closes with the first thing that is no reply, and with the process.
                while let Ok(reply) = reply(&mut stdout) {
                    if tell.send(reply).is_err() {
                        break;
                    }
                }
            });
            let log = Arc::clone(log);
            thread::spawn(move || {
                let mut block = [0; 4096];
                while let Ok(count @ 1..) = stderr.read(&mut block) {
                    lock(&log).extend_from_slice(&block[..count]);
                }
            });
        }
        Ok(Process { child, stdin, replies, asked: 0 })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn is_over(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a request in one of the shapes that splunkd's packets may have, and waits for the reply.
    pub(super) fn ask(&mut self, command: &[String], param: &str, block: &str, limit: Duration) -> Result<String, Lost> {
        let until = Instant::now() + limit;
        let words: String = command.iter().map(|word| string(word)).collect();
        let init = format!("{}\n{words}{}", command.len(), string(param));
        let shape = self.asked % 4;
        self.asked += 1;
        if self.replies.try_recv().is_ok() {
            return Err(Lost::Garbled);
        }
        let answer = match shape {
            1 => {
                self.send(&packet(INIT, &init))?;
                self.accepted(until)?;
                self.send(&packet(BLOCK, &string(block)))?;
                let answer = self.reply(until)?;
                self.send(&packet(END, ""))?;
                answer
            }
            2 => {
                let spread = |text: &str| text.replacen('\n', "\n\n\n", 1);
                self.send(b"\n\n")?;
                self.send(&packet(INIT | ALLOW_STREAM, &format!("\n{}", spread(&init))))?;
                self.send(b"\n")?;
                self.send(&packet(BLOCK | END, &format!("\n\n{}", string(block))))?;
                self.send(b"\n")?;
                self.accepted(until)?;
                self.reply(until)?
            }
            joined => {
                let whole = packet(INIT | BLOCK | END, &format!("{init}{}", string(block)));
                let pieces = if joined == 3 { whole.chunks(7) } else { whole.chunks(whole.len()) };
                for piece in pieces {
                    self.send(piece)?;
                }
                self.accepted(until)?;
                self.reply(until)?
            }
        };
        String::from_utf8(answer).map_err(|_| Lost::Garbled)
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        let stdin = self.stdin.as_mut().ok_or(Lost::Ended)?;
        stdin.write_all(bytes).and_then(|()| stdin.flush()).map_err(|_| Lost::Ended)
    }

    /// The reply to the first packet: no text, or why the script is refused.
    fn accepted(&mut self, until: Instant) -> Result<(), Lost> {
        let text = self.reply(until)?;
        if text.is_empty() { Ok(()) } else { Err(Lost::Refused(String::from_utf8_lossy(&text).into_owned())) }
    }

    fn reply(&mut self, until: Instant) -> Result<Vec<u8>, Lost> {
        match self.replies.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(reply) => Ok(reply),
            Err(RecvTimeoutError::Timeout) => Err(Lost::TimedOut),
            Err(RecvTimeoutError::Disconnected) => Err(Lost::Ended),
        }
    }
}

impl Drop for Process {
    /// The end of its standard input tells a driver to end; one that does not is ended.
    fn drop(&mut self) {
        drop(self.stdin.take());
        let until = Instant::now() + GRACE;
        while Instant::now() < until && !self.is_over() {
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn packet(op: u8, rest: &str) -> Vec<u8> {
    [&[op], rest.as_bytes()].concat()
}

fn string(text: &str) -> String {
    format!("{}\n{text}", text.len())
}

/// `<length>\n<bytes>`, strictly.
fn reply(stdout: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = String::new();
    stdout.take(20).read_line(&mut line)?;
    let length: u64 = line.strip_suffix('\n').and_then(|digits| digits.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    if length > REPLY_LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    match stdout.take(length).read_to_end(&mut bytes)? as u64 == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
