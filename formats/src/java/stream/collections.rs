//! The contents of the collections of `java.util`, read from what their `writeObject` wrote.

use super::{Annotation, ObjectKind, ObjectRef, Value};

/// `CollSer.IMM_MAP`.
const IMM_MAP: i64 = 3;
/// More wrappers around a collection (`unmodifiableList(unmodifiableList(…))`) are not looked through.
const MAX_WRAPPERS: usize = 16;

impl<'a> ObjectRef<'a> {
    /// The elements of an array or of a list, set or queue of `java.util`; `None` for anything else.
    ///
    /// Unmodifiable, synchronized and immutable (`List.of`) ones are looked through.
    #[must_use]
    pub fn elements(&self) -> Option<Vec<Value<'a>>> {
        let object = self.unwrapped()?;
        if object.kind() == ObjectKind::Array {
            return object.array();
        }
        let name = object.class_chain().into_iter().find(|name| SEQUENCES.contains(name))?;
        match name {
            "java.util.Collections$EmptyList" | "java.util.Collections$EmptySet" => Some(Vec::new()),
            "java.util.Collections$SingletonList" | "java.util.Collections$SingletonSet" => {
                object.field("element").map(|element| vec![element])
            }
            "java.util.Collections$CopiesList" => {
                // Shown once: the count comes from the bytes and stands for no bytes.
                object.field("element").map(|element| vec![element])
            }
            "java.util.Arrays$ArrayList" => object.field("a")?.object()?.array(),
            "java.util.CollSer" if object.immutable_tag() == Some(IMM_MAP) => None,
            "java.util.Vector" => {
                let mut elements = object.field("elementData")?.object()?.array()?;
                elements.truncate(usize::try_from(object.field("elementCount")?.integer()?).ok()?);
                Some(elements)
            }
            _ => Some(object.objects_after_block()),
        }
    }

    /// The entries of a map of `java.util`, in the order of the stream; `None` for anything else.
    #[must_use]
    pub fn entries(&self) -> Option<Vec<(Value<'a>, Value<'a>)>> {
        let object = self.unwrapped()?;
        let name = object.class_chain().into_iter().find(|name| MAPS.contains(name))?;
        match name {
            "java.util.Collections$EmptyMap" => Some(Vec::new()),
            "java.util.Collections$SingletonMap" => Some(vec![(object.field("k")?, object.field("v")?)]),
            // Its end is marked by two nulls; no size is written.
            "java.util.concurrent.ConcurrentHashMap" => {
                let values = object.annotations().filter_map(|annotation| match annotation {
                    Annotation::Value(value) => Some(value),
                    Annotation::Block(_) => None,
                });
                let mut values: Vec<_> = values.collect();
                values.truncate(values.len().saturating_sub(2));
                Some(pairs(&values))
            }
            "java.util.CollSer" if object.immutable_tag() != Some(IMM_MAP) => None,
            _ => Some(pairs(&object.objects_after_block())),
        }
    }

    /// Itself, or the collection inside a wrapper of `java.util.Collections`.
    fn unwrapped(&self) -> Option<Self> {
        let mut object = *self;
        for _ in 0..MAX_WRAPPERS {
            let name = object.class_name();
            let Some(rest) = name.strip_prefix("java.util.Collections$") else { return Some(object) };
            let inner = if rest.starts_with("Unmodifiable") || rest.starts_with("Synchronized") {
                ["c", "m", "list"].iter().find_map(|field| object.field(field)?.object())
            } else {
                return Some(object);
            };
            object = inner?;
        }
        None
    }

    /// What `java.util.CollSer`, the serial form of `List.of` and the like, stands for.
    fn immutable_tag(&self) -> Option<i64> {
        self.field("tag")?.integer().map(|tag| tag & 0xff)
    }

    /// The objects that were written after the first block of primitive data (which holds the size).
    fn objects_after_block(&self) -> Vec<Value<'a>> {
        let mut seen_block = false;
        let mut values = Vec::new();
        for annotation in self.annotations() {
            match annotation {
                Annotation::Block(_) => seen_block = true,
                Annotation::Value(value) if seen_block => values.push(value),
                Annotation::Value(_) => {}
            }
        }
        values
    }
}

fn pairs<'a>(values: &[Value<'a>]) -> Vec<(Value<'a>, Value<'a>)> {
    let (pairs, _) = values.as_chunks::<2>();
    pairs.iter().map(|&[key, value]| (key, value)).collect()
}

const SEQUENCES: &[&str] = &[
    "java.util.ArrayDeque",
    "java.util.ArrayList",
    "java.util.Arrays$ArrayList",
    "java.util.CollSer",
    "java.util.Collections$CopiesList",
    "java.util.Collections$EmptyList",
    "java.util.Collections$EmptySet",
    "java.util.Collections$SingletonList",
    "java.util.Collections$SingletonSet",
    "java.util.HashSet",
    "java.util.LinkedList",
    "java.util.PriorityQueue",
    "java.util.TreeSet",
    "java.util.Vector",
];

const MAPS: &[&str] = &[
    "java.util.CollSer",
    "java.util.Collections$EmptyMap",
    "java.util.Collections$SingletonMap",
    "java.util.EnumMap",
    "java.util.HashMap",
    "java.util.Hashtable",
    "java.util.TreeMap",
    "java.util.concurrent.ConcurrentHashMap",
];
