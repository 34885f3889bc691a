//! Stand-ins for Microsoft and splunkd.
