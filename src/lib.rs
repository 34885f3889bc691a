//! The Defender Add-on for Splunk.
