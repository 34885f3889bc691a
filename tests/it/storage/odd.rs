//! One blob, one container, one list, one clock that is wrong stops only itself: everything else is read in the same poll.

use simulator::faults::Fault;
use simulator::storage::{blob_name, container};
use simulator::{FaultKind, Route, When, accounts};

use super::{deliver, hours_back, input, of_poll, record, stage, texts};
use crate::support::Stage;

/// Three hours of a table and one of another; the first hour of the first is the one that is going to fail.
fn four() -> (Stage, String) {
    let stage = stage();
    for (n, (table, hours)) in [("AlertInfo", 5), ("AlertInfo", 3), ("AlertInfo", 1), ("DeviceEvents", 1)].into_iter().enumerate()
    {
        deliver(&stage, table, hours, &[record(n as u64)]);
    }
    let name = format!("{}/{}", container("AlertInfo"), blob_name(accounts::TENANT, hours_back(&stage, 5)));
    (stage, name)
}

fn fails(stage: &Stage, route: Route, matching: &str, kind: FaultKind) {
    stage.sim.world(|world| world.faults.push(Fault::new(route, When::Always, kind).matching(matching)));
}

fn refusal(status: u16, code: &str) -> FaultKind {
    FaultKind::Body(status, "application/xml", format!("<Error><Code>{code}</Code><Message>No.</Message></Error>"))
}

/// janmg/logstash-input-azure_blob_storage#16 and #37: an archived blob, or one of another type, ended the whole plugin.
#[test]
fn one_blob_that_cannot_be_read_keeps_nothing_else() {
    for (kind, reason) in [
        (refusal(409, "BlobArchived"), "it is archived"),
        (refusal(409, "BlobUsesCustomerSpecifiedEncryption"), "a key that only its writer has"),
        (refusal(403, "AuthorizationPermissionMismatch"), "not permitted"),
        (refusal(409, "InvalidBlobType"), "the request was refused"),
        (refusal(500, "InternalError"), ""),
    ] {
        let (stage, name) = four();
        fails(&stage, Route::StorageBlob, &name, kind);
        let input = input(&stage).set("lookback", "1h");
        let first = input.run().exits(0);
        assert_eq!(texts(&first.events()), (1..4).map(record).collect::<Vec<_>>(), "{reason}");
        assert_eq!((of_poll(&first, "aside"), of_poll(&first, "refused")), ("1".to_owned(), "0".to_owned()));
        let said = first.said("ERROR");
        assert_eq!(said.len(), usize::from(!reason.is_empty()), "{said:?}");
        assert!(said.concat().contains(reason), "{said:?}");
        // It is named once, also when that is not at once, and read when it can be.
        let second = input.run().exits(0);
        assert_eq!((second.said("ERROR").len() + said.len(), of_poll(&second, "aside")), (1, "1".to_owned()), "{reason}");
        stage.sim.world(|world| world.faults.clear());
        soon(&stage);
        let third = input.run().exits(0);
        assert_eq!((texts(&third.events()), of_poll(&third, "aside")), (vec![record(0)], "0".to_owned()), "{reason}");
        assert_eq!(input.run().exits(0).text(), "");
    }
}

/// Lets the time pass that a blob is left alone for.
fn soon(stage: &Stage) {
    let path = stage.sim.checkpoint_dir().join("test.storage.finished");
    let mut file: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for (_, container) in file["checkpoint"]["containers"].as_object_mut().unwrap() {
        for (_, aside) in container.get_mut("aside").and_then(serde_json::Value::as_object_mut).into_iter().flatten() {
            aside["next"] = 0.into();
        }
    }
    std::fs::write(path, file.to_string()).unwrap();
}

/// Azure/azure-sdk-for-java#9465, Azure/azure-cli#25674: a list that went on and on.
#[test]
fn a_list_without_an_end_costs_its_container() {
    let (stage, _) = four();
    let list = "<EnumerationResults><Blobs/><NextMarker>2!again</NextMarker></EnumerationResults>".to_owned();
    fails(&stage, Route::StorageBlobs, "alertinfo", FaultKind::Body(200, "application/xml", list));
    let ended = input(&stage).run().exits(0);
    assert_eq!(texts(&ended.events()), [record(3)]);
    let said = ended.said("ERROR").concat();
    assert!(said.contains("the list has no end: the mark of its next answer comes again"), "{said}");
    assert_eq!((of_poll(&ended, "refused"), of_poll(&ended, "history_left_s")), ("1".to_owned(), "unknown".to_owned()));
    assert!(stage.asked(Route::StorageBlobs) < 20, "{}", stage.asked(Route::StorageBlobs));
}

#[test]
fn what_was_not_asked_for_is_not_read() {
    let (stage, _) = four();
    let names = ["..", "a?b", "$logs", "insights-logs-advancedhunting-../x", &container("DeviceEvents")];
    let names: String = names.iter().map(|name| format!("<Container><Name>{name}</Name></Container>")).collect();
    let list = format!("<EnumerationResults><Containers>{names}</Containers><NextMarker/></EnumerationResults>");
    fails(&stage, Route::StorageContainers, "comp=list", FaultKind::Body(200, "application/xml", list));
    let blobs = "<EnumerationResults><Blobs><BlobPrefix><Name>t</Name></BlobPrefix><BlobPrefix><Name></Name></BlobPrefix><Blob><Name>ghost\
                 </Name><Properties><Content-Length>5</Content-Length></Properties></Blob></Blobs><NextMarker/></EnumerationResults>";
    fails(&stage, Route::StorageBlobs, "prefix=tenant", FaultKind::Body(200, "application/xml", blobs.to_owned()));
    let ended = input(&stage).run().exits(0);
    let said = ended.said("WARN").concat();
    assert!(said.contains("the storage account lists 4 containers that were not asked for"), "{said}");
    assert!(said.contains("entries that were not asked for"), "{said}");
    assert_eq!((ended.events().len(), of_poll(&ended, "containers")), (0, "1".to_owned()));
    stage.sim.world(|world| world.faults.clear());
    assert_eq!(texts(&input(&stage).run().exits(0).events()), (0..4).map(record).collect::<Vec<_>>());
}

#[test]
fn a_service_whose_clock_is_ahead_finishes_no_hour() {
    let (stage, _) = four();
    let input = input(&stage).set("lookback", "2h");
    fails(&stage, Route::StorageBlobs, "comp=list", FaultKind::Clock(2 * 86_400));
    let ended = input.run().exits(0);
    assert_eq!(texts(&ended.events()), (0..4).map(record).collect::<Vec<_>>());
    assert!(ended.said("WARN").concat().contains("no hour is over before both say so"), "{:?}", ended.said("WARN"));
    stage.sim.world(|world| world.faults.clear());
    deliver(&stage, "AlertInfo", 0, &[record(7)]);
    deliver(&stage, "DeviceEvents", 1, &[record(8)]);
    let ended = input.run().exits(0).quietly();
    assert_eq!(texts(&ended.events()), [record(7), record(8)]);
}
