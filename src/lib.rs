//! The Defender Add-on for Splunk: Microsoft Defender incidents and alerts into Splunk, status changes back.

pub mod cursor;
pub mod http;
pub mod json;
pub mod microsoft;
pub mod secret;
pub mod splunk;
pub mod time;
pub mod version;
