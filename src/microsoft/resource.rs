//! The four sets of objects that are read and changed, and how much each may be asked.

use super::cloud::Api;
use crate::masking::admin_text;

/// What is read and written: the kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    /// Incidents.
    Incidents,
    /// Alerts.
    Alerts,
}

/// A set of objects of one service. The four that exist; no other pair of [`Api`] and [`What`] can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// Graph `/v1.0/security/incidents`.
    GraphIncidents,
    /// Graph `/v1.0/security/alerts_v2`.
    GraphAlerts,
    /// Microsoft 365 Defender `/api/incidents`.
    XdrIncidents,
    /// Defender for Endpoint `/api/alerts`.
    EndpointAlerts,
}

/// How many rows one answer holds: when the admin says nothing, and at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize {
    /// Asked for by default.
    pub default: u32,
    /// More is answered with 400 or silently cut.
    pub max: u32,
}

/// Documented request limits, per app and tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests in a minute.
    pub per_minute: u32,
    /// Requests in an hour, where one is documented.
    pub per_hour: Option<u32>,
}

impl Resource {
    /// All four.
    pub const ALL: [Self; 4] = [Self::GraphIncidents, Self::GraphAlerts, Self::XdrIncidents, Self::EndpointAlerts];

    /// The resource behind the `api` parameter (`graph` or `defender`, in any case; empty is `graph`).
    ///
    /// # Errors
    /// A sentence that lists the allowed values.
    pub fn of(api: &str, what: What) -> Result<Self, String> {
        match (api.trim().to_ascii_lowercase().as_str(), what) {
            ("" | "graph", What::Incidents) => Ok(Self::GraphIncidents),
            ("" | "graph", What::Alerts) => Ok(Self::GraphAlerts),
            ("defender", What::Incidents) => Ok(Self::XdrIncidents),
            ("defender", What::Alerts) => Ok(Self::EndpointAlerts),
            _ => Err(format!("`{}` is unknown: write graph or defender", admin_text(api))),
        }
    }

    /// The value of the `api` parameter that names it.
    pub fn param(self) -> &'static str {
        match self.api() {
            Api::Graph => "graph",
            Api::Xdr | Api::Endpoint => "defender",
        }
    }

    /// The service that holds it.
    pub fn api(self) -> Api {
        match self {
            Self::GraphIncidents | Self::GraphAlerts => Api::Graph,
            Self::XdrIncidents => Api::Xdr,
            Self::EndpointAlerts => Api::Endpoint,
        }
    }

    /// Incidents or alerts.
    pub fn what(self) -> What {
        match self {
            Self::GraphIncidents | Self::XdrIncidents => What::Incidents,
            Self::GraphAlerts | Self::EndpointAlerts => What::Alerts,
        }
    }

    /// Rows per answer. Graph incidents above 50 are a 400, XDR incidents above 100 too; Graph alerts above 1000 are cut
    /// without a word. Defender for Endpoint allows 10,000, but alerts with evidence are large.
    pub fn page_size(self) -> PageSize {
        let (default, max) = match self {
            Self::GraphIncidents => (50, 50),
            Self::GraphAlerts => (1000, 1000),
            Self::XdrIncidents => (100, 100),
            Self::EndpointAlerts => (1000, 10_000),
        };
        PageSize { default, max }
    }

    /// The documented limit of its list request; reading or changing one object is allowed at least as often.
    pub fn rate(self) -> Rate {
        match self {
            Self::GraphIncidents | Self::GraphAlerts => Rate { per_minute: 150, per_hour: None },
            Self::XdrIncidents => Rate { per_minute: 50, per_hour: Some(1500) },
            Self::EndpointAlerts => Rate { per_minute: 100, per_hour: Some(1500) },
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn resources_by_setting() {
        assert_eq!(Resource::of("", What::Alerts), Ok(Resource::GraphAlerts));
        assert_eq!(Resource::of("defender", What::Incidents), Ok(Resource::XdrIncidents));
        assert!(Resource::of("xdr", What::Alerts).unwrap_err().contains("graph or defender"));
        for resource in Resource::ALL {
            let api = if resource.api() == Api::Graph { "graph" } else { "defender" };
            assert_eq!(Resource::of(api, resource.what()), Ok(resource));
            assert!(resource.page_size().default <= resource.page_size().max);
        }
    }
}
