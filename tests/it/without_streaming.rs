//! A build without the streaming feeds, `--no-default-features`: their inputs are refused in one line, and nothing is asked.

use simulator::Route;

use crate::support::{List, Stage, messages};

#[test]
fn the_streaming_feeds_are_refused() {
    let stage = Stage::new();
    for (feed, params) in [
        ("event_hub", &[("event_hub_namespace", "contoso.servicebus.windows.net"), ("event_hub_name", "defender")][..]),
        ("storage", &[("storage_account", "contoso.blob.core.windows.net")]),
    ] {
        let input = stage.input(List::GraphAlerts).set("api", "").set("feed", feed);
        let input = params.iter().fold(input, |input, (name, value)| input.set(name, value));
        let refusal = format!(
            "this build of the program has no streaming feeds, so `feed = {feed}` cannot run; install the package as it is published"
        );
        let ended = input.run().exits(2);
        assert_eq!((ended.said("ERROR"), ended.text()), (vec![format!("defender://test: {refusal}")], ""));
        assert_eq!(messages(&input.validate().exits(1).stdout), refusal);
        // What is wrong with it is said all the same.
        let wrong = messages(&input.set("shape", "raw").validate().exits(1).stdout);
        assert!(wrong.starts_with("parameter shape: `raw` is not one of incumbent, community"), "{wrong}");
    }
    assert_eq!(stage.asked(Route::Token), 0);
}
