//! Odd services and clocks: one blob or one container that fails for long, clocks that are wrong on either side, lists without an
//! end and with names that were not asked for, a service that stands still.

use std::collections::BTreeMap;
use std::time::Duration;

use simulator::chance::Chance;
use simulator::wire::Response;
use simulator::{Request, Time};

/// A container beside those of Defender.
pub(super) const FOREIGN: &str = "private-data";

/// How a blob fails for as long as it is bad.
#[derive(Clone, Copy, Debug)]
pub(super) enum Bad {
    /// With this status and code.
    Refused(u16, &'static str),
    /// Its answers tell another time of creation than the lists.
    Other,
    /// Somebody in between gives a page.
    Page,
}

const BAD: [Bad; 9] = [
    Bad::Refused(409, "BlobArchived"),
    Bad::Refused(409, "BlobUsesCustomerSpecifiedEncryption"),
    Bad::Refused(403, "AuthorizationPermissionMismatch"),
    Bad::Refused(412, "LeaseIdMissing"),
    Bad::Refused(416, "InvalidRange"),
    Bad::Refused(404, "BlobNotFound"),
    Bad::Refused(500, "InternalError"),
    Bad::Other,
    Bad::Page,
];

/// How a container fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shut {
    /// With this status and code, whatever is asked of it.
    Refused(u16, &'static str),
    /// Its lists have no end.
    Endless,
}

const SHUT: [Shut; 4] = [
    Shut::Refused(403, "AuthorizationPermissionMismatch"),
    Shut::Refused(500, "InternalError"),
    Shut::Refused(409, "AccountBeingCreated"),
    Shut::Endless,
];

/// What is odd at the moment.
#[derive(Default)]
pub(super) struct Odd {
    /// By container and name.
    pub(super) blobs: BTreeMap<(String, String), Bad>,
    pub(super) container: Option<(String, Shut)>,
    /// How far the service's clock is off, in seconds.
    pub(super) there: i64,
    /// How far this machine's is, in seconds.
    pub(super) here: i64,
    /// Whether the service's clock was off for a single answer of this poll: then hours that were over may not be a moment later,
    /// and wait for the next poll.
    pub(super) flickered: bool,
    /// Since when nothing is written, and until when.
    pub(super) standing: Option<(Time, Time)>,
    /// How often each list was asked for in this poll.
    asked: BTreeMap<String, u32>,
}

/// Twenty minutes to three days, or a year, on either side.
fn off(chance: &mut Chance) -> i64 {
    let seconds = match chance.below(4) {
        0 => 365 * 86_400,
        _ => 1_200 + i64::try_from(chance.below(3 * 86_400)).unwrap_or(0),
    };
    if chance.percent(60) { seconds } else { -seconds }
}

impl Odd {
    /// Before a poll.
    pub(super) fn between(&mut self, chance: &mut Chance, containers: &[String]) {
        self.asked.clear();
        self.flickered = false;
        self.here = if chance.percent(15) { off(chance) } else { 0 };
        self.there = if self.here == 0 && chance.percent(10) { off(chance) } else { 0 };
        self.container = chance.percent(12).then(|| (chance.pick(containers).clone(), *chance.pick(&SHUT)));
        if chance.percent(15) {
            self.blobs.pop_first();
        }
    }

    /// One that is read well so far fails from now on.
    pub(super) fn spoil(&mut self, chance: &mut Chance, place: &(String, String)) {
        self.blobs.insert(place.clone(), *chance.pick(&BAD));
    }

    /// Whether everything of this blob can be read.
    pub(super) fn is_well(&self, place: &(String, String)) -> bool {
        !self.blobs.contains_key(place) && self.container.as_ref().is_none_or(|(container, _)| *container != place.0)
    }

    /// Bends an answer of the service, and says what was met.
    pub(super) fn bend(&mut self, chance: &mut Chance, asked: &Request, answer: &mut Response, now: Time) -> Vec<&'static str> {
        let mut met = Vec::new();
        let segments = asked.segments();
        let is_list = asked.query_value("comp").is_some();
        let place = segments.split_first().map(|(container, rest)| (container.clone(), rest.join("/")));
        let mut there = self.there;
        if there == 0 && chance.percent(2) {
            self.flickered = true;
            // Two clocks that are ahead are beyond what can be promised.
            there = if self.here > 0 { -off(chance).abs() } else { off(chance) };
        }
        if there != 0 && is_list && answer.status == 200 {
            met.push("clock there");
            answer.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("date"));
            answer.headers.push(("Date".to_owned(), Time::from_unix(now.unix() + there).http_date()));
        }
        if self.here != 0 {
            met.push("clock here");
        }
        if let Some((_, shut)) = self.container.as_ref().filter(|(name, _)| place.as_ref().is_some_and(|place| place.0 == *name))
        {
            met.push("one bad container");
            match shut {
                Shut::Refused(status, code) => refuse(answer, *status, code),
                Shut::Endless if is_list && answer.status == 200 => {
                    met.push("endless list");
                    let text = String::from_utf8_lossy(&answer.body).into_owned();
                    let list = text.split("<NextMarker").next().unwrap_or_default();
                    answer.body = format!("{list}<NextMarker>2!</NextMarker></EnumerationResults>").into_bytes();
                }
                Shut::Endless => {}
            }
        } else if let Some(bad) = place.as_ref().and_then(|place| self.blobs.get(place)).filter(|_| !is_list) {
            met.push("one bad blob");
            match bad {
                Bad::Refused(status, code) => refuse(answer, *status, code),
                Bad::Other => {
                    answer.headers.retain(|(name, _)| name != "x-ms-creation-time");
                    answer.headers.push(("x-ms-creation-time".to_owned(), Time::from_unix(86_400).http_date()));
                }
                Bad::Page => {
                    answer.status = 403;
                    answer.body = b"<html><head><title>Blocked</title></head></html>".to_vec();
                    answer.headers.retain(|(name, _)| !name.starts_with("x-ms"));
                }
            }
        } else if is_list && answer.status == 200 && chance.percent(15) {
            met.push("foreign prefix");
            replace(
                answer,
                "<Containers>",
                &format!(
                    "<Containers><Container><Name>{FOREIGN}</Name></Container><Container><Name>insights-logs-advancedhunting-../x?y#z</Name></Container>"
                ),
            );
            replace(
                answer,
                "<Blobs>",
                "<Blobs><BlobPrefix><Name>z</Name></BlobPrefix><Blob><Name>../ghost</Name><Properties><Content-Length>9</Content-Length></Properties></Blob>",
            );
        }
        met
    }

    /// Counts a list; the reason when it is asked for too often.
    pub(super) fn count(&mut self, asked: &Request) -> Option<String> {
        asked.query_value("comp")?;
        let target = format!("{}?{}", asked.path, asked.query);
        let times = self.asked.entry(target.clone()).or_default();
        *times += 1;
        (*times > 60).then(|| format!("asked {times} times in one poll for {target}"))
    }

    /// All is well from now on.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }
}

/// How long a service may stand still.
pub(super) fn standstill(chance: &mut Chance) -> Duration {
    Duration::from_secs(3600 + chance.below(60 * 3600))
}

fn refuse(answer: &mut Response, status: u16, code: &str) {
    answer.status = status;
    answer.body = format!("<Error><Code>{code}</Code><Message>No.</Message></Error>").into_bytes();
}

fn replace(answer: &mut Response, what: &str, with: &str) {
    let text = String::from_utf8_lossy(&answer.body).replace(what, with);
    answer.body = text.into_bytes();
}
