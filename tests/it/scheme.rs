//! What splunkd asks of the program without an input: the scheme; and what it answers to arguments it does not know.

use std::process::{Command, Stdio};

use crate::support::Program;

const USAGE: &str = "usage: defender [--scheme | --validate-arguments | --execute <action> | --rest | --version]
splunkd starts this program; without an argument it collects the input described on standard input
actions: defender_incident_update, defender_alert_update
";

#[test]
fn the_scheme_is_a_document_and_nothing_else_is_said() {
    let ended = Program::new(&["--scheme"]).run().exits(0);
    assert_eq!(ended.stderr, "");
    insta::assert_snapshot!(ended.text(), @r#"
    <scheme>
      <title>Microsoft Defender</title>
      <description>Collects incidents, alerts and raw events of Microsoft Defender with an account of the app's Configuration page, tab Accounts.</description>
      <use_external_validation>true</use_external_validation>
      <use_single_instance>false</use_single_instance>
      <streaming_mode>xml</streaming_mode>
      <endpoint>
        <args>
          <arg name="feed">
            <title>Feed</title>
            <description>What to collect: incidents or alerts; or the raw events of the streaming API, from where it puts them: event_hub or storage.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>true</required_on_create>
          </arg>
          <arg name="account">
            <title>Account</title>
            <description>Name of an account: Configuration page of the app, tab Accounts.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>true</required_on_create>
          </arg>
          <arg name="api">
            <title>API</title>
            <description>graph (default): Microsoft Graph security. defender: the Microsoft 365 Defender incidents API, or the Defender for Endpoint alerts API.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="start">
            <title>Start</title>
            <description>Where the first run begins: now, a duration back such as 30d or 12h, or a time such as 2026-01-31T00:00:00Z. Default 30d. Feeds event_hub and storage: earliest, latest (default), a duration or a time.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="lookback">
            <title>Look back</title>
            <description>How far each run reads again, for objects that become visible late; repeats are removed. Default 15m. Feed storage: how long blobs are looked at again, for they grow late; default 24h.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="filter">
            <title>Filter</title>
            <description>OData filter that objects must match as well, such as severity eq 'high'. It may not name the update time.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="include_alerts">
            <title>Alerts of incidents</title>
            <description>Feed incidents only. changed (default): alerts that are new or changed. all: with every change of the incident. none.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="events">
            <title>Events</title>
            <description>compact (default): without null members, scalar members first, evidence also under the names older content reads. verbatim: exactly what Microsoft sent.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="evidence">
            <title>Evidence</title>
            <description>inline (default): inside its alert. events: each piece an event of its own, sourcetype ms:defender:evidence. both.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="page_size">
            <title>Page size</title>
            <description>Objects per request. Default and maximum depend on feed and API.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="event_hub_namespace">
            <title>Event Hubs namespace</title>
            <description>Feed event_hub, required there: the host of the namespace, such as contoso.servicebus.windows.net.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="event_hub_name">
            <title>Event hub</title>
            <description>Feed event_hub, required there: the name of the hub.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="consumer_group">
            <title>Consumer group</title>
            <description>Feed event_hub: a consumer group that nothing else reads with. Default $Default.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="partitions">
            <title>Partitions</title>
            <description>Feed event_hub: the partitions to read, such as 0-3, 7, when several inputs share a hub. Default all.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="transport">
            <title>Transport</title>
            <description>Feed event_hub. amqp (default): port 5671. websocket: port 443, also through a proxy.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="storage_account">
            <title>Storage account</title>
            <description>Feed storage, required there: the host of its blob service, such as contoso.blob.core.windows.net.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="tables">
            <title>Tables</title>
            <description>Feeds event_hub and storage: the tables to collect, such as DeviceEvents, AlertInfo. Default all.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="shape">
            <title>Shape</title>
            <description>Feeds event_hub and storage. incumbent (default): sourcetype ms:defender:eventhub. community: sourcetype mscs:azure:eventhub:defender:advancedhunting.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
          <arg name="dedupe">
            <title>Repeated records</title>
            <description>Feeds event_hub and storage. off (default): as delivered. on: a record that Microsoft delivers again is left out.</description>
            <data_type>string</data_type>
            <required_on_edit>false</required_on_edit>
            <required_on_create>false</required_on_create>
          </arg>
        </args>
      </endpoint>
    </scheme>
    "#);
}

#[test]
fn the_scheme_needs_nothing_around_it() {
    let expected = Program::new(&["--scheme"]).run().exits(0).stdout;
    // The pipe that nobody closes: splunkd writes nothing and waits for the answer.
    assert_eq!(Program::new(&["--scheme"]).input_held_open("").run().exits(0).stdout, expected);
    // A home that is there changes nothing either.
    let homes = Program::new(&["--scheme"]).env("HOME", "/nonexistent").env("SPLUNK_HOME", "/nonexistent");
    assert_eq!(homes.run().exits(0).stdout, expected);
    // Standard input closed for good, not merely empty.
    let closed = Command::new("/bin/sh")
        .args(["-c", "exec \"$0\" --scheme <&-", env!("CARGO_BIN_EXE_defender")])
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!((closed.status.code(), closed.stdout), (Some(0), expected));
}

#[test]
fn the_version_names_target_and_features() {
    let ended = Program::new(&["--version"]).run().exits(0);
    let target = ended.text().split(' ').nth(2).unwrap().to_owned();
    assert!(target.contains(std::env::consts::ARCH), "{target}");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        ended.text(),
        format!(
            "defender {version} {target} features: incidents alerts actions{}\n",
            if cfg!(feature = "streaming") { " streaming" } else { "" }
        )
    );
    assert_eq!(ended.stderr, "");
}

#[test]
fn anything_else_is_told_how_the_program_is_used() {
    let table: [&[&str]; 12] = [
        &["--rest", "--scheme"],
        &["--help"],
        &["-v"],
        &[""],
        &["scheme"],
        &["--scheme", "--version"],
        &["--scheme", "--validate-arguments"],
        &["--validate-arguments", "--execute", "defender_alert_update"],
        &["--execute"],
        &["--execute", "defender_update_incident"],
        &["--execute", "defender_alert_update", "defender_incident_update"],
        &["defender_alert_update"],
    ];
    for arguments in table {
        let ended = Program::new(arguments).run().exits(2);
        assert_eq!((ended.text(), ended.stderr.as_str()), ("", USAGE), "{arguments:?}");
    }
}
