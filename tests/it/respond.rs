//! Alert actions, as splunkd runs them: what becomes of each row, what is changed at the service, what is said.

pub(crate) mod act;
mod enterprise;
mod limits;
mod odd;
mod rows;

use serde_json::{Value, json};
use simulator::accounts::{ANALYST_SESSION_KEY, Account, Roles};
use simulator::{Fault, FaultKind, Route, When};

use crate::support::{List, Stage};
use act::{Act, State, action_of, gzip};

/// The request that reads one object, and the one that changes it.
fn routes(list: List) -> (Route, Route) {
    match list {
        List::GraphIncidents => (Route::GraphIncident, Route::GraphIncident),
        List::GraphAlerts => (Route::GraphAlert, Route::GraphAlert),
        List::XdrIncidents => (Route::XdrIncident, Route::XdrIncidentUpdate),
        List::EndpointAlerts => (Route::MdeAlert, Route::MdeAlertUpdate),
    }
}

/// The line of a row.
fn line(list: List, row: usize, id: &str, rest: &str) -> String {
    format!("{}: row={row} id={id} result={rest}", action_of(list))
}

/// The last line of a run.
fn total(list: List, rows: usize, failed: usize) -> String {
    format!("{}: {rows} rows, {failed} of them not changed as asked", action_of(list))
}

#[test]
fn every_member_of_every_object_through_every_api() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 2);
        let before = stage.state(list, &ids[1]);
        let tagged = list.inner_identity().is_some();
        let mut act = Act::new(&stage, list)
            .set("status", "In Progress")
            .set("assigned_to", "ann@contoso.example")
            .set("classification", "true-positive")
            .set("determination", "Compromised User")
            .set("comment", "known\nthing")
            .csv(&format!("id,title\n{},any\n", ids[0]));
        if tagged {
            act = act.set("tags", "one, two");
        }
        let ended = act.run().exits(0).quietly();
        let unclassified = if list == List::XdrIncidents { " Unknown" } else { "" };
        let undetermined = if list == List::XdrIncidents { " NotAvailable" } else { "" };
        let new = if tagged { "active" } else { "new" };
        let said = match list {
            List::GraphIncidents => format!(
                "status {new} -> inProgress, assigned_to -> ann@contoso.example, classification unknown -> truePositive, \
                 determination unknown -> compromisedAccount, comment added, tags -> one, two"
            ),
            List::GraphAlerts => format!(
                "status {new} -> inProgress, assigned_to -> ann@contoso.example, classification unknown -> truePositive, \
                 determination unknown -> compromisedAccount, comment added"
            ),
            List::XdrIncidents => format!(
                "status Active -> InProgress, assigned_to -> ann@contoso.example, classification{unclassified} -> TruePositive, \
                 determination{undetermined} -> CompromisedAccount, comment added, tags -> one, two"
            ),
            List::EndpointAlerts => {
                "status New -> InProgress, assigned_to -> ann@contoso.example, classification -> TruePositive, \
                 determination -> CompromisedUser, comment added"
                    .to_owned()
            }
        };
        assert_eq!(ended.said("INFO"), [line(list, 1, &ids[0], &format!("updated: {said}")), total(list, 1, 0)]);
        let tags = if tagged { vec!["one".to_owned(), "two".to_owned()] } else { Vec::new() };
        let expected = State {
            status: "inProgress".to_owned(),
            assigned_to: Some("ann@contoso.example".to_owned()),
            classification: "truePositive".to_owned(),
            determination: "compromisedAccount".to_owned(),
            comments: vec!["known\nthing".to_owned()],
            tags,
        };
        assert_eq!(stage.state(list, &ids[0]), expected, "{list:?}");
        assert_eq!(stage.state(list, &ids[1]), before, "another object is left alone");
        assert!(ended.stdout.is_empty());

        // The same once more: nothing is sent.
        stage.sim.forget_requests();
        let again = act.run().exits(0).quietly();
        assert_eq!(again.said("INFO")[0], line(list, 1, &ids[0], "unchanged: it is so already"));
        assert_eq!(stage.changes(), Vec::<String>::new());
        assert_eq!(stage.state(list, &ids[0]), expected);

        // And the owner taken away.
        let cleared = Act::new(&stage, list).set("assigned_to", "none").ids(&ids[..1]).run().exits(0).quietly();
        assert_eq!(
            cleared.said("INFO")[0],
            line(list, 1, &ids[0], "updated: assigned_to ann@contoso.example -> none"),
            "{list:?}"
        );
        assert_eq!(stage.state(list, &ids[0]), State { assigned_to: None, ..expected });
    }
}

#[test]
fn tags_are_added_removed_and_replaced() {
    for list in [List::GraphIncidents, List::XdrIncidents] {
        let stage = Stage::new();
        let ids = stage.fresh(list, 1);
        for (tags, after) in [
            ("a, b", vec!["a", "b"]),
            ("c", vec!["a", "b", "c"]),
            ("-A", vec!["b", "c"]),
            ("=x, y", vec!["x", "y"]),
            ("=", vec![]),
        ] {
            let ended = Act::new(&stage, list).set("tags", tags).ids(&ids).run().exits(0).quietly();
            assert_eq!(stage.state(list, &ids[0]).tags, after, "{tags}");
            let now = if after.is_empty() { "none".to_owned() } else { after.join(", ") };
            assert!(ended.said("INFO")[0].ends_with(&format!(" -> {now}")), "{}", ended.stderr);
        }
    }
}

#[test]
fn every_row_has_its_own_result_and_none_stops_another() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 4);
        let gone = if list.inner_identity().is_some() { "999999999" } else { "da000000000000000000_0" };
        let bad = if list.inner_identity().is_some() { "incident" } else { "alert" };
        let expects = if bad == "incident" { "a whole number is expected" } else { "letters, digits, - and _ are expected" };
        let allowed = if bad == "incident" { "active, inProgress or resolved" } else { "new, inProgress or resolved" };
        let text = format!(
            "id,__mv_id,defender_status,defender_classification,defender_determination\n\
             {a},,,,\n\
             {gone},,,,\n\
             ,,,,\n\
             \"{b}\n{c}\",${b}$;${c}$,,,\n\
             ../{b},,,,\n\
             {b},,closed,,\n\
             {b},,,false positive,malware\n\
             {b},,in progress,,\n\
             {a},,,,\n\
             {a},,in progress,,\n\
             {d},,,,\n",
            a = ids[0],
            b = ids[1],
            c = ids[2],
            d = ids[3],
        );
        let act = Act::new(&stage, list).set("status", "resolved").csv(&text);
        let ended = act.run().exits(1).says("WARN", &[]);
        let (service, path) = (list.service_name(), list.path());
        let (first, done, progress) = match list {
            List::GraphIncidents => ("active", "resolved", "inProgress"),
            List::GraphAlerts => ("new", "resolved", "inProgress"),
            List::XdrIncidents => ("Active", "Resolved", "InProgress"),
            List::EndpointAlerts => ("New", "Resolved", "InProgress"),
        };
        let updated = format!("updated: status {first} -> {done}");
        let infos = [
            line(list, 1, &ids[0], &updated),
            line(list, 8, &ids[1], &format!("updated: status {first} -> {progress}")),
            line(list, 9, &ids[0], &updated),
            line(list, 11, &ids[3], &updated),
            total(list, 11, 7),
        ];
        assert_eq!(ended.said("INFO"), infos, "{}", ended.stderr);
        let wrong = format!("refused: status `closed` is not allowed: write {allowed}");
        let pair = "refused: determination malware does not go with classification falsePositive: write notMalicious, \
                    notEnoughDataToValidate or other";
        let errors = ended.said("ERROR");
        assert!(
            errors[0].starts_with(&line(
                list,
                2,
                gone,
                &format!("not_found: {service}: GET {path}/{gone}: HTTP 404: not found: ")
            )),
            "{}",
            errors[0]
        );
        assert!(errors[0].ends_with("; check the id, and that it is of this tenant and of this API"), "{}", errors[0]);
        let rest = [
            line(list, 3, "-", "refused: the row has nothing in field `id`: name the field that holds the id in id_field"),
            line(list, 4, "-", "refused: field `id` holds 2 ids: expand the search to one row per id"),
            line(list, 5, &format!("../{}", ids[1]), &format!("refused: `../{}` is not an {bad} id: {expects}", ids[1])),
            line(list, 6, &ids[1], &wrong),
            line(list, 7, &ids[1], pair),
            line(list, 10, &ids[0], "refused: a row before asks for another change of the same object"),
        ];
        assert_eq!(errors[1..], rest, "{}", ended.stderr);
        assert_eq!(stage.state(list, &ids[0]).status, "resolved");
        assert_eq!(stage.state(list, &ids[1]).status, "inProgress");
        assert_eq!(stage.state(list, &ids[2]), State::fresh(list));
        assert_eq!(stage.state(list, &ids[3]).status, "resolved");
    }
}

#[test]
fn a_row_of_the_payload_when_there_is_no_file() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 2);
    let act = Act::new(&stage, list).set("status", "resolved").set("id_field", "alert");
    act.clone().result(json!({"alert": ids[0], "id": "x"})).run().exits(0).quietly();
    assert_eq!(stage.state(list, &ids[0]).status, "resolved");
    let several = act.clone().result(json!({"alert": [ids[0], ids[1]]})).run().exits(1);
    assert_eq!(
        several.said("ERROR"),
        [line(list, 1, "-", "refused: field `alert` holds 2 ids: expand the search to one row per id")]
    );
    // Incident ids are numbers in some rows.
    let list = List::XdrIncidents;
    let ids = stage.fresh(list, 1);
    let number: u64 = ids[0].parse().unwrap();
    Act::new(&stage, list).set("status", "resolved").result(json!({"id": number})).run().exits(0).quietly();
    assert_eq!(stage.state(list, &ids[0]).status, "resolved");
    // Nothing at all.
    let none = Act::new(&stage, list).set("status", "resolved").run().exits(0).quietly();
    assert_eq!(none.said("INFO"), [format!("{}: the search results hold no row, so nothing is changed", action_of(list))]);
}

#[test]
fn bad_parameters_refuse_every_row() {
    let stage = Stage::new();
    let long = "x".repeat(40_000);
    let table = [
        (List::GraphAlerts, "account", " ", "account: it is required and missing"),
        (List::GraphAlerts, "api", "soap", "api: `soap` is unknown: write graph or defender"),
        (List::GraphAlerts, "dry_run", "perhaps", "dry_run: `perhaps` is neither 1 nor 0"),
        (List::GraphIncidents, "if_changed", "no", "if_changed: `no` is unknown: write warn or refuse"),
        (List::GraphIncidents, "index", "_audit", "index: `_audit` is not the name of an index that can be written to"),
        (List::GraphAlerts, "status", "active", "status `active` is not allowed: write new, inProgress or resolved"),
        (List::XdrIncidents, "status", "redirected", "status `redirected` is not allowed: write active, inProgress or resolved"),
        (List::EndpointAlerts, "tags", "a", "tags: alerts have none, only incidents do"),
        (
            List::GraphIncidents,
            "tags",
            "a, -a",
            "tags `a, -a` is no change of tags: write `a, b` to add, `-a` to remove, or `=a, b` to replace all",
        ),
        (List::GraphAlerts, "comment", &long, "comment has 40000 characters: 29950 is the most"),
    ];
    for (list, name, value, fault) in table {
        let ids = stage.fresh(list, 2);
        let text = format!("id,defender_status\n{},\n{},resolved\n", ids[0], ids[1]);
        let ended = Act::new(&stage, list).set("status", "resolved").set(name, value).csv(&text).run().exits(2);
        let refused = format!("refused: parameter {fault}");
        let expected = [
            line(list, 1, &ids[0], &refused),
            line(list, 2, &ids[1], &refused),
            format!("{}: parameter {fault}", action_of(list)),
        ];
        assert_eq!(ended.said("ERROR"), expected);
        assert_eq!(ended.said("INFO"), [total(list, 2, 2)]);
        let (events, heads) = audit(&stage);
        assert!(heads.iter().all(|head| head.contains(" index=main ")), "{heads:?}");
        let api = if name == "api" { value } else { list.feed_and_api().1 };
        assert_eq!(events.len(), 2);
        for event in events {
            assert_eq!(
                (&event["result"], &event["reason"], &event["api"]),
                (&json!("refused"), &json!(refused[9..]), &json!(api))
            );
        }
        assert!(ids.iter().all(|id| stage.state(list, id) == State::fresh(list)));
        // Without a row the fault is told all the same.
        let none = Act::new(&stage, list).set("status", "resolved").set(name, value).run().exits(2);
        assert_eq!(none.said("ERROR"), expected[2..]);
    }
    assert_eq!(stage.asked(Route::Token), 0);
}

#[test]
fn a_search_owner_without_rights_is_told_which_role() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 1);
    let ended = Act::new(&stage, list)
        .set("status", "resolved")
        .payload("session_key", ANALYST_SESSION_KEY.into())
        .ids(&ids)
        .run()
        .exits(2);
    let why = "splunkd refuses the secret demo.client_secret of realm defender_account: the owner of this search or input needs a \
               role with the capability list_storage_passwords (edit_storage_passwords to change a secret), such as \
               defender_responder";
    assert_eq!(ended.said("ERROR"), [line(list, 1, &ids[0], &format!("failed: {why}")), format!("{}: {why}", action_of(list))]);
    // Nor is a row forgotten where there is no such account.
    let none = "there is no account `nobody` on this server: add it on the Configuration page of the app, tab Accounts";
    let ended = Act::new(&stage, list).set("account", "nobody").set("status", "resolved").ids(&ids).run().exits(2);
    assert_eq!(ended.said("ERROR"), [line(list, 1, &ids[0], &format!("failed: {none}")), format!("{}: {none}", action_of(list))]);
    let (events, _) = audit(&stage);
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events.iter().all(|event| event["result"] == "failed" && event["attempts"] == 0 && event["http_status"].is_null()));
    let gone = Act::new(&stage, list).set("status", "resolved").payload("session_key", "gone".into()).ids(&ids).run().exits(1);
    assert!(gone.said("ERROR")[1].contains("splunkd no longer accepts this run's session key"), "{}", gone.stderr);
    assert_eq!((stage.asked(Route::Token), stage.state(list, &ids[0])), (0, State::fresh(list)));
}

#[test]
fn an_app_without_secret_or_permission_fails_every_row() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 3);
        stage.sim.add_account(&Account { secret_is_right: false, ..Account::new("wrong") });
        stage.sim.add_account(&Account { roles: Roles::None, ..Account::new("none") });
        stage.sim.add_account(&Account { roles: Roles::Read, ..Account::new("reader") });
        let (read, group) = list.permission();
        let write = read.replace("Read.All", "ReadWrite.All");
        let granted = |permission: &str| {
            format!("grant the app the application permission {permission} ({group}, not the delegated one) in Entra ID")
        };
        for (account, part) in
            [("wrong", "the client secret is wrong".to_owned()), ("none", granted(read)), ("reader", granted(&write))]
        {
            let ended = Act::new(&stage, list)
                .set("account", account)
                .set("status", "resolved")
                .ids(&ids)
                .run()
                .exits(2)
                .says("WARN", &[]);
            let errors = ended.said("ERROR");
            let [rows @ .., last] = &errors[..] else { panic!("{}", ended.stderr) };
            assert_eq!(rows.len(), 3, "{}", ended.stderr);
            // A person acts once; no row is left out, and nothing is asked for those that cannot succeed.
            let reason = last.strip_prefix(&format!("{}: nothing can be changed with account {account}: ", action_of(list)));
            let reason = reason.unwrap_or_else(|| panic!("{last}"));
            assert!(reason.contains(&part), "{part}: {reason}");
            for (row, error) in rows.iter().enumerate() {
                assert_eq!(error, &line(list, row + 1, &ids[row], &format!("failed: {reason}")));
            }
            assert_eq!(ended.said("INFO"), [total(list, 3, 3)]);
            let (events, _) = audit(&stage);
            assert!(events.iter().all(|event| event["attempts"].as_u64().unwrap() <= 1), "{events:?}");
            let refused = |status: u16| stage.sim.requests().iter().filter(|exchange| exchange.status == status).count();
            // Alone; where it was also tried together, once more.
            assert!((1..=4).contains(&(refused(403) + refused(401))), "{account}: {} {}", refused(403), refused(401));
            stage.sim.forget_requests();
        }
        assert_eq!(stage.state(list, &ids[0]), State::fresh(list));
    }
}

#[test]
fn results_that_are_missing_or_damaged_change_nothing() {
    let stage = Stage::new();
    let list = List::EndpointAlerts;
    let ids = stage.fresh(list, 1);
    let act = Act::new(&stage, list).set("status", "resolved").result(json!({"id": ids[0]}));
    let whole = gzip(format!("id\n{}\n", ids[0]).as_bytes());
    let mut flipped = whole.clone();
    let crc = flipped.len() - 8;
    flipped[crc] ^= 1;
    let unusable = |reason: &str| {
        format!("the search results FOLDER/splunk/var/run/splunk/dispatch/NAME cannot be used: {reason}; no row was acted on")
    };
    for (bytes, reason) in [
        (whole[..whole.len() - 9].to_vec(), "the gzip data was cut off"),
        (flipped, "the gzip data is damaged (corrupt gzip stream does not have a matching checksum)"),
        (gzip(b"id,x\n\"1\n2\"\n"), "line 2: 1 fields where the header has 2"),
        (b"id\n1".to_vec(), "its last line has no end, so it was cut off"),
    ] {
        let ended = act.clone().file(&bytes).run().exits(2);
        let said = ended.said("ERROR").concat();
        let name = said.split("dispatch/").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().to_owned();
        assert_eq!(said.replace(&name, "NAME"), format!("{}: {}", action_of(list), unusable(reason)));
    }
    let ended = act.clone().results_file("/nowhere/results.csv.gz".as_ref()).run().exits(2);
    let missing = "cannot read the search results /nowhere/results.csv.gz: No such file or directory (os error 2); splunkd deletes \
                   them when the search job expires";
    assert_eq!(ended.said("ERROR"), [format!("{}: {missing}", action_of(list))]);
    assert_eq!((stage.asked(Route::Token), stage.state(list, &ids[0])), (0, State::fresh(list)));
}

#[test]
fn a_service_that_fails_is_asked_again() {
    for list in List::ALL {
        let (read, write) = routes(list);
        for kind in [
            FaultKind::Status(500),
            FaultKind::Status(504),
            FaultKind::Throttled(1, simulator::throttle::RetryAfter::Seconds),
            FaultKind::Unavailable(1, simulator::throttle::RetryAfter::Date),
            FaultKind::Refused,
            FaultKind::TokenRevoked,
        ] {
            let stage = Stage::new();
            let ids = stage.fresh(list, 1);
            // A token that is refused at once is no good; one that was good is fetched anew.
            if kind != FaultKind::TokenRevoked {
                stage.fault(read, When::Once, kind.clone());
            }
            stage.fault(write, if read == write { When::Nth(2) } else { When::Once }, kind.clone());
            let act = Act::new(&stage, list).set("status", "resolved").set("comment", "once").ids(&ids);
            act.run().exits(0).quietly();
            let expected = State { status: "resolved".to_owned(), comments: vec!["once".to_owned()], ..State::fresh(list) };
            assert_eq!(stage.state(list, &ids[0]), expected, "{list:?} {kind:?}");
            assert_eq!(stage.sim.faults().waiting(), 0, "{list:?} {kind:?}");
        }
    }
}

#[test]
fn an_answer_lost_after_the_change_arrived() {
    for list in List::ALL {
        let (_, write) = routes(list);
        let comment = match list {
            List::GraphIncidents => Route::GraphIncidentComments,
            List::GraphAlerts => Route::GraphAlertComments,
            List::XdrIncidents | List::EndpointAlerts => write,
        };
        let stage = Stage::new();
        let ids = stage.fresh(list, 1);
        stage.fault(comment, When::Once, FaultKind::Cut(20));
        let act = Act::new(&stage, list).set("status", "resolved").set("comment", "once").ids(&ids);
        let ended = act.run().exits(0).quietly();
        assert_eq!(stage.sim.faults().happened(), 1);
        assert_eq!(stage.state(list, &ids[0]).comments, ["once"], "{list:?}");
        assert_eq!(stage.state(list, &ids[0]).status, "resolved");
        assert_eq!(ended.said("INFO")[1], total(list, 1, 0));
    }
}

#[test]
fn one_row_that_fails_stops_no_other() {
    for list in List::ALL {
        let (_, write) = routes(list);
        let stage = Stage::new();
        let ids = stage.fresh(list, 3);
        stage.sim.faults().push(Fault::new(write, When::Always, FaultKind::Status(400)).matching(&ids[1]));
        // One change each, so that no two travel together.
        let text = format!("id,defender_comment\n{},first\n{},second\n{},third\n", ids[0], ids[1], ids[2]);
        let ended = Act::new(&stage, list).set("status", "resolved").csv(&text).run().exits(1);
        let errors = ended.said("ERROR");
        assert_eq!(errors.len(), 1, "{}", ended.stderr);
        assert!(errors[0].starts_with(&line(list, 2, &ids[1], "failed: ")), "{}", errors[0]);
        assert!(errors[0].contains("HTTP 400"), "{}", errors[0]);
        for (id, comment) in [(&ids[0], "first"), (&ids[2], "third")] {
            assert_eq!(stage.state(list, id).status, "resolved");
            assert_eq!(stage.state(list, id).comments, [comment]);
        }
        assert_eq!(stage.state(list, &ids[1]).comments, Vec::<String>::new());
    }
}

#[test]
fn a_dry_run_changes_nothing() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 2);
        let act = Act::new(&stage, list).set("status", "resolved").set("comment", "seen").set("dry_run", "1").ids(&ids);
        let ended = act.run().exits(0).quietly();
        let said = ended.said("INFO");
        assert_eq!(said.len(), 3);
        assert!(said[0].starts_with(&line(list, 1, &ids[0], "unchanged: dry run, would send ")), "{}", said[0]);
        assert_eq!(stage.changes(), Vec::<String>::new());
        assert_eq!(stage.state(list, &ids[0]), State::fresh(list));
    }
}

#[test]
fn the_line_enterprise_security_reads() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 1);
    let text = format!("id,rid,orig_rid,orig_sid\n{},7,8,scheduler__x\n,,,\n", ids[0]);
    Act::new(&stage, list).set("status", "resolved").csv(&text).run().exits(1);
    let log = std::fs::read_to_string(stage.sim.splunk_home().join("var/log/splunk/defender_alert_update_modalert.log")).unwrap();
    let lines: Vec<&str> = log.lines().map(|line| line.split_once(" sendmodaction - ").unwrap().1).collect();
    let same = format!("search_name=\"{}\" sid=\"{}\"", act::SEARCH, act::SID);
    assert_eq!(
        lines,
        [
            format!(
                "signature=\"updated: status new -> resolved\" action_name=\"defender_alert_update\" {same} orig_sid=\"scheduler__x\" \
                 rid=\"7\" orig_rid=\"8\" app=\"search\" user=\"ann\" action_mode=\"saved\" action_status=\"success\""
            ),
            format!(
                "signature=\"refused: the row has nothing in field `id`: name the field that holds the id in id_field\" \
                 action_name=\"defender_alert_update\" {same} orig_sid=\"\" rid=\"1\" orig_rid=\"\" app=\"search\" user=\"ann\" \
                 action_mode=\"saved\" action_status=\"failure\""
            ),
        ]
    );
    // Where it cannot be written, the change stands.
    let nowhere = stage.sim.splunk_home().join("nowhere");
    let ended = Act::new(&stage, list).set("status", "new").home(Some(nowhere)).ids(&ids).run().exits(0);
    assert!(ended.said("WARN")[0].contains("the log that Enterprise Security reads cannot be opened"), "{}", ended.stderr);
    assert_eq!(stage.state(list, &ids[0]).status, "new");
    Act::new(&stage, list).set("status", "resolved").home(None).ids(&ids).run().exits(0);
    assert_eq!(stage.state(list, &ids[0]).status, "resolved");
}

/// The audit events that wait for splunkd, in the order of rows, and the lines above them.
pub(crate) fn audit(stage: &Stage) -> (Vec<Value>, Vec<String>) {
    let (mut events, mut heads): (Vec<Value>, Vec<String>) = (Vec::new(), Vec::new());
    for file in std::fs::read_dir(stage.sim.splunk_home().join("var/spool/splunk")).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(path.extension().unwrap(), "stash_new");
        let text = std::fs::read_to_string(&path).unwrap();
        let mut parts = text.split("\n==##~~##~~  1E8N3D4E6V5E7N2T9 ~~##~~##==\n");
        heads.push(parts.next().unwrap().to_owned());
        for event in parts {
            assert!(event.starts_with("{\"time\":\"") && !event.contains('\n'), "{event}");
            events.push(serde_json::from_str(event).unwrap());
        }
        std::fs::remove_file(path).unwrap();
    }
    events.sort_by_key(|event| event["row"].as_u64());
    (events, heads)
}

#[test]
fn each_row_leaves_an_audit_event() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 2);
        let incident = list.inner_identity().is_some();
        let text = format!("id,rid,orig_sid,defender_comment\n{},7,s1,on it\n{},,,\n,,,\n", ids[0], ids[1]);
        Act::new(&stage, list).set("status", "resolved").set("index", "sec_ops").csv(&text).run().exits(1);
        let (events, heads) = audit(&stage);
        let source = action_of(list);
        let head = format!("***SPLUNK*** index=sec_ops host=splunk.example.com source={source} sourcetype=ms:defender:writeback");
        assert_eq!(heads.iter().filter(|line| **line != head).count(), 0, "{heads:?}");
        assert_eq!(events.len(), 3);
        let first = &events[0];
        let (graph, new) = (list.feed_and_api().1 == "graph", if incident { "active" } else { "new" });
        let spelled = |text: &str| {
            if graph { text.to_owned() } else { text[..1].to_uppercase() + &text[1..] }
        };
        let expected = json!({
            "action": source, "result": "updated", "object": if incident { "incident" } else { "alert" }, "id": ids[0],
            "reason": format!("status {} -> {}, comment added", spelled(new), spelled("resolved")),
            "changed": ["status", "comment"],
            "before": {"status": spelled(new)}, "after": {"status": spelled("resolved"), "comment": "on it"},
            "dry_run": false, "user": "ann", "app": "search", "search_name": act::SEARCH, "sid": act::SID, "row": 1, "rid": "7",
            "orig_sid": "s1", "account": "demo", "api": list.feed_and_api().1, "http_status": 200, "attempts": 1,
        });
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&first[name], value, "{name} of {first}");
        }
        // The version that was read back is the one that the feeds bring.
        let now: Vec<String> =
            stage.objects(list).into_iter().filter(|object| object.id == ids[0]).map(|object| object.updated).collect();
        let noted: Vec<&str> = first["updated"].as_array().unwrap().iter().map(|time| time.as_str().unwrap()).collect();
        assert_eq!(noted.last(), Some(&now[0].as_str()), "{first}");
        assert!(first["duration_ms"].is_u64() && simulator::Time::parse(first["time"].as_str().unwrap()).is_some());
        assert!(first["request_id"].is_string(), "{first}");
        let refused = &events[2];
        assert_eq!(
            (refused["result"].as_str(), &refused["id"], &refused["attempts"]),
            (Some("refused"), &Value::Null, &json!(0))
        );
        assert_eq!(refused["reason"], "the row has nothing in field `id`: name the field that holds the id in id_field");
        for member in ["secret", "token", "session_key"] {
            assert!(!first.to_string().contains(member));
        }
    }
}

#[test]
fn without_a_spool_the_change_stands_and_the_log_says_so() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 1);
    let spool = stage.sim.splunk_home().join("var/spool/splunk");
    std::fs::remove_dir_all(&spool).unwrap();
    let ended = Act::new(&stage, list).set("status", "resolved").ids(&ids).run().exits(0);
    let lost = "defender_alert_update: audit events (ms:defender:writeback) cannot be written to $SPLUNK_HOME/var/spool/splunk: No \
                such file or directory (os error 2); the changes stand, let the user that runs Splunk write there";
    assert_eq!(ended.said("WARN"), [lost]);
    assert_eq!(stage.state(list, &ids[0]).status, "resolved");
    let ended = Act::new(&stage, list).set("status", "new").home(None).ids(&ids).run().exits(0);
    let none = "defender_alert_update: SPLUNK_HOME is not set, so no audit events (ms:defender:writeback) are written";
    assert_eq!(ended.said("WARN"), [none]);
    assert_eq!(stage.state(list, &ids[0]).status, "new");
}

#[test]
fn a_row_that_is_older_than_its_object() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 1);
        let (_, updated) = list.identity();
        let seen = stage.objects(list).into_iter().find(|object| object.id == ids[0]).unwrap().updated;
        let status = if list.inner_identity().is_some() { "active" } else { "new" };
        let text = format!("id,{updated},status,assignedTo\n{},{seen},{status},\n", ids[0]);
        let act = Act::new(&stage, list).set("status", "resolved").set("if_changed", "refuse").csv(&text);
        // Somebody takes it meanwhile.
        Act::new(&stage, list).set("assigned_to", "bob@contoso.example").ids(&ids).run().exits(0);
        audit(&stage);
        let before = stage.state(list, &ids[0]);
        let ended = act.run().exits(1);
        let changed = "the object changed after the search found it, at TIME (TIME): assigned_to is `bob@contoso.example` and was \
                       nothing";
        assert_eq!(
            ended.said("ERROR"),
            [line(list, 1, &ids[0], &format!("refused: {changed}; if_changed = refuse"))],
            "{}",
            ended.stderr
        );
        assert_eq!(stage.state(list, &ids[0]), before);
        // By default it is changed all the same.
        let ended = act.clone().set("if_changed", "warn").run().exits(0);
        assert_eq!(ended.said("WARN"), [format!("{}: row=1 id={}: {changed}", action_of(list), ids[0])]);
        assert_eq!(stage.state(list, &ids[0]).status, "resolved");
        let (events, _) = audit(&stage);
        assert!(
            events.iter().all(|event| event["changed_since"].as_str().unwrap().contains("bob@contoso.example")),
            "{events:?}"
        );
        // Nothing to compare with is no permission.
        let ended = Act::new(&stage, list).set("status", "in progress").set("if_changed", "refuse").ids(&ids).run().exits(1);
        let missing =
            format!("refused: the row has no {updated} to compare: keep the field in the search, or set if_changed = warn");
        assert_eq!(ended.said("ERROR"), [line(list, 1, &ids[0], &missing)]);
    }
}

#[test]
fn a_comment_is_posted_once_per_run_of_a_search() {
    for list in List::ALL {
        let stage = Stage::new();
        let ids = stage.fresh(list, 1);
        let act = Act::new(&stage, list).set("comment", "looked at\nby ann").ids(&ids);
        for _ in 0..2 {
            act.run().exits(0).quietly();
        }
        let comments = stage.comments(list, &ids[0]);
        let [comment] = &comments[..] else { panic!("{comments:?}") };
        let mark = comment.strip_prefix("looked at\nby ann\n[Splunk ").and_then(|rest| rest.strip_suffix(']')).unwrap();
        assert!(mark.len() == 16 && mark.bytes().all(|b| b.is_ascii_hexdigit()), "{comment}");
        // The next run of the search is another, and has a reason to say the same again.
        act.clone().payload("sid", "scheduler__ann__2".into()).run().exits(0).quietly();
        assert_eq!(stage.state(list, &ids[0]).comments, ["looked at\nby ann", "looked at\nby ann"]);
    }
}

#[test]
fn a_dry_run_shows_the_requests() {
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 2);
    stage.sim.world(|world| {
        let now = simulator::Time::from_system(std::time::SystemTime::now());
        world.change_alert(&ids[1], now, |alert| alert.status = simulator::model::spelling::AlertStatus::Resolved)
    });
    let ended = Act::new(&stage, list).set("status", "resolved").set("dry_run", "1").ids(&ids).run().exits(0).quietly();
    let path = format!("/v1.0/security/alerts_v2/{}", ids[0]);
    let would = format!("PATCH {path} {{\"status\":\"resolved\"}}");
    let said = ended.said("INFO");
    assert_eq!(said[0], line(list, 1, &ids[0], &format!("unchanged: dry run, would send {would}")));
    assert_eq!(said[1], line(list, 2, &ids[1], "unchanged: it is so already"));
    let (events, _) = audit(&stage);
    assert_eq!((&events[0]["would_send"], &events[0]["dry_run"]), (&json!([would]), &json!(true)));
    assert_eq!(events[1].get("would_send"), None);
}

#[test]
fn many_objects_take_few_requests() {
    let exchanges = |stage: &Stage| -> Vec<String> {
        let requests = stage.sim.requests();
        let to_microsoft = requests.iter().filter(|exchange| !exchange.request.origin.is_empty());
        let services = [simulator::Service::Graph, simulator::Service::Defender];
        let told = to_microsoft.filter(|exchange| services.contains(&exchange.service));
        told.map(|exchange| format!("{:?}", exchange.route)).collect()
    };
    let stage = Stage::new();
    let list = List::EndpointAlerts;
    let ids = stage.fresh(list, 12);
    Act::new(&stage, list).set("status", "resolved").set("comment", "done").ids(&ids).run().exits(0).quietly();
    assert_eq!(exchanges(&stage), ["MdeAlerts", "MdeBatchUpdate", "MdeAlerts"]);
    assert!(ids.iter().all(|id| stage.state(list, id).comments == ["done"]));
    for list in [List::GraphAlerts, List::GraphIncidents] {
        let stage = Stage::new();
        let ids = stage.fresh(list, 7);
        Act::new(&stage, list).set("status", "resolved").set("comment", "done").ids(&ids).run().exits(0).quietly();
        let batches = exchanges(&stage).iter().filter(|route| *route == "GraphBatch").count();
        assert_eq!((batches, exchanges(&stage).len()), (4, 4 + 4 * 7), "read, change, comment, read back");
        assert!(ids.iter().all(|id| stage.state(list, id).comments == ["done"]));
    }
}

#[test]
fn what_is_refused_together_is_tried_alone() {
    // One of many is gone between two looks, or the service takes no batches.
    let stage = Stage::new();
    let list = List::EndpointAlerts;
    let ids = stage.fresh(list, 3);
    stage.fault(Route::MdeBatchUpdate, When::Once, FaultKind::Status(404));
    stage.fault(Route::MdeAlerts, When::Once, FaultKind::Status(400));
    Act::new(&stage, list).set("status", "resolved").ids(&ids).run().exits(0).quietly();
    assert!(ids.iter().all(|id| stage.state(list, id).status == "resolved"));
    assert_eq!(stage.asked(Route::MdeAlertUpdate), 3);
    let stage = Stage::new();
    let list = List::GraphAlerts;
    let ids = stage.fresh(list, 3);
    stage.fault(Route::GraphBatch, When::Always, FaultKind::Status(404));
    Act::new(&stage, list).set("status", "resolved").set("comment", "c").ids(&ids).run().exits(0).quietly();
    assert!(ids.iter().all(|id| stage.state(list, id).comments == ["c"]));
    assert_eq!(stage.asked(Route::GraphBatch), 1, "not tried again");
}

#[test]
fn faults_inside_a_batch_are_those_of_one_request() {
    for kind in [FaultKind::Status(500), FaultKind::Status(429), FaultKind::Cut(9), FaultKind::TokenRevoked] {
        for (route, when) in [
            (Route::GraphAlert, 2),
            (Route::GraphAlert, 5),
            (Route::GraphAlertComments, 2),
            (Route::GraphBatch, 2),
            (Route::GraphBatch, 3),
        ] {
            let stage = Stage::new();
            let list = List::GraphAlerts;
            let ids = stage.fresh(list, 3);
            stage.fault(route, When::Nth(when), kind.clone());
            Act::new(&stage, list).set("status", "resolved").set("comment", "c").ids(&ids).run().exits(0).quietly();
            for id in &ids {
                let expected = State { status: "resolved".to_owned(), comments: vec!["c".to_owned()], ..State::fresh(list) };
                assert_eq!(stage.state(list, id), expected, "{kind:?} {route:?} {when}");
            }
            assert_eq!(stage.sim.faults().waiting(), 0, "{kind:?} {route:?} {when}");
        }
    }
}

#[test]
fn what_the_service_does_not_take_is_named() {
    let stage = Stage::new();
    let list = List::XdrIncidents;
    let ids = stage.fresh(list, 1);
    // It says yes and does nothing; what it says is not the incident, so it is told again, and says so again.
    stage.conf("alert_actions", action_of(list), "maxtime", "20s");
    stage.fault(Route::XdrIncidentUpdate, When::Always, FaultKind::Body(200, "application/json", "{}".to_owned()));
    let ended = Act::new(&stage, list).set("status", "resolved").set("tags", "a").ids(&ids).run().exits(1);
    let why = "failed: the service accepted the change and did not make it: status is `Active`, wanted `Resolved`; tags is not set, \
               wanted `a`";
    assert_eq!(ended.said("ERROR"), [line(list, 1, &ids[0], why)]);
    assert_eq!(stage.asked(Route::XdrIncidentUpdate), 3);
}
