//! Files of changes: sets in pieces, meta data, and rows of the changes of the states that it describes.
#![no_main]

use std::collections::HashMap;

use libfuzzer_sys::fuzz_target;
use statescope_formats::flink::changelog::{
    Change, ChangeLayout, ChangeSet, RowChanges, SetStep, is_compressed,
};
use statescope_formats::flink::key::KeyGroupPrefix;
use statescope_formats::flink::state_meta::KeyedBackendMeta;
use statescope_formats_fuzz::{check, touch};

fuzz_target!(|data: &[u8]| {
    let Some((flag, bytes)) = data.split_first() else { return };
    let _ = is_compressed(*flag);
    let none = KeyedBackendMeta::of_changes(None, Vec::new());
    let mut layouts: HashMap<u16, ChangeLayout> = HashMap::new();
    let mut rows = RowChanges::default();
    let (mut set, mut from, mut to) = (ChangeSet::new(0), 0, 0);
    loop {
        let (step, taken) = match set.next(&bytes[from..to], to == bytes.len()) {
            Ok(next) => next,
            Err(error) => return check(&error, 0, bytes.len()),
        };
        touch(&step);
        match step {
            SetStep::NeedBytes(needed) => {
                assert!(needed > to - from && to < bytes.len());
                to = (to + 61).min(bytes.len());
            }
            SetStep::Change { key_group, change } => match Change::parse(change, 0) {
                Ok(Change::Metadata(state)) => {
                    if let Ok(meta) = &state.meta {
                        let key = meta.value_serializer().unwrap_or(&none.key_serializer);
                        let layout = ChangeLayout::new(KeyGroupPrefix::Two, key, meta);
                        layouts.extend(layout.map(|layout| (state.id, layout)));
                    }
                }
                Ok(Change::Data(data)) => {
                    if let Some(layout) = layouts.get(&data.state) {
                        match layout.rows(&data, key_group.unwrap_or(0), &mut rows) {
                            Ok(applied) => touch(&applied),
                            Err(error) => check(&error, 0, change.len()),
                        }
                        rows.iter().for_each(|row| touch(&row));
                    }
                }
                Err(error) => check(&error, 0, change.len()),
            },
            SetStep::Going => {}
            SetStep::End => return,
        }
        from += taken;
        assert!(from <= to);
    }
});
