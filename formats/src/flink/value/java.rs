//! Values that Java serialized: boxed primitives, strings and constants of enums, and of others the class.

use super::TOO_LARGE;
use super::kryo::locale;
use super::run::Run;
use super::sink::{Opaque, OpaqueReason, ValueSink, Width};
use super::text::{Encoding, Text, Units};
use crate::cursor::Cursor;
use crate::flink::walk::StopKind;
use crate::flink::walk::read::{Rule, Step, bad, stop};
use crate::java::stream::{JavaStream, ObjectKind, ObjectRef, Value};

impl<S: ValueSink> Run<'_, '_, '_, S> {
    /// A Java serialization stream, which says itself where it ends.
    pub(super) fn java_object(&mut self, pos: usize) -> Step {
        let rest = self.bytes.get(pos..).unwrap_or_default();
        let mut cursor = Cursor::new(rest);
        let stream = match JavaStream::parse(&mut cursor) {
            Ok(stream) => stream,
            Err(error) => {
                let at = usize::try_from(error.offset()).unwrap_or(0);
                return Err(bad(pos + at, Rule::JavaStream));
            }
        };
        let end = self.bytes.len() - cursor.rest().len();
        if end - pos > self.sink.room() {
            return Err(stop(pos, TOO_LARGE));
        }
        let root = stream.root();
        if !self.java_value(root) {
            let why = OpaqueReason::Stop(StopKind::JavaObject);
            self.tell_opaque(&Opaque { bytes: self.get(pos..end), class: Some(root.class_name()), why });
        }
        Ok(end)
    }

    /// Tells an object, if it is one of those that say all about themselves.
    fn java_value(&mut self, object: ObjectRef<'_>) -> bool {
        match object.kind() {
            ObjectKind::Null => self.sink.null(),
            ObjectKind::String => self.sink.text(Text::Utf8(object.string().unwrap_or_default())),
            ObjectKind::Enum => self.sink.text(Text::Utf8(object.enum_constant().unwrap_or_default())),
            ObjectKind::Array => match object.bytes() {
                Some(bytes) => self.sink.bytes(bytes),
                None => return false,
            },
            ObjectKind::Instance if object.class_name().starts_with("java.lang.") => {
                match object.field("value") {
                    Some(Value::Boolean(value)) => self.sink.boolean(value),
                    Some(Value::Byte(value)) => self.sink.integer(value.into(), Width::W8),
                    Some(Value::Short(value)) => self.sink.integer(value.into(), Width::W16),
                    Some(Value::Int(value)) => self.sink.integer(value.into(), Width::W32),
                    Some(Value::Long(value)) => self.sink.integer(value, Width::W64),
                    Some(Value::Float(value)) => self.sink.float(value),
                    Some(Value::Double(value)) => self.sink.double(value),
                    Some(Value::Char(unit)) => {
                        self.sink.text(Text::Units(Units::new(&unit.to_be_bytes(), Encoding::BigEndian)));
                    }
                    _ => return false,
                }
            }
            ObjectKind::Instance if object.class_name() == "java.util.Locale" => {
                let part = |name: &str| object.field(name).and_then(Value::string).unwrap_or_default();
                if !part("script").is_empty() || !part("extensions").is_empty() {
                    return false;
                }
                let name = locale(part("language"), part("country"), part("variant"));
                self.sink.text(Text::Utf8(&name));
            }
            _ => return false,
        }
        true
    }
}
