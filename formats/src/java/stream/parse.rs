//! The grammar of a serialization stream (Java Object Serialization Specification, section 6.4).

use super::{
    ClassData, ClassDescriptor, Content, FieldDescriptor, JavaStream, Object, SC_BLOCK_DATA, SC_ENUM,
    SC_EXTERNALIZABLE, SC_SERIALIZABLE, SC_WRITE_METHOD, Slot,
};
use crate::cursor::Cursor;
use crate::error::{Error, ErrorKind, Result, ResultExt as _};
use crate::java::mutf8;

const MAGIC_AND_VERSION: u32 = 0xACED_0005;
const BASE_HANDLE: u32 = 0x007E_0000;
/// A longer chain of super classes is refused: every object walks its chain.
const MAX_CHAIN: u32 = 64;

const TC_NULL: u8 = 0x70;
const TC_REFERENCE: u8 = 0x71;
const TC_CLASSDESC: u8 = 0x72;
const TC_OBJECT: u8 = 0x73;
const TC_STRING: u8 = 0x74;
const TC_ARRAY: u8 = 0x75;
const TC_CLASS: u8 = 0x76;
const TC_BLOCKDATA: u8 = 0x77;
const TC_ENDBLOCKDATA: u8 = 0x78;
const TC_RESET: u8 = 0x79;
const TC_BLOCKDATALONG: u8 = 0x7A;
const TC_EXCEPTION: u8 = 0x7B;
const TC_LONGSTRING: u8 = 0x7C;
const TC_PROXYCLASSDESC: u8 = 0x7D;
const TC_ENUM: u8 = 0x7E;

#[derive(Debug, Default)]
struct Parser {
    classes: Vec<ClassDescriptor>,
    objects: Vec<Object>,
    /// What each handle stands for: an index of `objects`. Class descriptors are objects, too.
    handles: Vec<usize>,
}

pub(super) fn stream(cursor: &mut Cursor<'_>) -> Result<JavaStream> {
    let offset = cursor.offset();
    let magic = cursor.u32().field("java_stream")?;
    if magic != MAGIC_AND_VERSION {
        return Err(Error::invalid(
            "a Java serialization stream starts with AC ED 00 05",
            format!("{magic:08X}"),
            offset,
        ))
        .field("java_stream");
    }
    let mut parser = Parser::default();
    let root = loop {
        if cursor.rest().first() == Some(&TC_RESET) {
            cursor.skip(1)?;
            parser.handles.clear();
        } else {
            break parser.object(cursor).field("java_stream")?;
        }
    };
    Ok(JavaStream { classes: parser.classes, objects: parser.objects, root })
}

impl Parser {
    /// Stores an object and gives it the next handle.
    fn new_handle(&mut self, object: Object) -> usize {
        let id = self.objects.len();
        self.objects.push(object);
        self.handles.push(id);
        id
    }

    fn fill(&mut self, id: usize, object: Object) {
        if let Some(slot) = self.objects.get_mut(id) {
            *slot = object;
        }
    }

    /// One object, reference or null; its tag first.
    fn object(&mut self, cursor: &mut Cursor<'_>) -> Result<Slot> {
        let offset = cursor.offset();
        let tag = cursor.u8()?;
        cursor.nested(|cursor| match tag {
            TC_NULL => Ok(Slot::Null),
            TC_REFERENCE => self.reference(cursor).map(Slot::Object),
            TC_OBJECT => self.instance(cursor),
            TC_STRING | TC_LONGSTRING => {
                let text = string_body(tag, cursor)?;
                Ok(Slot::Object(self.new_handle(Object::String(text))))
            }
            TC_ARRAY => self.array(cursor),
            TC_CLASS => {
                let class = self.required_class(cursor)?;
                Ok(Slot::Object(self.new_handle(Object::Class { class })))
            }
            TC_CLASSDESC | TC_PROXYCLASSDESC => self.new_class(tag, cursor).map(|(_, id)| Slot::Object(id)),
            TC_ENUM => self.enum_constant(cursor),
            TC_EXCEPTION => Err(self.exception(cursor, offset)),
            _ => Err(Error::new(
                ErrorKind::UnknownTag { what: "Java serialization stream", found: tag.into() },
                offset,
            )),
        })
    }

    fn reference(&mut self, cursor: &mut Cursor<'_>) -> Result<usize> {
        let offset = cursor.offset();
        let handle = cursor.u32()?;
        handle
            .checked_sub(BASE_HANDLE)
            .and_then(|index| self.handles.get(usize::try_from(index).ok()?).copied())
            .ok_or_else(|| {
                Error::invalid("a reference names an earlier object", format!("handle {handle:#x}"), offset)
            })
    }

    /// What the writer put in place of the object that it failed to write.
    fn exception(&mut self, cursor: &mut Cursor<'_>, offset: u64) -> Error {
        self.handles.clear();
        match self.object(cursor) {
            Ok(slot) => {
                let stream = JavaStream {
                    classes: std::mem::take(&mut self.classes),
                    objects: std::mem::take(&mut self.objects),
                    root: slot,
                };
                let class = stream.root().class_name().to_owned();
                Error::invalid(
                    "the writer of a Java stream did not fail",
                    format!("exception {class}"),
                    offset,
                )
            }
            Err(error) => error,
        }
    }

    /// A string object: a new one or a reference to one.
    fn string(&mut self, cursor: &mut Cursor<'_>) -> Result<String> {
        let offset = cursor.offset();
        if let Slot::Object(id) = self.object(cursor)?
            && let Some(Object::String(text)) = self.objects.get(id)
        {
            return Ok(text.clone());
        }
        Err(Error::invalid("a string stands here", "another object", offset))
    }

    /// A class descriptor, a reference to one, or null. Returns an index of `classes`.
    fn class(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<usize>> {
        let offset = cursor.offset();
        let tag = cursor.u8()?;
        let not_a_class = |found: String| Error::invalid("a class descriptor stands here", found, offset);
        match tag {
            TC_NULL => Ok(None),
            TC_REFERENCE => {
                let id = self.reference(cursor)?;
                match self.objects.get(id) {
                    Some(&Object::Descriptor { class }) => Ok(Some(class)),
                    _ => Err(not_a_class("a reference to another object".to_owned())),
                }
            }
            TC_CLASSDESC | TC_PROXYCLASSDESC => {
                cursor.nested(|cursor| self.new_class(tag, cursor)).map(|(class, _)| Some(class))
            }
            _ => Err(not_a_class(format!("tag {tag:#04x}"))),
        }
    }

    /// A class descriptor that is not null, and complete.
    fn required_class(&mut self, cursor: &mut Cursor<'_>) -> Result<usize> {
        let offset = cursor.offset();
        match self.class(cursor)? {
            Some(class) if self.classes.get(class).is_some_and(|c| c.chain.is_some()) => Ok(class),
            Some(_) => Err(Error::invalid(
                "a class is described before it is used",
                "a reference to a class descriptor that contains it",
                offset,
            )),
            None => Err(Error::invalid("a class descriptor stands here", "null", offset)),
        }
    }

    /// A new class descriptor after its tag. Returns its index of `classes` and of `objects`.
    fn new_class(&mut self, tag: u8, cursor: &mut Cursor<'_>) -> Result<(usize, usize)> {
        let class = self.classes.len();
        let mut descriptor = ClassDescriptor {
            name: String::new(),
            serial_version_uid: 0,
            flags: SC_SERIALIZABLE,
            fields: Vec::new(),
            interfaces: Vec::new(),
            parent: None,
            chain: None,
        };
        if tag == TC_CLASSDESC {
            descriptor.name = cursor.utf().field("class_name")?.into_owned();
            descriptor.serial_version_uid = cursor.i64().field("serial_version_uid")?;
        } else {
            "java.lang.reflect.Proxy".clone_into(&mut descriptor.name);
        }
        let name = descriptor.name.clone();
        self.classes.push(descriptor);
        let id = self.new_handle(Object::Descriptor { class });
        self.describe(tag, class, cursor).named("class", || name)?;
        Ok((class, id))
    }

    /// The rest of a class descriptor, after its handle has been given.
    fn describe(&mut self, tag: u8, class: usize, cursor: &mut Cursor<'_>) -> Result<()> {
        let (mut fields, mut interfaces, mut flags) = (Vec::new(), Vec::new(), SC_SERIALIZABLE);
        if tag == TC_CLASSDESC {
            flags = cursor.u8().field("flags")?;
            let offset = cursor.offset();
            let count = cursor.u16().field("fields")?;
            let count = cursor.check_count("fields", count.into(), 3, offset)?;
            for i in 0..count {
                fields.push(self.field_descriptor(cursor).index("fields", i)?);
            }
        } else {
            let count = cursor.count32("interfaces", 2)?;
            for i in 0..count {
                interfaces.push(cursor.utf().index("interfaces", i)?.into_owned());
            }
        }
        self.annotation(cursor).field("class_annotation")?;
        let offset = cursor.offset();
        let parent = self.class(cursor).field("super")?;
        let above = match parent {
            None => Some(0),
            Some(parent) => self.classes.get(parent).and_then(|p| p.chain),
        };
        let Some(chain) = above.filter(|&n| n < MAX_CHAIN) else {
            return Err(Error::new(
                ErrorKind::LimitExceeded { what: "chain of super classes", limit: MAX_CHAIN.into() },
                offset,
            ));
        };
        if let Some(c) = self.classes.get_mut(class) {
            (c.flags, c.fields, c.interfaces, c.parent, c.chain) =
                (flags, fields, interfaces, parent, Some(chain + 1));
        }
        Ok(())
    }

    fn field_descriptor(&mut self, cursor: &mut Cursor<'_>) -> Result<FieldDescriptor> {
        let offset = cursor.offset();
        let code = cursor.u8()?;
        let name = cursor.utf()?.into_owned();
        let descriptor = match code {
            b'L' | b'[' => self.string(cursor)?,
            b'B' | b'C' | b'D' | b'F' | b'I' | b'J' | b'S' | b'Z' => char::from(code).to_string(),
            _ => {
                return Err(Error::new(
                    ErrorKind::UnknownTag { what: "Java field type", found: code.into() },
                    offset,
                ));
            }
        };
        let fits = match code {
            b'L' | b'[' => descriptor.as_bytes().first() == Some(&code),
            _ => true,
        };
        if fits {
            Ok(FieldDescriptor { name, descriptor })
        } else {
            Err(Error::invalid("a field's type code fits its type", descriptor, offset))
        }
    }

    /// Block data and objects up to `TC_ENDBLOCKDATA`.
    fn annotation(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<Content>> {
        let mut contents = Vec::new();
        loop {
            match cursor.rest().first() {
                Some(&TC_ENDBLOCKDATA) => {
                    cursor.skip(1)?;
                    return Ok(contents);
                }
                Some(&TC_BLOCKDATA) => {
                    cursor.skip(1)?;
                    let length = cursor.u8()?;
                    contents.push(Content::Block(cursor.take(length.into())?.to_vec()));
                }
                Some(&TC_BLOCKDATALONG) => {
                    cursor.skip(1)?;
                    contents.push(Content::Block(cursor.bytes32("block data")?.to_vec()));
                }
                _ => contents.push(Content::Value(self.object(cursor)?)),
            }
        }
    }

    fn enum_constant(&mut self, cursor: &mut Cursor<'_>) -> Result<Slot> {
        let class = self.required_class(cursor)?;
        let id = self.new_handle(Object::Enum { class, constant: String::new() });
        let constant = self.string(cursor).field("enum_constant")?;
        self.fill(id, Object::Enum { class, constant });
        Ok(Slot::Object(id))
    }

    fn instance(&mut self, cursor: &mut Cursor<'_>) -> Result<Slot> {
        let class = self.required_class(cursor)?;
        let id = self.new_handle(Object::Instance { class, data: Vec::new() });
        let mut chain = Vec::new();
        let mut next = Some(class);
        while let Some((index, c)) = next.and_then(|i| self.classes.get(i).map(|c| (i, c))) {
            chain.push((index, c.flags));
            next = c.parent;
        }
        let mut data = Vec::new();
        for &(class, flags) in chain.iter().rev() {
            let part = self
                .class_data(class, flags, cursor)
                .named("object", || self.classes.get(class).map(|c| c.name.clone()).unwrap_or_default())?;
            if !part.values.is_empty() || !part.annotation.is_empty() {
                data.push(part);
            }
        }
        self.fill(id, Object::Instance { class, data });
        Ok(Slot::Object(id))
    }

    fn class_data(&mut self, class: usize, flags: u8, cursor: &mut Cursor<'_>) -> Result<ClassData> {
        let mut data = ClassData { class, values: Vec::new(), annotation: Vec::new() };
        if flags & SC_ENUM != 0 {
            return Err(Error::invalid(
                "an enum constant is written as TC_ENUM",
                "an object of an enum class",
                cursor.offset(),
            ));
        }
        if flags & SC_EXTERNALIZABLE != 0 {
            if flags & SC_BLOCK_DATA == 0 {
                let what = "Externalizable data of serialization protocol 1".to_owned();
                return Err(cursor.error(ErrorKind::Unsupported { what }));
            }
            data.annotation = self.annotation(cursor)?;
        } else if flags & SC_SERIALIZABLE != 0 {
            let count = self.classes.get(class).map_or(0, |c| c.fields.len());
            for i in 0..count {
                let code = self
                    .classes
                    .get(class)
                    .and_then(|c| c.fields.get(i))
                    .and_then(|f| f.descriptor.bytes().next())
                    .unwrap_or_default();
                let value = self.value(code, cursor).named("field", || {
                    let field = self.classes.get(class).and_then(|c| c.fields.get(i));
                    field.map(|f| f.name.clone()).unwrap_or_default()
                })?;
                data.values.push(value);
            }
            if flags & SC_WRITE_METHOD != 0 {
                data.annotation = self.annotation(cursor).field("annotation")?;
            }
        }
        Ok(data)
    }

    fn value(&mut self, code: u8, cursor: &mut Cursor<'_>) -> Result<Slot> {
        Ok(match code {
            b'Z' => Slot::Boolean(cursor.bool()?),
            b'B' => Slot::Byte(cursor.i8()?),
            b'C' => Slot::Char(cursor.u16()?),
            b'S' => Slot::Short(cursor.i16()?),
            b'I' => Slot::Int(cursor.i32()?),
            b'J' => Slot::Long(cursor.i64()?),
            b'F' => Slot::Float(cursor.f32()?),
            b'D' => Slot::Double(cursor.f64()?),
            _ => self.object(cursor)?,
        })
    }

    fn array(&mut self, cursor: &mut Cursor<'_>) -> Result<Slot> {
        let offset = cursor.offset();
        let class = self.required_class(cursor)?;
        let code = self.classes.get(class).and_then(|c| c.name.as_bytes().get(1)).copied();
        let Some(code) = code else {
            return Err(Error::invalid("an array class is named [...", "a shorter name", offset));
        };
        let id = self.new_handle(Object::Array { class, elements: Vec::new() });
        let size = match code {
            b'D' | b'J' => 8,
            b'F' | b'I' => 4,
            b'C' | b'S' => 2,
            _ => 1,
        };
        let count = cursor.count32("array elements", size)?;
        if code == b'B' {
            let bytes = cursor.take(count)?.to_vec();
            self.fill(id, Object::Bytes { class, bytes });
        } else {
            let mut elements = Vec::with_capacity(count);
            for i in 0..count {
                elements.push(self.value(code, cursor).index("elements", i)?);
            }
            self.fill(id, Object::Array { class, elements });
        }
        Ok(Slot::Object(id))
    }
}

fn string_body(tag: u8, cursor: &mut Cursor<'_>) -> Result<String> {
    if tag == TC_STRING {
        return Ok(cursor.utf()?.into_owned());
    }
    let offset = cursor.offset();
    let found = cursor.i64()?;
    let max = cursor.remaining() as u64;
    let Some(length) = usize::try_from(found).ok().filter(|&n| n as u64 <= max) else {
        return Err(Error::new(ErrorKind::BadCount { what: "long string", found, max }, offset));
    };
    let base = cursor.offset();
    Ok(mutf8::decode(cursor.take(length)?, base)?.into_owned())
}
