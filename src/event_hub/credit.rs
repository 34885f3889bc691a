//! How many events a link may send ahead, so that memory stays bounded whatever their size.

/// Bytes that all links together may have under way, by the sizes seen so far.
pub(super) const AHEAD: usize = 6 << 20;
/// Bytes of frames that all sessions together may have under way, whatever the sizes turn out to be.
const WINDOWS: u32 = 12 << 20;
/// The size that events are taken to have before one was seen: the largest there is, as long as nothing is known.
const FIRST_GUESS: usize = 1 << 20;
/// More ahead of the reader gains nothing.
const MOST: u32 = 600;

/// What a link may be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    /// So many events.
    pub(super) credit: u32,
    /// It is one event that is larger than the link's share, of so many bytes. Of 32 partitions in arrears each would have a
    /// megabyte under way; so it needs its part of [`AHEAD`] first, which it gives back with the event.
    pub(super) large: Option<u32>,
}

/// The credit of one link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Credit {
    share: usize,
    size: usize,
    granted: u32,
    left: u32,
}

impl Credit {
    /// A link that shares with so many others, itself included.
    pub(super) fn new(links: usize) -> Self {
        Self { share: AHEAD / links.max(1), size: FIRST_GUESS, granted: 0, left: 0 }
    }

    /// Counts an event that came. Large ones are believed at once, small ones slowly: a mistake costs memory one way and a
    /// little speed the other.
    pub(super) fn took(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(1);
        self.size = if bytes > self.size { bytes } else { self.size - (self.size - bytes) / 16 };
    }

    /// What to grant now, if it is time: when half of the last was used.
    pub(super) fn due(&mut self) -> Option<Grant> {
        if self.left > self.granted / 2 {
            return None;
        }
        let credit = u32::try_from(self.share / self.size.max(1)).unwrap_or(MOST).clamp(1, MOST);
        (self.granted, self.left) = (credit, credit);
        let large = (self.size > self.share).then(|| u32::try_from(self.size.min(AHEAD)).unwrap_or(u32::MAX));
        Some(Grant { credit, large })
    }
}

/// Frames of `frame` bytes that each of so many sessions may have under way.
pub(super) fn window(links: usize, frame: u32) -> u32 {
    (WINDOWS / frame / u32::try_from(links.max(1)).unwrap_or(u32::MAX)).clamp(4, 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has so many events of a size come; the last grant.
    fn after(credit: &mut Credit, events: usize, bytes: usize) -> Option<Grant> {
        let mut last = None;
        for _ in 0..events {
            credit.took(bytes);
            last = credit.due().or(last);
        }
        last
    }

    #[test]
    fn credit_follows_the_size_of_events() {
        let mut credit = Credit::new(4);
        assert_eq!(credit.due(), Some(Grant { credit: 1, large: None }), "6 MB, 4 links, a megabyte each");
        assert_eq!(credit.due(), None, "there is still some");
        assert_eq!(after(&mut credit, 4000, 1000), Some(Grant { credit: MOST, large: None }), "small events");
        credit.took(1 << 20);
        while credit.due().is_none() {
            credit.took(1 << 20);
        }
        assert_eq!(credit.granted, 1, "and not one more than fits once they are large");
    }

    #[test]
    fn a_link_of_many_can_always_have_one() {
        let mut credit = Credit::new(1024);
        credit.took(1 << 20);
        assert_eq!(credit.due(), Some(Grant { credit: 1, large: Some(1 << 20) }));
        assert_eq!(after(&mut credit, 200, 1000), Some(Grant { credit: 6, large: None }), "small ones fit into its share");
        credit.took(20 << 20);
        assert_eq!(after(&mut credit, 10, 20 << 20).map(|grant| grant.large), Some(Some(6 << 20)), "never more than there is");
        assert_eq!((window(1, 64 << 10), window(32, 64 << 10), window(1024, 64 << 10)), (64, 6, 4));
    }
}
