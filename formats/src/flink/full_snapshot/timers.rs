//! A key group of timers in raw keyed state.

use std::ops::Range;

use super::{KeyGroupRows, Next, Part, Step, Stopped, Taking, Window, answer};
use crate::error::{Error, Result};
use crate::flink::key::{KeyGroupPrefix, KeyLayout, KeyPart};
use crate::flink::serializer::SerializerSnapshot;
use crate::flink::state_meta::{
    KeyedBackendMeta, StateMetaInfo, TimerService, TimerServices, timer_service_head,
};
use crate::flink::walk::Walked;

/// The name that timers of a service have as a state, wherever they are one (`InternalTimeServiceManagerImpl`).
fn timer_state_name(service: &str, event: bool) -> String {
    format!("_timer_state/{}_{service}", if event { "event" } else { "processing" })
}

/// The timers of a service as the state that they are in other backends.
fn timer_state(service: &TimerService, event: bool) -> StateMetaInfo {
    let timer = SerializerSnapshot::timer(&service.key_serializer, &service.namespace_serializer);
    StateMetaInfo::timers(timer_state_name(&service.name, event), timer)
}

/// What the meta data of a backend would be that had the timers of these services as its states: in the order of
/// [`TimerGroup`]. `None` without any.
#[must_use]
pub fn timer_backend(services: &TimerServices) -> Option<KeyedBackendMeta> {
    let first = services.services.first()?;
    let states =
        services.services.iter().flat_map(|service| [true, false].map(|event| timer_state(service, event)));
    Some(KeyedBackendMeta {
        version: 6,
        compressed: false,
        key_serializer: first.key_serializer.clone(),
        states: states.collect(),
        skipped: Vec::new(),
        end: None,
        error: None,
    })
}

/// Hands out the timers of a key group as rows that RocksDB would have: in no order.
///
/// [`Step::State`] names `2 i` for the event-time timers of the service that is called like the `i`-th that it was made
/// with, and `2 i + 1` for those of processing time.
#[derive(Debug)]
pub struct TimerGroup<'l> {
    services: &'l [String],
    key_group: u32,
    prefix: KeyGroupPrefix,
    at: u64,
    expects: Expects,
    /// Services that are still to come, the current one left out.
    rest: usize,
    service: usize,
    layout: Option<KeyLayout>,
    key: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expects {
    Head,
    Service,
    /// How many timers of event time (`true`) or processing time there are.
    Count(bool),
    Timers(bool, u32),
    Nothing,
}

enum Found {
    Going,
    State(bool, u32),
    Row,
    Stopped(Part, usize, u32),
    End,
}

impl<'l> TimerGroup<'l> {
    /// A key group whose first byte is said to have the offset `at`, of a stream with services of these names.
    #[must_use]
    pub fn new(services: &'l [String], key_group: u32, prefix: KeyGroupPrefix, at: u64) -> Self {
        Self {
            services,
            key_group,
            prefix,
            at,
            expects: Expects::Head,
            rest: 0,
            service: 0,
            layout: None,
            key: Vec::new(),
        }
    }

    fn take(&mut self, window: Window<'_>) -> Taking<(Found, usize)> {
        let (found, taken) = match self.expects {
            Expects::Nothing => (Found::End, 0),
            Expects::Head => {
                let mut cursor = window.cursor();
                self.rest = timer_service_head(&mut cursor).map_err(|error| window.cut(error))?;
                self.expects = if self.rest == 0 { Expects::Nothing } else { Expects::Service };
                (Found::Going, window.bytes.len().saturating_sub(cursor.remaining()))
            }
            Expects::Service => self.begin_service(window)?,
            Expects::Count(event) => {
                let timers = u32::try_from(window.length("timers", 0)?).unwrap_or(u32::MAX);
                self.next_timer(event, timers);
                (Found::State(event, timers), 4)
            }
            Expects::Timers(event, timers) => self.timer(window, event, timers)?,
        };
        self.at = self.at.saturating_add(taken as u64);
        Ok((found, taken))
    }

    fn begin_service(&mut self, window: Window<'_>) -> Taking<(Found, usize)> {
        let mut cursor = window.cursor();
        let service = TimerService::parse_head(&mut cursor).map_err(|error| window.cut(error))?;
        let known = self.services.iter().position(|name| *name == service.name);
        let Some(index) = known else {
            let rule = "all key groups of a stream have the timer services of the first";
            return Err(Error::invalid(rule, service.name, window.at).into());
        };
        let timer = SerializerSnapshot::timer(&service.key_serializer, &service.namespace_serializer);
        (self.service, self.layout) = (index, KeyLayout::timer(self.prefix, &timer));
        self.rest = self.rest.saturating_sub(1);
        self.expects = Expects::Count(true);
        Ok((Found::Going, window.bytes.len().saturating_sub(cursor.remaining())))
    }

    /// After the timers of event time come those of processing time, and after these the next service.
    fn next_timer(&mut self, event: bool, timers: u32) {
        self.expects = match (timers, event) {
            (0, true) => Expects::Count(false),
            (0, false) if self.rest == 0 => Expects::Nothing,
            (0, false) => Expects::Service,
            (timers, event) => Expects::Timers(event, timers),
        };
    }

    fn timer(&mut self, window: Window<'_>, event: bool, timers: u32) -> Taking<(Found, usize)> {
        let Some(layout) = &self.layout else { return Ok((Found::End, 0)) };
        let mut parts: [Range<usize>; 2] = [0..0, 0..0];
        let mut from = 0;
        let walked = [(Part::Key, KeyPart::Key), (Part::Namespace, KeyPart::Namespace)];
        for ((part, key_part), range) in walked.into_iter().zip(&mut parts) {
            let Some(walker) = layout.walker(key_part) else { continue };
            match walker.walk(window.bytes.get(from..).unwrap_or_default()) {
                Walked::End(length) => *range = from..from.saturating_add(length),
                Walked::Stopped { stop, .. } => return Ok((Found::Stopped(part, stop, timers), 0)),
                Walked::Bad(bad) => return Err(window.bad(from, bad)),
            }
            from = range.end;
        }
        let end = from.saturating_add(size_of::<i64>());
        let timer = window.first(end)?;
        let timestamp = timer.get(from..).and_then(<[u8]>::first_chunk);
        let timestamp = timestamp.map_or(0, |bytes| i64::from_be_bytes(*bytes));
        let [key, namespace] = parts.map(|range| timer.get(range).unwrap_or_default());
        layout.compose_timer(self.key_group, timestamp, key, namespace, &mut self.key);
        self.next_timer(event, timers.saturating_sub(1));
        Ok((Found::Row, end))
    }

    fn state(&self, event: bool) -> usize {
        self.service.saturating_mul(2).saturating_add(usize::from(!event))
    }
}

impl KeyGroupRows for TimerGroup<'_> {
    #[inline]
    fn next<'b>(&'b mut self, bytes: &'b [u8], whole: bool) -> Result<Next<'b>> {
        let at = self.at;
        let event = matches!(self.expects, Expects::Count(true) | Expects::Timers(true, _));
        let taken = self.take(Window { bytes, whole, at });
        answer(taken.map(|(found, taken)| {
            let step = match found {
                Found::Going => Step::Going,
                Found::State(event, timers) => {
                    Step::State { state: self.state(event), entries: Some(timers) }
                }
                Found::Row => Step::Row { key: &self.key, value: &[] },
                Found::Stopped(part, stop, entries) => {
                    let state = self.state(event);
                    Step::Stopped(Stopped { state, entries, part, stop: Some(stop) })
                }
                Found::End => Step::End,
            };
            Next { step, taken }
        }))
    }

    fn find_state(&mut self, _bytes: &[u8]) -> Option<usize> {
        None
    }

    fn divide(&mut self, _bytes: &[u8], _row: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        false
    }

    fn is_last(&self) -> bool {
        false
    }

    fn resume(&mut self, skipped: u64) {
        self.at = self.at.saturating_add(skipped);
    }
}
