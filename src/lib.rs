//! The Defender Add-on for Splunk: Microsoft Defender incidents and alerts into Splunk, status changes back.

pub mod http;
pub mod microsoft;
pub mod secret;
pub mod time;
