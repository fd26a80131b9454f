//! In-flight data against what the jobs know of it, and damaged.

use std::fs;

use serde_json::Value;

use super::support::{Fixture, fixtures, list, number, run_in, text};

/// Fixtures of unaligned checkpoints, with the newest snapshot and how many records were in flight.
fn unaligned() -> impl Iterator<Item = (&'static Fixture, String, u64)> {
    fixtures().iter().filter(|fixture| fixture.name.starts_with("unaligned-")).map(|fixture| {
        let newest = fixture.newest();
        let truth = fixture.truth();
        let truth = list(&truth["snapshots"]).iter().find(|snapshot| snapshot["path"] == newest).unwrap();
        let records = list(&truth["operators"]).iter().filter_map(|o| o["records_in_flight"].as_u64()).sum();
        (fixture, newest, records)
    })
}

fn in_flight(fixture: &Fixture, snapshot: &str, more: &[&str]) -> Value {
    let args = [&["inspect", snapshot, "--channels", "-o", "json"][..], more].concat();
    let mut json = run_in(&fixture.dir, &args).json();
    json["in_flight"].take()
}

#[test]
fn every_record_in_flight_is_counted() {
    let mut seen = 0;
    for (fixture, newest, records) in unaligned() {
        let data = in_flight(fixture, &newest, &[]);
        assert_eq!(number(&data["elements"]["records"]), records, "{}", fixture.name);
        assert_eq!(number(&data["elements"]["records_with_timestamp"]), records);
        assert_eq!((number(&data["channels_not_read"]), number(&data["channels_not_understood"])), (0, 0));
        let inspected = run_in(&fixture.dir, &["inspect", &newest, "-o", "json"]).json();
        assert_eq!(data["bytes"], inspected["totals"]["by_kind"]["in_flight"]);
        assert!(inspected["in_flight"].is_null());
        for operator in list(&data["operators"]) {
            let largest = list(&operator["largest"]);
            let sum: u64 = largest.iter().map(|channel| number(&channel["elements"]["records"])).sum();
            assert_eq!(sum, number(&operator["elements"]["records"]));
            for channel in largest {
                let elements = &channel["elements"];
                let bytes = number(&elements["record_bytes"]) + 13 * number(&elements["records"]);
                // Each record has a length, a tag and a timestamp; each buffer a length.
                assert_eq!(bytes + 4 * number(&channel["buffers"]), number(&channel["bytes"]));
                assert_eq!(channel["begins"], "element");
            }
        }
        let selected = in_flight(fixture, &newest, &["--operator", "df7ec13b"]);
        assert!(list(&selected["operators"]).iter().all(|operator| operator["direction"] == "input"));
        assert!(number(&selected["elements"]["records"]) < records);
        seen += 1;
    }
    assert!(seen >= 2);
}

#[test]
fn records_are_printed_in_the_order_of_delivery() {
    for (fixture, newest, records) in unaligned() {
        let args = ["cat", &newest, "--channels", "--record-type", "long"];
        let run = run_in(&fixture.dir, &args);
        assert_eq!(run.code, 0, "{}", run.stderr);
        let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len() as u64, records);
        // The source's events have times that ascend, and every other one goes to a channel.
        for pair in lines.windows(2).filter(|pair| number(&pair[1]["at"]) > 0) {
            assert_eq!(pair[0]["channel"], pair[1]["channel"]);
            assert_eq!(number(&pair[1]["timestamp_ms"]), number(&pair[0]["timestamp_ms"]) + 2000);
        }
        // They are no Longs, which is said of each.
        assert!(lines.iter().all(|line| line["value"]["error"] == "nothing follows a value"), "{}", lines[0]);
        assert!(run.stderr.contains("could not be decoded as this type"), "{}", run.stderr);
        // The value is an event: its number, and 1000 times that after the plan's begin its time.
        let run = run_in(&fixture.dir, &["cat", &newest, "--channels", "--limit", "3"]);
        assert_eq!(run.stdout.lines().count(), 3);
        for line in run.stdout.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let hex = text(&line["value"]["$opaque"]);
            let number = u64::from_str_radix(&hex[4..20], 16).unwrap();
            assert_eq!(line["timestamp_ms"], 1_700_000_000_000 + 1000 * number);
            assert_eq!(line["value"]["why"], "a type that is not in a snapshot");
        }
    }
}

#[test]
fn what_is_typed_wrongly_is_said() {
    let (fixture, newest, _) = unaligned().next().unwrap();
    for (args, says) in [
        (&["--record-type", "Lnog"][..], "Lnog"),
        (&["--record-like", "no-such-state"], "no-such-state"),
        (&["--record-type", "Long", "--record-like", "x"], "cannot be used with"),
        (&["--state", "x"], "cannot be used with"),
    ] {
        let run = run_in(&fixture.dir, &[&["cat", &newest, "--channels"], args].concat());
        assert_eq!(run.code, 2, "{}", run.stderr);
        assert!(run.stderr.contains(says), "{}", run.stderr);
    }
    let run = run_in(&fixture.dir, &["inspect", "data", "--list", "--channels"]);
    assert_eq!(run.code, 2, "{}", run.stderr);
}

#[test]
fn damage_is_found_and_said() {
    for (fixture, newest, records) in unaligned() {
        let good = run_in(&fixture.dir, &["verify", &newest, "--deep", "-o", "json"]).json();
        let deep = &good["snapshots"][0]["tables"]["deep"];
        assert_eq!(number(&deep["channel_elements"]), records);
        assert!(!list(&good["snapshots"][0]["not_checked"]).iter().any(|kind| kind["kind"] == "in_flight"));

        let copy = fixture.copy();
        let file = fs::read_dir(copy.path(&newest)).unwrap().map(|entry| entry.unwrap().path());
        let file = file.filter(|path| path.file_name().unwrap() != "_metadata");
        let file = file.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let bytes = fs::read(&file).unwrap();
        // The version; the length of the first buffer; the length and the tag of its tenth element.
        for (at, code) in [
            (3, "channel_file_not_decoded"),
            (4, "channel_damaged"),
            (8 + 32 * 9, "channel_damaged"),
            (8 + 32 * 9 + 4, "channel_damaged"),
        ] {
            let mut bad = bytes.clone();
            bad[at] ^= 0x40;
            fs::write(&file, bad).unwrap();
            let run = copy.run(&["verify", &newest, "--deep", "-o", "json"]);
            let json = run.json();
            let findings = list(&json["snapshots"][0]["findings"]);
            assert_eq!(findings.len(), 1, "{at}: {findings:#?}");
            // Of another version, or an element that goes on behind the end, more cannot be told.
            let exit = if at == 3 || at == 8 + 32 * 9 { 5 } else { 3 };
            assert_eq!((text(&findings[0]["code"]), run.code), (code, exit), "{at}");
            let run = copy.run(&["inspect", &newest, "--channels", "-o", "json"]);
            let json = run.json();
            assert_eq!(run.code, 5);
            let left = number(&json["in_flight"]["elements"]["records"]);
            assert!(left < records, "{at}: {left}");
            let missing = number(&json["in_flight"]["channels_not_read"]);
            assert_eq!(missing, if at == 3 { 4 } else { 1 });
            let run = copy.run(&["cat", &newest, "--channels"]);
            assert_eq!(run.code, 5, "{}", run.stderr);
            assert_eq!(run.stdout.lines().count() as u64, left);
        }
        fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        let run = copy.run(&["verify", &newest, "--deep"]);
        assert_eq!(run.code, 3, "{}", run.stdout);
        fs::remove_file(&file).unwrap();
        let run = copy.run(&["inspect", &newest, "--channels"]);
        assert_eq!(run.code, 5);
        assert!(run.stdout.contains("a file of in-flight data is missing"), "{}", run.stdout);
        assert!(run.stdout.contains("4 channels could not be read"), "{}", run.stdout);
    }
}
