//! An event as a partition's link brings it: whoever may send to the hub writes these bytes, and the AMQP library reads them.

#![no_main]

use fe2o3_amqp::types::messaging::message::DecodeIntoMessage;
use fe2o3_amqp::types::messaging::Body;
use fe2o3_amqp::types::primitives::Value;
use libfuzzer_sys::fuzz_target;
use serde_amqp::read::SliceReader;

fuzz_target!(|data: &[u8]| {
    let _ = Body::<Value>::decode_message_from_reader(SliceReader::new(data));
});
