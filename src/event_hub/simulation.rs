//! Ten thousand lives of a reader of one partition: connections break, processes are killed between any two steps, the
//! service repeats events, deletes old ones and is made anew. Whatever happened, each event reached splunkd or is counted as
//! missing, and only what was written after the last save comes twice. The clocks of this machine and of the service are days
//! apart, some messages hold a bad record among good ones, and some are made to be expensive: each good record comes once with its
//! message, and what is bad comes beside it.
//!
//! Position, ledger, the choice of where to begin and the reading of messages are the product's; network, disk and pipe are played.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use simulator::chance::Chance;

use super::position::{Arrival, Holding, Ledger, Newest, Place, Position, first_place, resume_at};
use crate::feeds::records::{Reader, Reason, Record};
use crate::input::{Begin, Dedupe, Shape, Tables};
use crate::microsoft::event_hubs::{Piece, body};
use crate::planted::{PLANTED, Planted};
use crate::time::{PER_SECOND, Ticks};

const SEEDS: u64 = 10_000;
/// Seeds within which every planted fault must be noticed.
const PLANTED_SEEDS: u64 = 500;
const STEPS: usize = 150;

/// The partition at the service.
#[derive(Default)]
struct Log {
    /// Hubs of this name before this one.
    made_anew: u64,
    /// Oldest kept first: number, when it came.
    events: VecDeque<(i64, Ticks)>,
    last: i64,
    /// When the last one came.
    newest: Option<Ticks>,
}

impl Log {
    fn holding(&self) -> Holding {
        let first = self.events.front().map_or(self.last + 1, |(sequence, _)| *sequence);
        Holding { first, last: self.last, empty: self.events.is_empty() }
    }

    /// What a link brings that begins at a place.
    fn from(&self, place: Place) -> VecDeque<i64> {
        self.events.iter().filter(|(sequence, came)| fits(place, *sequence, *came)).map(|(sequence, _)| *sequence).collect()
    }
}

fn fits(place: Place, sequence: i64, came: Ticks) -> bool {
    match place {
        Place::After(before) => sequence > before,
        Place::Since(at) => came >= at,
    }
}

/// What outlives a process.
#[derive(Default)]
struct Disk {
    begun: Option<Place>,
    reached: Option<Place>,
}

/// A process.
struct Run {
    position: Position,
    ledger: Ledger,
    /// What the link still brings; `None` while there is none.
    link: Option<VecDeque<i64>>,
    /// Where the link began.
    from: Place,
    /// The last event that was handed on.
    came: Option<i64>,
    /// Handed on, not written.
    queue: VecDeque<i64>,
    /// Written, not taken by splunkd.
    pipe: VecDeque<i64>,
}

#[derive(Default)]
struct Life {
    now: i64,
    log: Log,
    disk: Disk,
    /// How often splunkd took each event.
    taken: BTreeMap<i64, usize>,
    /// What may come again: what splunkd took since the last save.
    unsaved: BTreeSet<i64>,
    /// How often each event may have come at most.
    allowed: BTreeMap<i64, usize>,
    /// Events that splunkd must get or that are counted as missing.
    owed: BTreeSet<i64>,
    missing: u64,
    /// How far the clocks of this machine and of the service are ahead.
    ahead_here: i64,
    ahead_there: i64,
    seed: u64,
}

/// How often what happened, over all lives.
#[derive(Debug, Default)]
struct Hazards {
    kills: u64,
    drops: u64,
    repeats: u64,
    expired: u64,
    rewound: u64,
    saves: u64,
    clocks_here: u64,
    clocks_there: u64,
    bad_records: u64,
    hostile: u64,
}

/// What becomes of the message of a number: the records that came out of it, in their order, and the pieces that are none.
fn read_message(octets: Vec<u8>) -> (Vec<String>, usize) {
    let (mut records, mut odd) = (Vec::new(), 0);
    let mut reader = Reader::new(Shape::Incumbent, Tables::All, Dedupe::Off);
    for piece in body(octets) {
        let mut emit = |record: Record<'_>| {
            match record.unparsed {
                None => records.push(record.data.into_owned()),
                Some(_) => odd += 1,
            }
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(_) = match &piece {
            Piece::Data(bytes) => reader.read(bytes, Ticks(0), &mut emit),
            Piece::Printed(text) => reader.pass_on(text.as_bytes(), Reason::NotData, Ticks(0), &mut emit),
            Piece::Raw(bytes) => reader.pass_on(bytes, Reason::NotData, Ticks(0), &mut emit),
        };
    }
    (records, odd)
}

/// The message of a number is what its life and its number make it; reads it, and compares.
fn message_of(seed: u64, sequence: i64, hazards: &mut Hazards) -> Result<(), String> {
    let mut chance = Chance::new(seed.rotate_left(17) ^ sequence.unsigned_abs());
    let record = |n: u8| format!(r#"{{"category":"AdvancedHunting-T","properties":{{"Message":{sequence},"N":{n}}}}}"#);
    let data = |text: &str| {
        let length = u32::try_from(text.len()).unwrap_or(0).to_be_bytes();
        [&[0x00, 0x53, 0x75, 0xb0], &length[..], text.as_bytes()].concat()
    };
    let (octets, good, odd) = match chance.below(8) {
        0 => {
            hazards.hostile += 1;
            // Elements without width, as many as an array may have.
            let array = [&[0xf0][..], &5u32.to_be_bytes(), &u32::MAX.to_be_bytes(), &[0x45]].concat();
            ([&[0x00, 0x53, 0x77][..], &array].concat(), vec![], 1)
        }
        1 => {
            hazards.bad_records += 1;
            let bad =
                *chance.pick(&[r#"{"category":"x","n":}"#, r#"{"category":"x"y","n":1}"#, "{\"category\":\"a\0\"}", "nothing"]);
            (data(&format!("{{\"records\":[{},{bad},{}]}}", record(1), record(2))), vec![record(1), record(2)], 1)
        }
        _ => (data(&format!("{{\"records\":[{}]}}", record(1))), vec![record(1)], 0),
    };
    match read_message(octets) {
        found if found == (good, odd) => Ok(()),
        found => Err(format!("message {sequence} became {found:?}")),
    }
}

impl Life {
    fn publish(&mut self, count: u64) {
        for _ in 0..count {
            self.now += PER_SECOND;
            self.log.last += 1;
            let came = Ticks(self.now + self.ahead_there);
            self.log.events.push_back((self.log.last, came));
            self.log.newest = Some(came);
            if self.disk.begun.is_some() {
                self.owed.insert(self.log.last);
            }
        }
    }

    fn start(&mut self, start: Begin) -> Result<Run, String> {
        if self.disk.begun.is_none() {
            let newest = self.log.newest;
            let newest = Newest { of_partition: newest, of_hub: newest };
            let place = first_place(start, self.log.holding(), newest, Ticks(self.now + self.ahead_here));
            self.disk.begun = Some(place);
            match start {
                // What came in that time is owed, whatever the clocks say.
                Begin::Back(span) => {
                    let since = Ticks(self.now + self.ahead_there).minus(span);
                    self.owed.extend(self.log.from(Place::Since(since)));
                }
                _ => self.owed.extend(self.log.from(place)),
            }
        }
        let place = resume_at(self.disk.reached, self.disk.begun).ok_or("a begun partition has a place")?;
        let position = Position::resume(place);
        Ok(Run {
            position,
            ledger: Ledger::default(),
            link: None,
            from: place,
            came: None,
            queue: VecDeque::new(),
            pipe: VecDeque::new(),
        })
    }

    /// splunkd takes so much of what was written.
    fn take(&mut self, run: &mut Run, count: usize, hazards: &mut Hazards) -> Result<(), String> {
        for sequence in run.pipe.drain(..count) {
            message_of(self.seed, sequence, hazards)?;
            let times = self.taken.entry(sequence).or_default();
            *times += 1;
            let allowed = self.allowed.entry(sequence).or_insert(1);
            if *times > *allowed {
                return Err(format!("event {sequence} came {times} times, and {allowed} would have been enough"));
            }
            self.unsaved.insert(sequence);
        }
        Ok(())
    }

    /// The process is gone: what splunkd took since the last save may come once more.
    fn killed(&mut self) {
        for sequence in std::mem::take(&mut self.unsaved) {
            *self.allowed.entry(sequence).or_insert(1) += 1;
        }
    }
}

/// Plays one life.
fn live(seed: u64, hazards: &mut Hazards) -> Result<(), String> {
    let mut chance = Chance::new(seed);
    const DAYS: i64 = 2 * 86_400 * PER_SECOND;
    let mut clock = || if chance.percent(20) { *chance.pick(&[-DAYS, DAYS, 200 * DAYS]) } else { 0 };
    let (ahead_here, ahead_there) = (clock(), clock());
    hazards.clocks_here += u64::from(ahead_here != 0);
    hazards.clocks_there += u64::from(ahead_there != 0);
    // Long after the beginning of time.
    let now = 20_000 * 86_400 * PER_SECOND;
    let log = Log { last: -1, ..Log::default() };
    let mut life = Life { log, now, ahead_here, ahead_there, seed, ..Life::default() };
    life.publish(chance.below(30));
    let expired = usize::try_from(chance.below(5)).unwrap_or(0).min(life.log.events.len());
    life.log.events.drain(..expired);
    let start = match chance.below(4) {
        0 => Begin::Earliest,
        1 => Begin::Latest,
        2 => Begin::At(Ticks(life.now + life.ahead_there - 5 * PER_SECOND)),
        _ => Begin::Back(std::time::Duration::from_secs(10)),
    };
    let mut run = life.start(start)?;
    for _ in 0..STEPS {
        match chance.below(20) {
            0..4 => {
                let count = chance.below(4);
                life.publish(count);
                // A link that is there brings them too.
                if let Some(link) = &mut run.link {
                    let from = life.log.last - i64::try_from(count).unwrap_or(0);
                    let news =
                        life.log.events.iter().filter(|(sequence, came)| *sequence > from && fits(run.from, *sequence, *came));
                    link.extend(news.map(|(sequence, _)| *sequence));
                }
            }
            4 => {
                let count = usize::try_from(chance.below(4)).unwrap_or(0).min(life.log.events.len());
                let gone: Vec<i64> = life.log.events.drain(..count).map(|(sequence, _)| sequence).collect();
                hazards.expired += gone.len() as u64;
                if let Some(link) = &mut run.link {
                    link.retain(|sequence| !gone.contains(sequence));
                }
            }
            5 if chance.percent(3) => {
                // The hub is deleted and made again, with fewer events than were read before.
                let read = life.taken.last_key_value().map_or(-1, |(sequence, _)| *sequence);
                life.log = Log { made_anew: 1, last: -1, ..Log::default() };
                run.link = None;
                for _ in 0..chance.below(u64::try_from(read.max(0)).unwrap_or(0) + 1) {
                    life.log.last += 1;
                    life.log.events.push_back((life.log.last, Ticks(life.now + life.ahead_there)));
                }
            }
            5..9 => {
                if run.link.is_none() {
                    run.position.number(life.log.holding(), life.log.newest);
                    let before = run.position.place();
                    match run.position.compare(life.log.holding()) {
                        Ok(missing) => life.missing += missing,
                        Err(rewound) if life.log.made_anew > 0 && rewound.last < rewound.read => {
                            hazards.rewound += 1;
                            return Ok(());
                        }
                        Err(rewound) => return Err(format!("taken for made anew: {rewound:?}")),
                    }
                    if life.log.made_anew > 0 {
                        return match before {
                            Place::After(read) if life.log.last < read => {
                                Err("a hub that was made anew is read in silence".to_owned())
                            }
                            // The numbers have caught up, or nothing was read of the old one: the date of creation tells.
                            _ => Ok(()),
                        };
                    }
                    let link = life.log.from(run.position.place());
                    if link.front().is_some_and(|first| run.came.is_some_and(|came| *first <= came)) {
                        return Err("a new link brings again what came before".to_owned());
                    }
                    run.from = run.position.place();
                    run.link = Some(link);
                }
            }
            9..14 => {
                let Some(link) = &mut run.link else { continue };
                let Some(sequence) = link.pop_front() else { continue };
                if chance.percent(5) {
                    // The service sends it once more.
                    link.push_front(sequence);
                }
                match run.position.take(sequence) {
                    Arrival::New { missing } => {
                        life.missing += missing;
                        run.came = Some(sequence);
                        run.queue.push_back(sequence);
                    }
                    Arrival::Repeat => hazards.repeats += 1,
                }
            }
            14..16 => {
                if let Some(sequence) = run.queue.pop_front() {
                    run.pipe.push_back(sequence);
                    run.ledger.wrote(sequence);
                }
            }
            16 => {
                let count = run.pipe.len();
                life.take(&mut run, count, hazards)?;
                run.ledger.flushed();
            }
            17 => {
                if let Some(place) = run.ledger.to_save() {
                    hazards.saves += 1;
                    life.disk.reached = Some(place);
                    run.ledger.saved(place);
                    let Place::After(saved) = place else { return Err("a place without a number was saved".to_owned()) };
                    life.unsaved.retain(|sequence| *sequence > saved);
                }
            }
            18 => {
                hazards.drops += u64::from(run.link.is_some());
                run.link = None;
            }
            _ => {
                if chance.percent(40) {
                    hazards.kills += 1;
                    // splunkd may have taken some of what was written.
                    let count = usize::try_from(chance.below(run.pipe.len() as u64 + 1)).unwrap_or(0);
                    life.take(&mut run, count, hazards)?;
                    life.killed();
                    run = life.start(start)?;
                }
            }
        }
    }
    if life.log.made_anew > 0 {
        return Ok(());
    }
    settle(&mut life, &mut run, hazards)
}

/// Lets everything that is left arrive, and compares.
fn settle(life: &mut Life, run: &mut Run, hazards: &mut Hazards) -> Result<(), String> {
    if run.link.is_none() {
        run.position.number(life.log.holding(), life.log.newest);
        life.missing += run.position.compare(life.log.holding()).map_err(|rewound| format!("{rewound:?}"))?;
        run.link = Some(life.log.from(run.position.place()));
    }
    for sequence in run.link.take().unwrap_or_default() {
        if let Arrival::New { missing } = run.position.take(sequence) {
            life.missing += missing;
            run.queue.push_back(sequence);
        }
    }
    run.pipe.extend(run.queue.drain(..));
    let count = run.pipe.len();
    life.take(run, count, hazards)?;
    // Of what is owed, what never came was deleted before.
    let kept: BTreeSet<i64> = life.log.events.iter().map(|(sequence, _)| *sequence).collect();
    let never: Vec<i64> = life.owed.iter().copied().filter(|sequence| !life.taken.contains_key(sequence)).collect();
    if let Some(lost) = never.iter().find(|sequence| kept.contains(sequence)) {
        return Err(format!("event {lost} was there all the time and never came"));
    }
    // A reader that begins at a time cannot know how many came before its first; what it has begun with is known.
    let began_by_number = matches!(life.disk.begun, Some(Place::After(_)));
    if began_by_number && life.missing < never.len() as u64 {
        return Err(format!("{} events are missing, and {} are counted", never.len(), life.missing));
    }
    Ok(())
}

fn first_failure(seeds: u64, fault: Option<Planted>, hazards: &mut Hazards) -> Option<(u64, String)> {
    PLANTED.set(fault);
    let failure = (0..seeds).find_map(|seed| live(seed, hazards).err().map(|reason| (seed, reason)));
    PLANTED.set(None);
    failure
}

#[test]
#[allow(clippy::use_debug, clippy::print_stdout)]
fn nothing_is_lost_and_little_comes_twice() {
    let mut hazards = Hazards::default();
    if let Some((seed, reason)) = first_failure(SEEDS, None, &mut hazards) {
        panic!("seed {seed}: {reason}");
    }
    println!("{SEEDS} seeds: {hazards:?}");
    let Hazards { kills, drops, repeats, expired, rewound, saves, clocks_here, clocks_there, bad_records, hostile } = hazards;
    let all = [kills, drops, repeats, expired, rewound, saves, clocks_here, clocks_there, bad_records, hostile];
    assert!(all.iter().all(|count| *count > 100), "{hazards:?}");
}

#[test]
fn every_planted_fault_is_noticed() {
    use Planted::{
        AcceptsRewind, BadRecordEndsList, BeginsByClock, DropsOddBodies, ReattachesAtStart, SavesUnflushed, SilentGap,
        TakesRepeats,
    };
    for fault in [
        ReattachesAtStart,
        AcceptsRewind,
        SilentGap,
        TakesRepeats,
        SavesUnflushed,
        BeginsByClock,
        DropsOddBodies,
        BadRecordEndsList,
    ] {
        let noticed = first_failure(PLANTED_SEEDS, Some(fault), &mut Hazards::default());
        assert!(noticed.is_some(), "{fault:?} was not noticed");
    }
}
