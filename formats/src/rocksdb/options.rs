//! `OPTIONS-n`: how a database and its column families were configured
//! (`options/options_parser.cc`, `util/string_util.cc`).
//!
//! ```text
//! # a comment
//! [Version]
//!   rocksdb_version=8.10.0
//!   options_file_version=1.1
//! [DBOptions]
//!   name=value …
//! [CFOptions "default"]
//!   merge_operator={id=StringAppendTESTOperator;delimiter=,;}
//!   compaction_filter_factory=nullptr
//! [TableOptions/BlockBasedTable "default"]
//!   format_version=5
//! ```
//!
//! One statement a line; blanks around names and values do not count; `#` begins a comment unless a
//! backslash stands before it. Column family names are escaped: a backslash before `\`, `#` and `:`,
//! and `\n`, `\r`. Quotation marks are not: a name reaches from the first to the last of its line.
//! Values stay as they are written, since what is escaped in them depends on their type.

use std::collections::BTreeMap;

use crate::error::{Error, Result};

/// What an OPTIONS file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `[Version]`: the release that wrote it, and the file format's version.
    pub version: Section,
    /// `[DBOptions]`.
    pub db: Section,
    /// The column families in the order of the file; the first is the default one.
    pub column_families: Vec<CfOptions>,
    /// Lines that fit nowhere: they do not make the file unreadable.
    pub unknown: Vec<UnknownLine>,
}

/// A line that fits nowhere: in an unknown section, without `=`, or a name for the second time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownLine {
    /// Absolute offset of the line.
    pub offset: u64,
    /// The line without blanks and comment.
    pub text: String,
}

/// The options of a column family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CfOptions {
    /// The column family's name.
    pub name: String,
    /// `[CFOptions "name"]`.
    pub raw: Section,
    /// `[TableOptions/… "name"]`.
    pub table: Option<TableOptions>,
}

/// The options of a column family's table format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableOptions {
    /// Name of the format: `BlockBasedTable` in all cases that this crate reads.
    pub factory: String,
    /// All options.
    pub raw: Section,
}

/// Names and values of a section, as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Section(pub BTreeMap<String, String>);

impl Section {
    /// A value as it is written.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A number. Some are written as the largest of their type to say "decide yourself".
    #[must_use]
    pub fn u64(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// `true` or `false`.
    #[must_use]
    pub fn bool(&self, name: &str) -> Option<bool> {
        match self.get(name)? {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    /// Which object is configured: of `Name` and `{id=Name;…}` it is `Name`. None for `nullptr` and
    /// for an option that the file does not have; [`Section::get`] tells these apart.
    #[must_use]
    pub fn object(&self, name: &str) -> Option<&str> {
        let value = self.get(name)?;
        let id = match value.strip_prefix('{') {
            None => value,
            Some(inner) => {
                let mut fields = inner.strip_suffix('}').unwrap_or(inner).split(';');
                fields.find_map(|field| field.trim().strip_prefix("id="))?
            }
        };
        (!id.is_empty() && id != "nullptr").then_some(id)
    }
}

impl Options {
    /// Decodes an OPTIONS file.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Invalid`] for bytes that are no UTF-8 and for a file without a `[Version]`
    /// section, which is no OPTIONS file.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|e| {
            let at = e.valid_up_to();
            let found = bytes.get(at).map_or(String::new(), |b| format!("byte {b:#04x}"));
            Error::invalid("an OPTIONS file is UTF-8", found, at as u64)
        })?;
        let mut options = Self::default();
        let mut place = Place::Nowhere;
        let mut has_version = false;
        let mut offset = 0u64;
        for line in text.split_inclusive('\n') {
            let at = offset;
            offset += line.len() as u64;
            let line = without_comment(line).trim_ascii();
            if line.is_empty() {
                continue;
            }
            let kept = match section(line) {
                Some((title, argument)) => {
                    place = options.enter(title, argument);
                    has_version |= place == Place::Version;
                    place != Place::Nowhere
                }
                None => options.state(place, line),
            };
            if !kept {
                options.unknown.push(UnknownLine { offset: at, text: line.to_owned() });
            }
        }
        if has_version {
            return Ok(options);
        }
        let found = format!("{} lines that fit nowhere", options.unknown.len());
        Err(Error::invalid("an OPTIONS file has a [Version] section", found, 0))
    }

    /// The options of a column family.
    #[must_use]
    pub fn column_family(&self, name: &str) -> Option<&CfOptions> {
        self.column_families.iter().find(|cf| cf.name == name)
    }

    /// The release that wrote the file, such as `8.10.0`.
    #[must_use]
    pub fn rocksdb_version(&self) -> Option<&str> {
        self.version.get("rocksdb_version")
    }

    /// The file format's version, such as `1.1`.
    #[must_use]
    pub fn options_file_version(&self) -> Option<&str> {
        self.version.get("options_file_version")
    }

    /// Where the statements after this section header belong.
    fn enter(&mut self, title: &str, argument: String) -> Place {
        let index = self.column_families.iter().position(|cf| cf.name == argument);
        match (title, index) {
            ("Version", _) => Place::Version,
            ("DBOptions", _) => Place::Db,
            ("CFOptions", None) => {
                let cf = CfOptions { name: argument, raw: Section::default(), table: None };
                self.column_families.push(cf);
                Place::Cf(self.column_families.len() - 1)
            }
            (_, Some(index)) => {
                let cf = self.column_families.get_mut(index);
                match (title.strip_prefix("TableOptions/"), cf) {
                    (Some(factory), Some(cf)) if cf.table.is_none() => {
                        let factory = factory.to_owned();
                        cf.table = Some(TableOptions { factory, raw: Section::default() });
                        Place::Table(index)
                    }
                    _ => Place::Nowhere,
                }
            }
            _ => Place::Nowhere,
        }
    }

    /// Keeps `name=value`; says whether it could. The first of two counts, as in RocksDB.
    fn state(&mut self, place: Place, line: &str) -> bool {
        let Some((name, value)) = line.split_once('=') else {
            return false;
        };
        let section = match place {
            Place::Nowhere => None,
            Place::Version => Some(&mut self.version),
            Place::Db => Some(&mut self.db),
            Place::Cf(i) => self.column_families.get_mut(i).map(|cf| &mut cf.raw),
            Place::Table(i) => {
                self.column_families.get_mut(i).and_then(|cf| cf.table.as_mut()).map(|t| &mut t.raw)
            }
        };
        let name = name.trim_ascii();
        match section {
            Some(section) if !name.is_empty() && !section.0.contains_key(name) => {
                section.0.insert(name.to_owned(), value.trim_ascii().to_owned());
                true
            }
            _ => false,
        }
    }
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident: $get:ident -> $ty:ty;)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(&self) -> Option<$ty> {
            self.raw.$get(stringify!($name))
        }
    )*};
}

impl CfOptions {
    accessors! {
        /// Name of the comparator.
        comparator: object -> &str;
        /// Name of the merge operator, if there is one.
        merge_operator: object -> &str;
        /// Name of the compaction filter factory, if there is one: Flink's for states with TTL.
        compaction_filter_factory: object -> &str;
        /// Compression, such as `kSnappyCompression`.
        compression: get -> &str;
        /// Compression of the last level; `kDisableCompressionOption` if it is not set apart.
        bottommost_compression: get -> &str;
        /// Size at which a compaction begins a new table on level 1, in bytes.
        target_file_size_base: u64 -> u64;
        /// Size at which a memtable is flushed, in bytes.
        write_buffer_size: u64 -> u64;
        /// Age at which a table is compacted again, in seconds; 0: never.
        periodic_compaction_seconds: u64 -> u64;
        /// RocksDB's own `ttl`, in seconds: age of data at which a table is compacted towards the
        /// last level (with FIFO compaction: deleted). Not the TTL of Flink's states.
        ttl: u64 -> u64;
        /// Compaction style, such as `kCompactionStyleLevel`.
        compaction_style: get -> &str;
        /// How many levels.
        num_levels: u64 -> u64;
        /// Name of the table format.
        table_factory: object -> &str;
    }

    /// Compression level by level, beginning with level 0; the last counts for all that follow.
    /// Empty if `compression` counts for all.
    #[must_use]
    pub fn compression_per_level(&self) -> Vec<&str> {
        let list = self.raw.get("compression_per_level").unwrap_or_default();
        list.split(':').filter(|name| !name.is_empty()).collect()
    }
}

impl TableOptions {
    accessors! {
        /// Name of the filter policy, if there is one.
        filter_policy: object -> &str;
        /// Size of a data block before compression, in bytes.
        block_size: u64 -> u64;
        /// Format version that new tables get.
        format_version: u64 -> u64;
        /// Kind of checksum, such as `kCRC32c`.
        checksum: get -> &str;
        /// Kind of index, such as `kBinarySearch`.
        index_type: get -> &str;
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Nowhere,
    Version,
    Db,
    Cf(usize),
    Table(usize),
}

/// Title and argument of `[Title]` or `[Title "argument"]`.
fn section(line: &str) -> Option<(&str, String)> {
    let inner = line.strip_prefix('[')?.strip_suffix(']')?;
    match inner.split_once('"').and_then(|(title, rest)| Some((title, rest.rsplit_once('"')?.0))) {
        Some((title, argument)) => Some((title.trim_ascii(), unescape(argument))),
        None => Some((inner.trim_ascii(), String::new())),
    }
}

fn without_comment(line: &str) -> &str {
    let mut last = None;
    for (i, b) in line.bytes().enumerate() {
        if b == b'#' && last != Some(b'\\') {
            return line.get(..i).unwrap_or_default();
        }
        last = Some(b);
    }
    line
}

/// Undoes RocksDB's escapes: a backslash stands before what would end a statement.
#[must_use]
pub fn unescape(escaped: &str) -> String {
    let mut out = String::with_capacity(escaped.len());
    let mut chars = escaped.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"# This is a RocksDB option file.
[Version]
  rocksdb_version=8.10.0
  options_file_version=1.1

[DBOptions]
  max_open_files=-1
  what is this
  max_open_files=7
[CFOptions "default"]
  merge_operator=nullptr   # none
  compression_per_level=kNoCompression:kLZ4Compression
  ttl=2592000
[TableOptions/BlockBasedTable "default"]
  filter_policy={id=bloomfilter:10:false;bloom_before_level=2147483647;}
  format_version=5
[CFOptions "word-count\: é \# \\ "x""]
  merge_operator={id=StringAppendTESTOperator;delimiter=,;}
  compaction_filter_factory=FlinkCompactionFilterFactory
[CFOptions "default"]
  ttl=1
[Future "x"]
  a=b
"#;

    #[test]
    fn sections_and_statements() {
        let options = Options::decode(SMALL.as_bytes()).unwrap();
        assert_eq!(options.rocksdb_version(), Some("8.10.0"));
        assert_eq!(options.options_file_version(), Some("1.1"));
        assert_eq!(options.db.get("max_open_files"), Some("-1"));
        let default = options.column_family("default").unwrap();
        assert_eq!((default.merge_operator(), default.raw.get("merge_operator")), (None, Some("nullptr")));
        assert_eq!(default.compression_per_level(), ["kNoCompression", "kLZ4Compression"]);
        assert_eq!(default.ttl(), Some(2_592_000));
        let table = default.table.as_ref().unwrap();
        assert_eq!((table.factory.as_str(), table.format_version()), ("BlockBasedTable", Some(5)));
        assert_eq!(table.filter_policy(), Some("bloomfilter:10:false"));
        let words = options.column_family("word-count: é # \\ \"x\"").unwrap();
        assert_eq!(words.merge_operator(), Some("StringAppendTESTOperator"));
        assert_eq!(words.compaction_filter_factory(), Some("FlinkCompactionFilterFactory"));
        assert!(words.compression_per_level().is_empty() && words.table.is_none());
    }

    #[test]
    fn what_fits_nowhere_is_kept() {
        let options = Options::decode(SMALL.as_bytes()).unwrap();
        let texts: Vec<_> = options.unknown.iter().map(|line| line.text.as_str()).collect();
        let expected =
            ["what is this", "max_open_files=7", "[CFOptions \"default\"]", "ttl=1", "[Future \"x\"]", "a=b"];
        assert_eq!(texts, expected);
        let at = usize::try_from(options.unknown[0].offset).unwrap();
        assert!(SMALL[at..].trim_start().starts_with("what is this"));
    }

    #[test]
    fn escapes() {
        assert_eq!(unescape(r"a\#b\:c\\d\ne\rf\"), "a#b:c\\d\ne\rf");
        assert_eq!(without_comment(r"a\#b#c"), r"a\#b");
    }

    #[test]
    fn other_files_are_refused() {
        assert_eq!(Options::decode(b"[Version]\na=\xff").unwrap_err().offset(), 12);
        assert!(Options::decode(b"hello\nworld").is_err());
        assert!(Options::decode(b"").is_err());
        for length in 0..SMALL.len() {
            let _ = Options::decode(&SMALL.as_bytes()[..length]);
        }
    }
}
