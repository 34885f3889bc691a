//! Faults planted in the collection engine, to show that the simulation would notice them. In the program itself none
//! exists: [`planted`] is a constant `false` there.

#[cfg_attr(not(feature = "streaming"), allow(dead_code, reason = "some are of the streaming feeds"))]
/// A fault that other collectors shipped, or that this one could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// `gt` for `ge` at the lower edge of a window.
    StrictEdge,
    /// The settled point is moved to the look itself.
    SettledIsNow,
    /// The settled point is not held back by the look-back.
    NoLookback,
    /// The position is saved before its events are flushed.
    SaveFirst,
    /// Versions are forgotten although they will be asked for again.
    ForgetsVersions,
    /// Alerts inside incidents are forgotten by their age.
    ForgetsOldAlerts,
    /// A full answer is taken for a complete one.
    FullIsComplete,
    /// Order is believed without looking at the rows.
    TrustsOrder,
    /// The next page is asked by its number while the set changes.
    FollowsPages,
    /// An error is taken for an empty answer.
    ErrorIsEmpty,
    /// A token that is no longer accepted is not renewed.
    NoRenewal,
    /// An alert is known by its id alone.
    IgnoresAlertVersion,
    /// `start` is resolved anew after a first run that failed.
    StartNotSaved,
    /// What is left of the history is dropped at a restart.
    DropsHistory,
    /// An answer that broke off is taken for a whole one.
    BrokenIsComplete,
    /// What was written of an answer that broke off is not remembered.
    ForgetsBroken,
    /// What becomes visible later than the look-back is not looked for.
    NoLateLook,
    /// The memory of the late look does not hold what was emitted.
    LateForgets,
    /// What came outside its window is not remembered.
    ForgetsStrays,
    /// An alert is known whatever incident it belongs to.
    IgnoresMoves,
    /// The answer's `Date` alone says when the look was taken.
    TrustsDate,
    /// This machine's clock alone says when the look was taken.
    TrustsMachine,
    /// A service that stands still settles what it has not shown yet.
    IgnoresNewest,
    /// An object dated in the future counts as the newest, once that time has come.
    FutureIsNewest,
    /// A position in the future of the clocks is left there.
    KeepsFuture,
    /// An answer that says it is not whole is taken for a whole one.
    PartIsWhole,
    /// A page is whole when the next one is empty, whatever left it in between.
    EmptyPageProves,
    /// A list inside an object is taken for all of it.
    CutListIsWhole,
    /// What is refused as wrong counts as read, its newer part as well.
    RefusedIsRead,
    /// A new link of a partition begins where the input began.
    ReattachesAtStart,
    /// A partition whose numbers went back is read again from its beginning.
    AcceptsRewind,
    /// Events that the service no longer has are passed over in silence.
    SilentGap,
    /// An event that came before is taken again.
    TakesRepeats,
    /// A partition's place is saved before its events are flushed.
    SavesUnflushed,
    /// A first run begins at a time of this machine's clock, whatever the hub holds.
    BeginsByClock,
    /// What a message holds that is no data is left out.
    DropsOddBodies,
    /// What follows a bad record in its list is not looked at.
    BadRecordEndsList,
    /// Blobs of hours that are over are not looked at again.
    BlobsNotLookedBack,
    /// What is appended to blobs of finished hours is not looked for.
    BlobsLateUnseen,
    /// A blob that was made anew goes on where the old one was left.
    BlobsAnewUnseen,
    /// The last line of a blob is passed on before it has ended.
    BlobsHalfLines,
    /// The last line of a blob counts as read before it has ended.
    BlobsHalfLineForgotten,
    /// A blob's position is saved before its records are flushed.
    BlobsSavedFirst,
    /// A blob that cannot be read keeps what is behind it in its container.
    BlobsOneKeepsAll,
    /// A blob that could not be read is passed over and not tried again.
    BlobsAsideForgotten,
    /// A container that fails ends the poll.
    BlobsOneContainerKeepsAll,
    /// The service's clock alone says which hours are over.
    BlobsClockThereBelieved,
    /// This machine's clock alone says which hours are over, and where the first run begins.
    BlobsClockHereBelieved,
    /// Hours are over although the service stands still.
    BlobsStandstillUnseen,
    /// A list is read for as long as it names a next answer.
    BlobsEndlessListRead,
    /// What a list names beside what was asked for is read.
    BlobsForeignNamesRead,
}

/// Whether this fault is planted in the running test.
#[cfg(not(test))]
pub(crate) const fn planted(_: Planted) -> bool {
    false
}

#[cfg(test)]
pub(crate) use switch::{PLANTED, planted};

#[cfg(test)]
mod switch {
    use std::cell::Cell;

    use super::Planted;

    thread_local! {
        /// The fault of the test that runs on this thread.
        pub(crate) static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
    }

    /// Whether this fault is planted in the running test.
    pub(crate) fn planted(fault: Planted) -> bool {
        PLANTED.get() == Some(fault)
    }
}
