//! What each kind of finding means for who wants to restore.

use crate::model::{Effect, Finding};

use Effect::{Breaks, Harmless, Unknown};

/// By code. A finding that says itself what it means ([`Finding::effect`]) means that: a file of a format that is not
/// known here may be good, and a directory in the place of a file is not.
pub const EFFECTS: &[(&str, Effect)] = &[
    // `_metadata`
    ("metadata_not_whole", Breaks),
    ("metadata_not_decoded", Breaks),
    ("metadata_unreadable", Unknown),
    // Flink reads them when it restores; a class that is not known here is no fault.
    ("properties_not_decoded", Unknown),
    ("unknown_snapshot_type", Harmless),
    // The object itself is compared with the larger one.
    ("sizes_disagree", Harmless),
    ("offset_behind_end", Breaks),
    // Files
    ("file_missing", Breaks),
    ("file_archived", Breaks),
    ("file_unreadable", Unknown),
    ("file_size_differs", Breaks),
    ("mixed_places", Harmless),
    // Meta data of backends
    ("backend_meta_missing", Breaks),
    ("keyed_meta_not_decoded", Breaks),
    ("operator_meta_not_decoded", Breaks),
    ("states_missing", Unknown),
    // A class of the user's own.
    ("serializer_not_decoded", Harmless),
    // Databases
    ("current_missing", Breaks),
    ("current_not_decoded", Breaks),
    ("manifest_missing", Breaks),
    ("manifest_not_decoded", Breaks),
    ("manifest_cut", Breaks),
    ("manifest_names_more", Breaks),
    // RocksDB takes them for files that it forgot to delete.
    ("manifest_names_fewer", Harmless),
    ("database_file_name", Breaks),
    // Flink opens databases with options of its own, and never reads these.
    ("options_not_decoded", Harmless),
    // No handle names blob files of its own accord.
    ("blob_files", Unknown),
    ("levels_overlap", Breaks),
    // RocksDB refuses some of these, depending on its version.
    ("level_0_order", Unknown),
    // Tables
    ("sst_size_differs", Breaks),
    ("sst_tail_not_decoded", Breaks),
    ("sst_damaged", Breaks),
    ("key_group_damaged", Breaks),
    // Changelogs
    ("changelog_not_decoded", Breaks),
    ("changelog_damaged", Breaks),
    ("sst_keys_out_of_bounds", Breaks),
    ("sst_entries_differ", Breaks),
    ("sst_not_checked", Unknown),
    // In-flight data
    ("channel_file_not_decoded", Breaks),
    ("channel_damaged", Breaks),
    // Directories
    ("newest_disagree", Harmless),
    ("directory_not_listed", Unknown),
];

/// What findings of a code mean; none for a code that no verification makes.
#[must_use]
pub fn effect_of(code: &str) -> Option<Effect> {
    EFFECTS.iter().find(|(known, _)| *known == code).map(|(_, effect)| *effect)
}

/// What a finding means.
pub(super) fn effect(finding: &Finding) -> Effect {
    // Of a code that the table lacks, nothing is known.
    finding.effect.or_else(|| effect_of(finding.code)).unwrap_or(Unknown)
}
