//! The states of an operator, put together from the meta data of all its subtasks.

use std::collections::{BTreeMap, BTreeSet};

use statescope_formats::flink::serializer::{Basic, Kind, SerializerSnapshot};
use statescope_formats::flink::state_meta::{StateKind, StateMetaInfo};
use statescope_formats::rocksdb::options::CfOptions;
use statescope_formats::rocksdb::properties::IndexType;
use statescope_formats::rocksdb::tail::TableTail;

use super::serializers;
use super::types::{
    ColumnFamilyOptions, CompressionBytes, LevelBytes, PropertySums, SstProperties, SstSummary,
    StateOfSubtask, StateSummary,
};
use crate::model::{
    DatabaseDetails, DistributionMode, FileId, KeyedContent, KeyedDetails, KeyedLayout, KeyedState, Operator,
    OperatorDetails, OperatorStateHandle, Snapshot, Table,
};

/// The column family that every database has and Flink does not use.
const DEFAULT_COLUMN_FAMILY: &str = "default";

/// The states of one operator.
pub(super) struct OperatorStates {
    /// The states, keyed ones first, each group by name.
    pub(super) states: Vec<StateSummary>,
    /// The type of the operator's key.
    pub(super) key_type: Option<String>,
}

/// Collects the states of an operator from what its handles say.
pub(super) fn of_operator(
    snapshot: &Snapshot,
    operator: &Operator,
    keyed: &[&KeyedDetails],
    operator_details: &[&OperatorDetails],
) -> OperatorStates {
    let label = label(operator);
    let mut collector = Collector { snapshot, operator, label, states: BTreeMap::new() };
    let mut key = None;
    for details in keyed {
        collector.keyed(details);
        key = key.or(details.meta.as_ref().map(|m| &m.key_serializer));
    }
    for subtask in &operator.subtasks {
        if let Some(state) = &subtask.managed_keyed {
            collector.changes(subtask.index, state);
        }
    }
    let by_subtask: BTreeMap<u32, &OperatorDetails> =
        operator_details.iter().map(|details| (details.subtask, *details)).collect();
    for subtask in &operator.subtasks {
        let details = by_subtask.get(&subtask.index).copied();
        if let Some(handle) = &subtask.managed_operator {
            collector.operator_state(subtask.index, handle, details);
        }
        if let Some(handle) = &subtask.raw_operator {
            collector.raw_operator_state(subtask.index, handle);
        }
    }
    let states = collector.finish(key);
    OperatorStates { states, key_type: key.map(serializers::readable) }
}

/// What an operator is called: by name, uid or id, whichever is known first.
pub(in crate::analyzers) fn label(operator: &Operator) -> String {
    let known = operator.name.as_ref().or(operator.uid.as_ref());
    known.cloned().unwrap_or_else(|| operator.id.to_string())
}

/// A state while it is put together.
struct Building {
    summary: StateSummary,
    /// Files that were counted: one that several subtasks name counts once.
    counted: BTreeSet<FileId>,
    levels: BTreeMap<u32, LevelBytes>,
    properties: PropertySums,
    compression: BTreeMap<String, CompressionBytes>,
    keyed: bool,
}

struct Collector<'a> {
    snapshot: &'a Snapshot,
    operator: &'a Operator,
    label: String,
    states: BTreeMap<(u8, String), Building>,
}

/// Order of kinds of state, and what keeps a keyed and an operator state of one name apart.
const KEYED: u8 = 0;
const RAW_KEYED: u8 = 1;
const KEYED_CHANGES: u8 = 2;
const OPERATOR: u8 = 3;
const RAW_OPERATOR: u8 = 4;

impl Collector<'_> {
    fn state(&mut self, group: u8, name: &str, kind: &'static str) -> &mut Building {
        let (operator, label) = (self.operator, &self.label);
        self.states.entry((group, name.to_owned())).or_insert_with(|| Building {
            summary: StateSummary {
                operator_id: operator.id.to_string(),
                operator: label.clone(),
                name: name.to_owned(),
                kind,
                type_text: "?".to_owned(),
                ttl_asked: kind == "not_described",
                ttl: None,
                kryo: Vec::new(),
                opaque: Vec::new(),
                serializers: Vec::new(),
                bytes: None,
                bytes_at_most: None,
                sst_files: None,
                levels: Vec::new(),
                subtasks: Vec::new(),
                elements: None,
                options: None,
                properties: None,
            },
            counted: BTreeSet::new(),
            levels: BTreeMap::new(),
            properties: PropertySums::default(),
            compression: BTreeMap::new(),
            keyed: group == KEYED,
        })
    }

    fn keyed(&mut self, details: &KeyedDetails) {
        if details.layout == KeyedLayout::Raw {
            return self.raw_keyed(details);
        }
        for meta in details.meta.iter().flat_map(|m| &m.states) {
            let kind = serializers::kind_name(meta.kind);
            let building = self.state(KEYED, &meta.name, kind);
            building.describe(meta, kind);
            // Timers are not asked for a TTL.
            building.summary.ttl = if meta.kind == StateKind::PriorityQueue { None } else { meta.has_ttl() };
            if details.database.is_none() {
                building.subtask(details, None, None);
            }
        }
        if let Some(database) = &details.database {
            self.database(details, database);
        }
    }

    fn database(&mut self, details: &KeyedDetails, database: &DatabaseDetails) {
        let mut by_family: BTreeMap<usize, Vec<&Table>> = BTreeMap::new();
        for table in &database.tables {
            by_family.entry(table.column_family).or_default().push(table);
        }
        for (index, name) in database.column_families.iter().enumerate() {
            let tables = by_family.remove(&index).unwrap_or_default();
            let known = self.states.contains_key(&(KEYED, name.clone()));
            if !known && tables.is_empty() && name == DEFAULT_COLUMN_FAMILY {
                continue;
            }
            let snapshot = self.snapshot;
            let building = self.state(KEYED, name, "not_described");
            building.tables(snapshot, details, &tables);
            if building.summary.options.is_none() {
                let family = database.options.as_deref().and_then(|o| o.column_family(name));
                building.summary.options = family.map(options);
            }
        }
    }

    fn raw_keyed(&mut self, details: &KeyedDetails) {
        let subtasks = &self.operator.subtasks;
        let size = subtasks
            .binary_search_by_key(&details.subtask, |s| s.index)
            .ok()
            .and_then(|at| subtasks.get(at)?.raw_keyed.as_ref())
            .map(|state| {
                state.files().into_iter().filter_map(|f| self.snapshot.file(f)).map(|f| f.size).sum()
            });
        match details.raw_timers.as_ref().map(|t| t.services.as_slice()) {
            Some([_, ..]) => {
                for meta in details.meta.iter().flat_map(|meta| &meta.states) {
                    let building = self.state(RAW_KEYED, &meta.name, "timers");
                    building.describe(meta, "timers");
                    // They share one stream, which only a reader of values can divide.
                    building.subtask(details, None, None);
                }
            }
            _ => {
                let building = self.state(RAW_KEYED, "raw keyed state", "raw_keyed");
                building.summary.type_text = "opaque: bytes of the user's function".to_owned();
                building.add(details, size);
            }
        }
    }

    /// What a changelog holds besides its materialized state: named with its size, since what of that belongs to which
    /// state is known to those who read all of it.
    fn changes(&mut self, subtask: u32, state: &KeyedState) {
        let (mut bytes, mut any) = (0u64, false);
        state.walk(&mut |inner| match &inner.content {
            KeyedContent::InlineChanges { bytes: n, .. } => (any, bytes) = (true, bytes.saturating_add(*n)),
            KeyedContent::ChangeFiles { bytes: n, .. } => {
                (any, bytes) = (true, bytes.saturating_add(u64::try_from(*n).unwrap_or(0)));
            }
            _ => {}
        });
        if any {
            let building = self.state(KEYED_CHANGES, "changelog", "changes");
            building.summary.type_text = "changes of all states since the materialization".to_owned();
            building.part(subtask, Some(bytes), None);
        }
    }

    fn operator_state(
        &mut self,
        subtask: u32,
        handle: &OperatorStateHandle,
        details: Option<&OperatorDetails>,
    ) {
        let end = handle.stream.and_then(|f| self.snapshot.file(f)).map_or(0, |f| f.size);
        let sizes = partition_sizes(handle, end);
        for (partitions, bytes) in handle.states.iter().zip(sizes) {
            let kind = match partitions.mode {
                DistributionMode::SplitDistribute => "operator_list",
                DistributionMode::Union => "operator_union",
                DistributionMode::Broadcast => "broadcast",
            };
            let meta = details.and_then(|d| d.meta.as_ref()).and_then(|m| m.state(&partitions.name));
            let elements = match partitions.mode {
                DistributionMode::Broadcast => {
                    details.and_then(|d| d.broadcast_entries.get(&*partitions.name)).copied()
                }
                _ => Some(partitions.offsets.len() as u64),
            };
            let building = self.state(OPERATOR, &partitions.name, kind);
            if let Some(meta) = meta {
                building.describe(meta, kind);
            }
            let summary = &mut building.summary;
            // Every subtask has a full copy of a broadcast state; elements of lists add up.
            summary.elements = match partitions.mode {
                DistributionMode::Broadcast => summary.elements.or(elements),
                _ => Some(summary.elements.unwrap_or(0).saturating_add(elements.unwrap_or(0))),
            };
            building.part(subtask, Some(bytes), elements);
        }
    }

    fn raw_operator_state(&mut self, subtask: u32, handle: &OperatorStateHandle) {
        let end = handle.stream.and_then(|f| self.snapshot.file(f)).map_or(0, |f| f.size);
        for (partitions, bytes) in handle.states.iter().zip(partition_sizes(handle, end)) {
            let elements = partitions.offsets.len() as u64;
            let building = self.state(RAW_OPERATOR, &partitions.name, "raw_operator");
            building.summary.type_text = "opaque: bytes of the user's function".to_owned();
            building.summary.elements = Some(building.summary.elements.unwrap_or(0).saturating_add(elements));
            building.part(subtask, Some(bytes), Some(elements));
        }
    }

    fn finish(self, key: Option<&SerializerSnapshot>) -> Vec<StateSummary> {
        // A key that passes through Kryo touches every keyed state of the operator.
        let key_summary = key.map(|key| serializers::summary("key_by", key));
        let key_kryo: Vec<_> = key.map(|key| serializers::kryo_of("key_by", key)).unwrap_or_default();
        let states = self.states.into_values().map(|building| {
            let keyed = building.keyed;
            let mut summary = building.finish();
            if keyed {
                summary.serializers.extend(key_summary.clone());
                summary.kryo.extend(key_kryo.iter().cloned());
            }
            summary
        });
        states.collect()
    }
}

/// The bytes of each state of a handle: an element reaches to the next offset, or to the stream's end.
fn partition_sizes(handle: &OperatorStateHandle, end: u64) -> Vec<u64> {
    let mut bounds: Vec<u64> =
        handle.states.iter().flat_map(|s| s.offsets.iter()).filter_map(|&o| u64::try_from(o).ok()).collect();
    bounds.push(end);
    bounds.sort_unstable();
    let size = |offset: i64| {
        let Ok(offset) = u64::try_from(offset) else { return 0 };
        let next = bounds.get(bounds.partition_point(|&b| b <= offset)).copied().unwrap_or(end);
        next.saturating_sub(offset)
    };
    handle.states.iter().map(|s| s.offsets.iter().fold(0u64, |sum, &o| sum.saturating_add(size(o)))).collect()
}

impl Building {
    fn describe(&mut self, meta: &StateMetaInfo, kind: &'static str) {
        if !self.summary.serializers.is_empty() {
            return;
        }
        self.summary.kind = kind;
        self.summary.ttl_asked = is_asked_for_ttl(meta);
        self.summary.type_text = serializers::type_text(meta, kind);
        self.summary.kryo = serializers::kryo_uses(meta);
        self.summary.opaque = serializers::opaque_uses(meta);
        self.summary.serializers = serializers::summaries(meta);
    }

    fn add(&mut self, details: &KeyedDetails, bytes: Option<u64>) {
        self.subtask(details, bytes, None);
        if let Some(bytes) = bytes {
            self.summary.bytes = Some(self.summary.bytes.unwrap_or(0).saturating_add(bytes));
        }
    }

    /// The part of a subtask, which may come in several handles.
    fn subtask(
        &mut self,
        details: &KeyedDetails,
        bytes: Option<u64>,
        files: Option<u64>,
    ) -> &mut StateOfSubtask {
        let range = details.key_groups;
        let key_groups = range.last().map(|last| (range.start, last));
        let subtasks = &mut self.summary.subtasks;
        // Subtasks come in order, and several handles of one follow each other.
        let at = match subtasks.len().checked_sub(1) {
            Some(last) if subtasks.get(last).is_some_and(|s| s.subtask == details.subtask) => last,
            _ => {
                subtasks.push(empty_part(details.subtask));
                subtasks.len() - 1
            }
        };
        // Just found or just pushed.
        #[expect(clippy::indexing_slicing, reason = "the index was found or made above")]
        let part = &mut subtasks[at];
        part.key_groups = part.key_groups.or(key_groups);
        if let Some(bytes) = bytes {
            part.bytes = Some(part.bytes.unwrap_or(0).saturating_add(bytes));
        }
        if let Some(files) = files {
            part.files = Some(part.files.unwrap_or(0).saturating_add(files));
        }
        part
    }

    fn part(&mut self, subtask: u32, bytes: Option<u64>, elements: Option<u64>) {
        let mut part = empty_part(subtask);
        (part.bytes, part.elements) = (bytes, elements);
        self.summary.subtasks.push(part);
        if let Some(bytes) = bytes {
            self.summary.bytes = Some(self.summary.bytes.unwrap_or(0).saturating_add(bytes));
        }
    }

    fn tables(&mut self, snapshot: &Snapshot, details: &KeyedDetails, tables: &[&Table]) {
        let total = tables.iter().map(|t| t.size).sum();
        let part = self.subtask(details, Some(total), Some(tables.len() as u64));
        let mut levels: BTreeMap<u32, LevelBytes> = part.levels.iter().map(|l| (l.level, *l)).collect();
        for table in tables {
            add_level(&mut levels, table);
            part.key_groups_in_files = union(part.key_groups_in_files, table.key_groups);
            part.sst.push(SstSummary {
                name: format!("{:06}.sst", table.number),
                level: table.level,
                bytes: table.size,
                key_groups: table.key_groups,
                place: table
                    .file
                    .and_then(|f| snapshot.file(f))
                    .map_or_else(|| "not listed by the handle".to_owned(), |f| f.place.to_string()),
                properties: table.tail.as_deref().and_then(properties),
            });
        }
        part.levels = levels.into_values().collect();
        self.summary.bytes = Some(self.summary.bytes.unwrap_or(0));
        self.summary.sst_files = Some(self.summary.sst_files.unwrap_or(0));
        for table in tables {
            if table.file.is_some_and(|file| !self.counted.insert(file)) {
                continue;
            }
            self.summary.bytes = self.summary.bytes.map(|sum| sum.saturating_add(table.size));
            self.summary.sst_files = self.summary.sst_files.map(|n| n + 1);
            add_level(&mut self.levels, table);
            if let Some(properties) = table.tail.as_deref().and_then(properties) {
                self.properties(&properties);
            }
        }
    }

    fn properties(&mut self, p: &SstProperties) {
        let sums = &mut self.properties;
        let add = |to: &mut u64, n: u64| *to = to.saturating_add(n);
        add(&mut sums.files, 1);
        add(&mut sums.entries, p.entries);
        add(&mut sums.deletions, p.deletions);
        add(&mut sums.merge_operands, p.merge_operands);
        add(&mut sums.range_deletions, p.range_deletions);
        add(&mut sums.raw_key_bytes, p.raw_key_bytes);
        add(&mut sums.raw_value_bytes, p.raw_value_bytes);
        add(&mut sums.data_bytes, p.data_bytes);
        add(&mut sums.index_bytes, p.index_bytes);
        add(&mut sums.filter_bytes, p.filter_bytes);
        let entry = self.compression.entry(p.compression.clone()).or_insert_with(|| CompressionBytes {
            name: p.compression.clone(),
            files: 0,
            data_bytes: 0,
        });
        entry.files += 1;
        add(&mut entry.data_bytes, p.data_bytes);
    }

    fn finish(mut self) -> StateSummary {
        self.summary.levels = self.levels.into_values().collect();
        if self.properties.files > 0 {
            self.properties.compression = self.compression.into_values().collect();
            self.summary.properties = Some(self.properties);
        }
        self.summary
    }
}

/// Contents of windows and sets of merging windows go when their window does; all other keyed state of
/// the user stays until something removes it. SQL's windows have their end as a namespace.
fn is_asked_for_ttl(meta: &StateMetaInfo) -> bool {
    const MERGING_WINDOW_SET: &str = "merging-window-set";
    let in_window = meta.namespace_serializer().is_some_and(|n| match n.kind {
        Kind::Basic(basic) => {
            matches!(
                basic,
                Basic::TimeWindow
                    | Basic::GlobalWindow
                    | Basic::TableTimeWindow
                    | Basic::TableCountWindow
                    | Basic::TableGlobalWindow
                    | Basic::Long
            )
        }
        _ => false,
    });
    meta.kind.keyed().is_some() && !in_window && meta.name != MERGING_WINDOW_SET
}

fn empty_part(subtask: u32) -> StateOfSubtask {
    StateOfSubtask {
        subtask,
        bytes: None,
        files: None,
        levels: Vec::new(),
        key_groups: None,
        key_groups_in_files: None,
        elements: None,
        sst: Vec::new(),
    }
}

fn add_level(levels: &mut BTreeMap<u32, LevelBytes>, table: &Table) {
    let level = levels.entry(table.level).or_insert(LevelBytes { level: table.level, files: 0, bytes: 0 });
    level.files += 1;
    level.bytes = level.bytes.saturating_add(table.size);
}

fn union(a: Option<(u32, u32)>, b: Option<(u32, u32)>) -> Option<(u32, u32)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (a, b) => a.or(b),
    }
}

fn properties(tail: &TableTail) -> Option<SstProperties> {
    let p = tail.properties.as_ref()?;
    let n = |value: Option<u64>| value.unwrap_or(0);
    Some(SstProperties {
        entries: n(p.num_entries),
        deletions: n(p.num_deletions),
        merge_operands: n(p.num_merge_operands),
        range_deletions: n(p.num_range_deletions),
        raw_key_bytes: n(p.raw_key_size),
        raw_value_bytes: n(p.raw_value_size),
        data_bytes: n(p.data_size),
        index_bytes: n(p.index_size),
        filter_bytes: n(p.filter_size),
        data_blocks: n(p.num_data_blocks),
        compression: p.compression.clone().unwrap_or_else(|| "unknown".to_owned()),
        format_version: tail.footer.format_version,
        checksum: tail.footer.checksum.checksum_type.name().to_owned(),
        index_type: p.index_type.map(index_type),
        file_creation_time: n(p.file_creation_time),
    })
}

fn options(family: &CfOptions) -> ColumnFamilyOptions {
    let get = |name: &str| family.raw.get(name).filter(|v| !v.is_empty()).map(str::to_owned);
    let object = |name: &str| family.raw.object(name).map(str::to_owned);
    ColumnFamilyOptions {
        compaction_filter_factory: object("compaction_filter_factory"),
        merge_operator: object("merge_operator"),
        compression: get("compression"),
        compression_per_level: get("compression_per_level"),
        compaction_style: get("compaction_style"),
        periodic_compaction_seconds: get("periodic_compaction_seconds"),
        target_file_size_base: get("target_file_size_base"),
        write_buffer_size: get("write_buffer_size"),
    }
}

/// An index type, as RocksDB's options name it.
fn index_type(kind: IndexType) -> String {
    match kind {
        IndexType::BinarySearch => "kBinarySearch".to_owned(),
        IndexType::HashSearch => "kHashSearch".to_owned(),
        IndexType::TwoLevelIndexSearch => "kTwoLevelIndexSearch".to_owned(),
        IndexType::BinarySearchWithFirstKey => "kBinarySearchWithFirstKey".to_owned(),
        IndexType::Other(code) => format!("unknown ({code})"),
    }
}
