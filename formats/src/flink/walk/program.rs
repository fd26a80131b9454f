//! What walkers run: a flat list of operations, cut into blocks that lie one behind the other.
//!
//! What is repeated, optional or one of several is a block of its own. Blocks call blocks as deep as types nest; only
//! Avro's named types may call themselves, and [`MAX_DEPTH`] ends that.

use byteorder::{BigEndian, ByteOrder};

/// Blocks run in blocks this deep.
pub(super) const MAX_DEPTH: u32 = 256;

/// What values keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Rule {
    TooShort,
    Flag,
    Count,
    Length,
    Padding,
    StringLength,
    Character,
    Tag,
    UnionIndex,
    AvroCount,
    PojoFlags,
    SubclassTag,
}

impl Rule {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::TooShort => "a value does not end before its serializer has read it",
            Self::Flag => "a flag is 0 or 1",
            Self::Count => "a count is not negative, and what it counts has room",
            Self::Length => "a length is not negative, and within the value",
            Self::Padding => "the unused bits of a null mask are 0",
            Self::StringLength => "the length of a string has 32 bits",
            Self::Character => "a character has 16 bits",
            Self::Tag => "a tag is one of those that its serializer writes",
            Self::UnionIndex => "the index of a union is of one of its types",
            Self::AvroCount => "a count of Avro has 64 bits",
            Self::PojoFlags => "the flags of a POJO are 1, 2, 4 or 8",
            Self::SubclassTag => "the tag of a subclass is of one that is registered",
        }
    }
}

/// A run of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// A run of [`Program::arms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arms {
    pub(super) start: u32,
    pub(super) end: u32,
}

/// One step over a part of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// So many bytes.
    Skip(u32),
    /// varint length + 1 (0 is null), and a varint for each UTF-16 unit.
    String,
    /// The same with the length itself.
    StringValue,
    /// i32 n, then n units of so many bytes.
    Sized(u32),
    /// i32 n: 0 null, 1 to 3 constants, else n - 4 bytes.
    BigInteger,
    /// A `BigInteger` and, unless it is null, an i32.
    BigDecimal,
    /// i32 n, i32 m, n + m bytes.
    Variant,
    /// i32 n, n times the block, which has at least `min` bytes.
    Repeat { body: Block, min: u32 },
    /// i32 n, a mask of n bits, the block for each bit that is 0.
    MaskedRepeat { body: Block },
    /// A boolean; the block where it is `present`, else so many bytes.
    Optional { present: bool, absent: u32, body: Block },
    /// u8 tag; the arm at tag - `first`.
    Choice { first: u8, arms: Arms },
    /// A mask with `lead` other bits in front, and the arm for each bit that is 0.
    Masked { lead: u8, arms: Arms },
    /// A POJO.
    Pojo(u32),
    /// i32 index of an arm.
    Union(Arms),
    /// Counts as varints, each followed by as many blocks of at least `min` bytes, until one is 0.
    Blocks { body: Block, min: u32 },
    /// A block that others call too.
    Call(u32),
    /// Nothing more can be known: the index of the reason.
    Stop(u32),
}

/// How to step over a POJO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pojo {
    pub(super) fields: Block,
    /// By tag.
    pub(super) registered: Vec<Block>,
    /// By class name, in modified UTF-8.
    pub(super) others: Vec<(Vec<u8>, Block)>,
    /// The stop for a class that is none of these.
    pub(super) unlisted: u32,
}

/// All blocks of a walker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) ops: Vec<Op>,
    pub(super) arms: Vec<Block>,
    pub(super) pojos: Vec<Pojo>,
    pub(super) shared: Vec<Block>,
    /// The stop for what nests deeper than [`MAX_DEPTH`].
    pub(super) too_deep: u32,
}

/// Why a walk ended early, and where. Small, so that a step is returned in registers: offsets have 32 bits, as lengths
/// of values have in RocksDB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Halt {
    pub(super) at: u32,
    pub(super) why: Why,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Stop(u32),
    Bad(Rule),
}

type Step<T = usize> = Result<T, Halt>;

#[cold]
fn bad(at: usize, rule: Rule) -> Halt {
    Halt { at: u32::try_from(at).unwrap_or(u32::MAX), why: Why::Bad(rule) }
}

#[cold]
fn stop(at: usize, which: u32) -> Halt {
    Halt { at: u32::try_from(at).unwrap_or(u32::MAX), why: Why::Stop(which) }
}

#[inline]
fn skip(bytes: &[u8], pos: usize, n: usize) -> Step {
    match pos.checked_add(n) {
        Some(end) if end <= bytes.len() => Ok(end),
        _ => Err(bad(pos, Rule::TooShort)),
    }
}

#[inline]
fn byte(bytes: &[u8], pos: usize) -> Step<u8> {
    bytes.get(pos).copied().ok_or_else(|| bad(pos, Rule::TooShort))
}

#[inline]
fn flag(bytes: &[u8], pos: usize) -> Step<bool> {
    match byte(bytes, pos)? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(bad(pos, Rule::Flag)),
    }
}

#[inline]
fn int(bytes: &[u8], pos: usize) -> Step<i32> {
    match bytes.get(pos..).and_then(|rest| rest.first_chunk::<4>()) {
        Some(int) => Ok(BigEndian::read_i32(int)),
        None => Err(bad(pos, Rule::TooShort)),
    }
}

/// An i32 that says how many units of `unit` bytes follow: behind them.
#[inline]
fn sized(bytes: &[u8], pos: usize, unit: usize) -> Step {
    let length = usize::try_from(int(bytes, pos)?).ok().and_then(|n| n.checked_mul(unit));
    let end = length.and_then(|length| (pos + 4).checked_add(length));
    end.filter(|&end| end <= bytes.len()).ok_or_else(|| bad(pos, Rule::Length))
}

/// An i32 count of what has at least `min` bytes each.
#[inline]
fn count(bytes: &[u8], pos: usize, min: usize) -> Step {
    let n = int(bytes, pos)?;
    let room = bytes.len() - pos - 4;
    match usize::try_from(n) {
        Ok(n) if n.checked_mul(min).is_some_and(|least| least <= room) => Ok(n),
        _ => Err(bad(pos, Rule::Count)),
    }
}

/// A LEB128 varint of at most `bits` bits, and the offset behind it.
#[inline]
fn varint(bytes: &[u8], pos: usize, bits: u32, rule: Rule) -> Step<(u64, usize)> {
    let mut value = 0u64;
    let (mut shift, mut at) = (0, pos);
    loop {
        let byte = byte(bytes, at)?;
        at += 1;
        let low = u64::from(byte & 0x7f);
        if shift >= bits || (bits - shift < 7 && low >> (bits - shift) != 0) {
            return Err(bad(pos, rule));
        }
        value |= low << shift;
        if byte & 0x80 == 0 {
            return Ok((value, at));
        }
        shift += 7;
    }
}

/// The length of a string, as it stands there, and the offset behind it.
#[inline]
fn string_length(bytes: &[u8], pos: usize) -> Step<(usize, usize)> {
    match bytes.get(pos) {
        Some(&n @ 0..0x80) => Ok((usize::from(n), pos + 1)),
        _ => {
            let (n, at) = varint(bytes, pos, 32, Rule::StringLength)?;
            Ok((usize::try_from(n).unwrap_or(usize::MAX), at))
        }
    }
}

/// Over a string as `StringValue.writeString` writes it.
#[inline]
pub(super) fn string(bytes: &[u8], pos: usize) -> Step {
    let (length, pos) = string_length(bytes, pos)?;
    units(bytes, pos, length.saturating_sub(1))
}

/// Over a string as `StringValue.write` writes it.
fn string_value(bytes: &[u8], pos: usize) -> Step {
    let (length, pos) = string_length(bytes, pos)?;
    units(bytes, pos, length)
}

/// Over UTF-16 units.
#[inline]
fn units(bytes: &[u8], pos: usize, n: usize) -> Step {
    match bytes.get(pos..).and_then(|rest| rest.get(..n)) {
        Some(units) if is_ascii(units) => Ok(pos + n),
        Some(_) => wide_units(bytes, pos, n),
        None => Err(bad(pos, Rule::Length)),
    }
}

/// Whether all units are of one byte. As `[u8]::is_ascii`, but quick for the few bytes that keys have.
#[inline]
fn is_ascii(units: &[u8]) -> bool {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    match (units.first_chunk::<8>(), units.last_chunk::<8>()) {
        // From 8 to 16, the two overlap.
        (Some(first), Some(last)) if units.len() <= 16 => {
            (u64::from_le_bytes(*first) | u64::from_le_bytes(*last)) & HIGH == 0
        }
        (Some(_), Some(last)) => {
            let (chunks, _) = units.as_chunks::<8>();
            chunks.iter().fold(u64::from_le_bytes(*last), |all, chunk| all | u64::from_le_bytes(*chunk))
                & HIGH
                == 0
        }
        _ => match (units.first_chunk::<4>(), units.last_chunk::<4>()) {
            (Some(first), Some(last)) => {
                (u32::from_le_bytes(*first) | u32::from_le_bytes(*last)) & HIGH as u32 == 0
            }
            _ => units.iter().fold(0, |all, unit| all | unit) < 0x80,
        },
    }
}

/// Over UTF-16 units of which some have more than a byte.
#[inline(never)]
fn wide_units(bytes: &[u8], mut pos: usize, n: usize) -> Step {
    for _ in 0..n {
        if byte(bytes, pos)? < 0x80 {
            pos += 1;
        } else {
            pos = varint(bytes, pos, 16, Rule::Character)?.1;
        }
    }
    Ok(pos)
}

/// Over a `BigInteger`.
fn big_integer(bytes: &[u8], pos: usize) -> Step {
    match int(bytes, pos)? {
        0..=3 => Ok(pos + 4),
        n @ 5.. => match usize::try_from(n - 4) {
            Ok(n) if n <= bytes.len() - pos - 4 => Ok(pos + 4 + n),
            _ => Err(bad(pos, Rule::Length)),
        },
        _ => Err(bad(pos, Rule::Length)),
    }
}

fn big_decimal(bytes: &[u8], pos: usize) -> Step {
    match int(bytes, pos)? {
        0 => Ok(pos + 4),
        _ => skip(bytes, big_integer(bytes, pos)?, 4),
    }
}

fn variant(bytes: &[u8], pos: usize) -> Step {
    let (n, m) = (int(bytes, pos)?, int(bytes, pos + 4)?);
    let lengths = usize::try_from(n).ok().zip(usize::try_from(m).ok());
    let end = lengths.and_then(|(n, m)| n.checked_add(m)?.checked_add(pos + 8));
    end.filter(|&end| end <= bytes.len()).ok_or_else(|| bad(pos, Rule::Length))
}

/// A null mask of `n` bits, most significant bit first, and the offset behind it.
struct Mask<'a> {
    bits: &'a [u8],
    end: usize,
}

impl<'a> Mask<'a> {
    fn read(bytes: &'a [u8], pos: usize, n: usize) -> Step<Self> {
        let end = skip(bytes, pos, n.div_ceil(8))?;
        let bits = bytes.get(pos..end).unwrap_or_default();
        // The bits that belong to nothing.
        let unused = (bits.len() * 8 - n) as u32;
        if bits.last().is_some_and(|last| last.trailing_zeros() < unused) {
            return Err(bad(end - 1, Rule::Padding));
        }
        Ok(Self { bits, end })
    }

    #[inline]
    fn is_null(&self, i: usize) -> bool {
        self.bits.get(i / 8).is_some_and(|byte| byte & (0x80 >> (i % 8)) != 0)
    }
}

impl Program {
    fn block(&self, block: Block) -> &[Op] {
        self.ops.get(block.start as usize..block.end as usize).unwrap_or_default()
    }

    fn arms(&self, arms: Arms) -> &[Block] {
        self.arms.get(arms.start as usize..arms.end as usize).unwrap_or_default()
    }

    /// Steps over what a block describes: the offset behind it.
    pub(super) fn run(&self, bytes: &[u8], block: Block, mut pos: usize, depth: u32) -> Step {
        if depth > MAX_DEPTH {
            return Err(stop(pos, self.too_deep));
        }
        for op in self.block(block) {
            pos = match *op {
                Op::Skip(n) => skip(bytes, pos, n as usize),
                Op::String => string(bytes, pos),
                Op::StringValue => string_value(bytes, pos),
                Op::Sized(unit) => sized(bytes, pos, unit as usize),
                Op::Optional { present, absent, body } => {
                    self.optional(bytes, (present, absent as usize, body), pos, depth)
                }
                Op::Repeat { body, min } => self.counted(bytes, body, min as usize, pos, depth),
                Op::BigInteger => big_integer(bytes, pos),
                Op::BigDecimal => big_decimal(bytes, pos),
                Op::Variant => variant(bytes, pos),
                Op::MaskedRepeat { body } => self.masked_repeat(bytes, body, pos, depth),
                Op::Masked { lead, arms } => self.masked(bytes, usize::from(lead), arms, pos, depth),
                Op::Choice { first, arms } => self.choice(bytes, first, arms, pos, depth),
                Op::Pojo(which) => self.pojo(bytes, which, pos, depth),
                Op::Union(arms) => self.union(bytes, arms, pos, depth),
                Op::Blocks { body, min } => self.blocks(bytes, body, min as usize, pos, depth),
                Op::Call(which) => self.call(bytes, which, pos, depth),
                Op::Stop(which) => Err(stop(pos, which)),
            }?;
        }
        Ok(pos)
    }

    /// A block in a block. Most are one step.
    #[inline]
    fn within(&self, bytes: &[u8], block: Block, pos: usize, depth: u32) -> Step {
        match *self.block(block) {
            [Op::Skip(n)] => skip(bytes, pos, n as usize),
            [Op::String] => string(bytes, pos),
            _ => self.run(bytes, block, pos, depth + 1),
        }
    }

    #[inline]
    fn optional(
        &self,
        bytes: &[u8],
        (present, absent, body): (bool, usize, Block),
        pos: usize,
        depth: u32,
    ) -> Step {
        if flag(bytes, pos)? == present {
            self.within(bytes, body, pos + 1, depth)
        } else {
            skip(bytes, pos + 1, absent)
        }
    }

    fn choice(&self, bytes: &[u8], first: u8, arms: Arms, pos: usize, depth: u32) -> Step {
        let arm = usize::from(byte(bytes, pos)?).checked_sub(usize::from(first));
        match arm.and_then(|arm| self.arms(arms).get(arm)) {
            Some(&arm) => self.within(bytes, arm, pos + 1, depth),
            None => Err(bad(pos, Rule::Tag)),
        }
    }

    fn union(&self, bytes: &[u8], arms: Arms, pos: usize, depth: u32) -> Step {
        let arm = usize::try_from(int(bytes, pos)?).ok();
        match arm.and_then(|arm| self.arms(arms).get(arm)) {
            Some(&arm) => self.within(bytes, arm, pos + 4, depth),
            None => Err(bad(pos, Rule::UnionIndex)),
        }
    }

    fn call(&self, bytes: &[u8], which: u32, pos: usize, depth: u32) -> Step {
        match self.shared.get(which as usize) {
            Some(&block) => self.within(bytes, block, pos, depth),
            None => Err(stop(pos, self.too_deep)),
        }
    }

    fn counted(&self, bytes: &[u8], body: Block, min: usize, pos: usize, depth: u32) -> Step {
        let n = count(bytes, pos, min)?;
        self.repeat(bytes, body, n, pos + 4, depth)
    }

    fn masked(&self, bytes: &[u8], lead: usize, arms: Arms, pos: usize, depth: u32) -> Step {
        let arms = self.arms(arms);
        let mask = Mask::read(bytes, pos, lead + arms.len())?;
        let mut pos = mask.end;
        for (i, &arm) in arms.iter().enumerate() {
            if !mask.is_null(lead + i) {
                pos = self.within(bytes, arm, pos, depth)?;
            }
        }
        Ok(pos)
    }

    fn masked_repeat(&self, bytes: &[u8], body: Block, pos: usize, depth: u32) -> Step {
        let n = count(bytes, pos, 0)?;
        if n.div_ceil(8) > bytes.len() - pos - 4 {
            return Err(bad(pos, Rule::Count));
        }
        let mask = Mask::read(bytes, pos + 4, n)?;
        let present = (0..n).filter(|&i| !mask.is_null(i)).count();
        self.repeat(bytes, body, present, mask.end, depth)
    }

    /// A block n times. One that is always of the same length is stepped over at once, so that one of no length
    /// costs nothing; any other has a byte at least, or ends the walk.
    fn repeat(&self, bytes: &[u8], body: Block, n: usize, mut pos: usize, depth: u32) -> Step {
        match *self.block(body) {
            [] => Ok(pos),
            [Op::Skip(each)] => {
                let length = n.checked_mul(each as usize);
                length.map_or_else(|| Err(bad(pos, Rule::Count)), |length| skip(bytes, pos, length))
            }
            _ => {
                for _ in 0..n {
                    pos = self.within(bytes, body, pos, depth)?;
                }
                Ok(pos)
            }
        }
    }

    /// `DataInputDecoder.readArrayStart`, `arrayNext`, and the same for maps.
    fn blocks(&self, bytes: &[u8], body: Block, min: usize, mut pos: usize, depth: u32) -> Step {
        loop {
            let (n, at) = varint(bytes, pos, 64, Rule::AvroCount)?;
            if n == 0 {
                return Ok(at);
            }
            let n = usize::try_from(n).ok();
            let n = n.filter(|n| n.checked_mul(min).is_some_and(|least| least <= bytes.len() - at));
            pos = self.repeat(bytes, body, n.ok_or_else(|| bad(pos, Rule::Count))?, at, depth)?;
        }
    }

    /// `PojoSerializer`: u8 flags: 1 null │ 2 fields │ 4 `utf` class, subclass │ 8 u8 tag, subclass.
    fn pojo(&self, bytes: &[u8], which: u32, pos: usize, depth: u32) -> Step {
        let flags = byte(bytes, pos)?;
        let Some(pojo) = self.pojos.get(which as usize) else {
            return Err(stop(pos, self.too_deep));
        };
        let (block, at) = match flags {
            1 => return Ok(pos + 1),
            2 => (pojo.fields, pos + 1),
            4 => {
                let length = usize::from(byte(bytes, pos + 1)?) << 8 | usize::from(byte(bytes, pos + 2)?);
                let end = skip(bytes, pos + 3, length)?;
                let name = bytes.get(pos + 3..end).unwrap_or_default();
                match pojo.others.iter().find(|(class, _)| class == name) {
                    Some(&(_, block)) => (block, end),
                    None => return Err(stop(end, pojo.unlisted)),
                }
            }
            8 => match pojo.registered.get(usize::from(byte(bytes, pos + 1)?)) {
                Some(&block) => (block, pos + 2),
                None => return Err(bad(pos + 1, Rule::SubclassTag)),
            },
            _ => return Err(bad(pos, Rule::PojoFlags)),
        };
        self.within(bytes, block, at, depth)
    }
}
