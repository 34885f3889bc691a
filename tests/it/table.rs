//! The table of feeds and the scheme, compared with everything that repeats them for Splunk: a forgotten line fails here
//! and not on a customer's Splunk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use quick_xml::Reader;
use quick_xml::events::Event as Xml;
use ta_defender::feeds::{Kind, SOURCETYPES, Streaming};
use ta_defender::input::SCHEME;
use ta_defender::microsoft::cloud::Api;
use ta_defender::mode::{Mode, USAGE};
use ta_defender::permissions::needs;
use ta_defender::rest::TEST_CONNECTION;

/// Splunk's own parameters, which no scheme lists.
const SPLUNKS_OWN: [&str; 6] = ["disabled", "host", "index", "interval", "source", "sourcetype"];
const ACTIONS: [&str; 2] = ["defender_incident_update", "defender_alert_update"];
/// The parameters of both actions, and what incidents have besides.
const PARAMETERS: [&str; 11] = [
    "account",
    "api",
    "id_field",
    "status",
    "assigned_to",
    "classification",
    "determination",
    "comment",
    "if_changed",
    "dry_run",
    "index",
];

fn file(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The settings of every stanza of a conf file or its spec. A value may go on in the next line.
fn stanzas(path: &str) -> BTreeMap<String, BTreeMap<String, String>> {
    let mut all: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    let mut stanza = String::new();
    // A backslash at the end of a line goes on in the next.
    for line in file(path).replace("\\\n", " ").lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', '*']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            stanza = name.to_owned();
            assert!(all.insert(stanza.clone(), BTreeMap::new()).is_none(), "{path}: [{stanza}] stands twice");
        } else if let Some((name, value)) = line.split_once('=') {
            let before = all.entry(stanza.clone()).or_default().insert(name.trim().to_owned(), value.trim().to_owned());
            assert!(before.is_none(), "{path}: {name} stands twice in [{stanza}]");
        }
    }
    all
}

fn names<'a>(settings: impl IntoIterator<Item = &'a String>) -> BTreeSet<&'a str> {
    settings.into_iter().map(String::as_str).collect()
}

fn arguments() -> BTreeSet<&'static str> {
    SCHEME.arguments.iter().map(|argument| argument.name).collect()
}

/// The choices a spec lists: `[a|b]`.
fn choices(spec: &str) -> Vec<&str> {
    spec.trim_matches(['[', ']']).split('|').collect()
}

/// An element of a page: its name, its attributes, and its `opt`s or `option`s.
struct Field {
    attributes: BTreeMap<String, String>,
    options: Vec<String>,
}

/// The elements of an XML page that bear a name, with the values offered inside each.
fn fields(path: &str, element: impl Fn(&str) -> bool, option: &str) -> BTreeMap<String, Field> {
    let text = file(path);
    let mut reader = Reader::from_str(&text);
    reader.config_mut().expand_empty_elements = true;
    let (mut found, mut last) = (BTreeMap::new(), String::new());
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{path}: {error}")) {
            Xml::Start(tag) => {
                let attributes: BTreeMap<String, String> = tag
                    .attributes()
                    .map(|attribute| {
                        let attribute = attribute.unwrap();
                        (attribute.key.as_ref().to_owned(), attribute.value.to_string())
                    })
                    .collect();
                let name = tag.name().as_ref().to_owned();
                if name == option {
                    let field: &mut Field = found.get_mut(&last).unwrap_or_else(|| panic!("{path}: a choice outside a field"));
                    field.options.push(attributes["value"].clone());
                } else if let Some(name) = attributes.get("name").filter(|_| element(&name)).cloned() {
                    last.clone_from(&name);
                    let before = found.insert(name, Field { attributes, options: Vec::new() });
                    assert!(before.is_none(), "{path}: {last} stands twice");
                }
            }
            Xml::Eof => return found,
            _ => {}
        }
    }
}

#[test]
fn the_spec_of_inputs_has_every_argument_and_no_other() {
    let spec = stanzas("README/inputs.conf.spec");
    assert_eq!(names(spec.keys()), BTreeSet::from(["defender://<name>"]));
    let spec = &spec["defender://<name>"];
    assert_eq!(names(spec.keys()), arguments());
    assert_eq!(choices(&spec["feed"]), Kind::ALL.map(Kind::name));
    let text = file("README/inputs.conf.spec").replace("\n  ", " ");
    for feed in [Streaming::EventHub, Streaming::Storage] {
        assert!(text.contains(&format!("the role \"{}\"", feed.role())), "{feed:?}");
    }
}

#[test]
fn what_is_required_is_said_to_be() {
    let text = file("README/inputs.conf.spec");
    for argument in SCHEME.arguments {
        let start = text.find(&format!("\n{} = ", argument.name)).unwrap();
        let rest = &text[start + 1..];
        let section = &rest[..rest.find("\n\n").unwrap_or(rest.len())];
        let last = section.lines().last().unwrap();
        assert_eq!(last == "* Required.", argument.required, "{section}");
        assert!(argument.required || last.starts_with("* Default: "), "{section}");
    }
}

#[test]
fn shipped_inputs_hold_splunkds_own_keys_only() {
    let conf = stanzas("default/inputs.conf");
    let expected = BTreeMap::from([("interval", "60"), ("start_by_shell", "false")]);
    let expected: BTreeMap<String, String> = expected.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    assert_eq!(conf, BTreeMap::from([("defender".to_owned(), expected)]));
}

#[test]
fn the_page_of_data_inputs_shows_every_argument() {
    let path = "default/data/ui/manager/defender.xml";
    let fields = fields(path, |element| element == "element", "opt");
    // Splunk Web's own: the app of the stanza, the stanza's name, the switch that shows the rarer fields.
    let groups: BTreeSet<&str> = ["eai:acl.app", "name", "spl-ctrl_EnableAdvanced"].into();
    let is_group = |name: &str| fields[name].attributes.get("type").is_some_and(|kind| kind == "fieldset");
    let shown: BTreeSet<&str> = names(fields.keys())
        .into_iter()
        .filter(|name| !is_group(name) && !groups.contains(name) && !SPLUNKS_OWN.contains(name))
        .collect();
    assert_eq!(shown, arguments());
    for argument in SCHEME.arguments {
        let field = &fields[argument.name];
        assert_eq!(field.attributes["label"], argument.title, "{}", argument.name);
        assert_eq!(field.attributes.get("required").is_some_and(|r| r == "true"), argument.required, "{}", argument.name);
    }
    let spec = &stanzas("README/inputs.conf.spec")["defender://<name>"];
    for name in ["feed", "api", "include_alerts", "events", "evidence", "transport", "shape", "dedupe"] {
        assert_eq!(fields[name].options, choices(&spec[name]), "{name}");
    }
    assert!(file(path).contains("<endpoint name=\"data/inputs/defender\">"));
    assert!(file(path).contains(&format!("<header>{}</header>", SCHEME.title)));
}

#[test]
fn every_sourcetype_the_program_writes_has_its_props() {
    let props = stanzas("default/props.conf");
    let written: BTreeSet<&str> = SOURCETYPES.into_iter().chain(["ms:defender:writeback"]).collect();
    assert_eq!(names(props.keys()), written);
    let macros: Vec<String> =
        stanzas("default/macros.conf").into_values().map(|mut one| one.remove("definition").unwrap()).collect();
    for sourcetype in &written {
        let searched =
            |text: &String| text.split([' ', '(', ')']).any(|term| term.strip_prefix("sourcetype=") == Some(*sourcetype));
        assert!(macros.iter().any(searched), "no macro searches {sourcetype}");
    }
    for (sourcetype, settings) in props {
        let fixed = [
            ("TRUNCATE", "0"),
            ("SHOULD_LINEMERGE", "false"),
            ("LINE_BREAKER", "([\\r\\n]+)"),
            ("TZ", "UTC"),
            ("KV_MODE", "json"),
        ];
        for (name, value) in fixed {
            assert_eq!(settings.get(name).map(String::as_str), Some(value), "[{sourcetype}] {name}");
        }
        // What is no record has no time of its own: the input's is kept.
        let of_the_input = settings.get("DATETIME_CONFIG").map(String::as_str) == Some("NONE");
        assert_eq!(of_the_input, sourcetype.ends_with(":unparsed"), "[{sourcetype}]");
        assert!(settings.contains_key("TIME_PREFIX") != of_the_input && !settings.contains_key("TIME_FORMAT"), "[{sourcetype}]");
    }
}

fn parameters(action: &str) -> BTreeSet<&'static str> {
    let more = (action == "defender_incident_update").then_some("tags");
    PARAMETERS.into_iter().chain(more).collect()
}

#[test]
fn both_actions_are_described_alike_everywhere() {
    let (conf, spec) = (stanzas("default/alert_actions.conf"), stanzas("README/alert_actions.conf.spec"));
    let saved = &stanzas("README/savedsearches.conf.spec")["<name>"];
    assert_eq!(names(conf.keys()), BTreeSet::from(ACTIONS));
    assert_eq!(names(spec.keys()), BTreeSet::from(ACTIONS));
    for action in ACTIONS {
        assert!(USAGE.contains(action));
        let own = |settings: &BTreeMap<String, String>, prefix: &str| -> BTreeSet<String> {
            settings
                .keys()
                .filter_map(|name| name.strip_prefix(prefix))
                .filter(|name| *name != "_cam")
                .map(str::to_owned)
                .collect()
        };
        let expected: BTreeSet<String> = parameters(action).into_iter().map(str::to_owned).collect();
        assert_eq!(own(&conf[action], "param."), expected, "alert_actions.conf [{action}]");
        assert_eq!(own(&spec[action], "param."), expected, "alert_actions.conf.spec [{action}]");
        assert_eq!(own(saved, &format!("action.{action}.param.")), expected, "savedsearches.conf.spec");
        assert!(saved.contains_key(&format!("action.{action}")));

        let form = fields(
            &format!("default/data/ui/alerts/{action}.html"),
            |element| element.starts_with("splunk-") && element != "splunk-control-group",
            "option",
        );
        assert_eq!(
            own(&form.keys().map(|name| (name.clone(), String::new())).collect(), &format!("action.{action}.param.")),
            expected
        );
        for name in ["api", "status", "classification", "if_changed"] {
            let key = format!("action.{action}.param.{name}");
            let offered: Vec<&str> = form[&key].options.iter().map(String::as_str).filter(|value| !value.is_empty()).collect();
            assert_eq!(offered, choices(&spec[action][&format!("param.{name}")]), "{key}");
            assert_eq!(saved[&key], spec[action][&format!("param.{name}")], "{key}");
        }
    }
}

#[test]
fn splunkd_starts_the_program_with_the_action_it_knows() {
    for (action, settings) in stanzas("default/alert_actions.conf") {
        for (name, value) in [
            ("alert.execute.cmd", "defender"),
            ("alert.execute.cmd.arg.1", "--execute"),
            ("alert.execute.cmd.arg.2", action.as_str()),
            ("is_custom", "1"),
            ("payload_format", "json"),
            ("param.api", "graph"),
            ("param.id_field", "id"),
        ] {
            assert_eq!(settings.get(name).map(String::as_str), Some(value), "[{action}] {name}");
        }
        serde_json::from_str::<serde_json::Value>(&settings["param._cam"]).unwrap();
    }
}

#[test]
fn specs_and_defaults_of_accounts_and_settings_agree() {
    let spec = stanzas("README/defender_account.conf.spec");
    let expected =
        ["cloud", "tenant_id", "client_id", "auth", "client_secret", "certificate", "login_url", "graph_url", "defender_url"];
    assert_eq!(names(spec["<account>"].keys()), BTreeSet::from(expected));
    let (spec, conf) = (stanzas("README/defender_settings.conf.spec"), stanzas("default/defender_settings.conf"));
    assert_eq!(names(spec.keys()), BTreeSet::from(["logging", "proxy", "tls"]));
    assert_eq!(names(conf.keys()), names(spec.keys()));
    for (stanza, settings) in &spec {
        assert_eq!(names(conf[stanza].keys()), names(settings.keys()), "[{stanza}]");
    }
    let triggers = &stanzas("default/app.conf")["triggers"];
    assert_eq!(names(triggers.keys()), BTreeSet::from(["reload.defender_account", "reload.defender_settings"]));
    assert_eq!(stanzas("default/macros.conf")["defender_addon_index"]["definition"], "(index=main)");
    assert_eq!(stanzas("default/authorize.conf")["role_defender_responder"]["list_storage_passwords"], "enabled");
}

#[test]
fn the_app_has_the_programs_version() {
    let app = stanzas("default/app.conf");
    assert_eq!(app["launcher"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(app["id"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!((app["id"]["name"].as_str(), app["package"]["id"].as_str()), ("TA_defender", "TA_defender"));
    assert_eq!(app["ui"]["label"], "Defender Add-on for Splunk");
    let changes = file("CHANGELOG.md");
    assert!(changes.contains(&format!("## {}", env!("CARGO_PKG_VERSION"))), "CHANGELOG.md has no entry of this version");
}

#[test]
fn splunkd_starts_the_handler_and_splunk_web_passes_its_route_on() {
    let restmap = stanzas("default/restmap.conf");
    let handler = &restmap["script:defender_rest"];
    // AppInspect looks for `script` in bin; the driver is what is run, and what is run is the program.
    assert_eq!((handler["driver"].as_str(), handler["script"].as_str()), ("defender", "defender"));
    assert_eq!(Mode::read([handler["driver.arg.1"].clone().into()]), Some(Mode::Rest));
    assert_eq!(handler["match"], format!("/{}", TEST_CONNECTION.split_once('/').unwrap().0));
    assert_eq!(handler["capability.post"], "list_storage_passwords");
    assert_eq!(handler["passSystemAuth"], "false");
    let web = stanzas("default/web.conf");
    let exposed = web.values().find(|stanza| stanza["pattern"] == TEST_CONNECTION).expect("the route is exposed");
    assert_eq!(exposed["methods"], "POST");
}

#[test]
fn the_readme_lists_every_permission_beside_what_needs_it() {
    let readme = file("README.md");
    let actions = stanzas("default/alert_actions.conf");
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| feed `") || line.starts_with("| action ")).collect();
    let mut listed = 0;
    for need in Api::ALL.into_iter().flat_map(needs) {
        for user in &need.needed_by {
            let start = match user.split_once(' ').unwrap() {
                ("feed", name) => format!("| feed `{name}` |"),
                (_, name) => format!("| action {} |", actions[name]["label"]),
            };
            let row = rows.iter().find(|row| row.starts_with(&start)).unwrap_or_else(|| panic!("README.md has no {start}"));
            assert!(row.contains(&format!("`{}`", need.permission())), "{row}: {}", need.permission());
            listed += 1;
        }
    }
    assert_eq!(rows.concat().matches(".All`").count(), listed, "README.md lists a permission that nothing needs");
}
