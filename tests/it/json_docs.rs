//! `docs/json.md` describes every field that the command puts out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::support::{fixture, fixtures, run_in};

/// Every path of keys in a document: `states[].sst[].name`. What lies below a map with keys of the data's own
/// (the details of a serializer) is one path, and a tree's nodes are those of its root.
fn paths(value: &Value, at: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                let path = path.replace(".tree.children[].node", ".tree");
                found.insert(path.clone());
                // Values of the user's own.
                let own = [".tree.details", ".shown[].value", ".shown[].key", ".uncommitted[].value"];
                if !own.iter().any(|end| path.ends_with(end)) {
                    paths(inner, &path, found);
                }
            }
        }
        Value::Array(items) => {
            for inner in items {
                paths(inner, &format!("{at}[]"), found);
            }
        }
        _ => {}
    }
}

fn all_paths() -> [BTreeSet<String>; 5] {
    let [mut snapshot, mut root, mut analysis, mut verification, mut offsets] =
        [const { BTreeSet::new() }; 5];
    for fixture in fixtures() {
        let newest = fixture.newest();
        let run = run_in(&fixture.dir, &["inspect", &newest, "--properties", "--channels", "-o", "json"]);
        paths(&run.json(), "", &mut snapshot);
        let run = run_in(&fixture.dir, &["inspect", "data", "--list", "-o", "json"]);
        paths(&run.json(), "", &mut root);
        let args = ["analyze", &newest, "--ttl", "*=1s", "--parallelism", "3", "--what-if", "compression"];
        let args = [&args[..], &["-o", "json"]].concat();
        paths(&run_in(&fixture.dir, &args).json(), "", &mut analysis);
        for depth in ["manifest", "index", "sample"] {
            let args = ["analyze", &newest, "--depth", depth, "--ttl", "*=1s", "-o", "json"];
            paths(&run_in(&fixture.dir, &args).json(), "", &mut analysis);
        }
        let run = run_in(&fixture.dir, &["offsets", &newest, "--opaque", "8", "-o", "json"]);
        paths(&run.json(), "", &mut offsets);
        let run = run_in(&fixture.dir, &["verify", &newest, "--deep", "-o", "json"]);
        paths(&run.json(), "", &mut verification);
    }
    // With findings, and with a checkpoint that is not complete.
    let fixture = fixture("inc-1.20");
    let copy = fixture.copy();
    let newest = fixture.newest();
    fs::write(copy.path(&newest).join("_metadata"), "").unwrap();
    paths(&copy.run(&["inspect", "data", "-o", "json"]).json(), "", &mut root);
    let other = &fixture.snapshots()[0];
    let bytes = fs::read(copy.path(other).join("_metadata")).unwrap();
    fs::write(copy.path(other).join("_metadata"), &bytes[..bytes.len() - 1]).unwrap();
    paths(&copy.run(&["inspect", other, "-o", "json"]).json(), "", &mut snapshot);
    // Something is missing, and numbers have begun again.
    fs::remove_dir_all(copy.path(newest.rsplit_once('/').unwrap().0).join("shared")).unwrap();
    fs::write(copy.path(other).join("_metadata"), bytes).unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(600);
    let metadata = fs::File::options().append(true).open(copy.path(other).join("_metadata"));
    metadata.unwrap().set_modified(later).unwrap();
    paths(
        &copy.run(&["verify", newest.rsplit_once('/').unwrap().0, "-o", "json"]).json(),
        "",
        &mut verification,
    );
    [snapshot, root, analysis, verification, offsets]
}

#[test]
fn every_field_is_described() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md");
    let [snapshot, root, analysis, verification, offsets] = all_paths();
    for expected in ["findings[].remedy", "states[].subtasks[].sst[].properties.entries", "schema_version"] {
        assert!(snapshot.contains(expected), "{expected}: {snapshot:#?}");
    }
    assert!(root.contains("jobs[].checkpoints[].state_bytes"), "{root:#?}");
    for expected in ["states[].ttl.ages.what_if[].share", "operators[].keys.top_by_bytes[].hex"] {
        assert!(analysis.contains(expected), "{expected}: {analysis:#?}");
    }
    for expected in
        ["snapshots[].findings[].lost[].key_groups", "snapshots[].tables.deep.entries", "findings[].effect"]
    {
        assert!(verification.contains(expected), "{expected}: {verification:#?}");
    }
    for expected in [
        "sources[].splits[].numbers.from",
        "sources[].enumerator.unassigned[].file.path",
        "sinks[].uncommitted[].age_ms",
        "states[].shown[].key",
    ] {
        assert!(offsets.contains(expected), "{expected}: {offsets:#?}");
    }
    let prune = super::prune::documents().iter().fold(BTreeSet::new(), |mut found, document| {
        paths(document, "", &mut found);
        found
    });
    for expected in
        ["needed_by[].states[].states", "outcome.kept[].objects", "jobs[].keeping_last[].freed.bytes"]
    {
        assert!(prune.contains(expected), "{expected}: {prune:#?}");
    }
    let all: BTreeSet<_> =
        [snapshot, root, analysis, verification, offsets, prune].into_iter().flatten().collect();
    // The fields of all results have names of one shape.
    for path in &all {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_[].".contains(c);
        assert!(path.chars().all(fits), "{path} is no snake_case");
    }
    let docs = fs::read_to_string(&file).unwrap();
    let missing: Vec<_> = all.into_iter().filter(|path| !docs.contains(&format!("`{path}`"))).collect();
    assert!(missing.is_empty(), "docs/json.md does not describe {} fields: {missing:#?}", missing.len());
}

/// The codes that the sources give to findings: the first literal behind what makes one.
pub fn codes(source: &str) -> Vec<&str> {
    let makers = ["Finding::error(", "Finding::warning(", "Finding::info(", "not_decoded(", "named.finding("];
    let mut found = Vec::new();
    for maker in makers {
        for (at, _) in source.match_indices(maker) {
            let behind = source[at + maker.len()..].trim_start();
            found.extend(behind.strip_prefix('"').and_then(|text| text.split('"').next()));
        }
    }
    found
}

#[test]
fn every_code_of_a_finding_is_described() {
    assert_eq!(
        codes("Finding::error(\n  \"one\", x) (not_decoded(\"two\", y) Finding::info(code, z)"),
        ["one", "two"]
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_to_string(root.join("docs/json.md")).unwrap();
    let (mut directories, mut count) = (vec![root.join("src")], 0);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            // Tests make findings of their own.
            if path.file_stem().is_some_and(|name| name == "tests") {
                continue;
            }
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            for code in codes(&fs::read_to_string(&path).unwrap()) {
                count += 1;
                assert!(
                    docs.contains(&format!("| `{code}` |")),
                    "{code} of {} is not in docs/json.md",
                    path.display()
                );
            }
        }
    }
    assert!(count > 20, "{count} codes");
}
