//! Avro's schemas as steps over Flink's encoding of their values. Logical types change no byte.

use std::collections::HashMap;

use super::compile::{Code, Compiler};
use super::program::{Block, Op};
use crate::flink::avro::{AvroType, Schema};
use crate::flink::value::Name;

/// `None` for what is no schema.
pub(super) fn compile(compiler: &mut Compiler, schema: &str) -> Option<Code> {
    let schema = Schema::parse(schema)?;
    Some(Types { compiler, schema: &schema, records: HashMap::new() }.code(schema.root()))
}

struct Types<'a> {
    compiler: &'a mut Compiler,
    schema: &'a Schema,
    /// By index. Records that are still being compiled are known by their place only.
    records: HashMap<usize, Record>,
}

#[derive(Debug, Clone)]
enum Record {
    Fixed(u32),
    Shared { which: u32, min: u64, nesting: u32 },
    Open(u32),
}

impl Types<'_> {
    fn code(&mut self, index: usize) -> Code {
        let schema = self.schema;
        match schema.get(index) {
            AvroType::Null => Code::default(),
            AvroType::Boolean => Code::skip(1),
            AvroType::Int(_) | AvroType::Float | AvroType::Enum(_) => Code::skip(4),
            AvroType::Long(_) | AvroType::Double => Code::skip(8),
            AvroType::Bytes(_) | AvroType::String => Code::op(Op::Sized(1), 4),
            AvroType::Fixed(size, _) => Code::skip(*size),
            AvroType::Array(items) => {
                let items = self.code(*items);
                self.compiler.blocks(&items)
            }
            AvroType::Map(values) => {
                let values = self.code(*values);
                self.compiler.blocks(&Code::op(Op::Sized(1), 4).then(values))
            }
            AvroType::Union(branches) => {
                let codes: Vec<_> = branches.iter().map(|&branch| self.code(branch)).collect();
                let min = codes.iter().map(|code| code.min).min().unwrap_or(0);
                let nesting = codes.iter().map(|code| code.nesting).max().unwrap_or(0);
                let arms = self.compiler.arms(&codes);
                Code::over(Op::Union(arms), min.saturating_add(4), nesting)
            }
            AvroType::Record { fields, .. } => self.record(index, fields),
        }
    }

    fn record(&mut self, index: usize, fields: &[(Name, usize)]) -> Code {
        if let Some(record) = self.records.get(&index) {
            self.compiler.too_deep |= matches!(record, Record::Open(_));
            return call(record);
        }
        let which = self.compiler.program.shared.len() as u32;
        self.compiler.program.shared.push(Block { start: 0, end: 0 });
        self.records.insert(index, Record::Open(which));
        let mut code = Code::default();
        for &(_, field) in fields {
            code = code.then(self.code(field));
        }
        let record = match code.fixed() {
            Some(n) => Record::Fixed(n),
            None => {
                let block = self.compiler.block(&code);
                if let Some(shared) = self.compiler.program.shared.get_mut(which as usize) {
                    *shared = block;
                }
                Record::Shared { which, min: code.min, nesting: code.nesting }
            }
        };
        let code = call(&record);
        self.records.insert(index, record);
        code
    }
}

fn call(record: &Record) -> Code {
    match *record {
        Record::Fixed(n) => Code::skip(n),
        Record::Shared { which, min, nesting } => Code::over(Op::Call(which), min, nesting),
        Record::Open(which) => Code::over(Op::Call(which), 0, 0),
    }
}
