//! Connections that break and processes that are killed: nothing is lost, and little comes twice.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use simulator::When;
use simulator::chance::Chance;
use simulator::event_hubs::{At, Fault, HubFault};

use super::{counted, input, publish, stage, stopped, until};
use crate::support::Input;

/// Runs that are killed.
const KILLS: usize = 25;

#[test]
fn connections_that_break_repeat_nothing() {
    for what in [HubFault::Drop, HubFault::Cut] {
        let stage = stage(3);
        let hubs = stage.sim.event_hubs();
        publish(hubs, 3, 0..300);
        // Each connection brings fewer messages than there are; the back-off grows with each that was short.
        hubs.push_fault(Fault::new(At::Transfer, When::Every(70), what));
        let mut running = input(&stage).start();
        until(&mut running, 300);
        let ended = stopped(running).says("ERROR", &[]);
        assert_eq!(counted(&ended.events()), (0..300).map(|n| (n, 1)).collect());
        assert!(hubs.faults_happened().len() >= 4, "{:?}", hubs.faults_happened());
        assert_eq!(hubs.record().violations, Vec::<String>::new());
    }
}

#[test]
fn a_link_that_is_detached_goes_on_behind_the_last_message_it_brought() {
    let stage = stage(2);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 2, 0..100);
    let mut running = input(&stage).start();
    until(&mut running, 100);
    let why = simulator::event_hubs::Failure::new("amqp:link:detach-forced", "The link is force detached.");
    hubs.detach(super::HUB, 1, &why);
    publish(hubs, 2, 100..140);
    until(&mut running, 140);
    let ended = stopped(running).says("ERROR", &[]);
    assert_eq!(counted(&ended.events()), (0..140).map(|n| (n, 1)).collect());
    let record = hubs.record();
    let selectors: Vec<&str> = record.of_partition(super::HUB, 1).filter_map(|link| link.selector.as_deref()).collect();
    // One asks whether somebody is there, one reads, and one reads on.
    let [start, again] = ["amqp.annotation.x-opt-offset > '-1'", "amqp.annotation.x-opt-sequence-number > '49'"];
    assert_eq!(selectors, [start, start, again]);
}

#[test]
fn killed_at_any_moment_nothing_is_lost() {
    let stage = stage(2);
    let hubs = stage.sim.event_hubs();
    let input = input(&stage);
    let mut chance = Chance::new(11);
    let (mut published, mut seen) = (0, BTreeMap::<u64, usize>::new());
    // How often each may have come at most: once, and once more for each kill between its writing and the next position.
    let mut allowed = BTreeMap::<u64, usize>::new();
    for _ in 0..KILLS {
        publish(hubs, 2, published..published + 40);
        published += 40;
        let mut running = input.start();
        if chance.percent(50) {
            running.wait_until("something came", |running| running.taken() > 0);
        }
        // Any moment, from before the first request to behind the first position saved: no outcome depends on which.
        thread::sleep(Duration::from_millis(chance.below(1500)));
        running.kill();
        for (n, times) in counted(&running.end().events_cut_short()) {
            *seen.entry(n).or_default() += times;
            let allowed = allowed.entry(n).or_insert(1);
            // Numbers go to the two partitions in turn.
            *allowed += usize::from(n as i64 / 2 > saved(&input, n % 2));
        }
    }
    let mut running = input.start();
    let missing = |seen: &BTreeMap<u64, usize>| (0..published).filter(|n| !seen.contains_key(n)).count();
    running.wait_until("the rest", |running| {
        let mut all = seen.clone();
        all.extend(counted(&running.events_so_far()));
        missing(&all) == 0
    });
    for (n, times) in counted(&stopped(running).events()) {
        *seen.entry(n).or_default() += times;
    }
    assert_eq!(missing(&seen), 0);
    for (n, times) in seen {
        let allowed = allowed.get(&n).copied().unwrap_or(1);
        assert!(times <= allowed, "{n} came {times} times, and its position allowed {allowed}");
    }
}

/// The last message of a partition that its saved position covers.
fn saved(input: &Input<'_>, partition: u64) -> i64 {
    let path = input.checkpoint().with_extension(format!("hub.{partition}.json"));
    let Ok(text) = std::fs::read_to_string(path) else { return -1 };
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    file["checkpoint"]["place"]["after"].as_i64().unwrap()
}

#[test]
fn two_processes_share_a_hub_and_one_is_killed() {
    let stage = stage(4);
    let hubs = stage.sim.event_hubs();
    publish(hubs, 4, 0..200);
    let (left, right) =
        (input(&stage).named("left").set("partitions", "0-1"), input(&stage).named("right").set("partitions", "2,3"));
    let (mut one, mut two) = (left.start(), right.start());
    until(&mut two, 50);
    two.kill();
    let mut seen = counted(&two.end().events_cut_short());
    publish(hubs, 4, 200..400);
    let mut two = right.start();
    two.wait_until("the other half", |two| {
        let mut all = seen.clone();
        all.extend(counted(&two.events_so_far()));
        all.len() == 200
    });
    until(&mut one, 200);
    assert_eq!(counted(&stopped(one).quietly().events()).values().sum::<usize>(), 200, "the other is not touched");
    for (n, times) in counted(&stopped(two).quietly().events()) {
        *seen.entry(n).or_default() += times;
    }
    assert_eq!(seen.keys().copied().collect::<Vec<_>>(), (0..400).filter(|n| n % 4 >= 2).collect::<Vec<_>>());
    assert!(seen.values().all(|times| *times <= 2), "{seen:?}");
}
