//! Avro's schemas (Apache Avro 1.11, "Schema Declaration") as steps over Flink's encoding of their values.
//!
//! Logical types, defaults and documentation change no byte.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::compile::{Code, Compiler};
use super::program::{Block, Op};

/// `None` for what is no schema.
pub(super) fn compile(compiler: &mut Compiler, schema: &str) -> Option<Code> {
    let schema: Value = serde_json::from_str(schema).ok()?;
    let too_deep = compiler.too_deep;
    let code = Schemas { compiler, named: HashMap::new() }.schema(&schema, "");
    if code.is_none() {
        compiler.too_deep = too_deep;
    }
    code
}

struct Schemas<'a> {
    compiler: &'a mut Compiler,
    /// By full name. Records that are still being read are known by their place only.
    named: HashMap<String, Named>,
}

#[derive(Debug, Clone)]
enum Named {
    Fixed(u32),
    Shared { which: u32, min: u64, nesting: u32 },
    Open(u32),
}

impl Schemas<'_> {
    fn schema(&mut self, schema: &Value, namespace: &str) -> Option<Code> {
        match schema {
            Value::String(name) => self.name(name, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(object) => match object.get("type")? {
                Value::String(name) => self.declared(name, object, namespace),
                // `{"type": {"type": "array", …}}`.
                nested => self.schema(nested, namespace),
            },
            _ => None,
        }
    }

    fn declared(&mut self, name: &str, object: &Map<String, Value>, namespace: &str) -> Option<Code> {
        match name {
            "array" => {
                let items = self.schema(object.get("items")?, namespace)?;
                Some(self.compiler.blocks(&items))
            }
            "map" => {
                let values = self.schema(object.get("values")?, namespace)?;
                Some(self.compiler.blocks(&Code::op(Op::Sized(1), 4).then(values)))
            }
            "enum" => {
                let (name, _) = full_name(object, namespace)?;
                self.define(name, Named::Fixed(4))?;
                Some(Code::skip(4))
            }
            "fixed" => {
                let (name, _) = full_name(object, namespace)?;
                let size = object.get("size")?.as_u64().and_then(|n| i32::try_from(n).ok())?.unsigned_abs();
                self.define(name, Named::Fixed(size))?;
                Some(Code::skip(size))
            }
            "record" | "error" => self.record(object, namespace),
            _ => self.name(name, namespace),
        }
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str) -> Option<Code> {
        let (name, namespace) = full_name(object, namespace)?;
        let which = self.compiler.program.shared.len() as u32;
        self.compiler.program.shared.push(Block { start: 0, end: 0 });
        self.define(name.clone(), Named::Open(which))?;
        let mut code = Code::default();
        for field in object.get("fields")?.as_array()? {
            code = code.then(self.schema(field.get("type")?, &namespace)?);
        }
        let named = match code.fixed() {
            Some(n) => Named::Fixed(n),
            None => {
                let block = self.compiler.block(&code);
                *self.compiler.program.shared.get_mut(which as usize)? = block;
                Named::Shared { which, min: code.min, nesting: code.nesting }
            }
        };
        let code = call(&named);
        self.named.insert(name, named);
        Some(code)
    }

    /// A name is declared once.
    fn define(&mut self, name: String, named: Named) -> Option<()> {
        self.named.insert(name, named).is_none().then_some(())
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Option<Code> {
        let mut codes = Vec::new();
        for branch in branches {
            codes.push(self.schema(branch, namespace)?);
        }
        let min = codes.iter().map(|code| code.min).min()?;
        let nesting = codes.iter().map(|code| code.nesting).max()?;
        let arms = self.compiler.arms(&codes);
        Some(Code::over(Op::Union(arms), min.saturating_add(4), nesting))
    }

    fn name(&mut self, name: &str, namespace: &str) -> Option<Code> {
        Some(match name {
            "null" => Code::default(),
            "boolean" => Code::skip(1),
            "int" | "float" => Code::skip(4),
            "long" | "double" => Code::skip(8),
            "bytes" | "string" => Code::op(Op::Sized(1), 4),
            _ => {
                let named = self.named.get(&qualified(name, namespace)).or_else(|| self.named.get(name))?;
                self.compiler.too_deep |= matches!(named, Named::Open(_));
                call(named)
            }
        })
    }
}

fn call(named: &Named) -> Code {
    match *named {
        Named::Fixed(n) => Code::skip(n),
        Named::Shared { which, min, nesting } => Code::over(Op::Call(which), min, nesting),
        Named::Open(which) => Code::over(Op::Call(which), 0, 0),
    }
}

/// A declared name with its namespace, and the namespace for what is inside.
fn full_name(object: &Map<String, Value>, namespace: &str) -> Option<(String, String)> {
    let name = object.get("name")?.as_str()?;
    let namespace = object.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
    let full = qualified(name, namespace);
    let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
    Some((full, namespace))
}

fn qualified(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}
