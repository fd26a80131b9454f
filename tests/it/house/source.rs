//! A scanner of Rust sources that is as good as the rules need: it knows comments, strings, items that are only
//! for tests, and the trees of `use`. It does not know macros, nor what a name is bound to.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A token: an identifier, `::`, or one other character. Comments are left out, literals become `"`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token {
    text: String,
    line: usize,
}

/// A path as it is written, with the trees of `use` spelled out: `use a::{b, c}` names `a::b` and `a::c`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub segments: Vec<String>,
    pub line: usize,
    /// It is called as a macro.
    pub bang: bool,
}

impl Named {
    /// Whether these segments stand in it, one after another.
    pub fn has(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.split("::").collect();
        self.segments.windows(wanted.len()).any(|window| window.iter().eq(wanted.iter()))
    }
}

/// A source file without what is only for tests.
#[derive(Debug)]
pub struct Source {
    /// Relative to where sources were read from, with `/`.
    pub file: String,
    /// The module it is, from the crate's root on; empty for the root itself.
    pub module: Vec<String>,
    pub named: Vec<Named>,
}

impl Source {
    pub fn new(file: &str, text: &str) -> Self {
        let (tokens, _) = without_tests(tokens(text));
        let mut module: Vec<String> = file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        Self { file: file.to_owned(), module, named: named(&tokens) }
    }

    /// The parts of this crate that it names: `crate::x`, `super::…::x`, `statescope::x`. Other crates are told
    /// by their own names.
    pub fn imports(&self) -> impl Iterator<Item = (&str, &Named)> {
        self.named.iter().filter_map(|named| {
            let first = named.segments.first()?.as_str();
            let supers = named.segments.iter().take_while(|segment| *segment == "super").count();
            let layer = match first {
                "crate" | "statescope" => named.segments.get(1)?,
                "super" if supers >= self.module.len() => named.segments.get(supers)?,
                "super" => self.module.first()?,
                _ => &named.segments[0],
            };
            Some((layer.as_str(), named))
        })
    }
}

/// All sources under a directory, in order, without those that are only for tests.
pub fn sources(directory: &Path) -> Vec<Source> {
    let mut files = Vec::new();
    walk(directory, &mut |path| {
        if path.extension().is_some_and(|extension| extension == "rs") {
            files.push((path.to_owned(), fs::read_to_string(path).unwrap()));
        }
        true
    });
    let mut only_tests = BTreeSet::new();
    for (path, text) in &files {
        let is_root = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| path.ends_with(name));
        let children = if is_root { path.parent().unwrap().to_owned() } else { path.with_extension("") };
        for module in without_tests(tokens(text)).1 {
            only_tests.insert(children.join(module));
        }
    }
    files.retain(|(path, _)| {
        !path.with_extension("").ancestors().any(|ancestor| only_tests.contains(ancestor))
    });
    files
        .iter()
        .map(|(path, text)| {
            let file = path.strip_prefix(directory).unwrap().to_str().unwrap().replace('\\', "/");
            Source::new(&file, text)
        })
        .collect()
}

/// Visits files and directories in order; a directory is gone into if `visit` says so.
pub fn walk(directory: &Path, visit: &mut impl FnMut(&Path) -> bool) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let go_on = visit(&path);
        if go_on && path.is_dir() && !path.is_symlink() {
            walk(&path, visit);
        }
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let rest = &text[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += block_comment(rest);
        } else if let Some(length) = literal(rest) {
            at += length;
            tokens.push(Token { text: "\"".to_owned(), line });
        } else if byte == b'_' || byte.is_ascii_alphabetic() {
            at += rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
            tokens.push(Token { text: text[start..at].to_owned(), line });
        } else if rest.starts_with("::") {
            at += 2;
            tokens.push(Token { text: "::".to_owned(), line });
        } else {
            let character = rest.chars().next().unwrap();
            at += character.len_utf8();
            if !character.is_whitespace() {
                tokens.push(Token { text: character.to_string(), line });
            }
        }
        line += text[start..at].matches('\n').count();
    }
    tokens
}

fn block_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0);
    loop {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            match rest.chars().next() {
                Some(character) => at += character.len_utf8(),
                None => return at,
            }
        }
        if depth == 0 {
            return at;
        }
    }
}

/// The length of a string or character literal, if one begins here.
fn literal(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|prefix| {
        text.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with('"')
                || (prefix.ends_with('r') && rest.trim_start_matches('#').starts_with('"'))
                || (["b", ""].contains(prefix) && rest.starts_with('\''))
        })
    })?;
    let rest = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = rest.len() - rest.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = &rest[hashes + 1..];
        return Some(prefix.len() + hashes + 1 + inside.find(&end).map_or(inside.len(), |at| at + end.len()));
    }
    let quote = rest.chars().next()?;
    if quote == '\'' && !rest.starts_with("'\\") {
        // A lifetime has no quote behind its first character.
        let character = rest[1..].chars().next()?;
        return rest[1 + character.len_utf8()..]
            .starts_with('\'')
            .then(|| prefix.len() + 2 + character.len_utf8());
    }
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return Some(prefix.len() + at + 1);
        }
    }
    Some(text.len())
}

/// Takes out the items behind `#[cfg(test)]`; those that are modules in files of their own are named.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if !["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(i, part)| text(at + i) == *part)
        {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at += 7;
        let (mut depth, mut is_use) = (0, false);
        while at < tokens.len() {
            match text(at) {
                "use" if depth == 0 => is_use = true,
                "mod" if depth == 0 && text(at + 2) == ";" => modules.push(text(at + 1).to_owned()),
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            let ends = depth == 0 && (text(at) == ";" || text(at) == "}" && !is_use);
            at += 1;
            if ends {
                break;
            }
        }
    }
    (kept, modules)
}

fn named(tokens: &[Token]) -> Vec<Named> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let before = at.checked_sub(1).map_or("", |at| tokens[at].text.as_str());
        if is_name(&tokens[at].text) && before != "::" {
            tree(tokens, &mut at, &[], &mut found);
        } else {
            at += 1;
        }
    }
    found
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c == '_' || c.is_alphabetic())
}

/// Reads `a::b`, `a::{b, c::d}` or `*`, behind a prefix.
fn tree(tokens: &[Token], at: &mut usize, prefix: &[String], found: &mut Vec<Named>) {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut segments = prefix.to_vec();
    let Some(line) = tokens.get(*at).map(|token| token.line) else { return };
    loop {
        match text(*at) {
            "{" if !segments.is_empty() => {
                *at += 1;
                while !["}", ""].contains(&text(*at)) {
                    if is_name(text(*at)) || ["*", "{"].contains(&text(*at)) {
                        tree(tokens, at, &segments, found);
                    } else {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            name if is_name(name) || name == "*" => segments.push(name.to_owned()),
            _ => break,
        }
        *at += 1;
        if text(*at) != "::" {
            break;
        }
        *at += 1;
    }
    found.push(Named { segments, line, bang: text(*at) == "!" });
}

#[test]
fn paths_are_read_as_rust_reads_them() {
    let text = r##"
        use std::{fs::{self, File}, io as stream};
        // use hidden::a;
        /* hidden::b /* hidden::c */ hidden::d */
        fn f<'a>(x: &'a str) { println!("hidden::e", 'h', b'\'', r#"hidden::"f"#, "\"hidden::g"); n::o::<p::q>(); }
        #[cfg(test)]
        use hidden::{h, i};
        #[cfg(test)]
        #[derive(Debug)]
        mod hidden { fn x() { hidden::j() } }
        #[cfg(test)]
        mod hidden_file;
        fn after() { kept::here.method() }
    "##;
    let source = Source::new("a/b.rs", text);
    let paths: Vec<String> = source.named.iter().map(|named| named.segments.join("::")).collect();
    for path in ["std::fs::self", "std::fs::File", "std::io", "n::o", "p::q", "kept::here", "method"] {
        assert!(paths.iter().any(|found| found == path), "{path}: {paths:?}");
    }
    assert!(!paths.iter().any(|path| path.contains("hidden")), "{paths:?}");
    assert!(source.named.iter().any(|named| named.bang && named.has("println") && named.line == 5));
    assert_eq!(without_tests(tokens(text)).1, ["hidden_file"]);
    assert!(source.named.iter().any(|named| named.has("fs::File") && !named.has("File::fs")));
}

#[test]
fn imports_are_resolved_to_layers() {
    let text = "use crate::{one::a, two}; use super::super::three::b; use super::near; use other::c;";
    let layers =
        |file: &str| Source::new(file, text).imports().map(|(layer, _)| layer.to_owned()).collect::<Vec<_>>();
    for (file, expected) in [
        ("me/deep.rs", ["one", "two", "three", "me", "other"]),
        ("me/deep/deeper.rs", ["one", "two", "me", "me", "other"]),
        ("me/mod.rs", ["one", "two", "three", "near", "other"]),
    ] {
        let layers = layers(file);
        assert!(expected.iter().all(|layer| layers.iter().any(|found| found == layer)), "{file}: {layers:?}");
    }
}
