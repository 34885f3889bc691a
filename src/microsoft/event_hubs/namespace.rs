//! A connection to a namespace: tokens are put at `$cbs`, hubs and partitions are described by `$management`.

use std::time::Duration;

use fe2o3_amqp::connection::{Connection, ConnectionHandle};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::{Session, SessionHandle};
use fe2o3_amqp::types::primitives::{SimpleValue, Timestamp, Value};
use tokio::time::{sleep, timeout};

use super::fault::{Fault, What};
use super::guard::{Ending, WIDENED};
use super::node::{Answer, Node, Request};
use super::route::Route;
use super::wire;
use crate::secret::Secret;
use crate::time::{PER_MS, Ticks};

/// The most an answer may take. Where a right is missing the service may not answer at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The largest frame that is taken: what the service uses itself.
pub const FRAME: u32 = 64 << 10;
/// The most partitions that a hub may have here; the service gives 1024, and some 2000 on dedicated clusters.
const PARTITIONS: usize = 4096;
/// Between two looks at the connection while an answer is waited for.
const LOOK: Duration = Duration::from_millis(100);
/// Without a frame for so long, the connection is taken for dead. Ours go out in half of what the service asks for.
const IDLE_MS: u32 = 120_000;

/// What proves the right to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// One of Entra ID's.
    Jwt(Secret),
    /// A shared access signature.
    SharedAccess {
        /// The token.
        token: Secret,
        /// When it expires.
        expires: Ticks,
    },
}

impl Token {
    fn text(&self) -> &Secret {
        match self {
            Self::Jwt(token) | Self::SharedAccess { token, .. } => token,
        }
    }
}

/// What the service says of a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFacts {
    /// When it was made.
    pub created: Option<Ticks>,
    /// The ids of its partitions.
    pub partitions: Vec<String>,
}

/// What the service says of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionFacts {
    /// The number of the oldest event it still has.
    pub first: i64,
    /// The number of the newest event it ever had; -1 before the first.
    pub last: i64,
    /// Whether it has none at present.
    pub empty: bool,
    /// When the newest came.
    pub enqueued: Option<Ticks>,
}

/// An open connection.
#[derive(Debug)]
pub struct Namespace {
    connection: ConnectionHandle<()>,
    /// With a session of its own.
    management: Option<(SessionHandle<()>, Node)>,
    hub: String,
    ending: Ending,
}

/// Where the tokens of a connection are put, `$cbs`. Apart from [`Namespace`], so that a token can be renewed whatever else is
/// waited for.
#[derive(Debug)]
pub struct Cbs {
    session: SessionHandle<()>,
    node: Node,
    uri: String,
}

impl Cbs {
    /// Puts a token; also in place of one that will expire.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn put(&mut self, token: &Token) -> Result<(), Fault> {
        let object = "the token";
        let (kind, expires) = match token {
            Token::Jwt(_) => ("jwt", None),
            Token::SharedAccess { expires, .. } => ("servicebus.windows.net:sastoken", Some(Timestamp::from(expires.0 / PER_MS))),
        };
        let name = ("name", SimpleValue::String(self.uri.clone()));
        let expiration = expires.map(|at| ("expiration", SimpleValue::Timestamp(at)));
        let properties = std::iter::once(name).chain(expiration).collect();
        let body = Value::String(token.text().expose().to_owned());
        let request = Request { operation: "put-token", kind, properties, body };
        // With its connection the session ends. A token is accepted with 202 as a rule, and Microsoft's own clients take 200 for
        // the same.
        until(|| self.session.is_ended(), object, self.node.call(object, request)).await??;
        Ok(())
    }
}

impl Namespace {
    /// Connects, and gets ready to put a token. `container` names this client in the service's own logs.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn open(route: &Route, namespace: &str, hub: &str, container: &str) -> Result<(Self, Cbs), Fault> {
        let ending = Ending::default();
        let opened = Self::open_with(route, namespace, hub, container, &ending).await;
        opened.map_err(|fault| ended(&ending, namespace, fault))
    }

    async fn open_with(
        route: &Route,
        namespace: &str,
        hub: &str,
        container: &str,
        ending: &Ending,
    ) -> Result<(Self, Cbs), Fault> {
        let stream = route.connect(namespace, ending).await?;
        let host = namespace.rsplit_once(':').map_or(namespace, |(host, _)| host);
        let open = Connection::builder()
            .container_id(container)
            .hostname(host)
            .max_frame_size(WIDENED)
            .idle_time_out(IDLE_MS)
            .sasl_profile(SaslProfile::Anonymous)
            .open_with_stream(stream);
        let mut connection = answered(namespace, open).await?.map_err(|error| Fault::open(namespace, &error))?;
        let mut session = begin(&mut connection, 64).await?;
        let node = answered("$cbs", Node::attach(&mut session, "$cbs", "cbs")).await??;
        let cbs = Cbs { session, node, uri: Self::uri(host, hub) };
        Ok((Self { connection, management: None, hub: hub.to_owned(), ending: ending.clone() }, cbs))
    }

    /// What a fault of this connection, or of something on it, came of: what was sent may have been nothing to go on with.
    pub fn cause(&self, fault: Fault) -> Fault {
        ended(&self.ending, "the connection", fault)
    }

    /// What a token is put for, and a shared access signature is made for: the hub with all that is in it.
    pub fn uri(host: &str, hub: &str) -> String {
        format!("sb://{}/{hub}", host.rsplit_once(':').map_or(host, |(host, _)| host))
    }

    /// Asks for the hub.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn hub(&mut self, token: &Token) -> Result<HubFacts, Fault> {
        let object = format!("the hub {}", self.hub);
        let answer = self.read(&object, None, token).await?;
        let facts = answer.map().map_err(|what| Fault::odd(&object, what))?;
        let created = facts.get("created_at").and_then(instant);
        let partitions = facts.get("partition_ids").map(texts).unwrap_or_default();
        if partitions.is_empty() {
            return Err(Fault::odd(object, "the answer names no partitions"));
        }
        if partitions.len() > PARTITIONS {
            return Err(Fault::odd(object, format!("the answer names more than {PARTITIONS} partitions")));
        }
        // They become names of files.
        let fits = |id: &String| id.len() <= 20 && !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if !partitions.iter().all(fits) {
            return Err(Fault::odd(object, "the answer names partitions by something other than numbers"));
        }
        Ok(HubFacts { created, partitions })
    }

    /// Asks for one of its partitions.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn partition(&mut self, id: &str, token: &Token) -> Result<PartitionFacts, Fault> {
        let object = format!("partition {id}");
        let answer = self.read(&object, Some(id), token).await?;
        let facts = answer.map().map_err(|what| Fault::odd(&object, what))?;
        let number = |name: &str| {
            // They begin at 0, and -1 is none.
            let number = facts.get(name).and_then(|value| value.number()).filter(|number| *number >= -1);
            number.ok_or_else(|| Fault::odd(&object, format!("the answer has no {name}")))
        };
        Ok(PartitionFacts {
            first: number("begin_sequence_number")?,
            last: number("last_enqueued_sequence_number")?,
            empty: facts.get("is_partition_empty") == Some(wire::Value::Bool(true)),
            enqueued: facts.get("last_enqueued_time_utc").and_then(instant),
        })
    }

    async fn read(&mut self, object: &str, partition: Option<&str>, token: &Token) -> Result<Answer, Fault> {
        // What failed, or was not waited for, may still be answered, and be taken for the next answer then: only after a good
        // one the links are kept. A late answer to links that are gone ends their session, which for that has nothing else.
        let (session, mut management) = match self.management.take() {
            Some(management) => management,
            // Only with a token may it be attached to.
            None => {
                let mut session = begin(&mut self.connection, 64).await?;
                let node = Node::attach(&mut session, "$management", "management");
                let node = while_open(&self.connection, object, node).await??;
                (session, node)
            }
        };
        // Without a body the service finds everything in the application properties.
        let kind = if partition.is_some() { "com.microsoft:partition" } else { "com.microsoft:eventhub" };
        let mut properties = vec![
            ("name", SimpleValue::String(self.hub.clone())),
            ("security_token", SimpleValue::String(token.text().expose().to_owned())),
        ];
        properties.extend(partition.map(|id| ("partition", SimpleValue::String(id.to_owned()))));
        let request = Request { operation: "READ", kind, properties, body: Value::Null };
        let answer = while_open(&self.connection, object, management.call(object, request)).await??;
        self.management = Some((session, management));
        Ok(answer)
    }

    /// A session for the links of one partition, of so many frames at a time.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn session(&mut self, frames: u32) -> Result<SessionHandle<()>, Fault> {
        begin(&mut self.connection, frames).await
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.connection.is_closed()
    }

    /// Closes the connection, so that the service lets go of the partitions at once.
    pub async fn close(mut self) {
        // It is being left; how it took that is nobody's concern.
        let _ = timeout(Duration::from_millis(200), self.connection.close()).await;
    }
}

async fn begin(connection: &mut ConnectionHandle<()>, frames: u32) -> Result<SessionHandle<()>, Fault> {
    let session = Session::builder().incoming_window(frames).begin(connection);
    answered("a session", session).await?.map_err(|error| Fault::begin("a session", &error))
}

/// Waits for an answer for as long as the connection is there.
async fn while_open<T>(connection: &ConnectionHandle<()>, object: &str, answer: impl Future<Output = T>) -> Result<T, Fault> {
    until(|| connection.is_closed(), object, answer).await
}

/// Waits for an answer until the connection is closed. Requests under way are not told of its end by the library in every case.
async fn until<T>(closed: impl Fn() -> bool, object: &str, answer: impl Future<Output = T>) -> Result<T, Fault> {
    let closed = async {
        while !closed() {
            sleep(LOOK).await;
        }
    };
    tokio::select! {
        biased;
        answer = answered(object, answer) => answer,
        () = closed => Err(Fault::new(What::Lost, object, "the connection was closed")),
    }
}

/// Waits for an answer, but not for ever.
pub(super) async fn answered<T>(object: &str, answer: impl Future<Output = T>) -> Result<T, Fault> {
    timeout(PATIENCE, answer).await.map_err(|_| Fault::silent(object, PATIENCE.as_secs()))
}

/// The fault that the guard's reason is, if it ended the stream.
fn ended(ending: &Ending, object: &str, fault: Fault) -> Fault {
    ending.reason().map_or(fault, |reason| Fault::odd(object, reason))
}

/// A timestamp.
fn instant(value: wire::Value<'_>) -> Option<Ticks> {
    match value {
        wire::Value::Timestamp(ms) => ms.checked_mul(PER_MS).map(Ticks),
        _ => None,
    }
}

/// The strings of a list or an array.
fn texts(value: wire::Value<'_>) -> Vec<String> {
    match value {
        wire::Value::Sequence(values) => values.filter_map(|value| value.text().map(str::to_owned)).collect(),
        _ => Vec::new(),
    }
}
