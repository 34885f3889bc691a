//! Event Hubs: AMQP 1.0 as the service speaks it, on one address for AMQP and for AMQP inside a WebSocket.
//!
//! Written from the OASIS specification and Microsoft's documents. Sockets and threads are in `transport`, everything else
//! knows no I/O: a `Connection` takes octets and a time and gives octets. Clients are not trusted: each frame is checked, and
//! what is against the specification is answered with its error and noted in the [`Record`].

pub mod amqp;
mod connection;
mod faults;
mod hubs;
mod link;
mod nodes;
mod record;
mod rights;
mod selector;
mod service;
mod session;
mod transport;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;

pub use amqp::Failure;
pub use faults::{At, Fault, HubFault};
pub use hubs::{Body, DEFAULT_GROUP};
pub use record::{Connection, ManagementRead, Receiver, Record, TokenPut};
pub use rights::{Policy, RECEIVER_ROLE};

use crate::chance::Chance;
use crate::generate::records::{TABLES, record};
use crate::model::World;
use crate::server::Listener;
use service::Service;

/// The namespace's own names, under which only a proxy leads here.
pub(crate) const HOSTS: [&str; 2] = ["contoso.servicebus.windows.net", "contoso.servicebus.usgovcloudapi.net"];

/// The name of the policy that may listen, which every stand-in has.
pub const POLICY: &str = "RootManageSharedAccessKey";
/// Its key, of the length and alphabet of real ones.
pub const POLICY_KEY: &str = "c2ltdWxhdGVkLm5vdC5hLnNlY3JldC0wMTIzNDU2Nzg=";

/// A running namespace. It stops when this is dropped.
pub struct EventHubs {
    listener: Listener,
    service: Arc<Service>,
}

impl EventHubs {
    /// Opens a namespace without hubs; port 0 takes a free one.
    pub(crate) fn start(port: u16, tls: Option<Arc<ServerConfig>>, world: &Arc<Mutex<World>>) -> io::Result<Self> {
        let policy = Policy { name: POLICY.to_string(), key: POLICY_KEY.to_string(), hub: None, listen: true };
        let service = Arc::new(Service::new(Arc::clone(world), vec![policy]));
        let shared = Arc::clone(&service);
        let listener = Listener::serve(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), move |stream, stop| {
            transport::serve(stream, tls.as_ref(), &shared, stop);
        })?;
        Ok(EventHubs { listener, service })
    }

    /// `host:port`, where it listens.
    pub fn address(&self) -> String {
        self.listener.address().to_string()
    }

    /// Where it listens.
    pub fn socket(&self) -> SocketAddr {
        self.listener.address()
    }

    /// A connection string with [`POLICY`], for the namespace, or for a hub of it.
    pub fn connection_string(&self, hub: Option<&str>) -> String {
        let entity = hub.map_or(String::new(), |hub| format!(";EntityPath={hub}"));
        format!(
            "Endpoint=sb://localhost:{}/;SharedAccessKeyName={POLICY};SharedAccessKey={POLICY_KEY}{entity}",
            self.listener.address().port()
        )
    }

    /// Adds a policy, or changes the one of that name.
    pub fn set_policy(&self, policy: Policy) {
        let mut policies = self.service.policies();
        policies.retain(|other| other.name != policy.name);
        policies.push(policy);
    }

    /// Creates a hub. One of that name is gone with its events, and its receivers are detached.
    pub fn create(&self, hub: &str, partitions: usize) {
        let now = self.service.now();
        self.service.namespace(|namespace| namespace.create(hub, partitions, now));
        self.service.ring();
    }

    /// Deletes a hub; its receivers are detached.
    ///
    /// # Panics
    /// When there is none of that name.
    pub fn delete(&self, hub: &str) {
        assert!(self.service.namespace(|namespace| namespace.delete(hub)), "there is no hub {hub}");
        self.service.ring();
    }

    /// The names of the hubs there are.
    pub fn hubs(&self) -> Vec<String> {
        self.service.namespace(|namespace| namespace.hubs().map(|hub| hub.name.clone()).collect())
    }

    /// Adds a consumer group to a hub.
    ///
    /// # Panics
    /// When there is no such hub.
    pub fn add_group(&self, hub: &str, group: &str) {
        self.in_hub(hub, |hub| hub.add_group(group));
    }

    /// Adds partitions to a hub until it has so many.
    ///
    /// # Panics
    /// When there is no such hub.
    pub fn grow(&self, hub: &str, partitions: usize) {
        self.in_hub(hub, |hub| {
            while hub.partitions.len() < partitions {
                hub.partitions.push(hubs::Partition::default());
            }
        });
    }

    /// Publishes an event; its sequence number.
    ///
    /// # Panics
    /// When there is no such hub or partition.
    pub fn publish(&self, hub: &str, partition: usize, body: impl Into<Body>) -> i64 {
        self.publish_all(hub, partition, [body])
    }

    /// Publishes events; the sequence number of the last, or -1 if there was never one.
    ///
    /// # Panics
    /// When there is no such hub or partition.
    pub fn publish_all<B: Into<Body>>(&self, hub: &str, partition: usize, bodies: impl IntoIterator<Item = B>) -> i64 {
        let now = self.service.now();
        let last = self.in_hub(hub, |hub| {
            let partition = &mut hub.partitions[partition];
            bodies.into_iter().for_each(|body| {
                partition.publish(&body.into(), now);
            });
            partition.last()
        });
        self.service.ring();
        last
    }

    /// Publishes an event as Microsoft's export writes it, `{"records":[…]}` with so many records of any table; its body.
    ///
    /// # Panics
    /// When there is no such hub or partition.
    pub fn publish_records(&self, hub: &str, partition: usize, chance: &mut Chance, records: usize) -> String {
        let now = self.service.now();
        let records: Vec<String> = (0..records)
            .map(|_| {
                let table = *chance.pick(&TABLES);
                record(chance, table, now).render()
            })
            .collect();
        let body = format!("{{\"records\":[{}]}}", records.join(","));
        self.publish(hub, partition, body.clone());
        body
    }

    /// Lets the events of a partition before a sequence number go, as retention does.
    ///
    /// # Panics
    /// When there is no such hub or partition.
    pub fn expire(&self, hub: &str, partition: usize, before: i64) {
        self.in_hub(hub, |hub| hub.partitions[partition].expire(before));
    }

    fn in_hub<T>(&self, name: &str, act: impl FnOnce(&mut hubs::Hub) -> T) -> T {
        self.service.namespace(|namespace| match namespace.hub_mut(name) {
            Some(hub) => act(hub),
            None => panic!("there is no hub {name}"),
        })
    }

    /// Detaches the receivers of a partition, all groups' alike, with an error.
    pub fn detach(&self, hub: &str, partition: usize, why: &Failure) {
        self.service.namespace(|namespace| namespace.evict(hub, partition, why));
        self.service.ring();
    }

    /// Drops every connection there is, as the loss of a gateway does.
    pub fn drop_connections(&self) {
        self.service.dropped.fetch_add(1, Ordering::SeqCst);
        self.service.ring();
    }

    /// Whether a receiver whose token lacks the role is left without an answer, as it is from the start, or refused.
    pub fn answer_missing_role(&self, with_silence: bool) {
        self.service.silent.store(with_silence, Ordering::SeqCst);
    }

    /// The status that says that a token is accepted: 202 from the start, and clients have to take 200 as well.
    pub fn accept_tokens_with(&self, status: i32) {
        self.service.accepted.store(status, Ordering::SeqCst);
    }

    /// Sets a fault.
    pub fn push_fault(&self, fault: Fault) {
        self.service.faults().push(fault);
    }

    /// Removes all faults that are set.
    pub fn clear_faults(&self) {
        self.service.faults().clear();
    }

    /// The faults that happened, in order.
    pub fn faults_happened(&self) -> Vec<(At, HubFault)> {
        self.service.faults().happened.clone()
    }

    /// What was asked so far.
    pub fn record(&self) -> Record {
        self.service.recorded()
    }

    /// Waits until what was asked is as wanted; false when it is not within that time.
    pub fn wait(&self, longest: Duration, wanted: impl Fn(&Record) -> bool) -> bool {
        self.service.wait(longest, wanted)
    }
}
