//! What `--where` asks for: comparisons of parts of an entry with constants.
//!
//! ```text
//! any         all { "or" all }
//! all         not { "and" not }
//! not         [ "not" ] ( "(" any ")" | comparison )
//! comparison  path ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) constant
//! constant    number │ 'text' │ "text" │ true │ false │ null
//! path        key │ namespace │ user_key │ value, each with a path into it: value.amount, key.f0, value.items[0].price
//!             index │ timestamp_ms │ ttl_timestamp_ms │ key_group │ subtask
//! ```

use std::cmp::Ordering;

use statescope_formats::flink::value::{Digits, PathSink, PathStep, Scalar, ValueDecoder, ValuePath};

/// Expressions nest this deep.
const MAX_DEPTH: u32 = 64;

/// A filter of entries.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryFilter {
    root: Expression,
    /// Paths into each part.
    paths: [Vec<ValuePath>; PARTS],
}

/// A part of an entry that has a value of any type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Key,
    Namespace,
    UserKey,
    Value,
}

const PARTS: usize = 4;

/// A part of an entry that is a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Index,
    Timestamp,
    TtlTimestamp,
    KeyGroup,
    Subtask,
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Operand, Comparison, Scalar),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operand {
    /// With the index of the path.
    Part(Part, usize),
    Number(Number),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// The parts of an entry that are numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Numbers {
    pub(super) index: Option<u64>,
    pub(super) timestamp: Option<i64>,
    pub(super) ttl_timestamp: Option<i64>,
    pub(super) key_group: Option<u32>,
    pub(super) subtask: u32,
}

/// A part of an entry with what decodes it; none where there is no such part.
pub(super) type Bytes<'a> = Option<(&'a [u8], &'a ValueDecoder)>;

impl EntryFilter {
    /// Reads a filter.
    ///
    /// # Errors
    /// What is wrong, and where, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parser = Parser { text, at: 0, paths: Default::default() };
        let root = parser.any(0)?;
        parser.skip_space();
        if parser.at < text.len() {
            return Err(parser.wrong("\"and\", \"or\" or the end"));
        }
        Ok(Self { root, paths: parser.paths })
    }

    /// Whether an entry is asked for. A comparison with what is not there, or is of another type, does not hold.
    pub(super) fn holds(&self, parts: [Bytes<'_>; PARTS], numbers: &Numbers) -> bool {
        let found: [Vec<Scalar>; PARTS] = std::array::from_fn(|at| {
            let (Some(paths), Some(Some((bytes, decoder)))) = (self.paths.get(at), parts.get(at)) else {
                return Vec::new();
            };
            if paths.is_empty() {
                return Vec::new();
            }
            let mut sink = PathSink::new(paths);
            decoder.decode(bytes, &mut sink);
            sink.found().to_vec()
        });
        self.root.holds(&found, numbers)
    }
}

impl Expression {
    fn holds(&self, found: &[Vec<Scalar>; PARTS], numbers: &Numbers) -> bool {
        match self {
            Self::Any(all) => all.iter().any(|one| one.holds(found, numbers)),
            Self::All(all) => all.iter().all(|one| one.holds(found, numbers)),
            Self::Not(one) => !one.holds(found, numbers),
            Self::Compare(operand, comparison, constant) => {
                let number;
                let value = match *operand {
                    Operand::Part(part, path) => found.get(part as usize).and_then(|found| found.get(path)),
                    Operand::Number(which) => {
                        number = numbers.get(which).map(|n| Scalar::Integer(n.into()));
                        number.as_ref()
                    }
                };
                value.and_then(|value| value.compare(constant)).is_some_and(|order| comparison.holds(order))
            }
        }
    }
}

impl Numbers {
    fn get(&self, which: Number) -> Option<i64> {
        match which {
            Number::Index => self.index.and_then(|index| i64::try_from(index).ok()),
            Number::Timestamp => self.timestamp,
            Number::TtlTimestamp => self.ttl_timestamp,
            Number::KeyGroup => self.key_group.map(i64::from),
            Number::Subtask => Some(self.subtask.into()),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    paths: [Vec<ValuePath>; PARTS],
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn wrong(&self, expected: &str) -> String {
        let rest: String = self.rest().chars().take(20).collect();
        let found = if rest.is_empty() { "the end".to_owned() } else { format!("{rest:?}") };
        format!("{expected} is expected at character {}, not {found}", self.at)
    }

    /// Takes a word, if it comes next.
    fn word(&mut self, word: &str) -> bool {
        self.skip_space();
        let rest = self.rest();
        let (Some(found), Some(behind)) = (rest.get(..word.len()), rest.get(word.len()..)) else {
            return false;
        };
        let ends =
            behind.chars().next().is_none_or(|next| !next.is_alphanumeric() && next != '_' && next != '.');
        let is_it = found.eq_ignore_ascii_case(word) && ends;
        self.at += if is_it { word.len() } else { 0 };
        is_it
    }

    fn sign(&mut self, sign: &str) -> bool {
        self.skip_space();
        let is_it = self.rest().starts_with(sign);
        self.at += if is_it { sign.len() } else { 0 };
        is_it
    }

    fn any(&mut self, depth: u32) -> Result<Expression, String> {
        let mut all = vec![self.all(depth)?];
        while self.word("or") {
            all.push(self.all(depth)?);
        }
        Ok(Expression::Any(all))
    }

    fn all(&mut self, depth: u32) -> Result<Expression, String> {
        let mut all = vec![self.not(depth)?];
        while self.word("and") {
            all.push(self.not(depth)?);
        }
        Ok(Expression::All(all))
    }

    fn not(&mut self, depth: u32) -> Result<Expression, String> {
        if depth > MAX_DEPTH {
            return Err("parentheses nest too deep".to_owned());
        }
        if self.word("not") {
            return Ok(Expression::Not(Box::new(self.not(depth + 1)?)));
        }
        if self.sign("(") {
            let inner = self.any(depth + 1)?;
            return if self.sign(")") { Ok(inner) } else { Err(self.wrong("\")\"")) };
        }
        let operand = self.operand()?;
        let signs = [
            ("==", Comparison::Equal),
            ("!=", Comparison::NotEqual),
            ("<=", Comparison::LessOrEqual),
            (">=", Comparison::GreaterOrEqual),
            ("=", Comparison::Equal),
            ("<", Comparison::Less),
            (">", Comparison::Greater),
        ];
        let Some((_, comparison)) = signs.into_iter().find(|(sign, _)| self.sign(sign)) else {
            return Err(self.wrong("=, !=, <, <=, > or >="));
        };
        Ok(Expression::Compare(operand, comparison, self.constant()?))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        self.skip_space();
        let (mut end, mut quoted, mut escaped) = (0, false, false);
        for (at, char) in self.rest().char_indices() {
            match char {
                _ if escaped => escaped = false,
                '\\' if quoted => escaped = true,
                '"' => quoted = !quoted,
                _ if quoted => {}
                '=' | '!' | '<' | '>' | '(' | ')' => break,
                _ if char.is_whitespace() => break,
                _ => {}
            }
            end = at + char.len_utf8();
        }
        let text = self.rest().get(..end).unwrap_or_default();
        let path = ValuePath::parse(text).map_err(|bad| format!("{text:?} is no path: {bad}"))?;
        let first = match path.steps().first() {
            Some(PathStep::Field(name)) => name.as_str(),
            _ => "",
        };
        let rest = || ValuePath::new(path.steps().iter().skip(1).cloned().collect());
        let number = match first {
            "key" => return self.part(Part::Key, rest(), end),
            "namespace" => return self.part(Part::Namespace, rest(), end),
            "user_key" => return self.part(Part::UserKey, rest(), end),
            "value" => return self.part(Part::Value, rest(), end),
            "index" => Number::Index,
            "timestamp_ms" => Number::Timestamp,
            "ttl_timestamp_ms" => Number::TtlTimestamp,
            "key_group" => Number::KeyGroup,
            "subtask" => Number::Subtask,
            _ => {
                return Err(self.wrong(
                    "key, namespace, user_key, value, index, timestamp_ms, ttl_timestamp_ms, key_group or subtask",
                ));
            }
        };
        if path.steps().len() > 1 {
            return Err(format!("{text:?}: {first} is a number"));
        }
        self.at += end;
        Ok(Operand::Number(number))
    }

    fn part(&mut self, part: Part, path: ValuePath, length: usize) -> Result<Operand, String> {
        let paths = self.paths.get_mut(part as usize).ok_or("no such part")?;
        let known = paths.iter().position(|known| *known == path);
        let at = known.unwrap_or(paths.len());
        if known.is_none() {
            if at == statescope_formats::flink::value::MAX_PATHS {
                return Err(format!("more than {at} paths"));
            }
            paths.push(path);
        }
        self.at += length;
        Ok(Operand::Part(part, at))
    }

    fn constant(&mut self) -> Result<Scalar, String> {
        for (word, scalar) in
            [("true", Scalar::Boolean(true)), ("false", Scalar::Boolean(false)), ("null", Scalar::Null)]
        {
            if self.word(word) {
                return Ok(scalar);
            }
        }
        let rest = self.rest();
        if let Some(quote @ ('\'' | '"')) = rest.chars().next() {
            return self.text_constant(quote);
        }
        let number = |char: char| char.is_ascii_alphanumeric() || matches!(char, '+' | '-' | '.');
        let end = rest.find(|char| !number(char)).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        let value = match text.parse() {
            Ok(integer) => Scalar::Integer(integer),
            Err(_) => match Digits::parse(text) {
                Some(digits) => Scalar::Decimal(digits),
                None => return Err(self.wrong("a number, a text in quotes, true, false or null")),
            },
        };
        self.at += end;
        Ok(value)
    }

    fn text_constant(&mut self, quote: char) -> Result<Scalar, String> {
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((at, char)) = chars.next() {
            match char {
                '\\' => match chars.next() {
                    Some((_, escaped)) if escaped == quote || escaped == '\\' => text.push(escaped),
                    _ => return Err(self.wrong("a text in which only a quote or a backslash is escaped")),
                },
                _ if char == quote => {
                    self.at += at + 1;
                    return Ok(Scalar::Text(text));
                }
                _ => text.push(char),
            }
        }
        Err(self.wrong("a text that ends with its quote"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(text: &str, index: u64) -> bool {
        let numbers = Numbers { index: Some(index), subtask: 3, ..Numbers::default() };
        EntryFilter::parse(text).unwrap().holds([None; 4], &numbers)
    }

    #[test]
    fn comparisons_are_joined_and_turned_around() {
        for (text, expected) in [
            ("index = 5", true),
            ("index == 5 and subtask = 3", true),
            ("index != 5", false),
            ("index > 4 AND index <= 5.0", true),
            ("index < 5 or subtask >= 3", true),
            ("not index = 5", false),
            ("not (index = 4 or index = 6) and subtask=3", true),
            // What is not there is neither equal nor not.
            ("key_group = 5", false),
            ("key_group != 5", false),
            ("index = 'five'", false),
            ("value.x = 1", false),
        ] {
            assert_eq!(holds(text, 5), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, says) in [
            ("", "at character 0, not the end"),
            ("amount > 3", "value, index"),
            ("index.x > 3", "index is a number"),
            ("value.amount", "=, !=, <, <=, > or >= is expected at character 12, not the end"),
            ("value > three", "a number, a text in quotes"),
            ("value = 'a", "ends with its quote"),
            ("(value = 1", "\")\" is expected"),
            ("value = 1 value = 2", "\"and\", \"or\" or the end is expected at character 10"),
            ("value[x] = 1", "is no path"),
        ] {
            let wrong = EntryFilter::parse(text).unwrap_err();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
        assert!(EntryFilter::parse(&"(".repeat(10_000)).is_err());
        assert!(EntryFilter::parse(&"not ".repeat(10_000)).is_err());
    }

    #[test]
    fn paths_may_be_quoted() {
        let filter = EntryFilter::parse(r#"value."a b=c"[0] = "it's" and value."a b=c"[0] != 'x'"#).unwrap();
        assert_eq!(filter.paths[Part::Value as usize].len(), 1);
    }
}
