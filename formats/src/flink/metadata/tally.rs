//! What the bytes of a `_metadata` file are spent on.

/// Bytes of a `_metadata` file by purpose; they add up to what was decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// State kept inside the file instead of in files of its own.
    pub inlined_state: u64,
    /// State of operator coordinators.
    pub coordinator_state: u64,
    /// State of master hooks.
    pub master_state: u64,
    /// Paths and names of files, with their lengths.
    pub paths: u64,
    /// Offsets of key groups.
    pub key_group_offsets: u64,
    /// Names and offsets of operator state; union state grows here with the square of the parallelism.
    pub operator_state_offsets: u64,
    /// Handles of in-flight data, without their paths.
    pub channel_state: u64,
    /// Checkpoint properties.
    pub properties: u64,
    /// Everything else: ids, tags, counts, sizes.
    pub structure: u64,
}

impl Tally {
    /// All bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self {
            inlined_state,
            coordinator_state,
            master_state,
            paths,
            key_group_offsets,
            operator_state_offsets,
            channel_state,
            properties,
            structure,
        } = self;
        [
            inlined_state,
            coordinator_state,
            master_state,
            paths,
            key_group_offsets,
            operator_state_offsets,
            channel_state,
            properties,
            structure,
        ]
        .into_iter()
        .fold(0, |sum, n| sum.saturating_add(*n))
    }
}
