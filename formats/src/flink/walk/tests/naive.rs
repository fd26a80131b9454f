//! Random types: their snapshots as Flink frames them, and values as plainly as they can be written.

use proptest::prelude::*;

/// A type.
#[derive(Debug, Clone)]
pub(in crate::flink) enum Tree {
    /// The simple name of a serializer of `base`, and its length.
    Fixed(&'static str, usize),
    String,
    BigInteger,
    BigDecimal,
    Bytes,
    Enum,
    /// A snapshot class that nobody knows.
    Opaque(&'static str),
    Avro(String),
    List(Box<Tree>),
    Set(Box<Tree>),
    Array(Box<Tree>),
    LinkedList(bool, Box<Tree>),
    Nullable(u8, Box<Tree>),
    Ttl(Box<Tree>),
    Map(Box<Tree>, Box<Tree>),
    NullAwareMap(Box<Tree>, Box<Tree>),
    Either(Box<Tree>, Box<Tree>),
    Tuple(Vec<Tree>),
    Row(bool, Vec<Tree>),
    Pojo(Vec<Tree>),
    /// A POJO with a registered and another subclass.
    PojoWithSubclasses(Vec<Tree>, Box<Tree>, Box<Tree>),
}

pub(in crate::flink) fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        prop::sample::select(
            &[("Boolean", 1), ("Int", 4), ("Long", 8), ("LocalDateTime", 13), ("NullValue", 0)][..]
        )
        .prop_map(|(name, n)| Tree::Fixed(name, n)),
        Just(Tree::String),
        Just(Tree::BigInteger),
        Just(Tree::BigDecimal),
        Just(Tree::Bytes),
        Just(Tree::Enum),
    ];
    leaf.prop_recursive(4, 24, 9, |inner| {
        let one = inner.clone().prop_map(Box::new);
        let two = (one.clone(), one.clone());
        let many = prop::collection::vec(inner, 0..10);
        prop_oneof![
            one.clone().prop_map(Tree::List),
            one.clone().prop_map(Tree::Set),
            one.clone().prop_map(Tree::Array),
            (any::<bool>(), one.clone()).prop_map(|(mask, e)| Tree::LinkedList(mask, e)),
            (0u8..9, one.clone()).prop_map(|(padding, e)| Tree::Nullable(padding, e)),
            one.clone().prop_map(Tree::Ttl),
            two.clone().prop_map(|(k, v)| Tree::Map(k, v)),
            two.clone().prop_map(|(k, v)| Tree::NullAwareMap(k, v)),
            two.prop_map(|(l, r)| Tree::Either(l, r)),
            many.clone().prop_map(Tree::Tuple),
            (any::<bool>(), many.clone()).prop_map(|(kind, fields)| Tree::Row(kind, fields)),
            many.clone().prop_map(Tree::Pojo),
            (many, one.clone(), one).prop_map(|(f, a, b)| Tree::PojoWithSubclasses(f, a, b)),
        ]
    })
}

// ---- snapshots -----------------------------------------------------------------------------------

const BASE: &str = "org.apache.flink.api.common.typeutils.base.";
const RUNTIME: &str = "org.apache.flink.api.java.typeutils.runtime.";

fn utf(out: &mut Vec<u8>, text: &str) {
    out.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
    out.extend(text.as_bytes());
}

fn int(out: &mut Vec<u8>, n: usize) {
    out.extend(u32::try_from(n).unwrap().to_be_bytes());
}

fn versioned(class: &str, version: usize, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    utf(&mut out, class);
    int(&mut out, version);
    out.extend(payload);
    out
}

fn simple(serializer: &str) -> Vec<u8> {
    versioned(&format!("{BASE}{serializer}${}Snapshot", serializer.rsplit('.').next().unwrap()), 3, &[])
}

fn composite(class: &str, outer_version: usize, outer: &[u8], nested: &[&Tree]) -> Vec<u8> {
    let mut payload = Vec::new();
    int(&mut payload, 0x000D_E704);
    int(&mut payload, outer_version);
    payload.extend(outer);
    int(&mut payload, 0x0014_57FD);
    int(&mut payload, 1);
    int(&mut payload, nested.len());
    nested.iter().for_each(|tree| payload.extend(snapshot(tree)));
    versioned(class, 3, &payload)
}

/// `LinkedOptionalMapSerializer`.
fn optional_map(entries: &[(String, Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let mut out = 0x0000_04F2_C69A_3D70_u64.to_be_bytes().to_vec();
    int(&mut out, entries.len());
    for (name, key, value) in entries {
        utf(&mut out, name);
        for frame in [key, value] {
            out.push(1);
            int(&mut out, frame.len());
            out.extend(frame);
        }
    }
    out
}

fn pojo(fields: &[Tree], subclasses: Option<(&Tree, &Tree)>) -> Vec<u8> {
    let mut payload = Vec::new();
    utf(&mut payload, "com.example.Pojo");
    let fields: Vec<_> = fields
        .iter()
        .enumerate()
        .map(|(i, field)| {
            let mut key = Vec::new();
            utf(&mut key, "com.example.Pojo");
            utf(&mut key, &format!("f{i}"));
            (format!("f{i}"), key, snapshot(field))
        })
        .collect();
    payload.extend(optional_map(&fields));
    let class = |name: &str, tree| vec![(name.to_owned(), vec![], snapshot(tree))];
    payload
        .extend(optional_map(&subclasses.map_or(vec![], |(tree, _)| class("com.example.Registered", tree))));
    payload.extend(optional_map(&subclasses.map_or(vec![], |(_, tree)| class("com.example.Other", tree))));
    versioned(&format!("{RUNTIME}PojoSerializerSnapshot"), 2, &payload)
}

/// The versioned snapshot of a type.
pub(in crate::flink) fn snapshot(tree: &Tree) -> Vec<u8> {
    let base = |name: &str| format!("{BASE}{name}");
    let runtime = |name: &str| format!("{RUNTIME}{name}");
    match tree {
        Tree::Fixed(name, _) => simple(&format!("{name}Serializer")),
        Tree::String => simple("StringSerializer"),
        Tree::BigInteger => simple("BigIntSerializer"),
        Tree::BigDecimal => simple("BigDecSerializer"),
        Tree::Bytes => simple("array.BytePrimitiveArraySerializer"),
        Tree::Enum => {
            let mut payload = Vec::new();
            utf(&mut payload, "com.example.Colour");
            int(&mut payload, 1);
            utf(&mut payload, "RED");
            versioned(&base("EnumSerializer$EnumSerializerSnapshot"), 3, &payload)
        }
        Tree::Opaque(class) => versioned(class, 1, b"whatever"),
        Tree::Avro(schema) => {
            let mut payload = Vec::new();
            utf(&mut payload, "com.example.Record");
            utf(&mut payload, schema);
            versioned("org.apache.flink.formats.avro.typeutils.AvroSerializerSnapshot", 2, &payload)
        }
        Tree::List(e) => composite(&base("ListSerializerSnapshot"), 1, &[], &[e]),
        Tree::Set(e) => composite(&base("SetSerializerSnapshot"), 1, &[], &[e]),
        Tree::Array(e) => {
            let mut class = Vec::new();
            utf(&mut class, "com.example.T");
            composite(&base("GenericArraySerializerSnapshot"), 1, &class, &[e])
        }
        Tree::LinkedList(mask, e) => {
            let class =
                "org.apache.flink.table.runtime.typeutils.LinkedListSerializer$LinkedListSerializerSnapshot";
            composite(class, 3, &[u8::from(*mask)], &[e])
        }
        Tree::Nullable(padding, e) => {
            let padding = u32::from(*padding).to_be_bytes();
            composite(&runtime("NullableSerializer$NullableSerializerSnapshot"), 2, &padding, &[e])
        }
        Tree::Ttl(e) => {
            let class = "org.apache.flink.runtime.state.ttl.TtlStateFactory$TtlSerializerSnapshot";
            composite(class, 2, &[], &[&Tree::Fixed("Long", 8), e])
        }
        Tree::Map(k, v) => composite(&base("MapSerializerSnapshot"), 1, &[], &[k, v]),
        Tree::NullAwareMap(k, v) => {
            composite("org.apache.flink.table.dataview.NullAwareMapSerializerSnapshot", 1, &[], &[k, v])
        }
        Tree::Either(l, r) => composite(&runtime("JavaEitherSerializerSnapshot"), 1, &[], &[l, r]),
        Tree::Tuple(fields) => {
            let mut class = Vec::new();
            utf(&mut class, "org.apache.flink.api.java.tuple.Tuple");
            let fields: Vec<_> = fields.iter().collect();
            composite(&runtime("TupleSerializerSnapshot"), 2, &class, &fields)
        }
        Tree::Row(kind, fields) => {
            let fields: Vec<_> = fields.iter().collect();
            composite(&runtime("RowSerializer$RowSerializerSnapshot"), 4, &[u8::from(*kind)], &fields)
        }
        Tree::Pojo(fields) => pojo(fields, None),
        Tree::PojoWithSubclasses(fields, registered, other) => pojo(fields, Some((registered, other))),
    }
}

// ---- values --------------------------------------------------------------------------------------

struct Encoder {
    seed: u64,
    out: Vec<u8>,
}

/// A value of a type; another seed gives another one.
pub(in crate::flink) fn encode(tree: &Tree, seed: u64) -> Vec<u8> {
    let mut encoder = Encoder { seed, out: Vec::new() };
    encoder.value(tree);
    encoder.out
}

impl Encoder {
    fn random(&mut self, below: usize) -> usize {
        // Knuth's MMIX.
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) as usize % below
    }

    fn bytes(&mut self, n: usize) {
        for _ in 0..n {
            let byte = self.random(256) as u8;
            self.out.push(byte);
        }
    }

    fn varint(&mut self, mut n: usize) {
        while n >= 0x80 {
            self.out.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.out.push(n as u8);
    }

    fn string(&mut self) {
        let units = [0, 1, 2, 9, 130][self.random(5)];
        self.varint(units);
        let (wide, widest) = (self.random(4), [0x80, 0x4000, 0x10000][self.random(3)]);
        for _ in 1..units {
            let below = if self.random(4) < wide { widest } else { 0x80 };
            let unit = self.random(below);
            self.varint(unit);
        }
    }

    /// Whether it is null.
    fn big_integer(&mut self) -> bool {
        let n = self.random(9);
        match n {
            0..=3 => int(&mut self.out, n),
            _ => {
                int(&mut self.out, n + 4);
                self.bytes(n);
            }
        }
        n == 0
    }

    fn flagged(&mut self, present: u8, tree: &Tree) {
        if self.random(3) == 0 {
            self.out.push(1 - present);
        } else {
            self.out.push(present);
            self.value(tree);
        }
    }

    fn count(&mut self) -> usize {
        let n = [0, 1, 3, 10][self.random(4)];
        int(&mut self.out, n);
        n
    }

    /// A mask and what it leaves.
    fn masked(&mut self, lead: &[bool], trees: &[&Tree]) {
        let mut bits = lead.to_vec();
        for _ in trees {
            bits.push(self.random(3) == 0);
        }
        for byte in bits.chunks(8) {
            self.out.push(byte.iter().enumerate().map(|(i, &bit)| u8::from(bit) << (7 - i)).sum());
        }
        for (tree, _) in trees.iter().zip(&bits[lead.len()..]).filter(|(_, null)| !**null) {
            self.value(tree);
        }
    }

    fn value(&mut self, tree: &Tree) {
        match tree {
            Tree::Fixed(_, n) => self.bytes(*n),
            Tree::String => self.string(),
            Tree::BigInteger => drop(self.big_integer()),
            Tree::BigDecimal => {
                if !self.big_integer() {
                    self.bytes(4);
                }
            }
            Tree::Bytes => {
                let n = self.count();
                self.bytes(n);
            }
            Tree::Enum => int(&mut self.out, 0),
            Tree::Opaque(_) | Tree::Avro(_) => panic!("no values of {tree:?}"),
            Tree::List(e) => {
                for _ in 0..self.count() {
                    self.value(e);
                }
            }
            Tree::Set(e) => {
                for _ in 0..self.count() {
                    self.flagged(0, e);
                }
            }
            Tree::Array(e) => {
                for _ in 0..self.count() {
                    self.flagged(1, e);
                }
            }
            Tree::LinkedList(true, e) => {
                let n = self.count();
                self.masked(&[], &vec![&**e; n]);
            }
            Tree::LinkedList(false, e) => {
                for _ in 0..self.count() {
                    self.value(e);
                }
            }
            Tree::Nullable(padding, e) => {
                let at = self.out.len();
                self.flagged(0, e);
                if self.out[at] == 1 {
                    self.bytes(usize::from(*padding));
                }
            }
            Tree::Ttl(e) => {
                self.bytes(8);
                self.value(e);
            }
            Tree::Map(k, v) => {
                for _ in 0..self.count() {
                    self.value(k);
                    self.flagged(0, v);
                }
            }
            Tree::NullAwareMap(k, v) => {
                for _ in 0..self.count() {
                    self.flagged(0, k);
                    self.flagged(0, v);
                }
            }
            Tree::Either(l, r) => {
                let left = self.random(2);
                self.out.push(left as u8);
                self.value(if left == 1 { l } else { r });
            }
            Tree::Tuple(fields) => fields.iter().for_each(|field| self.value(field)),
            Tree::Row(kind, fields) => {
                let lead = [self.random(2) == 0, self.random(2) == 0];
                self.masked(if *kind { &lead } else { &[] }, &fields.iter().collect::<Vec<_>>());
            }
            Tree::Pojo(fields) => self.pojo(fields, None),
            Tree::PojoWithSubclasses(fields, registered, other) => {
                self.pojo(fields, Some((registered, other)));
            }
        }
    }

    fn pojo(&mut self, fields: &[Tree], subclasses: Option<(&Tree, &Tree)>) {
        match (self.random(5), subclasses) {
            (0, _) => self.out.push(1),
            (1, Some((registered, _))) => {
                self.out.extend([8, 0]);
                self.value(registered);
            }
            (2, Some((_, other))) => {
                self.out.push(4);
                utf(&mut self.out, "com.example.Other");
                self.value(other);
            }
            _ => {
                self.out.push(2);
                fields.iter().for_each(|field| self.flagged(0, field));
            }
        }
    }
}
