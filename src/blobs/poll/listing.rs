//! What a poll lists: the containers of the account; the folders of a container, its recent days, or all of it. Whoever answers may list
//! anything for as long as it likes, so a list has bounds, and of what it names only what was asked for is taken.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use log::Level;

use super::{BlobsError, Halt, Outside, Poll, TOLD_AGAIN, with_remedy};
use crate::blobs::CONTAINER;
use crate::blobs::cursor::{Hour, Span};
use crate::input::Tables;
use crate::masking::foreign_text;
use crate::microsoft::storage::{Blobs, Failure, Listed, StorageError, is_container_name};
use crate::planted::{Planted, planted};
use crate::time::Ticks;

/// Days that are listed one by one; for more, all there is is listed once.
const DAYS: i64 = 10;
/// The day after is listed as well when it is this near.
const MIDNIGHT: Duration = Duration::from_secs(600);
/// The most that is held of the names of one look into a container, in bytes, with what is known of each.
const HELD: usize = 24 << 20;
/// What is known of a blob beside its name, in bytes.
const ENTRY: usize = 128;
/// The most containers that are read. There is one for each table, and some thirty tables.
const CONTAINERS: usize = 1_000;

/// A list as it came.
pub(super) struct Top {
    pub(super) blobs: Vec<Listed>,
    folders: Vec<String>,
    /// When it began to be listed by the clock that is behind: no blob that was there then is missing.
    pub(super) at: Ticks,
    /// The same by the clock that is ahead: no blob that is listed was written later.
    pub(super) latest: Ticks,
}

impl<O: Outside> Poll<'_, O> {
    /// The containers of the tables that are wanted.
    pub(super) fn containers(&mut self) -> Result<Vec<String>, Halt> {
        if let Tables::Only(names) = &self.input.stream.tables {
            // Their names are known, so that a role for these containers alone is enough.
            return Ok(names.iter().map(|table| format!("{CONTAINER}{table}")).collect());
        }
        let listed = match self.list_containers() {
            Err(Halt::Error(BlobsError::Storage(error))) if self.is_about_the_list(&error) => {
                // Those that are known can be read all the same; new ones are not seen.
                self.tell("", Level::Error, &with_remedy(&error), TOLD_AGAIN);
                return Ok(self.position.containers.keys().cloned().collect());
            }
            listed => listed?,
        };
        let (mut names, mut others) = (BTreeSet::new(), Others::default());
        for name in listed {
            let is_ours = name.starts_with(CONTAINER) && is_container_name(&name) && names.len() < CONTAINERS;
            if is_ours || planted(Planted::BlobsForeignNamesRead) {
                names.insert(name);
            } else {
                others.add(&name);
            }
        }
        if let Some(first) = others.first {
            let text = format!(
                "the storage account lists {} containers that were not asked for or have names that none can have, the first of them \
                 `{first}`; they are not read",
                others.count
            );
            self.tell("names", Level::Warn, &text, TOLD_AGAIN);
        }
        if names.is_empty() {
            let text = format!(
                "the storage account has no container whose name begins with {CONTAINER}: Defender makes them with the first \
                 records; check that its streaming settings name this storage account"
            );
            self.tell("", Level::Warn, &text, TOLD_AGAIN);
        }
        Ok(names.into_iter().collect())
    }

    /// Whether a failure is only of the list of containers, and some are known.
    fn is_about_the_list(&self, error: &StorageError) -> bool {
        let about_it = matches!(
            error.failure,
            Failure::Forbidden
                | Failure::Signature
                | Failure::BadRequest
                | Failure::Server
                | Failure::Unreadable(_)
                | Failure::Endless(_)
        );
        about_it && !self.position.containers.is_empty()
    }

    fn list_containers(&mut self) -> Result<Vec<String>, Halt> {
        let (mut names, mut held, mut answers) = (Vec::new(), 0, Answers::default());
        while let Some(marker) = answers.next("", self.sizes.pages)? {
            self.in_time(answers.count)?;
            let page = self.ask(|storage| storage.containers(CONTAINER, &marker))?;
            held += page.names.iter().map(|name| name.len() + ENTRY).sum::<usize>();
            bounded("", held)?;
            names.extend(page.names);
            answers.came(page.next);
        }
        Ok(names)
    }

    /// All blobs of a container in a span of hours, and some others perhaps.
    pub(super) fn listed(&mut self, container: &str, top: Top, span: Span) -> Result<Vec<Listed>, Halt> {
        let mut listed = top.blobs;
        for folder in top.folders {
            let before = listed.len();
            let days = days(&folder, span, top.latest);
            for day in days.iter().flatten() {
                listed.extend(self.list(container, &format!("{folder}{day}"), false)?.blobs);
            }
            // Nothing where the days should be: there is nothing, or the names have another form.
            if days.is_none() || (listed.len() == before && !self.is_by_year(container, &folder)?) {
                listed.extend(self.list(container, &folder, false)?.blobs);
            }
        }
        Ok(listed)
    }

    fn is_by_year(&mut self, container: &str, folder: &str) -> Result<bool, Halt> {
        let inside = self.list(container, folder, true)?;
        let by_year = |name: &String| name.strip_prefix(folder).is_some_and(|rest| rest.starts_with("y="));
        Ok(inside.blobs.is_empty() && inside.folders.iter().all(by_year))
    }

    /// A whole list, however many answers it takes.
    pub(super) fn list(&mut self, container: &str, prefix: &str, folders: bool) -> Result<Top, Halt> {
        let (mut blobs, mut inside) = (Vec::new(), Vec::new());
        let mut held = self.held;
        let (at, latest) = self.pages(container, prefix, folders, |mut page| {
            held += page.blobs.iter().map(|blob| blob.name.len() + ENTRY).sum::<usize>();
            held += page.folders.iter().map(|name| name.len() + ENTRY).sum::<usize>();
            blobs.append(&mut page.blobs);
            inside.append(&mut page.folders);
            held
        })?;
        self.held = held;
        Ok(Top { blobs, folders: inside, at, latest })
    }

    /// Hands a list on answer by answer; `take` says how many bytes are held by now. Gives when it began to be listed, by the clock
    /// that is behind and by the one that is ahead.
    pub(super) fn pages(
        &mut self,
        container: &str,
        prefix: &str,
        folders: bool,
        mut take: impl FnMut(Blobs) -> usize,
    ) -> Result<(Ticks, Ticks), Halt> {
        let asked_at = self.outside.now();
        let (mut began, mut answers, mut others) = (None, Answers::default(), Others::default());
        while let Some(marker) = answers.next(container, self.sizes.pages)? {
            self.in_time(answers.count)?;
            let mut page = self.ask(|storage| storage.blobs(container, prefix, folders, &marker))?;
            let took = self.outside.now().since(asked_at);
            let began = *began.get_or_insert_with(|| self.clocks(page.at.map(|date| date.minus(took)), asked_at));
            self.clock = began.0;
            answers.came(std::mem::take(&mut page.next));
            if !planted(Planted::BlobsForeignNamesRead) {
                page.blobs.retain(|blob| others.is_ours(&blob.name, blob.name.starts_with(prefix)));
                page.folders.retain(|name| others.is_ours(name, name.len() > prefix.len() && name.starts_with(prefix)));
            }
            page.blobs.retain(|blob| others.is_ours(&blob.name, Hour::of_blob(blob).is_some()));
            others.count += page.odd;
            bounded(container, take(page))?;
        }
        if others.count > 0 {
            let first = others.first.map_or_else(String::new, |first| format!(", the first of them `{first}`"));
            let text = format!(
                "{container}: a list holds {} entries that were not asked for, or tell no name, size or time{first}; they are not read",
                others.count
            );
            self.tell(&format!("{container} names"), Level::Warn, &text, TOLD_AGAIN);
        }
        Ok(began.unwrap_or((asked_at, asked_at)))
    }
}

/// Entries of a list that are left out.
#[derive(Default)]
struct Others {
    count: usize,
    /// Fit for messages.
    first: Option<String>,
}

impl Others {
    fn add(&mut self, name: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| foreign_text(name));
    }

    fn is_ours(&mut self, name: &str, is_ours: bool) -> bool {
        if !is_ours {
            self.add(name);
        }
        is_ours
    }
}

/// The answers of one list: each names the next, and none may be named twice.
#[derive(Default)]
struct Answers {
    count: usize,
    /// The mark of the next answer; empty when there is none.
    next: String,
    seen: HashSet<String>,
}

impl Answers {
    /// The mark to ask with; `None` when the list has ended.
    fn next(&mut self, container: &str, most: usize) -> Result<Option<String>, Halt> {
        if self.count > 0 && self.next.is_empty() {
            return Ok(None);
        }
        let endless = |reason: String| Err(StorageError::endless(container, reason).into());
        if !planted(Planted::BlobsEndlessListRead) {
            if self.count == most {
                return endless(format!("it names another answer behind {most}"));
            }
            if !self.seen.insert(self.next.clone()) {
                return endless("the mark of its next answer comes again".to_owned());
            }
        }
        self.count += 1;
        Ok(Some(std::mem::take(&mut self.next)))
    }

    fn came(&mut self, next: String) {
        self.next = next;
    }
}

/// Whether what a list makes us hold is within its bounds.
fn bounded(container: &str, held: usize) -> Result<(), Halt> {
    if held <= HELD {
        return Ok(());
    }
    Err(StorageError::endless(container, format!("its names have more than {} MB", HELD >> 20)).into())
}

/// The days of a span by the beginnings of their names, behind the tenant's; `None` when there are too many, or the folder
/// is no tenant's.
fn days(folder: &str, span: Span, now: Ticks) -> Option<Vec<String>> {
    if !folder.starts_with("tenantId=") {
        return None;
    }
    let day = |hour: Hour| hour.0.div_euclid(24);
    let (first, end) = (span.from?, span.to.unwrap_or(Hour(Hour::of(now.plus(MIDNIGHT)).0 + 1)));
    let (first, last) = (day(first), day(Hour(end.0 - 1)));
    (last - first < DAYS).then(|| (first..=last).map(|day| Hour(day * 24).day()).collect())
}
