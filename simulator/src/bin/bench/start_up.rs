//! How long a program takes to say what splunkd asks of every input: its scheme, and whether arguments are right.

use std::path::Path;
use std::time::Duration;

use crate::Options;
use crate::contest::Contestant;
use simulator::run::launch::{self, Cost, Start};

/// Starts of everything; odd, so that one is in the middle.
const STARTS: usize = 21;
/// Peers, which take a hundred times as long, are started in every so many rounds.
const PEERS_EVERY: usize = 5;

/// What one mode of one program took.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) mode: &'static str,
    /// The middle one.
    pub(crate) wall: Duration,
    /// The middle one.
    pub(crate) cpu: Duration,
    /// The highest, in bytes.
    pub(crate) peak: u64,
}

/// Starts everybody in turn, `/bin/true` first: what starting a process costs at all.
pub(crate) fn measure(contestants: &[Contestant], options: &Options, folder: &Path) -> Result<Vec<Row>, String> {
    let validate = match &options.peers {
        Some(peers) => std::fs::read_to_string(peers.join("validate.xml")).map_err(|error| format!("validate.xml: {error}"))?,
        None => String::new(),
    };
    let nothing = Start { program: "/bin/true".into(), arguments: Vec::new(), environment: Vec::new(), stdin: String::new() };
    let mut starts = vec![("`/bin/true`".to_string(), "", nothing)];
    // Both forms of ours start alike.
    for contestant in contestants.iter().skip(1) {
        for mode in ["--scheme", "--validate-arguments"] {
            let name = if matches!(contestant, Contestant::Ours(..)) { "**defender**".to_string() } else { contestant.name() };
            starts.extend(contestant.start_up(mode, &validate).map(|start| (name, mode, start)));
        }
    }
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); starts.len()];
    for round in 0..STARTS {
        for ((name, mode, start), costs) in starts.iter().zip(&mut costs) {
            let is_peer = options.python.as_ref().is_some_and(|python| *python == start.program)
                || options.node.as_ref().is_some_and(|node| *node == start.program);
            if is_peer && round % PEERS_EVERY != 0 {
                continue;
            }
            let (cost, output, said) = launch::run(start, folder, launch::whole)?;
            let answered = match *mode {
                "--scheme" => cost.code == 0 && output.windows(9).any(|part| part == b"</scheme>"),
                // Ours refuses a feed that does not exist; the peers find nothing wrong.
                "--validate-arguments" => cost.code == 0 || output.windows(8).any(|part| part == b"</error>"),
                _ => cost.code == 0,
            };
            if !answered {
                return Err(format!("{name} {mode} ended with {} and said: {said}", cost.code));
            }
            costs.push(cost);
        }
    }
    let row = |((name, mode, _), costs): ((String, &'static str, Start), Vec<Cost>)| Row {
        name,
        mode,
        wall: middle(costs.iter().map(|cost| cost.wall)),
        cpu: middle(costs.iter().map(|cost| cost.cpu)),
        peak: costs.iter().map(|cost| cost.peak).max().unwrap_or_default(),
    };
    Ok(starts.into_iter().zip(costs).map(row).collect())
}

fn middle(spans: impl Iterator<Item = Duration>) -> Duration {
    let mut spans: Vec<Duration> = spans.collect();
    spans.sort_unstable();
    spans[spans.len() / 2]
}
