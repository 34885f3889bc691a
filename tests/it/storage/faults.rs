//! What the service and people do to a run: one clear line each, and nothing is lost by it.

use std::time::Duration;

use simulator::accounts::{CLIENT_ID, TENANT};
use simulator::entra::Resource;
use simulator::storage::{Signature, container};
use simulator::throttle::RetryAfter;
use simulator::{FaultKind, Route, Time, When};

use super::{deliver, input, of_poll, record, stage, texts};
use crate::support::{Ended, Stage, messages, normal};

/// A stage with three records, each in a table of its own.
fn three() -> Stage {
    let stage = stage();
    for (n, table) in ["AlertInfo", "DeviceEvents", "EmailEvents"].into_iter().enumerate() {
        deliver(&stage, table, 1, &[record(n as u64)]);
    }
    stage
}

fn all() -> Vec<String> {
    (0..3).map(record).collect()
}

/// The three containers, as messages name them.
const ALERTS: &str = "insights-logs-advancedhunting-alertinfo";
const REQUEST: &str = "(request id GUID)";
const ROLE: &str = "give the app the role Storage Blob Data Reader on the storage account (Azure portal: the storage account, Access \
                    control (IAM); it may take ten minutes to count), and let this machine through the storage account's firewall";
const MAKE: &str = "make a shared access signature for the service Blob, the resource types service, container and object, and the \
                    permissions read and list (Azure portal: the storage account, Shared access signature)";
const NAMED: &str = "to read named containers alone, name their tables in the input's `tables`";
const NOT_PERMITTED: &str =
    "AuthorizationPermissionMismatch: This request is not authorized to perform this operation using this permission.";

/// Lets the account that works sign in with a connection string.
pub(super) fn sign_in_with(stage: &Stage, connection_string: &str) {
    stage.account("auth", "connection_string");
    stage.secret("connection_string", connection_string);
}

pub(super) fn signature(stage: &Stage) -> Signature<'static> {
    Signature { permissions: "rl", resource_types: "sco", expires: stage.sim.now().plus(Duration::from_secs(60 * 86_400)) }
}

#[test]
fn failures_that_pass_are_tried_again() {
    let table = [
        (
            Route::StorageBlob,
            FaultKind::Status(500),
            "HTTP 500: the service failed: InternalError: Server encountered an internal error. Please try again after some time. (request id GUID)",
        ),
        (Route::StorageBlobs, FaultKind::Refused, "no answer from HOST: Peer disconnected"),
        (Route::StorageContainers, FaultKind::Nothing, "the answer cannot be used: the list is cut off after 0 bytes"),
        (Route::StorageBlob, FaultKind::Cut(100), "no answer from HOST: Peer disconnected"),
        (
            Route::StorageBlob,
            FaultKind::Html(200),
            "the answer cannot be used: no range, 155 bytes, where 180 from 0 on were asked for",
        ),
    ];
    for (route, kind, what) in table {
        let stage = three();
        stage.debug();
        stage.fault(route, When::Once, kind.clone());
        let ended = input(&stage).run().exits(0).quietly();
        assert_eq!(texts(&ended.events()), all(), "{kind:?}");
        let said = ended.said("DEBUG").concat();
        assert!(
            said.starts_with("defender://test: attempt 1 failed: Azure Storage: ") && said.ends_with(what),
            "{kind:?}: {said}"
        );
    }
    // A short answer is no failure: what is missing is asked for.
    let stage = three();
    stage.fault(Route::StorageBlob, When::Once, FaultKind::HalfJson);
    assert_eq!(texts(&input(&stage).run().exits(0).quietly().events()), all());
}

#[test]
fn a_wait_the_service_asks_for_is_kept() {
    let stage = three();
    stage.fault(Route::StorageBlob, When::Nth(2), FaultKind::Unavailable(2, RetryAfter::Seconds));
    let ended = input(&stage).run().exits(0).quietly();
    assert_eq!((texts(&ended.events()), of_poll(&ended, "throttled_s")), (all(), "2.0".to_owned()));
    assert!(ended.took >= Duration::from_secs(2), "{:?}", ended.took);

    // Longer than the run has left: what was read stays read, and the next run waits.
    let stage = three();
    let input = input(&stage);
    stage.fault(Route::StorageBlob, When::Nth(2), FaultKind::Unavailable(600, RetryAfter::Seconds));
    let first = input.run().exits(0);
    assert_eq!(first.events().len(), 1);
    let busy = "HTTP 503: asked to wait: ServerBusy: The server is busy. (request id GUID); asking again at TIME";
    let warned = first.said("WARN").concat();
    assert!(warned.starts_with("defender://test: Azure Storage: Get Blob ") && warned.ends_with(busy), "{warned}");
    stage.sim.forget_requests();
    let second = input.run().exits(0).quietly();
    assert_eq!((second.text(), stage.asked(Route::Token)), ("", 0));
    assert_eq!(second.said("INFO")[1], "defender://test: the service asked for patience; nothing is asked before TIME");
}

#[test]
fn what_a_person_has_to_mend_says_how() {
    let failed = |stage: &Stage, code: i32| -> Ended { input(stage).run().exits(code) };
    // No role.
    let stage = three();
    stage.sim.world(|world| world.entra.application(TENANT, CLIENT_ID).unwrap().grant(Resource::Storage, &[]));
    let said = failed(&stage, 2).said("ERROR");
    assert_eq!(
        said,
        [format!(
            "defender://test: Azure Storage: List Containers: HTTP 403: not permitted: {NOT_PERMITTED} {REQUEST}; {ROLE}; {NAMED}"
        )]
    );
    assert_eq!(refused(&stage), said[0].strip_prefix("defender://test: ").unwrap());

    // A web page in between.
    let stage = three();
    stage.fault(Route::StorageContainers, When::Always, FaultKind::Html(403));
    let said = failed(&stage, 2).said("ERROR").concat();
    assert!(said.starts_with("defender://test: Azure Storage: List Containers: HTTP 403: a page titled \"Access denied\" answered; a proxy or sign-in page"), "{said}");

    // Nobody there.
    let stage = three();
    let ended = input(&stage).set("storage_account", "http://127.0.0.1:1").run().exits(1);
    let said = ended.said("ERROR").concat();
    assert!(said.starts_with("defender://test: Azure Storage: List Containers: no answer from HOST: "), "{said}");
    assert!(said.ends_with("check storage_account, name resolution, firewall, proxy and, where TLS is inspected, ca_bundle in defender_settings.conf"), "{said}");
}

/// Lets an hour pass since something was said.
fn an_hour_later(stage: &Stage) {
    let path = stage.sim.checkpoint_dir().join("test.storage.json");
    let mut file: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (_, told) in file["checkpoint"]["told"].as_object_mut().unwrap() {
        *told = (told.as_i64().unwrap() - 3600 * 10_000_000).into();
    }
    std::fs::write(path, file.to_string()).unwrap();
}

#[test]
fn a_container_that_cannot_be_read_does_not_keep_the_others() {
    let stage = three();
    stage.sim.world(|world| world.storage.closed.push(container("AlertInfo")));
    let input = input(&stage);
    let ended = input.run().exits(0);
    assert_eq!(texts(&ended.events()), all()[1..]);
    let refusal = format!(
        "defender://test: Azure Storage: List Blobs {ALERTS}: HTTP 403: not permitted: {NOT_PERMITTED} {REQUEST}; {ROLE}"
    );
    assert_eq!(ended.said("ERROR"), std::slice::from_ref(&refusal));
    assert_eq!((of_poll(&ended, "containers"), of_poll(&ended, "refused")), ("3".to_owned(), "1".to_owned()));
    // Said once, and again when an hour has passed. What else comes is read, and each poll counts it.
    deliver(&stage, "DeviceEvents", 0, &[record(7)]);
    let ended = input.run().exits(0).quietly();
    assert_eq!((texts(&ended.events()), of_poll(&ended, "refused")), (vec![record(7)], "1".to_owned()));
    an_hour_later(&stage);
    assert_eq!(input.run().exits(0).said("ERROR"), [refusal]);
    stage.sim.world(|world| world.storage.closed.clear());
    let ended = input.run().exits(0).quietly();
    assert_eq!(texts(&ended.events()), all()[..1]);
    assert_eq!(ended.said("INFO")[0], format!("defender://test: {ALERTS} can be read again"));
    // None can be read: that is a failure of every poll.
    stage.sim.world(|world| {
        let all = ["AlertInfo", "DeviceEvents", "EmailEvents"];
        world.storage.closed.extend(all.into_iter().map(container));
    });
    let ended = input.run().exits(2);
    assert_eq!((ended.said("ERROR").len(), of_poll(&ended, "refused")), (3, "3".to_owned()));
    assert_eq!(input.run().exits(2).said("ERROR").len(), 1);
    stage.sim.world(|world| world.storage.closed.clear());

    // One that is not there yet.
    let ended = input.set("tables", "DeviceEvents, Misspelled").run().exits(0);
    let warned = ended.said("WARN");
    assert_eq!(warned[0], "defender://test: parameter tables: misspelled is not known to stream; check its spelling");
    assert_eq!(
        warned[2],
        format!(
            "defender://test: Azure Storage: List Blobs insights-logs-advancedhunting-misspelled: HTTP 404: there is no such container: \
             ContainerNotFound: The specified container does not exist. {REQUEST}; Defender makes it with the table's first record: check \
             the input's `tables`, and that the streaming settings send the table to this storage account"
        )
    );
    // And none at all.
    let stage = super::stage();
    let ended = super::input(&stage).run().exits(0);
    assert_eq!(
        ended.said("WARN"),
        [
            "defender://test: the storage account has no container whose name begins with insights-logs-advancedhunting-: Defender makes \
          them with the first records; check that its streaming settings name this storage account"
        ]
    );
}

#[test]
fn a_shared_access_signature_opens_the_account() {
    let stage = three();
    sign_in_with(&stage, &signature(&stage).connection_string(stage.sim.storage_url()));
    let ended = input(&stage).run().exits(0).quietly();
    assert_eq!(texts(&ended.events()), all());
    assert_eq!(stage.asked(Route::Token), 0);
    assert!(!ended.stderr.contains("sig="), "{}", ended.stderr);
    input(&stage).validate().exits(0).quietly();

    // For containers alone it is enough where the tables are named.
    let stage = three();
    sign_in_with(&stage, &Signature { resource_types: "co", ..signature(&stage) }.sign());
    let said = input(&stage).run().exits(2).said("ERROR").concat();
    assert_eq!(
        said,
        format!(
            "defender://test: Azure Storage: List Containers: HTTP 403: the shared access signature does not permit this: \
             AuthorizationResourceTypeMismatch: This request is not authorized to perform this operation. {REQUEST}; {MAKE}, let this machine \
             through the storage account's firewall; {NAMED}"
        )
    );
    let ended = input(&stage).named("named").set("tables", "DeviceEvents").run().exits(0).quietly();
    assert_eq!(texts(&ended.events()), all()[1..2]);
}

#[test]
fn a_signature_that_ended_or_is_none() {
    let stage = three();
    let past = Time::from_unix(stage.sim.now().unix() - 5);
    sign_in_with(&stage, &Signature { expires: past, ..signature(&stage) }.sign());
    let ended = input(&stage).run().exits(2);
    assert_eq!(ended.said("WARN"), ["account `demo`: its shared access signature ends at TIME: store a new one"]);
    assert_eq!(
        ended.said("ERROR"),
        [format!(
            "defender://test: Azure Storage: List Containers: HTTP 403: the shared access signature expired at TIME: AuthenticationFailed: \
             Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the \
             signature. {REQUEST}; {MAKE} and store it as the account's connection string"
        )]
    );
    let key = "DefaultEndpointsProtocol=https;AccountName=c;AccountKey=bm90IGEga2V5;EndpointSuffix=core.windows.net";
    sign_in_with(&stage, key);
    assert_eq!(
        refused(&stage),
        format!("account `demo`: connection_string: it holds the storage account's key, which opens everything in it: {MAKE}")
    );
}

/// The text of a refusal while the form is open.
#[track_caller]
fn refused(stage: &Stage) -> String {
    let ended = input(stage).validate().exits(1);
    normal(&messages(&ended.stdout))
}

#[test]
fn an_input_that_is_being_saved_is_tried_out() {
    let stage = three();
    let ended = input(&stage).validate().exits(0).quietly();
    assert_eq!(ended.text(), "");
    assert!(std::fs::read_dir(stage.sim.checkpoint_dir()).unwrap().next().is_none(), "nothing is a position yet");
    // Listing alone is not enough.
    sign_in_with(&stage, &Signature { permissions: "l", ..signature(&stage) }.sign());
    let message = refused(&stage);
    assert!(
        message.starts_with(&format!(
            "Azure Storage: Get Blob {ALERTS}/-: HTTP 403: the shared access signature does not permit this: "
        )),
        "{message}"
    );
    // What has no container yet is accepted: it comes with the first record.
    let stage = three();
    let ended = input(&stage).set("tables", "AlertInfo, Coming").validate().exits(0);
    assert_eq!(ended.said("WARN").len(), 1);
}
