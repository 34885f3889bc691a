//! The program splunkd starts.
fn main() {}
