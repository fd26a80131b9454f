//! What sources and sinks keep: splits, enumerators, committables, states of writers, lists from before.
#![no_main]

use libfuzzer_sys::fuzz_target;
use statescope_formats::flink::connector::{
    Committable, Committables, Connector, CoordinatorState, Versioned, WriterState, legacy,
};
use statescope_formats_fuzz::{touch, walk};

/// Where the bytes are said to begin.
const BASE: u64 = 1 << 40;

fuzz_target!(|data: &[u8]| {
    let Some((&version, bytes)) = data.split_first() else { return };
    let one = Versioned { version: i32::from(version % 4), bytes, offset: BASE };
    for connector in Connector::ALL {
        let split = walk(connector.split(one), BASE, bytes.len());
        if let Some(enumerator) = connector.enumerator(one) {
            walk(enumerator, BASE, bytes.len());
        }
        let whose = Connector::of_splits([one].into_iter());
        assert!(whose != Some(connector) || split.is_some(), "a split is whose it can be read by");
    }
    touch(&(Connector::of_split(one), Connector::of_enumerator(one)));
    touch(&(Committable::recognize(one), WriterState::recognize(one)));
    if let Some(state) = walk(CoordinatorState::parse(bytes, BASE), BASE, bytes.len()) {
        touch(&Connector::of_enumerator(state.enumerator));
    }
    for version in [1, 2] {
        let state = Versioned { version, ..one };
        let Some(committables) = walk(Committables::parse(state), BASE, bytes.len()) else { continue };
        let requests =
            committables.checkpoints.iter().flat_map(|it| &it.subtasks).flat_map(|it| &it.requests);
        requests.for_each(|request| touch(&Committable::recognize(request.committable)));
        let others = committables.legacy.iter().chain(&committables.global);
        others.for_each(|committable| touch(&Committable::recognize(*committable)));
    }
    walk(legacy::consumed_partition(bytes, BASE), BASE, bytes.len());
    walk(legacy::sequence_number(bytes, BASE), BASE, bytes.len());
    walk(legacy::producer_state(bytes, BASE, version & 4 != 0), BASE, bytes.len());
    walk(legacy::xa_sink_state(bytes, BASE), BASE, bytes.len());
});
