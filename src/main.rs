//! The program splunkd starts. What splunkd asks is in the arguments; everything else comes on standard input.

use std::io::{self, Write};
use std::process::ExitCode;

use ta_defender::error::Exit;
use ta_defender::input::SCHEME;
use ta_defender::mode::{Mode, USAGE};
use ta_defender::{respond, rest, secret, splunk, stream, validate};

fn main() -> ExitCode {
    secret::forbid_core_dumps();
    splunk::log::install(log::LevelFilter::Info);
    let splunk_home = splunk::home();
    let (stdin, mut stdout) = (io::stdin(), io::stdout());
    let exit = match Mode::read(std::env::args_os().skip(1)) {
        Some(Mode::Scheme) => written(SCHEME.write(&mut stdout)),
        Some(Mode::Validate) => validate::run(stdin, &mut stdout, splunk_home.as_deref()),
        Some(Mode::Stream) => stream::run(stdin, splunk_home.as_deref()),
        Some(Mode::Execute(action)) => respond::run(action, stdin, splunk_home.as_deref()),
        Some(Mode::Rest) => rest::run(stdin, &mut stdout, splunk_home.as_deref()),
        Some(Mode::Version) => written(writeln!(stdout, "{}", ta_defender::VERSION)),
        None => {
            let _ = writeln!(io::stderr(), "{USAGE}");
            Exit::Misconfigured
        }
    };
    exit.into()
}

fn written(result: io::Result<()>) -> Exit {
    match result {
        Ok(()) => Exit::Done,
        Err(error) => {
            log::error!("standard output cannot be used: {error}");
            Exit::Failed
        }
    }
}
