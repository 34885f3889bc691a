//! Looks at the hub: at the first run, with each connection, and once a minute.

use std::sync::{Arc, Mutex};

use tokio::time::{Instant, timeout};

use super::{HEALTHY, Partition, Receiving, SILENT_LOOKS, SOON, State, holding, silent, soon};
use crate::event_hub::error::EventHubError;
use crate::event_hub::files::{Begun, Subject};
use crate::event_hub::position::{Newest, Position, first_place, resume_at};
use crate::event_hub::reading::{SPACE, lock};
use crate::event_hub::tokens::Current;
use crate::input::Begin;
use crate::microsoft::event_hubs::{Fault, HubFacts, Namespace, What};
use crate::time::Ticks;

impl Receiving {
    /// What was found at the first run; found and saved now, if this is it: `start` means the same place however often the
    /// first run fails.
    pub(super) async fn begun(&self, namespace: &mut Namespace, hub: &HubFacts, token: &Current) -> Result<Begun, EventHubError> {
        let created = hub.created.map(|at| at.to_string());
        if let Some(begun) = self.files.begun()? {
            return match (&begun.created, created) {
                (Some(was), Some(is)) if *was != is => {
                    let (hub, was, file) = (self.input.hub.clone(), was.clone(), self.files.name());
                    Err(EventHubError::Remade { hub, was, is, file })
                }
                _ => Ok(begun),
            };
        }
        let now = Ticks::now();
        if let Begin::At(at) = self.input.stream.start
            && at > now
        {
            return Err(EventHubError::Ahead { start: at, now });
        }
        let mut facts = Vec::new();
        for id in &hub.partitions {
            facts.push((id, namespace.partition(id, &token.get()).await?));
        }
        let of_hub = facts.iter().filter(|(_, facts)| facts.last >= 0).filter_map(|(_, facts)| facts.enqueued).max();
        let start = facts.into_iter().map(|(id, facts)| {
            let newest = Newest { of_partition: facts.enqueued, of_hub };
            (id.clone(), first_place(self.input.stream.start, holding(facts), newest, now))
        });
        let start = start.collect();
        let begun = Begun { subject: Subject::of(&self.input), created, start };
        self.files.begin(&begun)?;
        log::info!(
            "{}: the hub {} has {} partitions; reading begins at its `start`",
            self.input.stream,
            self.input.hub,
            hub.partitions.len()
        );
        Ok(begun)
    }

    /// Takes up the partitions of the hub that are not read yet.
    pub(super) async fn find_partitions(
        &mut self,
        namespace: &mut Namespace,
        hub: &HubFacts,
        begun: &Begun,
        token: &Current,
    ) -> Result<(), EventHubError> {
        for id in &hub.partitions {
            if !self.input.partitions.contains(id) || self.partitions.contains_key(id.as_str()) {
                continue;
            }
            let place = match resume_at(self.files.place(id)?, begun.start.get(id).copied()) {
                Some(place) => place,
                None => {
                    let place = holding(soon(id, namespace.partition(id, &token.get())).await?).beginning();
                    self.files.save(id, place)?;
                    log::info!("{}: the hub has a new partition, {id}", self.input.stream);
                    place
                }
            };
            let position = Arc::new(Mutex::new(Position::resume(place)));
            let state = State::Waiting(Instant::now());
            let (owned, attached) = (Arc::default(), Arc::default());
            let partition = Partition { position, owned, attached, attempts: 0, state, looked_at: None, silent: 0 };
            self.partitions.insert(Arc::from(id.as_str()), partition);
        }
        if self.partitions.is_empty() {
            return Err(EventHubError::NoPartition { hub: self.input.hub.clone(), has: hub.partitions.join(", ") });
        }
        Ok(())
    }

    /// Looks for new partitions, and at how far each is behind. Answers with the silence of a link that brings nothing for
    /// minutes although messages wait: another connection may do better.
    pub(super) async fn look(
        &mut self,
        namespace: &mut Namespace,
        begun: &Begun,
        token: &Current,
    ) -> Result<Option<Fault>, EventHubError> {
        let mut silence = None;
        let token_now = token.get();
        let hub = timeout(SOON, namespace.hub(&token_now))
            .await
            .unwrap_or_else(|_| Err(silent(format!("the hub {}", self.input.hub))))?;
        self.find_partitions(namespace, &hub, begun, token).await?;
        for (id, partition) in &mut self.partitions {
            let facts = soon(id, namespace.partition(id, &token.get())).await?;
            self.board.with(id, |counters| counters.newest = Some(facts.last));
            let State::Linked(since, _) = partition.state else { continue };
            let place = lock(&partition.position).place();
            let stands = partition.looked_at.replace(place) == Some(place);
            let waits = place.is_behind(holding(facts), facts.enqueued);
            // Where splunkd takes nothing, nothing is to come.
            if !(stands && waits && since.elapsed() >= HEALTHY && self.space.available_permits() > SPACE / 2) {
                partition.silent = 0;
                continue;
            }
            partition.silent += 1;
            let said = format!("messages wait there, and none came for {} s", 60 * partition.silent);
            let fault = Fault::new(What::Silent, format!("partition {id}"), said);
            if partition.silent < SILENT_LOOKS {
                log::warn!("{}: {fault}; {}", self.input.stream, fault.remedy().unwrap_or_default());
            } else {
                partition.silent = 0;
                silence = Some(fault);
            }
        }
        Ok(silence)
    }
}
