//! What stands between the storage account and this machine: TLS, and a proxy.

use simulator::accounts::Account;
use simulator::proxy::Access;
use simulator::storage::HOST;
use simulator::{Config, Route};

use super::faults::{sign_in_with, signature};
use super::{deliver, input, record, texts};
use crate::support::Stage;

/// A stage with TLS everywhere and one record.
fn stage() -> Stage {
    let stage = Stage::with(Config { incidents: 0, alerts: 0, tls: true, splunkd_tls: true, ..Stage::config() });
    deliver(&stage, "AlertInfo", 1, &[record(1)]);
    stage
}

#[test]
fn who_inspects_tls_names_the_ca() {
    let stage = stage();
    assert!(stage.sim.storage_url().starts_with("https://"));
    let input = input(&stage);
    input.validate().exits(0).quietly();
    assert_eq!(texts(&input.run().exits(0).quietly().events()), [record(1)]);

    // With a signature nothing but the storage account is asked.
    sign_in_with(&stage, &signature(&stage).connection_string(stage.sim.storage_url()));
    stage.conf("defender_settings", "tls", "ca_bundle", "");
    let input = input.named("signed");
    let unknown = "defender://signed: Azure Storage: List Containers: no answer from HOST: its certificate is not trusted: no trusted \
                   authority signed it (UnknownIssuer); where TLS is inspected on the way, put the certificate";
    let said = input.run().exits(2).said("ERROR").concat();
    assert!(said.starts_with(unknown), "{said}");
    input.validate().exits(1);
    stage.conf("defender_settings", "tls", "ca_bundle", stage.sim.ca_bundle().to_str().unwrap());
    assert_eq!(texts(&input.run().exits(0).quietly().events()), [record(1)]);
}

#[test]
fn it_is_reached_through_a_proxy_by_its_own_name() {
    let stage = stage();
    stage.sim.add_cloud_account(&Account::new("cloud"));
    let proxy = stage.sim.proxy(Access::Basic("splunk".to_owned(), "pr0xy".to_owned())).unwrap();
    stage.conf("defender_settings", "proxy", "url", &proxy.url());
    stage.conf("defender_settings", "proxy", "username", "splunk");
    let input = input(&stage).set("storage_account", HOST);

    sign_in_with(&stage, &signature(&stage).sign());
    stage.sim.world(|world| world.splunkd.set_password("defender_settings", "proxy", "wrong"));
    let refused = format!(
        "defender://test: Azure Storage: List Containers: no answer from {HOST}: the proxy refused the connection: 407, it wants another \
         user name or password; enter the proxy's user name and password on the Configuration page of the app, tab Settings (the \
         add-on signs in by Basic authentication), or have the proxy let this machine through without"
    );
    assert_eq!(input.run().exits(2).said("ERROR"), [refused]);
    input.validate().exits(1);
    assert_eq!(stage.asked(Route::StorageContainers), 0);

    stage.sim.world(|world| world.splunkd.set_password("defender_settings", "proxy", "pr0xy"));
    let events = input.run().exits(0).quietly().events();
    assert_eq!((texts(&events), events[0].source.as_str()), (vec![record(1)], "defender:storage:contosologs"));

    // By a token as well, which comes through the same proxy.
    let seen = proxy.tunnels().len();
    let ended = input.named("token").set("account", "cloud").run().exits(0).quietly();
    assert_eq!(texts(&ended.events()), [record(1)]);
    let mut targets: Vec<String> = proxy.tunnels().into_iter().skip(seen).map(|tunnel| tunnel.target).collect();
    targets.dedup();
    assert_eq!(targets, ["login.microsoftonline.com:443".to_owned(), format!("{HOST}:443")]);
}
