//! A connection to a namespace: tokens are put at `$cbs`, hubs and partitions are described by `$management`.

use std::time::Duration;

use fe2o3_amqp::connection::{Connection, ConnectionHandle};
use fe2o3_amqp::sasl_profile::SaslProfile;
use fe2o3_amqp::session::{Session, SessionHandle};
use fe2o3_amqp::types::messaging::{AmqpValue, ApplicationProperties, Body, Message};
use fe2o3_amqp::types::primitives::{OrderedMap, SimpleValue, Timestamp, Value};
use fe2o3_amqp_management::client::MgmtClient;
use fe2o3_amqp_management::error::{Error as CallError, InvalidType, StatusCodeNotFound, StatusError};
use fe2o3_amqp_management::mgmt_ext::AmqpMessageManagementExt;
use fe2o3_amqp_management::request::Request;
use fe2o3_amqp_management::response::Response;
use fe2o3_amqp_management::status::StatusCode;
use tokio::time::{sleep, timeout};

use super::fault::{Fault, What};
use super::route::Route;
use crate::secret::Secret;
use crate::time::{PER_MS, Ticks};

/// The most an answer may take. Where a right is missing the service may not answer at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// The largest frame that is taken: what the service uses itself.
pub const FRAME: u32 = 64 << 10;
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
    management: Option<(SessionHandle<()>, MgmtClient)>,
    hub: String,
}

/// Where the tokens of a connection are put, `$cbs`. Apart from [`Namespace`], so that a token can be renewed whatever else is
/// waited for.
#[derive(Debug)]
pub struct Cbs {
    session: SessionHandle<()>,
    client: MgmtClient,
    uri: String,
}

impl Cbs {
    /// Puts a token; also in place of one that will expire.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn put(&mut self, token: &Token) -> Result<(), Fault> {
        let object = "the token";
        let (kind, expiration) = match token {
            Token::Jwt(_) => ("jwt", None),
            Token::SharedAccess { expires, .. } => ("servicebus.windows.net:sastoken", Some(Timestamp::from(expires.0 / PER_MS))),
        };
        let request = PutToken { name: self.uri.clone(), kind, expiration, token: token.text().clone() };
        // With its connection the session ends.
        let answer = until(|| self.session.is_ended(), object, self.client.call(request)).await?;
        answer.map(|Accepted| ()).map_err(|error| Fault::call(object, &error))
    }
}

impl Namespace {
    /// Connects, and gets ready to put a token. `container` names this client in the service's own logs.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn open(route: &Route, namespace: &str, hub: &str, container: &str) -> Result<(Self, Cbs), Fault> {
        let stream = route.connect(namespace).await?;
        let host = namespace.rsplit_once(':').map_or(namespace, |(host, _)| host);
        let open = Connection::builder()
            .container_id(container)
            .hostname(host)
            .max_frame_size(FRAME)
            .idle_time_out(IDLE_MS)
            .sasl_profile(SaslProfile::Anonymous)
            .open_with_stream(stream);
        let mut connection = answered(namespace, open).await?.map_err(|error| Fault::open(namespace, &error))?;
        let mut session = begin(&mut connection, 64).await?;
        let client = MgmtClient::builder().management_node_address("$cbs").client_node_addr("cbs").attach(&mut session);
        let client = answered("$cbs", client).await?.map_err(|error| Fault::client("$cbs", &error))?;
        let cbs = Cbs { session, client, uri: Self::uri(host, hub) };
        Ok((Self { connection, management: None, hub: hub.to_owned() }, cbs))
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
        let read = Read { hub: self.hub.clone(), partition: None, token: token.text().clone() };
        let facts = self.read(&object, read).await?;
        let created = facts.get("created_at").and_then(instant);
        let partitions = facts.get("partition_ids").map(texts).unwrap_or_default();
        if partitions.is_empty() {
            return Err(Fault::new(What::Refused, object, "the answer names no partitions"));
        }
        Ok(HubFacts { created, partitions })
    }

    /// Asks for one of its partitions.
    ///
    /// # Errors
    /// See [`Fault`].
    pub async fn partition(&mut self, id: &str, token: &Token) -> Result<PartitionFacts, Fault> {
        let object = format!("partition {id}");
        let read = Read { hub: self.hub.clone(), partition: Some(id.to_owned()), token: token.text().clone() };
        let facts = self.read(&object, read).await?;
        let number = |name: &'static str| match facts.get(name) {
            Some(Value::Long(number)) => Ok(*number),
            Some(Value::Int(number)) => Ok(i64::from(*number)),
            _ => Err(Fault::new(What::Refused, &object, format!("the answer has no {name}"))),
        };
        Ok(PartitionFacts {
            first: number("begin_sequence_number")?,
            last: number("last_enqueued_sequence_number")?,
            empty: matches!(facts.get("is_partition_empty"), Some(Value::Bool(true))),
            enqueued: facts.get("last_enqueued_time_utc").and_then(instant),
        })
    }

    async fn read(&mut self, object: &str, read: Read) -> Result<Facts, Fault> {
        // What failed, or was not waited for, may still be answered, and be taken for the next answer then: only after a good
        // one the links are kept. A late answer to links that are gone ends their session, which for that has nothing else.
        let (session, mut management) = match self.management.take() {
            Some(management) => management,
            // Only with a token may it be attached to.
            None => {
                let mut session = begin(&mut self.connection, 64).await?;
                let client = MgmtClient::builder().client_node_addr("management").attach(&mut session);
                let client = while_open(&self.connection, object, client).await?;
                (session, client.map_err(|error| Fault::client(object, &error))?)
            }
        };
        let answer = while_open(&self.connection, object, management.call(read)).await?;
        let facts = answer.map_err(|error| Fault::call(object, &error))?;
        self.management = Some((session, management));
        Ok(facts)
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

/// A timestamp.
fn instant(value: &Value) -> Option<Ticks> {
    match value {
        Value::Timestamp(ms) => ms.milliseconds().checked_mul(PER_MS).map(Ticks),
        _ => None,
    }
}

/// The strings of a list or an array.
fn texts(value: &Value) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        _ => None,
    };
    match value {
        Value::List(values) => values.iter().filter_map(text).collect(),
        Value::Array(values) => values.0.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

/// `put-token`.
struct PutToken {
    name: String,
    kind: &'static str,
    expiration: Option<Timestamp>,
    token: Secret,
}

impl Request for PutToken {
    const OPERATION: &'static str = "put-token";
    type Response = Accepted;
    type Body = AmqpValue<String>;

    fn manageable_entity_type(&mut self) -> Option<String> {
        Some(self.kind.to_owned())
    }

    fn encode_application_properties(&mut self) -> Option<ApplicationProperties> {
        let mut properties = ApplicationProperties::builder().insert("name", self.name.clone());
        if let Some(expiration) = self.expiration.take() {
            properties = properties.insert("expiration", SimpleValue::Timestamp(expiration));
        }
        Some(properties.build())
    }

    fn encode_body(self) -> Self::Body {
        AmqpValue(self.token.expose().to_owned())
    }
}

/// A token was accepted: 202 as a rule, and Microsoft's own clients take 200 for the same.
struct Accepted;

impl Response for Accepted {
    const STATUS_CODE: u16 = 202;
    type Body = Body<Value>;
    type Error = CallError;

    fn verify_status_code(message: &mut Message<Self::Body>) -> Result<StatusCode, CallError> {
        let not_a_number =
            || CallError::from(InvalidType { expected: "a status".to_owned(), actual: "something else".to_owned() });
        let code = message.remove_status_code().ok_or(StatusCodeNotFound {})?.map_err(|_| not_a_number())?;
        if matches!(code.0.get(), 200 | Self::STATUS_CODE) {
            return Ok(code);
        }
        let description = message.remove_status_description().and_then(Result::ok);
        Err(StatusError { code, description }.into())
    }

    fn decode_message(_: Message<Self::Body>) -> Result<Self, CallError> {
        Ok(Self)
    }
}

/// `READ` of a hub or a partition. Without a body the service finds everything in the application properties.
struct Read {
    hub: String,
    partition: Option<String>,
    token: Secret,
}

impl Request for Read {
    const OPERATION: &'static str = "READ";
    type Response = Facts;
    type Body = AmqpValue<Value>;

    fn manageable_entity_type(&mut self) -> Option<String> {
        Some(if self.partition.is_some() { "com.microsoft:partition" } else { "com.microsoft:eventhub" }.to_owned())
    }

    fn encode_application_properties(&mut self) -> Option<ApplicationProperties> {
        let mut properties = ApplicationProperties::builder()
            .insert("name", self.hub.clone())
            .insert("security_token", self.token.expose().to_owned());
        if let Some(partition) = &self.partition {
            properties = properties.insert("partition", partition.clone());
        }
        Some(properties.build())
    }

    fn encode_body(self) -> Self::Body {
        AmqpValue(Value::Null)
    }
}

/// What was read.
struct Facts(OrderedMap<Value, Value>);

impl Facts {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find_map(|(key, value)| match key {
            Value::String(key) if key == name => Some(value),
            Value::Symbol(key) if key.as_str() == name => Some(value),
            _ => None,
        })
    }
}

impl Response for Facts {
    const STATUS_CODE: u16 = 200;
    type Body = Body<Value>;
    type Error = CallError;

    fn decode_message(message: Message<Self::Body>) -> Result<Self, CallError> {
        match message.body {
            Body::Value(AmqpValue(Value::Map(map))) => Ok(Self(map)),
            _ => Err(CallError::DecodeError(None)),
        }
    }
}
