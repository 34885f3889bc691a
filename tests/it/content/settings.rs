//! Every conf file of the app: no key that Splunk or a spec of ours does not know, no stanza that nothing uses.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::search;

/// Keys by conf file, from Splunk's specs, as far as the app uses them; `*` at an end stands for any name. Of a file that has
/// a spec in `README/`, these are Splunk's own keys beside it.
const KNOWN: [(&str, &str); 17] = [
    (
        "alert_actions",
        "label description icon_path is_custom payload_format maxtime alert.execute.cmd alert.execute.cmd.arg.* param._cam",
    ),
    (
        "app",
        "is_configured state build is_visible label supported_themes setup_view author description version id name \
         check_for_updates reload.*",
    ),
    ("authorize", "list_storage_passwords importRoles srchIndexesAllowed"),
    ("defender_account", ""),
    ("defender_settings", ""),
    ("distsearch", "ta_defender_bin"),
    ("eventtypes", "search"),
    ("inputs", "interval start_by_shell"),
    ("macros", "definition iseval args"),
    (
        "props",
        "category description pulldown_type TRUNCATE SHOULD_LINEMERGE LINE_BREAKER TIME_PREFIX MAX_TIMESTAMP_LOOKAHEAD TZ \
         DATETIME_CONFIG KV_MODE \
         EVAL-* FIELDALIAS-* LOOKUP-*",
    ),
    (
        "restmap",
        "action.* match script scripttype driver driver.arg.* driver.env.* handler members requireAuthentication output_modes \
         passPayload passSession passSystemAuth passHttpHeaders passHttpCookies passConf stream capability.*",
    ),
    (
        "savedsearches",
        "disabled description search dispatch.earliest_time dispatch.latest_time enableSched cron_schedule counttype relation \
         quantity alert.*",
    ),
    ("server", "conf_replication_include.*"),
    ("tags", "*"),
    ("transforms", "filename case_sensitive_match max_matches"),
    ("web", "pattern methods"),
    (
        "workflow_actions",
        "label type display_location fields eventtypes link.method link.target link.uri search.search_string search.earliest \
         search.latest search.target search.app search.view",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The conf files of `default/` by name.
fn names() -> BTreeSet<String> {
    let paths = fs::read_dir(root().join("default")).unwrap().map(|entry| entry.unwrap().path());
    let conf = paths.filter(|path| path.extension().is_some_and(|extension| extension == "conf"));
    conf.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
}

/// The keys of a spec in `README/`, of whatever stanza.
fn spec(name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(format!("README/{name}.conf.spec"))).unwrap_or_default();
    let keys = text.lines().filter(|line| !line.starts_with(['#', '*', '['])).filter_map(|line| line.split_once(" ="));
    keys.map(|(key, _)| key.trim().to_owned()).collect()
}

#[test]
fn every_key_is_one_a_spec_knows() {
    for name in names() {
        let known = KNOWN.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}.conf is not in the table"));
        let ours = spec(&name);
        for (stanza, settings) in search::conf(&name) {
            let mut seen = BTreeSet::new();
            for (key, value) in settings {
                let fits = |known: &str| known.strip_suffix('*').map_or(known == key, |start| key.starts_with(start));
                assert!(
                    known.1.split_whitespace().any(fits) || ours.contains(&key),
                    "{name}.conf [{stanza}]: {key} is not known"
                );
                assert!(seen.insert(key.clone()), "{name}.conf [{stanza}]: {key} stands twice");
                assert!(name != "tags" || value == "enabled", "tags.conf [{stanza}] {key}");
            }
        }
    }
}

/// Every file below a folder.
fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files(&entry, out) } else { out.push(entry) }
    }
}

#[test]
fn macros_exist_and_are_used_and_shipped_searches_are_off() {
    let macros = search::conf("macros");
    let mut paths = vec![root().join("README.md")];
    files(&root().join("default"), &mut paths);
    let mut uses: BTreeMap<String, String> = BTreeMap::new();
    for path in paths.iter().filter(|path| !path.ends_with("README.md")) {
        let text = fs::read_to_string(path).unwrap();
        let code = text.lines().filter(|line| !line.starts_with('#') && !line.contains("\"markdown\":"));
        for name in code.flat_map(|line| line.split('`').skip(1).step_by(2)) {
            // Enterprise Security brings its own.
            assert!(name == "notable" || macros.contains_key(name), "{}: no macro {name}", path.display());
            uses.insert(name.to_owned(), path.display().to_string());
        }
    }
    // Some are for people who search.
    let readme = fs::read_to_string(&paths[0]).unwrap();
    for name in macros.keys() {
        assert!(uses.contains_key(name) || readme.contains(&format!("`{name}`")), "nothing uses the macro {name}");
    }
    for (name, settings) in search::conf("savedsearches") {
        assert!(settings.iter().any(|(key, value)| key == "disabled" && value == "1"), "{name} is on");
    }
}

#[test]
fn what_other_apps_search_with_is_theirs_to_read() {
    // Enterprise Security and people's own apps run searches on these: they need the app's knowledge exported.
    let meta = search::read("app/metadata/default.meta");
    let all: BTreeMap<&str, &str> = meta[""].iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(all["export"], "system");
    assert!(all["access"].starts_with("read : [ * ]"));
    for name in ["props", "transforms", "lookups", "eventtypes", "tags", "macros", "savedsearches", "views"] {
        assert!(!meta.keys().any(|stanza| stanza.split('/').next() == Some(name)), "[{name}] is on its own");
    }
}

/// The knowledge bundle goes to every indexer, and with it whatever is not kept out of it.
#[test]
fn the_program_and_nothing_else_stays_out_of_the_knowledge_bundle() {
    let conf = search::conf("distsearch");
    assert_eq!(conf.keys().collect::<Vec<_>>(), ["replicationDenylist"]);
    let [(name, pattern)] = &conf["replicationDenylist"][..] else { panic!("{conf:?}") };
    assert!(name.starts_with("ta_defender"), "the keys of this stanza are shared by all apps: {name}");
    // In Splunk's patterns a full stop is one, `...` is anything, and `*` anything within a folder.
    let regex = pattern.replace("...", "\u{1}").replace("[0-9.]", "\u{2}").replace('.', "\\.").replace('*', "[^/]*");
    let regex = regex.replace('\u{1}', ".*").replace('\u{2}', "[0-9.]");
    let regex = regex::Regex::new(&format!("^{regex}$")).unwrap();
    // Where the app lies, and where Splunk's check of an archive believes that it lies.
    for path in ["apps/TA_defender/bin/defender", "apps/TA_defender-0.1.0.tgz/bin/defender"] {
        assert!(regex.is_match(path), "{path}: {regex}");
    }
    for path in [
        "apps/TA_defender/default/props.conf",
        "apps/TA_defender/lookups/bin/defender",
        "apps/TA_defender/bin/defender.conf",
        "apps/TA_defender_other/bin/defender",
        "apps/other/TA_defender/bin/defender",
    ] {
        assert!(!regex.is_match(path), "{path}");
    }
}

/// The fields of the streaming API stand twice in `props.conf`, and a script keeps the two alike.
#[test]
fn the_streamed_part_of_props_is_what_its_script_writes() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("build/streamed_props.py");
    let run = match std::process::Command::new("python3").arg(script).arg("--check").output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && std::env::var_os("CI").is_none() => return,
        run => run.unwrap(),
    };
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}
