//! What was asked of the hubs, for tests to look at.

/// A connection, as far as it said who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Whether it came over a WebSocket.
    pub web_socket: bool,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The SASL mechanism it chose.
    pub mechanism: Option<String>,
    /// `container-id` of its `open`.
    pub container: Option<String>,
    /// `hostname` of its `open`.
    pub hostname: Option<String>,
    /// Whether it has ended, by whichever side.
    pub ended: bool,
}

/// A token that was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenPut {
    /// The number of the connection.
    pub connection: usize,
    /// `jwt` or `servicebus.windows.net:sastoken`.
    pub kind: String,
    /// What it was put for.
    pub audience: String,
    /// What `$cbs` answered; 0 for silence.
    pub status: i32,
}

/// A question to `$management`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagementRead {
    /// The number of the connection.
    pub connection: usize,
    /// `com.microsoft:eventhub` or `com.microsoft:partition`.
    pub kind: String,
    /// The hub asked for.
    pub hub: String,
    /// The partition asked for.
    pub partition: Option<String>,
    /// What was answered; 0 for silence.
    pub status: i32,
}

/// A receiver on a partition, from its `attach` on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receiver {
    /// The number of the connection.
    pub connection: usize,
    /// The link's name.
    pub name: String,
    /// The hub.
    pub hub: String,
    /// The consumer group.
    pub group: String,
    /// The partition's id.
    pub partition: String,
    /// The filter, as text; `None` is from the beginning.
    pub selector: Option<String>,
    /// `com.microsoft:epoch`.
    pub epoch: Option<i64>,
    /// Whether it asked to be told of the partition's end with each event.
    pub metrics: bool,
    /// Whether events are sent settled.
    pub settled: bool,
    /// Whether it was let in; `false` for those refused and those left without an answer.
    pub attached: bool,
    /// How many `flow`s it sent.
    pub flows: u64,
    /// The largest credit it ever had.
    pub most_credit: u32,
    /// The credit it has.
    pub credit: u32,
    /// Frames sent to it that hold an event or a part of one.
    pub frames: u64,
    /// Events sent to it whole.
    pub events: u64,
    /// The sequence number of the last of them.
    pub last_sequence: Option<i64>,
    /// Events it settled as `accepted`.
    pub accepted: u64,
    /// Events it settled in another way.
    pub other_outcomes: u64,
    /// Why it ended, a condition; empty when the client detached, `drop` when the connection was gone.
    pub ended: Option<String>,
}

/// What was asked so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Connections, in order; their places are their numbers.
    pub connections: Vec<Connection>,
    /// Tokens put.
    pub tokens: Vec<TokenPut>,
    /// Questions to `$management`.
    pub reads: Vec<ManagementRead>,
    /// Receivers, in the order they attached.
    pub receivers: Vec<Receiver>,
    /// What no client may do: frames against the specification, each with the condition it was answered with.
    pub violations: Vec<String>,
}

impl Record {
    /// The receivers of a partition, in the order they attached.
    pub fn of_partition(&self, hub: &str, partition: usize) -> impl Iterator<Item = &Receiver> {
        let id = partition.to_string();
        self.receivers.iter().filter(move |one| one.hub.eq_ignore_ascii_case(hub) && one.partition == id)
    }
}
