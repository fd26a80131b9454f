//! The tail of a table: what can be known about it without reading its data, in one range request.
//!
//! ```text
//! [data blocks…][filter][index][dictionary][range deletions][properties][metaindex][footer]
//!                                                           └──── what is read here ──────┘
//! ```
//!
//! This is the order in which RocksDB writes (`block_based_table_builder.cc`, `Finish`), so that the
//! end of the file holds all of it. Nothing here reads: the caller hands over the last bytes and is
//! told whether it needs more.

use super::block::StoredBlock;
use super::footer::{Footer, MAX_FOOTER_LEN, MIN_FOOTER_LEN};
use super::handle::BlockHandle;
use super::internal_key::MAX_SEQUENCE;
use super::properties::{FilterKind, MetaIndex, TableProperties};
use crate::error::{Error, ErrorKind, Result, ResultExt};

/// How much of a file's end to read at first.
///
/// Measured: in 1930 tables of checkpoints of Flink 1.13, 1.20 and 2.3, and in 126 with other format
/// versions, filters, indexes and compressions, properties, metaindex and footer together took 628 to
/// 1179 bytes. Names make the difference: column family, compression options, filter policy, host.
/// Only large properties of user collectors would exceed this, and cost a second read.
pub const RECOMMENDED_TAIL_LEN: usize = 4096;

/// The most that is asked for: a table of which the metaindex and the properties lie farther from the
/// end is refused, since no writer makes such.
pub const MAX_TAIL_LEN: u64 = 64 << 20;

/// What the names of properties begin with that only ingested tables have.
const EXTERNAL: &str = "rocksdb.external_sst_file.";

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TailStep {
    /// Call again with the bytes from this absolute offset to the end of the file. It is smaller
    /// than that of the bytes that were given.
    NeedBytes {
        /// Absolute offset.
        from_offset: u64,
    },
    /// All is there.
    Done(Box<TableTail>),
}

/// What the end of a table says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableTail {
    /// Length of the file in bytes.
    pub file_size: u64,
    /// The footer.
    pub footer: Footer,
    /// The metaindex: everything that is neither data nor named in the footer.
    pub metaindex: MetaIndex,
    /// The properties. RocksDB reads tables without, and writes none such.
    pub properties: Option<TableProperties>,
    /// Where the index (of a partitioned index: its top level) lies.
    pub index: BlockHandle,
}

impl TableTail {
    /// Decodes the end of a table from its last bytes.
    ///
    /// Call with the last [`RECOMMENDED_TAIL_LEN`] bytes, or the whole file if it is shorter. The
    /// checksums of footer (where it has one), metaindex and properties are verified, and all blocks
    /// that are named end before the footer.
    ///
    /// # Errors
    /// As [`Footer::decode`], [`MetaIndex::decode`], [`TableProperties::decode`];
    /// [`ErrorKind::LimitExceeded`] if more than [`MAX_TAIL_LEN`] bytes would be needed,
    /// [`ErrorKind::Invalid`] if the file is too short or no index is named.
    pub fn decode(tail: &[u8], file_size: u64) -> Result<TailStep> {
        let Some(base) = file_size.checked_sub(tail.len() as u64) else {
            let found = format!("{} bytes of a file of {file_size}", tail.len());
            return Err(Error::invalid("the tail of a file is no longer than the file", found, 0));
        };
        if file_size < MIN_FOOTER_LEN as u64 {
            let found = format!("{file_size} bytes");
            return Err(Error::invalid("a table has at least 48 bytes", found, 0));
        }
        if tail.len() < MAX_FOOTER_LEN && base > 0 {
            return need(file_size, file_size);
        }
        let footer = Footer::decode(tail, base)?;

        if footer.metaindex.offset < base {
            return need(footer.metaindex.offset, file_size).field("metaindex");
        }
        let metaindex = read_metaindex(tail, base, &footer).field("metaindex")?;

        let properties = match metaindex.properties() {
            None => None,
            Some(handle) if handle.offset < base => {
                return need(handle.offset, file_size).field("properties");
            }
            Some(handle) => Some(
                StoredBlock::cut(tail, base, handle)
                    .and_then(|block| TableProperties::decode(&block, footer.checksum))
                    .field("properties")?,
            ),
        };

        let Some(index) = footer.index.or_else(|| metaindex.index()) else {
            let rule = "a table of format version 6 or later names its index in the metaindex";
            let found = format!("{} other blocks", metaindex.blocks.len());
            return Err(Error::invalid(rule, found, footer.metaindex.offset)).field("metaindex");
        };
        let tail = Self { file_size, footer, metaindex, properties, index };
        Ok(TailStep::Done(Box::new(tail)))
    }

    /// Where the filter (of a partitioned one: its index) lies, with its kind and the name of its
    /// policy.
    #[must_use]
    pub fn filter(&self) -> Option<(FilterKind, &str, BlockHandle)> {
        self.metaindex.filter()
    }

    /// Where the range deletions lie.
    #[must_use]
    pub fn range_del(&self) -> Option<BlockHandle> {
        self.metaindex.range_del()
    }

    /// Where the dictionary lies that the data blocks were compressed with.
    #[must_use]
    pub fn compression_dict(&self) -> Option<BlockHandle> {
        self.metaindex.compression_dict()
    }

    /// The sequence number that all entries of an ingested table have instead of their own, which is 0;
    /// none for any other table (`block_based_table_reader.cc`, `GetGlobalSequenceNumber`).
    ///
    /// `largest_seqno` is what the MANIFEST says of the table, and gives the number where RocksDB did
    /// not write it into the table; none if there is no MANIFEST.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for properties that contradict each other, or the MANIFEST: RocksDB refuses
    /// such a table.
    pub fn global_sequence(&self, largest_seqno: Option<u64>) -> Result<Option<u64>> {
        let Some(properties) = &self.properties else { return Ok(None) };
        let at = self.metaindex.properties().unwrap_or(self.index).offset;
        if let Some(name) = properties.malformed.iter().find(|name| name.starts_with(EXTERNAL)) {
            let rule = "what says whether a table was ingested can be read";
            return Err(Error::invalid(rule, *name, at));
        }
        let written = properties.external_sst_file_global_seqno;
        match (properties.external_sst_file_version, written) {
            (None | Some(1), None) => return Ok(None),
            (Some(2), _) => {}
            (version @ (None | Some(1)), Some(seqno)) => {
                let rule = "only an external table of version 2 has a global sequence number";
                return Err(Error::invalid(rule, format!("{seqno}, version {version:?}"), at));
            }
            (Some(version), _) => {
                return Err(Error::invalid("an external table has version 1 or 2", version.to_string(), at));
            }
        }
        let written = written.filter(|&seqno| seqno != 0);
        let known = largest_seqno.filter(|&seqno| seqno < MAX_SEQUENCE);
        let seqno = written.or(known).unwrap_or(0);
        if known.is_some_and(|known| known != seqno) {
            let rule = "a global sequence number is the largest one of its table";
            let found = format!("{seqno}, largest {}", known.unwrap_or_default());
            return Err(Error::invalid(rule, found, at));
        }
        if seqno > MAX_SEQUENCE {
            return Err(Error::invalid("a sequence number has 56 bits", seqno.to_string(), at));
        }
        Ok(Some(seqno))
    }
}

fn read_metaindex(tail: &[u8], base: u64, footer: &Footer) -> Result<MetaIndex> {
    let block = StoredBlock::cut(tail, base, footer.metaindex)?;
    block.verify(footer.checksum, "the metaindex block")?;
    MetaIndex::decode(&block, footer.offset)
}

/// Asks for everything from a little before `offset`: what comes next lies in front of it.
fn need(offset: u64, file_size: u64) -> Result<TailStep> {
    let from_offset = offset.saturating_sub(RECOMMENDED_TAIL_LEN as u64);
    if file_size.saturating_sub(from_offset) > MAX_TAIL_LEN {
        let what = "distance of metaindex or properties from the end of the table";
        return Err(Error::new(ErrorKind::LimitExceeded { what, limit: MAX_TAIL_LEN }, offset));
    }
    Ok(TailStep::NeedBytes { from_offset })
}

/// A tail of nothing but properties.
#[cfg(test)]
pub(super) fn bare(format_version: u32, properties: TableProperties) -> TableTail {
    use super::checksum::{BlockChecksum, ChecksumType};

    let handle = BlockHandle { offset: 0, size: 0 };
    let checksum = BlockChecksum { checksum_type: ChecksumType::NoChecksum, base_context_checksum: 0 };
    let footer = Footer { offset: 0, format_version, checksum, metaindex: handle, index: Some(handle) };
    let properties = Some(properties);
    TableTail { file_size: 53, footer, metaindex: MetaIndex::default(), properties, index: handle }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rocksdb::footer::BLOCK_BASED_MAGIC;

    fn varint(out: &mut Vec<u8>, mut value: u64) {
        while value >= 0x80 {
            out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        out.push(value as u8);
    }

    /// A footer of version 5 without checksums.
    fn footer(metaindex: (u64, u64), index: (u64, u64)) -> Vec<u8> {
        let mut bytes = vec![0];
        [metaindex.0, metaindex.1, index.0, index.1].iter().for_each(|&n| varint(&mut bytes, n));
        bytes.resize(41, 0);
        bytes.extend([5, 0, 0, 0]);
        bytes.extend(BLOCK_BASED_MAGIC.to_le_bytes());
        bytes
    }

    #[test]
    fn a_metaindex_farther_away_is_asked_for_once() {
        let size = 1 << 20;
        let tail = footer((500_000, 100), (400_000, 100));
        let step = TableTail::decode(&tail, size).unwrap();
        assert_eq!(step, TailStep::NeedBytes { from_offset: 500_000 - RECOMMENDED_TAIL_LEN as u64 });
        let step = TableTail::decode(&tail[1..], size).unwrap();
        assert_eq!(step, TailStep::NeedBytes { from_offset: size - RECOMMENDED_TAIL_LEN as u64 });
    }

    #[test]
    fn a_hostile_footer_does_not_ask_for_the_whole_file() {
        let size = 1 << 40;
        let error = TableTail::decode(&footer((10, 100), (400_000, 100)), size).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::LimitExceeded { limit: MAX_TAIL_LEN, .. }));
        assert_eq!(error.path(), "metaindex");
        let error = TableTail::decode(&footer((size, 100), (0, 0)), size).unwrap_err();
        assert_eq!(error.path(), "footer.metaindex");
    }

    fn external(version: Option<u32>, seqno: Option<u64>) -> TableTail {
        let properties = TableProperties {
            external_sst_file_version: version,
            external_sst_file_global_seqno: seqno,
            ..Default::default()
        };
        bare(5, properties)
    }

    #[test]
    fn global_sequence_numbers() {
        let of = |version, seqno, largest| external(version, seqno).global_sequence(largest);
        assert_eq!((of(None, None, Some(7)), of(Some(1), None, Some(7))), (Ok(None), Ok(None)));
        assert_eq!((of(Some(2), Some(7), Some(7)), of(Some(2), Some(7), None)), (Ok(Some(7)), Ok(Some(7))));
        // It is in the MANIFEST only, as since 6.x unless asked for otherwise.
        assert_eq!((of(Some(2), Some(0), Some(7)), of(Some(2), None, Some(7))), (Ok(Some(7)), Ok(Some(7))));
        assert_eq!((of(Some(2), Some(0), None), of(Some(2), None, None)), (Ok(Some(0)), Ok(Some(0))));
        // The largest of all stands for "unknown".
        assert_eq!(of(Some(2), Some(7), Some(MAX_SEQUENCE)), Ok(Some(7)));
        for (version, seqno, largest) in [
            (Some(2), Some(7), Some(8)),
            (Some(2), Some(7), Some(0)),
            (None, Some(7), Some(7)),
            (Some(1), Some(0), None),
            (Some(3), None, None),
            (Some(0), None, None),
            (Some(2), Some(MAX_SEQUENCE + 1), None),
        ] {
            let error = of(version, seqno, largest).unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::Invalid { .. }), "{error}");
        }
        let mut tail = external(Some(2), None);
        tail.properties.as_mut().unwrap().malformed.push("rocksdb.external_sst_file.global_seqno");
        assert!(tail.global_sequence(Some(7)).is_err());
        tail.properties = None;
        assert_eq!(tail.global_sequence(Some(7)), Ok(None));
    }

    #[test]
    fn sizes_that_do_not_fit() {
        assert!(TableTail::decode(&[0; 60], 59).is_err());
        assert!(TableTail::decode(&[0; 47], 47).is_err());
        assert!(TableTail::decode(&[], 0).is_err());
    }
}
