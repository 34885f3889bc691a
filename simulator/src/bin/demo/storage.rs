//! Raw events from a storage account: every table once, then a blob that grows, a half line first.

use std::collections::BTreeMap;
use std::time::Duration;

use simulator::Simulator;
use simulator::accounts::TENANT;
use simulator::chance::Chance;
use simulator::generate::records;
use simulator::run::stream::{self, Event};
use simulator::storage::{blob_name, container};

use crate::splunk::Splunk;

/// Records delivered per table before the first poll.
const EACH: usize = 3;

pub(crate) fn tell(splunk: &Splunk<'_>, simulator: &Simulator) -> Result<(), String> {
    let mut chance = Chance::new(2026);
    let mut delivered = Vec::new();
    for (n, table) in records::TABLES.iter().enumerate() {
        let now = simulator.now();
        let hour = now.minus(Duration::from_secs(3600 * (n as u64 % 30)));
        let lines: Vec<String> = (0..EACH).map(|_| records::record(&mut chance, table, now).render()).collect();
        simulator.world(|world| world.storage.deliver(table, TENANT, hour, &lines, now));
        delivered.extend(lines);
    }
    let events = poll(splunk, simulator)?;
    let mut found: Vec<&str> = events.iter().map(|event| event.data.as_str()).collect();
    found.sort_unstable();
    delivered.sort_unstable();
    if found != delivered {
        return Err(format!("{} records were delivered and {} events came, or others", delivered.len(), found.len()));
    }
    let mut tables: BTreeMap<&str, usize> = BTreeMap::new();
    for event in &events {
        *tables.entry(event.json["category"].as_str().unwrap_or_default()).or_default() += 1;
    }
    println!(
        "  {} tables in {} containers, hours old to new: {} events, each record as it was sent",
        tables.len(),
        tables.len(),
        events.len()
    );
    for event in events.iter().take(3) {
        println!("    {}  {:<36} {:.70}…", event.time, event.json["category"].as_str().unwrap_or_default(), event.data);
    }

    let late = records::record(&mut chance, "DeviceEvents", simulator.now()).render();
    let (first, rest) = late.split_at(late.len() / 2);
    let place = (container("DeviceEvents"), blob_name(TENANT, simulator.now().minus(Duration::from_secs(5 * 3600))));
    for (part, expected) in [(first.to_string(), 0), (format!("{rest}\r\n"), 1), (String::new(), 0)] {
        let now = simulator.now();
        simulator.world(|world| world.storage.append(&place.0, &place.1, part.as_bytes(), now));
        let events = poll(splunk, simulator)?;
        if events.len() != expected || events.iter().any(|event| event.data != late) {
            return Err(format!("{} events in place of {expected} after {} more bytes", events.len(), part.len()));
        }
        println!("  an hour that is long over grows by {:>4} bytes: {expected} events", part.len());
    }
    Ok(())
}

fn poll(splunk: &Splunk<'_>, simulator: &Simulator) -> Result<Vec<Event>, String> {
    let run = splunk
        .stream_of("raw_storage", &[("feed", "storage"), ("start", "earliest"), ("storage_account", simulator.storage_url())])?;
    if run.code != Some(0) {
        return Err(format!("exit code {:?} in place of 0; stderr: {}", run.code, run.stderr.trim()));
    }
    stream::events(&run.stdout)
}
