//! Serializer trees as the report shows them.

use statescope_formats::flink::serializer::{
    Edge, Kind, KryoRegistration, KryoSerializerRef, RenderOptions, SerializerSnapshot,
};
use statescope_formats::flink::state_meta::{KeyedStateType, SerializerKey, StateKind, StateMetaInfo};

use super::types::{KryoUse, OpaqueUse, SerializerChild, SerializerNode, SerializerSummary};

/// How a type is written in a report: TTL has a column of its own.
const READABLE: RenderOptions = RenderOptions { max_depth: 8, max_chars: 2000, show_ttl: false };

/// A serializer in readable form.
pub(super) fn readable(snapshot: &SerializerSnapshot) -> String {
    snapshot.render_with(READABLE)
}

/// The kind of a state, as the report calls it.
pub(super) fn kind_name(kind: StateKind) -> &'static str {
    match kind {
        StateKind::KeyValue(keyed) | StateKind::KeyValueV2(keyed) => match keyed {
            KeyedStateType::Value => "value",
            KeyedStateType::List => "list",
            KeyedStateType::Map => "map",
            KeyedStateType::Reducing => "reducing",
            KeyedStateType::Aggregating => "aggregating",
            KeyedStateType::Folding => "folding",
            KeyedStateType::Unknown => "keyed",
        },
        StateKind::Operator => "operator_list",
        StateKind::Broadcast => "broadcast",
        StateKind::PriorityQueue => "timers",
    }
}

/// A state's type, such as `MapState<String, Order{id: Long}>`.
pub(in crate::analyzers) fn type_text(state: &StateMetaInfo, kind: &str) -> String {
    let unknown = || "?".to_owned();
    let text = |snapshot: Option<&SerializerSnapshot>| snapshot.map_or_else(unknown, readable);
    let value = state.value_serializer();
    // Wrappers that are part of every value are not part of the type that the user declared.
    let inner = |edge: &Edge| value.and_then(|v| v.part(edge));
    match kind {
        "value" | "keyed" => format!("ValueState<{}>", text(value)),
        "reducing" => format!("ReducingState<{}>", text(value)),
        "aggregating" => format!("AggregatingState<{}>", text(value)),
        "folding" => format!("FoldingState<{}>", text(value)),
        "list" => {
            let is_list = value.is_some_and(|v| matches!(v.kind, Kind::List));
            let v2 = matches!(state.kind, StateKind::KeyValueV2(_));
            let element = if is_list && !v2 { inner(&Edge::Element) } else { value };
            format!("ListState<{}>", text(element))
        }
        "map" => {
            let v2 = matches!(state.kind, StateKind::KeyValueV2(_));
            let is_map = value.is_some_and(|v| matches!(v.kind, Kind::Map)) && !v2;
            let value = if is_map { inner(&Edge::Value) } else { value };
            format!("MapState<{}, {}>", text(state.user_key_serializer()), text(value))
        }
        "timers" => match (inner(&Edge::Key), inner(&Edge::Namespace)) {
            (Some(key), Some(namespace)) => format!("Timers<{}, {}>", readable(key), readable(namespace)),
            _ => format!("Timers<{}>", text(value)),
        },
        "operator_union" => format!("UnionListState<{}>", text(value)),
        "operator_list" => format!("ListState<{}>", text(value)),
        "broadcast" => {
            format!("BroadcastState<{}, {}>", text(state.serializer(&SerializerKey::Key)), text(value))
        }
        _ => text(value),
    }
}

/// Where a state passes through Kryo. Keys of the backend are the caller's to add.
pub(super) fn kryo_uses(state: &StateMetaInfo) -> Vec<KryoUse> {
    state
        .kryo_paths()
        .into_iter()
        .map(|k| KryoUse { path: k.path, class: k.class, in_subclass: k.in_subclass })
        .collect()
}

/// What of a state could not be decoded.
pub(super) fn opaque_uses(state: &StateMetaInfo) -> Vec<OpaqueUse> {
    state.opaque_paths().into_iter().map(|o| OpaqueUse { path: o.path, class: o.class }).collect()
}

/// The serializers of a state.
pub(super) fn summaries(state: &StateMetaInfo) -> Vec<SerializerSummary> {
    state.serializers.iter().map(|(key, snapshot)| summary(key.label(), snapshot)).collect()
}

/// A serializer with its role.
pub(super) fn summary(role: &str, snapshot: &SerializerSnapshot) -> SerializerSummary {
    SerializerSummary { role: role.to_owned(), text: readable(snapshot), tree: node(snapshot) }
}

fn node(snapshot: &SerializerSnapshot) -> SerializerNode {
    SerializerNode {
        snapshot_class: snapshot.class.clone(),
        version: snapshot.version,
        text: snapshot.render_with(RenderOptions { max_depth: 2, max_chars: 200, show_ttl: true }),
        details: details(&snapshot.kind).into_iter().collect(),
        children: snapshot
            .children()
            .map(|(edge, child)| SerializerChild {
                edge: edge.to_string(),
                subclass: edge.is_subclass(),
                node: node(child),
            })
            .collect(),
    }
}

/// What a snapshot says besides its children.
fn details(kind: &Kind) -> Vec<(&'static str, String)> {
    match kind {
        Kind::GenericArray { component } => vec![("component_class", component.clone())],
        Kind::Tuple { class }
        | Kind::CaseClass { class }
        | Kind::Value { class }
        | Kind::CopyableValue { class } => {
            vec![("class", class.clone())]
        }
        Kind::Row { supports_row_kind } => vec![("supports_row_kind", supports_row_kind.to_string())],
        Kind::Enum { class, constants } => {
            vec![("class", class.clone()), ("constants", constants.join(", "))]
        }
        Kind::ScalaEnum { class, constants } => {
            let constants: Vec<_> = constants.iter().map(|(name, id)| format!("{name}={id}")).collect();
            vec![("class", class.clone()), ("constants", constants.join(", "))]
        }
        Kind::Pojo { class, fields, registered, non_registered } => {
            let mut out = vec![("class", class.clone())];
            let gone: Vec<_> =
                fields.iter().filter(|f| f.declaring_class.is_none()).map(|f| f.name.as_str()).collect();
            if !gone.is_empty() {
                out.push(("missing_fields", gone.join(", ")));
            }
            for (name, subclasses) in
                [("registered_subclasses", registered), ("met_subclasses", non_registered)]
            {
                if !subclasses.is_empty() {
                    out.push((
                        name,
                        subclasses.iter().map(|s| s.class.as_str()).collect::<Vec<_>>().join(", "),
                    ));
                }
            }
            out
        }
        Kind::Kryo { class, registrations, defaults } => {
            let mut out = vec![("class", class.clone())];
            for (name, list) in [("registrations", registrations), ("default_serializers", defaults)] {
                if !list.is_empty() {
                    out.push((name, list.iter().map(registration).collect::<Vec<_>>().join(", ")));
                }
            }
            out
        }
        Kind::Avro { class, schema } => {
            let mut out = vec![("schema", schema.clone())];
            out.extend(class.clone().map(|class| ("class", class)));
            out
        }
        Kind::RowData { types, .. } => {
            vec![("types", types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
        }
        Kind::BinaryRowData { fields } => vec![("fields", fields.to_string())],
        Kind::DecimalData { precision, scale, .. } => {
            vec![("precision", precision.to_string()), ("scale", scale.to_string())]
        }
        Kind::TimestampData { precision, .. } => vec![("precision", precision.to_string())],
        Kind::SortedMap { comparator } => vec![("comparator", comparator.clone())],
        Kind::Unknown { error: Some(error), .. } => vec![("not_decoded", error.to_string())],
        _ => Vec::new(),
    }
}

fn registration(registration: &KryoRegistration) -> String {
    let class = &registration.class;
    match &registration.serializer {
        KryoSerializerRef::Unspecified => class.clone(),
        KryoSerializerRef::Class(serializer) => format!("{class} by {serializer}"),
        KryoSerializerRef::Instance(serializer) => format!("{class} by an instance of {serializer}"),
        KryoSerializerRef::Missing => format!("{class} by a serializer that is not stored"),
    }
}

/// Where a serializer that stands alone passes through Kryo; paths begin with its role.
pub(super) fn kryo_of(role: &str, snapshot: &SerializerSnapshot) -> Vec<KryoUse> {
    let path = |path: String| if path.is_empty() { role.to_owned() } else { format!("{role}.{path}") };
    snapshot
        .kryo_paths()
        .into_iter()
        .map(|k| KryoUse { path: path(k.path), class: k.class, in_subclass: k.in_subclass })
        .collect()
}
