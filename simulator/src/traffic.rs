//! What was asked and what was answered, for assertions.

use crate::faults::Route;
use crate::time::Time;
use crate::wire::{Request, Response, Service};

/// One request and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Whom it was meant for.
    pub service: Service,
    /// Which kind it was.
    pub route: Route,
    /// The request as it came.
    pub request: Request,
    /// The status of the answer.
    pub status: u16,
    /// Bytes in the answer's body before compression.
    pub bytes: usize,
    /// When.
    pub at: Time,
}

/// Everything that was asked so far.
#[derive(Clone, Debug, Default)]
pub struct Traffic {
    exchanges: Vec<Exchange>,
    /// Set to stop recording: long simulations need the memory.
    pub recording: Recording,
}

/// Whether requests are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recording {
    /// All of them.
    #[default]
    On,
    /// None.
    Off,
}

impl Traffic {
    /// All requests so far, in order.
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// Forgets them.
    pub fn clear(&mut self) {
        self.exchanges.clear();
    }

    pub(crate) fn record(&mut self, service: Service, route: Route, request: &Request, response: &Response, at: Time) {
        if self.recording == Recording::On {
            let (status, bytes) = (response.status, response.body.len());
            self.exchanges.push(Exchange { service, route, request: request.clone(), status, bytes, at });
        }
    }
}
