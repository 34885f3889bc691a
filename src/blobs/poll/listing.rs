//! What a poll lists: the folders of a container, its recent days, or all of it.

use std::time::Duration;

use super::{Halt, Outside, Poll};
use crate::blobs::cursor::{Hour, Span};
use crate::microsoft::storage::{Blobs, Listed};
use crate::time::Ticks;

/// Days that are listed one by one; for more, all there is is listed once.
const DAYS: i64 = 10;
/// The day after is listed as well when it is this near.
const MIDNIGHT: Duration = Duration::from_secs(600);

/// A list as it came.
pub(super) struct Top {
    pub(super) blobs: Vec<Listed>,
    folders: Vec<String>,
    /// The service's clock when it began to list.
    pub(super) at: Ticks,
}

impl<O: Outside> Poll<'_, O> {
    /// All blobs of a container in a span of hours, and some others perhaps.
    pub(super) fn listed(&mut self, container: &str, top: Top, span: Span) -> Result<Vec<Listed>, Halt> {
        let mut listed = top.blobs;
        for folder in top.folders {
            let before = listed.len();
            let days = days(&folder, span, top.at);
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
        Ok(inside.blobs.is_empty() && inside.folders.iter().all(|name| name[folder.len()..].starts_with("y=")))
    }

    /// A whole list, however many answers it takes.
    pub(super) fn list(&mut self, container: &str, prefix: &str, folders: bool) -> Result<Top, Halt> {
        let (mut blobs, mut inside) = (Vec::new(), Vec::new());
        let at = self.pages(container, prefix, folders, |mut page| {
            blobs.append(&mut page.blobs);
            inside.append(&mut page.folders);
        })?;
        Ok(Top { blobs, folders: inside, at })
    }

    /// Hands a list on answer by answer. Gives the service's clock when it began to list, or an earlier time.
    pub(super) fn pages(
        &mut self,
        container: &str,
        prefix: &str,
        folders: bool,
        mut take: impl FnMut(Blobs),
    ) -> Result<Ticks, Halt> {
        let asked_at = self.outside.now();
        let (mut began, mut marker) = (None, String::new());
        loop {
            let mut page = self.ask(|storage| storage.blobs(container, prefix, folders, &marker))?;
            let took = self.outside.now().since(asked_at);
            let began = *began.get_or_insert_with(|| page.at.map_or(asked_at, |date| date.minus(took)));
            self.clock = began;
            marker = std::mem::take(&mut page.next);
            take(page);
            if marker.is_empty() {
                return Ok(began);
            }
        }
    }
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
