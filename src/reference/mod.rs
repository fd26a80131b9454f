//! RocksDB itself as the engine of reference (feature `rocksdb`): what it says is live is what Flink would see.
//!
//! It opens a database directory (as `materialize` makes it) read-only with all of its column families, and goes
//! over the live rows of one of them between two keys. Merge operands are put together by RocksDB's own operator
//! as the OPTIONS file names it, which for Flink is `StringAppendTESTOperator`: elements of a list with a delimiter
//! in between. Format versions 0 and 1 of tables, as Flink 1.13 wrote them, this RocksDB does not read.
//!
//! It is set up as it is fastest for one scan: files stay open, no block is looked for or kept in a cache, and
//! the operating system is asked for large pieces. Checksums are verified.

use std::fmt;
use std::path::Path;

use rocksdb::{
    BlockBasedOptions, ColumnFamilyDescriptor, DB, DBRawIterator, InfoLogger, LogLevel, Options, ReadOptions,
};
use statescope_formats::rocksdb::options::Options as OptionsFile;

use crate::model::KeyBounds;
use crate::storage::{ListEntry, ListScope, LocalStorage, Location, Storage};

/// What Flink gives every column family.
const MERGE_OPERATOR: &str = "StringAppendTESTOperator";

/// How much is read from a file at once. With files in the page cache, neither more nor less nor RocksDB's own choice nor
/// mapped files made a scan faster.
const READAHEAD: usize = 256 << 10;

/// The largest OPTIONS file that is read.
const OPTIONS_LIMIT: u64 = 1 << 30;

/// Why RocksDB did not do what was asked of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceError {
    /// What was asked.
    what: String,
    /// What it said.
    message: String,
}

impl ReferenceError {
    fn new(what: impl Into<String>, why: &dyn fmt::Display) -> Self {
        Self { what: what.into(), message: why.to_string() }
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.message)
    }
}

impl std::error::Error for ReferenceError {}

type Result<T> = std::result::Result<T, ReferenceError>;

/// A database that RocksDB has open, read-only.
pub struct Database {
    db: DB,
    column_families: Vec<String>,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column_families = &self.column_families;
        f.debug_struct("Database").field("column_families", column_families).finish_non_exhaustive()
    }
}

impl Database {
    /// Opens a directory with all column families that its MANIFEST names. Nothing is written there.
    ///
    /// # Errors
    /// RocksDB does not open it: it says why. The OPTIONS file cannot be read, or names a merge operator that is
    /// none of RocksDB's own.
    pub fn open(directory: &Path) -> Result<Self> {
        let what = || directory.display().to_string();
        let mut options = Options::default();
        // Else it writes a log into the directory.
        options.set_info_logger(InfoLogger::new_callback_logger(LogLevel::Fatal, |_, _| {}));
        options.set_max_open_files(-1);
        options.set_skip_stats_update_on_db_open(true);
        let column_families =
            DB::list_cf(&options, directory).map_err(|error| ReferenceError::new(what(), &error))?;
        let file = options_file(directory)?;
        let descriptors = column_families
            .iter()
            .map(|name| {
                let found = file.as_ref().and_then(|file| file.column_family(name));
                let operator = found.and_then(|family| family.raw.get("merge_operator"));
                Ok(ColumnFamilyDescriptor::new(name, family_options(operator.unwrap_or(MERGE_OPERATOR))?))
            })
            .collect::<Result<Vec<_>>>()?;
        let db = DB::open_cf_descriptors_read_only(&options, directory, descriptors, false)
            .map_err(|error| ReferenceError::new(what(), &error))?;
        Ok(Self { db, column_families })
    }

    /// The names of all column families.
    #[must_use]
    pub fn column_families(&self) -> &[String] {
        &self.column_families
    }

    /// The live rows of a column family within bounds, in the order of their keys.
    ///
    /// # Errors
    /// There is no such column family.
    pub fn rows(&self, column_family: &str, bounds: &KeyBounds) -> Result<Rows<'_>> {
        let what = || format!("column family {column_family:?}");
        let Some(family) = self.db.cf_handle(column_family) else {
            return Err(ReferenceError::new(what(), &"there is none of this name"));
        };
        let mut options = ReadOptions::default();
        options.set_verify_checksums(true);
        options.fill_cache(false);
        options.set_total_order_seek(true);
        options.set_readahead_size(READAHEAD);
        options.set_async_io(false);
        options.set_iterate_lower_bound(bounds.lower.as_slice());
        if let Some(upper) = &bounds.upper {
            options.set_iterate_upper_bound(upper.as_slice());
        }
        let mut iterator = self.db.raw_iterator_cf_opt(family, options);
        // RocksDB does not compare the bounds with each other.
        let is_empty = bounds.upper.as_ref().is_some_and(|upper| *upper <= bounds.lower);
        if !is_empty {
            iterator.seek_to_first();
        }
        Ok(Rows { iterator, column_family: column_family.to_owned(), is_empty })
    }

    /// Calls `each` with the key and the value of every live row of a column family within bounds, in the order of
    /// keys, and returns how many there were.
    ///
    /// # Errors
    /// There is no such column family, or RocksDB could not read on; then not all rows were handed out.
    pub fn for_each_live<F>(&self, column_family: &str, bounds: &KeyBounds, each: &mut F) -> Result<u64>
    where
        F: FnMut(&[u8], &[u8]) + ?Sized,
    {
        let mut rows = self.rows(column_family, bounds)?;
        let mut count = 0;
        while let Some((key, value)) = rows.current()? {
            each(key, value);
            count += 1;
            rows.advance();
        }
        Ok(count)
    }
}

/// Goes over live rows.
pub struct Rows<'d> {
    iterator: DBRawIterator<'d>,
    column_family: String,
    is_empty: bool,
}

impl fmt::Debug for Rows<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("column_family", &self.column_family).finish_non_exhaustive()
    }
}

impl Rows<'_> {
    /// Key and value of the row that it stands at; none behind the last.
    ///
    /// # Errors
    /// RocksDB could not read on.
    pub fn current(&self) -> Result<Option<(&[u8], &[u8])>> {
        if self.is_empty {
            return Ok(None);
        }
        match self.iterator.item() {
            Some(row) => Ok(Some(row)),
            None => self.iterator.status().map(|()| None).map_err(|error| {
                ReferenceError::new(format!("column family {:?}", self.column_family), &error)
            }),
        }
    }

    /// Goes to the next row. Behind the last it stays there.
    pub fn advance(&mut self) {
        if !self.is_empty {
            self.iterator.next();
        }
    }
}

/// The newest OPTIONS file of a directory, if there is one.
fn options_file(directory: &Path) -> Result<Option<OptionsFile>> {
    let what = || format!("the OPTIONS file of {}", directory.display());
    let storage = LocalStorage::new();
    let location =
        Location::from_local_path(directory).map_err(|error| ReferenceError::new(what(), &error))?;
    let entries = storage
        .list_all(&location, ListScope::Children)
        .map_err(|error| ReferenceError::new(what(), &error))?;
    let number = |entry: &ListEntry| {
        let name = entry.location()?.file_name()?;
        name.strip_prefix("OPTIONS-")?.parse::<u64>().ok()
    };
    let newest = entries.iter().filter(|entry| number(entry).is_some()).max_by_key(|entry| number(entry));
    let Some(newest) = newest.and_then(ListEntry::location) else { return Ok(None) };
    let bytes =
        storage.read_all(newest, OPTIONS_LIMIT).map_err(|error| ReferenceError::new(what(), &error))?;
    OptionsFile::decode(&bytes).map(Some).map_err(|error| ReferenceError::new(what(), &error))
}

/// The options of a column family with this merge operator, as an OPTIONS file writes it.
fn family_options(merge_operator: &str) -> Result<Options> {
    let mut table = BlockBasedOptions::default();
    table.disable_cache();
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    if merge_operator == "nullptr" {
        return Ok(options);
    }
    options
        .get_options_from_string(format!("merge_operator={merge_operator}"))
        .map_err(|error| ReferenceError::new(format!("merge operator {merge_operator}"), &error))
}
