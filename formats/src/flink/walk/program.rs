//! What walkers run: a flat list of operations, cut into blocks that lie one behind the other.
//!
//! What is repeated, optional or one of several is a block of its own. Blocks call blocks as deep as types nest; only
//! Avro's named types may call themselves, and [`MAX_DEPTH`] ends that.

use super::read::{
    Mask, Rule, Step, bad, big_decimal, big_integer, byte, count, flag, int, sized, skip, stop, string,
    string_value, variant, varint,
};

/// Blocks run in blocks this deep.
pub(in crate::flink) const MAX_DEPTH: u32 = 256;

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
