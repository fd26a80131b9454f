//! The rules of ARCHITECTURE.md, kept by reading the sources.
//!
//! Each rule is a function from sources to complaints, and has a test that it complains about bad ones.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use source::{Named, Source, sources, walk};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn ours() -> Vec<Source> {
    sources(&root().join("src"))
}

fn formats() -> Vec<Source> {
    sources(&root().join("formats/src"))
}

fn architecture() -> String {
    fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap()
}

fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn complain(source: &Source, named: &Named, why: &str) -> String {
    format!("{}:{}: `{}`: {why}", source.file, named.line, named.segments.join("::"))
}

// ---- who may import whom -------------------------------------------------------------------------

/// The table of ARCHITECTURE.md: a layer, and what it may import.
type Layers = BTreeMap<String, BTreeSet<String>>;

fn layers(architecture: &str) -> Layers {
    let words =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    architecture
        .lines()
        .skip_while(|line| !line.starts_with("| layer | may import |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .flat_map(|line| {
            let cells: Vec<&str> = line.split('|').collect();
            let allowed: BTreeSet<String> = words(cells[2]).into_iter().collect();
            words(cells[1]).into_iter().map(move |layer| (layer, allowed.clone()))
        })
        .collect()
}

/// A file may import its own layer, and what the table allows.
fn imports(sources: &[Source], layers: &Layers) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let own = match source.module.first() {
            Some(module) => module.as_str(),
            None if source.file == "main.rs" => "main",
            None => continue,
        };
        let Some(allowed) = layers.get(own) else {
            complaints.push(format!("{}: ARCHITECTURE.md has no line for the layer {own}", source.file));
            continue;
        };
        for (layer, named) in source.imports() {
            let layer = if layer == "statescope_formats" { "formats" } else { layer };
            if layer != own && layers.contains_key(layer) && !allowed.contains(layer) {
                // A local variable or module may be called like a layer; an import is a longer path.
                if named.segments.len() > 1 {
                    complaints.push(complain(source, named, &format!("{own} may not import {layer}")));
                }
            }
        }
    }
    complaints
}

#[test]
fn layers_import_only_what_the_table_allows() {
    let layers = layers(&architecture());
    assert!(layers.len() >= 8, "the table was not read: {layers:?}");
    none(imports(&ours(), &layers));
}

#[test]
fn a_forbidden_import_is_noticed() {
    let layers = layers(
        "| layer | may import |\n|---|---|\n| `low` | nothing |\n| `high`, `top` | `low`, `formats` |\n| `formats` | |\n",
    );
    let complaints = |file: &str, text: &str| imports(&[Source::new(file, text)], &layers).len();
    assert_eq!(
        complaints("high/a.rs", "use crate::low::X; use statescope_formats::Y; use crate::high::Z;"),
        0
    );
    assert_eq!(complaints("low/a.rs", "use crate::low::X; use std::fmt;"), 0);
    assert_eq!(complaints("low/a.rs", "use crate::{low::X, high::Y};"), 1);
    assert_eq!(complaints("low/a.rs", "fn f() -> super::super::high::X { crate::high::x() }"), 2);
    assert_eq!(complaints("low/a.rs", "use statescope_formats::Cursor;"), 1);
    assert_eq!(complaints("top/mod.rs", "use super::high::X;"), 1);
    assert_eq!(complaints("new/mod.rs", ""), 1);
    assert_eq!(
        complaints("low/a.rs", "// use crate::high::X;\n#[cfg(test)] mod tests { use crate::high::X; }"),
        0
    );
}

#[test]
fn formats_depends_on_nothing_of_ours_and_on_no_logger() {
    let manifest = fs::read_to_string(root().join("formats/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap();
    assert!(dependencies.contains("byteorder"), "the dependencies were not read: {dependencies}");
    for name in ["statescope", "path", "log", "tracing", "tokio", "rayon"] {
        assert!(!dependencies.contains(name), "formats depends on {name}: {dependencies}");
    }
}

// ---- names that have their place -----------------------------------------------------------------

/// Names that may stand only in some files.
struct Reserved {
    names: &'static [&'static str],
    /// Names of macros.
    macros: &'static [&'static str],
    /// Beginnings of paths of files.
    only_in: &'static [&'static str],
    why: &'static str,
}

fn reserved(sources: &[Source], rule: &Reserved) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        if rule.only_in.iter().any(|place| source.file.starts_with(place)) {
            continue;
        }
        for named in &source.named {
            let is_macro = named.bang && rule.macros.iter().any(|name| named.has(name));
            if is_macro || rule.names.iter().any(|name| named.has(name)) {
                complaints.push(complain(source, named, rule.why));
            }
        }
    }
    complaints
}

const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

const FORMATS_ARE_PURE: Reserved = Reserved {
    names: &[
        "std::env",
        "std::fs",
        "std::io",
        "std::net",
        "std::os",
        "std::path",
        "std::process",
        "std::thread",
        "std::time",
    ],
    macros: PRINTING,
    only_in: &[],
    why: "formats decode bytes: they do no I/O, read no clock, start no thread and log nothing",
};

const CLIENTS: Reserved = Reserved {
    names: &["object_store", "tokio", "reqwest", "hyper", "futures", "futures_util"],
    macros: &[],
    only_in: &["storage/objects/"],
    why: "only storage/objects knows clients of stores, and what is asynchronous",
};

const FILES: Reserved = Reserved {
    names: &["std::fs"],
    macros: &[],
    only_in: &["storage/", "cli/", "prune/execute"],
    why: "files are read through storage",
};

const DELETION: Reserved = Reserved {
    names: &[
        "delete",
        "delete_all",
        "delete_objects",
        "delete_stream",
        "remove_dir",
        "remove_dir_all",
        "remove_file",
        "unlink",
    ],
    macros: &[],
    // A cache removes files of its own, in a directory of its own.
    only_in: &["prune/execute", "storage/cache/files", "storage/removal/", "storage/objects/removal"],
    why: "only prune/execute deletes, by means of storage::removal",
};

/// What can delete, by the names of its module and of all types in it that can.
const REMOVAL: Reserved = Reserved {
    names: &["removal", "Removal", "Removers", "LocalRemoval", "MemoryRemoval", "ObjectRemoval"],
    macros: &[],
    // Two of these only say that the module is there; the rule below sees to that.
    only_in: &[
        "prune/execute",
        "storage/removal/",
        "storage/objects/removal",
        "storage/mod.rs",
        "storage/objects/mod.rs",
    ],
    why: "only prune/execute reaches what can delete",
};

/// That the modules above `removal` say no more than that it is there, and let no name of it out.
fn names_let_out(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        // Object stores are removed from by a part of themselves, which `storage::removal` takes from there.
        let allowed: &[&str] = match source.file.as_str() {
            "storage/mod.rs" => &["removal"],
            "storage/objects/mod.rs" => &["removal", "removal::ObjectRemoval"],
            _ => continue,
        };
        let is_one = |named: &&Named| REMOVAL.names.iter().any(|name| named.has(name));
        for named in source.named.iter().filter(is_one) {
            if !allowed.contains(&named.segments.join("::").as_str()) {
                complaints.push(complain(source, named, REMOVAL.why));
            }
        }
    }
    complaints
}

#[test]
fn nothing_but_execution_reaches_what_can_delete() {
    let sources = ours();
    none(reserved(&sources, &REMOVAL));
    none(names_let_out(&sources));
    none(reserved(&formats(), &REMOVAL));
    for file in
        ["storage/removal/mod.rs", "storage/objects/removal.rs", "storage/mod.rs", "storage/objects/mod.rs"]
    {
        let source = sources.iter().find(|source| source.file == file).expect(file);
        let names_it = |named: &Named| REMOVAL.names.iter().any(|name| named.has(name));
        assert!(source.named.iter().any(names_it), "{file} is not what it was");
    }
}

#[test]
fn who_else_reaches_what_can_delete_is_noticed() {
    let complaints = |file: &str, text: &str| {
        let sources = [Source::new(file, text)];
        reserved(&sources, &REMOVAL).len() + names_let_out(&sources).len()
    };
    for text in [
        "use crate::storage::removal::Removers;",
        "use crate::storage::{removal as r, Storage};",
        "use crate::storage::*; fn f(x: &removal::Removers) {}",
        "fn f(x: &dyn crate::storage::removal::Removal) {}",
        "use crate::storage::Removal;",
        "use super::super::storage::removal::LocalRemoval as Reading;",
    ] {
        for file in [
            "readers/a.rs",
            "prune/plan.rs",
            "prune/mod.rs",
            "cli/prune.rs",
            "storage/stores.rs",
            "storage/memory.rs",
        ] {
            assert_eq!(complaints(file, text), 1, "{file}: {text}");
        }
        assert_eq!(complaints("prune/execute.rs", text), 0, "{text}");
        assert_eq!(complaints("prune/execute/journal.rs", text), 0, "{text}");
    }
    assert_eq!(complaints("storage/mod.rs", "pub mod removal;"), 0);
    assert_eq!(complaints("storage/mod.rs", "pub mod removal; pub use removal::Removers;"), 1);
    assert_eq!(complaints("storage/mod.rs", "pub use objects::{ObjectStorage, ObjectRemoval};"), 1);
    assert_eq!(complaints("storage/mod.rs", "pub trait Storage { fn f(&self) -> removal::Removers; }"), 1);
    assert_eq!(
        complaints("storage/objects/mod.rs", "mod removal; pub(super) use removal::ObjectRemoval;"),
        0
    );
    assert_eq!(complaints("storage/objects/reading.rs", "use super::removal::ObjectRemoval;"), 1);
}

const WRITING: Reserved = Reserved {
    names: &["File::create", "File::options", "OpenOptions", "fs::copy", "fs::rename", "fs::write"],
    macros: &[],
    only_in: &["cli/", "prune/execute", "storage/cache/files", "storage/removal/local"],
    why: "what reads does not write",
};

const WORLD: Reserved = Reserved {
    names: &[
        "std::env",
        "Instant::now",
        "SystemTime::now",
        "Timestamp::now",
        "Zoned::now",
        "rand",
        "getrandom",
    ],
    macros: PRINTING,
    only_in: &["cli/"],
    why: "only the command line reads the clock and the environment, and prints; others are given what they need",
};

/// The crate `rocksdb`, which is not the module of that name in `formats`: only what a path begins with is a crate.
fn names_of_rocksdb(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources.iter().filter(|source| !source.file.starts_with("reference/")) {
        for named in &source.named {
            let crate_name = |name: &String| ["rocksdb", "librocksdb_sys"].contains(&name.as_str());
            // A local variable may be called like it; a use of the crate is a longer path.
            if named.segments.len() > 1 && named.segments.first().is_some_and(crate_name) {
                complaints.push(complain(source, named, "only the engine of reference knows RocksDB"));
            }
        }
    }
    complaints
}

#[test]
fn only_the_engine_of_reference_knows_rocksdb() {
    none(names_of_rocksdb(&ours()));
    let complaints = |file: &str, text: &str| names_of_rocksdb(&[Source::new(file, text)]).len();
    assert_eq!(complaints("scan/a.rs", "use rocksdb::{DB, Options};"), 2);
    assert_eq!(complaints("scan/a.rs", "fn f() -> rocksdb::DB { librocksdb_sys::x() }"), 2);
    assert_eq!(complaints("scan/a.rs", "use statescope_formats::rocksdb::tail::TableTail;"), 0);
    assert_eq!(complaints("reference/mod.rs", "use rocksdb::DB;"), 0);
}

#[test]
fn formats_are_pure() {
    none(reserved(&formats(), &FORMATS_ARE_PURE));
}

#[test]
fn only_storage_knows_clients_and_files() {
    none(reserved(&ours(), &CLIENTS));
    none(reserved(&ours(), &FILES));
}

#[test]
fn only_execution_deletes_and_readers_do_not_write() {
    none(reserved(&ours(), &DELETION));
    none(reserved(&formats(), &DELETION));
    none(reserved(&ours(), &WRITING));
}

#[test]
fn only_the_command_line_knows_the_world() {
    none(reserved(&ours(), &WORLD));
}

#[test]
fn a_name_out_of_place_is_noticed() {
    let complaints = |file: &str, text: &str, rule| reserved(&[Source::new(file, text)], rule).len();
    for text in ["use std::{fs, fmt};", "std::io::stdin()", "fn f() { println!() }", "std::thread::spawn(f)"]
    {
        assert_eq!(complaints("rocksdb/block.rs", text, &FORMATS_ARE_PURE), 1, "{text}");
    }
    for text in ["use super::fs;", "//! std::fs", "let x = \"std::fs\";", "fn print(x: u8) {}"] {
        assert_eq!(complaints("rocksdb/block.rs", text, &FORMATS_ARE_PURE), 0, "{text}");
    }
    assert_eq!(complaints("scan/mod.rs", "async fn f(s: &dyn object_store::ObjectStore) {}", &CLIENTS), 1);
    assert_eq!(complaints("storage/stores.rs", "use tokio::runtime::Runtime;", &CLIENTS), 1);
    assert_eq!(complaints("storage/objects/client.rs", "use tokio::runtime::Runtime;", &CLIENTS), 0);
    assert_eq!(complaints("readers/a.rs", "use std::fs::read;", &FILES), 1);
    assert_eq!(
        complaints("storage/local.rs", "fn f(p: &Path) { fs::remove_file(p); store.delete(p) }", &DELETION),
        2
    );
    assert_eq!(complaints("prune/plan.rs", "use std::fs::remove_dir_all as tidy;", &DELETION), 1);
    for file in ["prune/execute.rs", "storage/removal/local.rs", "storage/objects/removal.rs"] {
        assert_eq!(complaints(file, "std::fs::remove_file(path)", &DELETION), 0, "{file}");
    }
    assert_eq!(complaints("storage/objects/client.rs", "client.store.delete(&path)", &DELETION), 1);
    assert_eq!(complaints("storage/local.rs", "let f = File::create(path);", &WRITING), 1);
    assert_eq!(complaints("analyzers/a.rs", "let now = std::time::SystemTime::now();", &WORLD), 1);
    assert_eq!(complaints("report/a.rs", "println!(\"\")", &WORLD), 1);
    assert_eq!(complaints("report/a.rs", "env!(\"CARGO_PKG_VERSION\"); writeln!(out)", &WORLD), 0);
    assert_eq!(complaints("cli/mod.rs", "std::env::args(); eprintln!()", &WORLD), 0);
}

// ---- the repository ------------------------------------------------------------------------------

/// Files of the repository, without what builds, tools and fuzzing leave beside them.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    walk(&root(), &mut |path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let relative = path.strip_prefix(root()).unwrap();
        let left_behind = name == ".git"
            || name == "target"
            || ["formats/fuzz/corpus", "formats/fuzz/artifacts", "testdata/gen/out"]
                .iter()
                .any(|p| relative == Path::new(p));
        if !left_behind && path.is_file() {
            found.push(path.to_owned());
        }
        !left_behind
    });
    found
}

/// Paths of one machine, and hosts of package registries. Put together here, so that this file holds none.
fn local_words() -> Vec<String> {
    let paths = ["root", "work", "home"].map(|top| format!("/{top}/"));
    let hosts = [
        ("index.crates", "io"),
        ("static.crates", "io"),
        ("pypi", "org"),
        ("files.pythonhosted", "org"),
        ("registry.npmjs", "org"),
        ("deb.debian", "org"),
    ]
    .map(|(host, top)| format!("{host}.{top}"));
    paths.into_iter().chain(hosts).collect()
}

fn holds_local_word(text: &[u8], words: &[String]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    words.iter().find_map(|word| {
        text.match_indices(word).find_map(|(at, _)| {
            // Behind a letter, it is a part of another path, as in `s3://bucket/work/x`.
            let before = text[..at].chars().next_back();
            let inside = before.is_some_and(|c| c.is_alphanumeric() || "_-./$}".contains(c));
            (!inside).then(|| format!("line {}: {word}", text[..at].matches('\n').count() + 1))
        })
    })
}

#[test]
fn nothing_names_this_machine() {
    let words = local_words();
    let mut complaints = Vec::new();
    for file in files() {
        // It looks for such paths itself, in what Flink wrote.
        if file.ends_with("testdata/gen/oracle.py") {
            continue;
        }
        if let Some(found) = holds_local_word(&fs::read(&file).unwrap(), &words) {
            complaints.push(format!("{}: {found}", file.display()));
        }
    }
    none(complaints);
}

#[test]
fn a_path_of_this_machine_is_noticed() {
    let words = local_words();
    let path = words[0].clone() + "x";
    assert_eq!(
        holds_local_word(format!("a\nb {path}").as_bytes(), &words),
        Some(format!("line 2: {}", words[0]))
    );
    assert!(holds_local_word(format!("\"file:{path}\"").as_bytes(), &words).is_some());
    assert!(holds_local_word(format!("bucket{path}").as_bytes(), &words).is_none());
    assert!(holds_local_word(words[3].as_bytes(), &words).is_some());
}

/// The paths that the layout in ARCHITECTURE.md begins its lines with.
fn layout(architecture: &str) -> Vec<String> {
    let block =
        architecture.split("```layout\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or("");
    block
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect()
}

#[test]
fn the_layout_is_what_is_there() {
    let told = layout(&architecture());
    assert!(told.len() > 10, "the layout was not read: {told:?}");
    let mut complaints = Vec::new();
    for path in &told {
        if !root().join(path).exists() {
            complaints.push(format!("ARCHITECTURE.md tells of {path}, which is not there"));
        }
    }
    for parent in ["src", "formats/src", "formats/src/flink"] {
        for entry in fs::read_dir(root().join(parent)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{parent}/{}", entry.file_name().to_str().unwrap());
            if entry.path().is_dir() && !told.contains(&path) {
                complaints.push(format!("{path} is not in the layout of ARCHITECTURE.md"));
            }
        }
    }
    none(complaints);
}

#[test]
fn the_layout_is_read_from_its_block() {
    assert_eq!(layout("a\n```layout\nsrc/a/   what\nsrc/b.rs\n```\nsrc/c\n"), ["src/a", "src/b.rs"]);
}

/// `cargo build` builds what the manifest names, `run.sh` runs what the directory holds.
#[test]
fn every_fuzz_target_is_built() {
    let fuzz = root().join("formats/fuzz");
    let manifest = fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    let named: BTreeSet<String> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .map(str::to_owned)
        .collect();
    let there: BTreeSet<String> = fs::read_dir(fuzz.join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(named, there);
}
