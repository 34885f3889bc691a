//! The tables, on the terminal and in `BENCHMARKS.md`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use simulator::Time;
use simulator::preload::{Evidence, Kind, Preload};

use crate::backfill::BackFill;
use crate::ceiling::Ceiling;
use crate::contest::{Contestant, Form};
use crate::side_by_side::{Row, Scenario};
use crate::{Options, machine, start_up};

const MB: f64 = 1e6;

/// The text so far, and what the measures of `DESIGN.md` need of it.
pub(crate) struct Report {
    text: String,
    /// Ratios to the Python input in the first set of pages.
    ratios: Vec<(Form, f64)>,
    /// The highest memory of ours in any set of alerts, with the set's name.
    peaks: Vec<(u64, &'static str)>,
    /// The slower of the two modes, middle of all starts.
    start_up: Duration,
    program_bytes: u64,
    /// Of the program without the streaming feeds.
    without_streaming: Option<u64>,
}

impl Report {
    pub(crate) fn begin(options: &Options) -> Self {
        let mut report = Report {
            text: String::new(),
            ratios: Vec::new(),
            peaks: Vec::new(),
            start_up: Duration::ZERO,
            program_bytes: std::fs::metadata(&options.program).map_or(0, |file| file.len()),
            without_streaming: options.no_streaming.as_ref().and_then(|file| std::fs::metadata(file).ok()).map(|file| file.len()),
        };
        let today = Time::from_system(SystemTime::now()).to_string();
        report.say(&format!(
            "# Benchmarks

Written by `./build.sh bench` on {}. Times of one machine say nothing about another's: compare within a table.

- Machine: {}; load {} when it began.
- Program: {}, {} MB.
- Everybody reads the same pages, over HTTPS, gzip and chunks, from one stand-in that has them ready and compressed. Runs take turns;
  a figure is the median of {} runs. CPU is user and system time of the program and its children, from start to end: our program's
  token, account, checkpoint and its `fsync`s are in it. Memory is the highest of all runs.
- Every event of every run is compared with what was served. A run that lost, repeated or changed anything ends the benchmark.
  (The JavaScript peer changes integers above 2^53, as its language does; that much is let pass.)",
            &today[..10],
            machine::describe(),
            machine::load(),
            machine::version(&options.program),
            decimal(report.program_bytes as f64 / MB, 2),
            options.runs,
        ));
        for runner in [&options.python, &options.node].into_iter().flatten().filter(|_| options.peers.is_some()) {
            let name = runner.file_name().unwrap_or_default().to_string_lossy().into_owned();
            report.say(&format!("- Peers' {name}: {}.", machine::version(runner)));
        }
        for absent in &options.absent {
            report.say(&format!("- Left out: {absent}"));
        }
        report
    }

    pub(crate) fn start_up(&mut self, rows: &[start_up::Row]) {
        self.say(
            "
## Start-up

What splunkd asks of every input: `--scheme` when it starts, `--validate-arguments` when one is saved (here without network: our program
refuses a feed that does not exist, the peers look at their one argument). Medians of 21 starts, of the peers of 5.

| program | mode | wall ms | CPU ms | peak RSS MB |
| --- | --- | ---: | ---: | ---: |",
        );
        for row in rows {
            let mode = if row.mode.is_empty() { String::new() } else { format!("`{}`", row.mode) };
            let ms = |span: Duration| decimal(span.as_secs_f64() * 1e3, 1);
            let peak = decimal(row.peak as f64 / MB, 1);
            self.say(&format!("| {} | {mode} | {} | {} | {peak} |", row.name, ms(row.wall), ms(row.cpu)));
            if row.name.contains("defender") {
                self.start_up = self.start_up.max(row.wall);
            }
        }
    }

    pub(crate) fn side_by_side(&mut self, scenario: &Scenario, preload: &Preload, ceiling: &Ceiling, rows: &[Row]) {
        let plan = preload.plan();
        let (bytes, count) = (preload.bytes() as f64, (0..plan.pages).map(|page| preload.page(page).len()).sum::<usize>());
        self.say(&format!(
            "
## {}

{} pages, {count} objects of {} KB on average, {} MB of JSON, compressed {} to 1. The stand-in alone serves {} MB of JSON a second.",
            scenario.title,
            plan.pages,
            decimal(bytes / count as f64 / 1e3, 1),
            decimal(bytes / MB, 1),
            decimal(bytes / preload.gzip_bytes() as f64, 1),
            (ceiling.bytes as f64 / MB / ceiling.took.as_secs_f64()).round(),
        ));
        match (plan.kind, plan.rows) {
            (Kind::Alerts, 1001..) => self.say(
                "Graph has at most 1,000 alerts in a page and the program asks for no more; the stand-in answers with ten times as many. \
                 What such an answer proves is the same: all up to its last row.",
            ),
            (Kind::Incidents, _) => self.say(
                "Our program writes an incident and each of its alerts as events of their own, the peers one event with all of it; so \
                 objects are counted, and bytes.",
            ),
            _ => {}
        }
        self.say(
            "
| program | events | CPU s (lowest–highest) | objects per CPU-s | JSON MB per CPU-s | peak RSS MB | × splunk-sdk, Python |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
        );
        let python =
            rows.iter().find(|row| matches!(&row.contestant, Contestant::Peer(_, script, _) if script.ends_with("peer_a.py")));
        for row in rows {
            let cpu = row.median().as_secs_f64();
            let rate = row.objects as f64 / cpu;
            let ratio = python.map(|python| rate / (python.objects as f64 / python.median().as_secs_f64()));
            let (low, high) = (row.cpu[0].as_secs_f64(), row.cpu[row.cpu.len() - 1].as_secs_f64());
            self.say(&format!(
                "| {} | {} | {} ({}–{}) | {} | {} | {} | {} |",
                row.name,
                if row.events > 0 { thousands(row.events as f64) } else { "–".to_string() },
                decimal(cpu, 3),
                decimal(low, 3),
                decimal(high, 3),
                thousands(rate),
                (bytes / MB / cpu).round(),
                decimal(row.peak as f64 / MB, 1),
                ratio.map_or("–".to_string(), |ratio| decimal(ratio, 1)),
            ));
            if let Contestant::Ours(_, form) = row.contestant {
                if plan.kind == Kind::Alerts {
                    self.peaks.push((row.peak, scenario.title));
                }
                if let Some(ratio) =
                    ratio.filter(|_| plan.kind == Kind::Alerts && plan.rows == 1000 && plan.evidence == Evidence::Some)
                {
                    self.ratios.push((form, ratio));
                }
            }
        }
    }

    pub(crate) fn back_fill(&mut self, result: &BackFill) {
        self.say(&format!(
            "
## Back-fill

{} alerts of the last thirty days, with all their evidence, `compact`, read by a new input with `start = 30d` from the ordinary stand-in,
whose rate limits are the documented ones: windows, pacing, look-back and checkpoint as in life. All alerts came once.

| runs | requests | time | CPU s | events per CPU-s | written MB | peak RSS MB | largest checkpoint |
| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
| {} | {} | {} s | {} | {} | {} | {} | {} KB |

The time is the spacing of requests, which keeps below the documented rate.",
            result.alerts,
            result.runs,
            result.requests,
            result.wall.as_secs(),
            decimal(result.cpu.as_secs_f64(), 1),
            thousands(result.alerts as f64 / result.cpu.as_secs_f64()),
            (result.written as f64 / MB).round(),
            decimal(result.peak as f64 / MB, 1),
            decimal(result.checkpoint as f64 / 1e3, 1),
        ));
    }

    /// The measures, then the file.
    pub(crate) fn end(mut self, file: Option<&Path>) -> Result<(), String> {
        self.say("\n## The measures\n\n| what | must | aim | now |\n| --- | --- | --- | --- |");
        let ratio = |form| self.ratios.iter().find(|(of, _)| *of == form).map(|(_, ratio)| *ratio);
        let times = |ratio: Option<f64>| ratio.map_or("not measured".to_string(), |ratio| format!("{}×", decimal(ratio, 1)));
        let highest = self.peaks.iter().max().copied();
        let lowest = self.peaks.iter().min().map(|(peak, _)| *peak as f64 / MB);
        let rows = [
            ("events per CPU-second against splunk-sdk, Python, `verbatim`", "12×", "20×", times(ratio(Form::Verbatim))),
            ("the same, `compact`", "8×", "14×", times(ratio(Form::Compact))),
            (
                "peak RSS over all page sizes",
                "15 MB",
                "8 MB, flat",
                highest.zip(lowest).map_or("not measured".to_string(), |((peak, set), lowest)| {
                    format!("{} to {} MB ({set})", decimal(lowest, 1), decimal(peak as f64 / MB, 1))
                }),
            ),
            (
                "`--scheme`, `--validate-arguments`",
                "10 ms",
                "3 ms",
                format!("{} ms", decimal(self.start_up.as_secs_f64() * 1e3, 1)),
            ),
            ("the program, stripped, without the streaming feeds", "6 MB", "3.5 MB", self.size()),
        ];
        for (what, must, aim, now) in rows {
            self.say(&format!("| {what} | {must} | {aim} | {now} |"));
        }
        self.say(&format!("\nLoad {} when it ended.", machine::load()));
        match file {
            Some(file) => std::fs::write(file, &self.text).map_err(|error| format!("{}: {error}", file.display())),
            None => Ok(()),
        }
    }

    fn size(&self) -> String {
        let whole = format!("{} MB with them", decimal(self.program_bytes as f64 / MB, 2));
        match self.without_streaming {
            Some(bytes) => format!("{} MB, {whole}", decimal(bytes as f64 / MB, 2)),
            None => whole,
        }
    }

    fn say(&mut self, text: &str) {
        println!("{text}");
        let _ = writeln!(self.text, "{text}");
    }
}

fn decimal(value: f64, places: usize) -> String {
    format!("{value:.places$}")
}

/// 12,345
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        for (value, text) in [(0.0, "0"), (999.4, "999"), (1000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(thousands(value), text);
        }
        assert_eq!(decimal(1.25, 1), "1.2");
    }
}
