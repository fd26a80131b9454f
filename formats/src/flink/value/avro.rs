//! Values of Avro in Flink's own encoding.
//!
//! ```text
//! int, enum, index of a union, float i32 │ long, double i64 │ boolean u8 │ fixed n bytes │ bytes, string i32 n, n bytes
//! array, map   varint n │ n × item, of maps with a string in front │ … until n = 0
//! ```
//!
//! Sources: `flink-avro …/DataOutputEncoder`, `DataInputDecoder` of Flink 1.13 and 2.3; logical types: the specification of Avro 1.11.

use super::number::Unscaled;
use super::run::{EntryPart, NAMES, Run};
use super::sink::{ValueSink, Width};
use super::text::Text;
use super::time::{Moment, Temporal};
use crate::flink::avro::{AvroType, Logical, Schema};
use crate::flink::walk::read::{Rule, Step, bad, byte, int, sized, skip, varint};

impl<S: ValueSink> Run<'_, '_, '_, S> {
    /// A part of a value. `tagged` says whether a record is to tell its name.
    fn avro_value(&mut self, schema: &Schema, of: usize, tagged: bool, pos: usize, depth: u32) -> Step {
        match self.step(pos, depth).and_then(|()| self.avro(schema, of, tagged, pos, depth)) {
            Ok(end) => Ok(end),
            Err(halt) => Err(self.failed(pos, halt)),
        }
    }

    pub(super) fn avro(&mut self, schema: &Schema, of: usize, tagged: bool, pos: usize, depth: u32) -> Step {
        match schema.get(of) {
            AvroType::Null => {
                self.sink.null();
                Ok(pos)
            }
            AvroType::Boolean => {
                let value = byte(self.bytes, pos)? != 0;
                self.sink.boolean(value);
                Ok(pos + 1)
            }
            AvroType::Int(logical) => {
                let value = self.i32(pos)?;
                self.avro_integer(value.into(), *logical, Width::W32);
                Ok(pos + 4)
            }
            AvroType::Long(logical) => {
                let value = self.i64(pos)?;
                self.avro_integer(value, *logical, Width::W64);
                Ok(pos + 8)
            }
            AvroType::Float => {
                let value = f32::from_be_bytes(self.fixed(pos)?);
                self.sink.float(value);
                Ok(pos + 4)
            }
            AvroType::Double => {
                let value = f64::from_be_bytes(self.fixed(pos)?);
                self.sink.double(value);
                Ok(pos + 8)
            }
            AvroType::Bytes(logical) => {
                let end = sized(self.bytes, pos, 1)?;
                self.avro_bytes(pos + 4, end, *logical)
            }
            AvroType::Fixed(size, logical) => {
                let end = skip(self.bytes, pos, *size as usize)?;
                self.avro_bytes(pos, end, *logical)
            }
            AvroType::String => {
                let end = sized(self.bytes, pos, 1)?;
                self.utf8(pos + 4..end)
            }
            AvroType::Enum(symbols) => {
                let index = int(self.bytes, pos)?;
                let symbol = usize::try_from(index).ok().and_then(|index| symbols.get(index));
                self.constant(symbol, pos)
            }
            AvroType::Array(items) => self.list(|run| {
                run.avro_blocks(pos, |run, pos| run.avro_value(schema, *items, false, pos, depth + 1))
            }),
            AvroType::Map(values) => self.map(|run| {
                run.avro_blocks(pos, |run, pos| {
                    run.entry(pos, |run, part, pos| match part {
                        EntryPart::Key => {
                            let end = sized(run.bytes, pos, 1).and_then(|end| run.utf8(pos + 4..end));
                            end.map_err(|halt| run.failed(pos, halt))
                        }
                        EntryPart::Value => run.avro_value(schema, *values, false, pos, depth + 1),
                    })
                })
            }),
            AvroType::Union(branches) => {
                let index = usize::try_from(int(self.bytes, pos)?).ok();
                let branch = index.and_then(|index| branches.get(index));
                let Some(&branch) = branch else { return Err(bad(pos, Rule::UnionIndex)) };
                let is_record = |&branch: &usize| matches!(schema.get(branch), AvroType::Record { .. });
                let tagged = branches.iter().filter(|branch| is_record(branch)).count() > 1;
                self.avro_value(schema, branch, tagged, pos + 4, depth + 1)
            }
            AvroType::Record { name, fields } => self.object(|run| {
                if tagged {
                    run.sink.field(&NAMES.class);
                    run.sink.text(Text::Utf8(name));
                }
                let mut pos = pos;
                for (name, field) in fields {
                    run.sink.field(name);
                    pos = run.avro_value(schema, *field, false, pos, depth + 1)?;
                }
                Ok(pos)
            }),
        }
    }

    /// Blocks of items until one is empty. Tells what fails.
    fn avro_blocks(&mut self, mut pos: usize, mut each: impl FnMut(&mut Self, usize) -> Step) -> Step {
        loop {
            let (n, at) = match varint(self.bytes, pos, 64, Rule::AvroCount) {
                Ok(block) => block,
                Err(halt) => return Err(self.failed(pos, halt)),
            };
            pos = at;
            if n == 0 {
                return Ok(pos);
            }
            for _ in 0..n {
                pos = each(self, pos)?;
            }
        }
    }

    fn avro_integer(&mut self, value: i64, logical: Option<Logical>, width: Width) {
        let instant = |per_second| Temporal::Instant(Moment::of_units(value, per_second));
        let local = |per_second| Temporal::DateTime(Moment::of_units(value, per_second));
        let time = |nanos: i64| {
            let nanos = value.checked_mul(nanos).and_then(|nanos| u64::try_from(nanos).ok());
            Temporal::Time(nanos.unwrap_or(u64::MAX), 0)
        };
        let temporal = match logical {
            None | Some(Logical::Decimal { .. }) => return self.sink.integer(value, width),
            Some(Logical::Date) => Temporal::Date(value),
            Some(Logical::TimeMillis) => time(1_000_000),
            Some(Logical::TimeMicros) => time(1000),
            Some(Logical::TimestampMillis) => instant(1000),
            Some(Logical::TimestampMicros) => instant(1_000_000),
            Some(Logical::TimestampNanos) => instant(1_000_000_000),
            Some(Logical::LocalTimestampMillis) => local(1000),
            Some(Logical::LocalTimestampMicros) => local(1_000_000),
            Some(Logical::LocalTimestampNanos) => local(1_000_000_000),
        };
        self.temporal(temporal, value, width);
    }

    fn avro_bytes(&mut self, pos: usize, end: usize, logical: Option<Logical>) -> Step {
        match logical {
            Some(Logical::Decimal { scale }) => {
                let unscaled = Unscaled::Bytes(self.get(pos..end));
                self.big(pos, unscaled, scale, end)
            }
            _ => self.hex(pos..end),
        }
    }
}
