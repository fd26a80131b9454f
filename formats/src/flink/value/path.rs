//! Picks values at given paths out of a value, for filters.

use std::cmp::Ordering;

use super::number::Decimal;
use super::sink::{Name, Opaque, ValueSink, Width};
use super::text::Text;
use super::time::Temporal;

/// A way from a value to a part of it: `amount`, `f0.name`, `items[2].price`, `counts.key` of a map with text or whole numbers
/// as keys. The empty path is the value itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ValuePath {
    steps: Vec<PathStep>,
}

/// A step of a [`ValuePath`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathStep {
    /// To a field, or to the value of a map whose key this is.
    Field(String),
    /// To an element of a list, counted from 0.
    Index(usize),
}

/// Why a text is no [`ValuePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadValuePath {
    /// Offset in the text.
    pub at: usize,
    /// The rule that is broken.
    pub rule: &'static str,
}

impl std::fmt::Display for BadValuePath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, at character {}", self.rule, self.at)
    }
}

impl std::error::Error for BadValuePath {}

impl ValuePath {
    /// From its steps.
    #[must_use]
    pub fn new(steps: Vec<PathStep>) -> Self {
        Self { steps }
    }

    /// Its steps.
    #[must_use]
    pub fn steps(&self) -> &[PathStep] {
        &self.steps
    }

    /// Reads names with dots between them, and indexes in brackets. A name that has a dot, a bracket or a quote in it stands
    /// between double quotes, in which `\"` and `\\` are a quote and a backslash.
    ///
    /// # Errors
    /// What breaks these rules, and where.
    pub fn parse(text: &str) -> Result<Self, BadValuePath> {
        let bad = |at, rule| Err(BadValuePath { at, rule });
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let at = text.len() - rest.len();
            if let Some(index) = rest.strip_prefix('[') {
                let Some((digits, behind)) = index.split_once(']') else {
                    return bad(at, "an index ends with a bracket");
                };
                match digits.parse() {
                    Ok(index) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                        steps.push(PathStep::Index(index));
                    }
                    _ => return bad(at + 1, "an index is a number"),
                }
                rest = behind;
                continue;
            }
            if !steps.is_empty() {
                match rest.strip_prefix('.') {
                    Some(behind) => rest = behind,
                    None => return bad(at, "a dot stands between names"),
                }
            }
            let at = text.len() - rest.len();
            let mut name = String::new();
            if let Some(quoted) = rest.strip_prefix('"') {
                let mut chars = quoted.char_indices();
                let end = loop {
                    match chars.next() {
                        Some((i, '"')) => break i + 1,
                        Some((_, '\\')) => match chars.next() {
                            Some((_, escaped @ ('"' | '\\'))) => name.push(escaped),
                            _ => return bad(at, "only a quote or a backslash stands behind a backslash"),
                        },
                        Some((_, other)) => name.push(other),
                        None => return bad(at, "a quoted name ends with a quote"),
                    }
                };
                rest = quoted.get(end..).unwrap_or_default();
            } else {
                let end = rest.find(['.', '[', ']', '"']).unwrap_or(rest.len());
                let (plain, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if plain.is_empty() || behind.starts_with([']', '"']) {
                    return bad(at + end, "a name stands before and behind a dot");
                }
                name.push_str(plain);
                rest = behind;
            }
            steps.push(PathStep::Field(name));
        }
        Ok(Self { steps })
    }
}

/// What was found at a path.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    /// Nothing: no such field, element or key.
    Missing,
    /// Null.
    Null,
    /// A boolean.
    Boolean(bool),
    /// A whole number.
    Integer(i128),
    /// A `float`.
    Float(f32),
    /// A `double`.
    Double(f64),
    /// A number of any size and scale, exact.
    Decimal(Digits),
    /// Text; bytes in hex, and dates and times as ISO 8601 has them.
    Text(String),
    /// An object, a list or a map; what could not be decoded; a text that is no valid UTF-16.
    Other,
}

/// A decimal number: digits without leading zeros, and how many of them stand behind the point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digits {
    negative: bool,
    digits: String,
    scale: i64,
}

impl Digits {
    /// Reads a number such as `-12.50` or `1E+3`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (number, exponent) = match unsigned.split_once(['e', 'E']) {
            // Those of a `BigDecimal` have 32 bits, of its digits alone.
            Some((number, exponent)) => {
                (number, exponent.parse::<i64>().ok().filter(|exponent| exponent.unsigned_abs() < 1 << 33)?)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let all = || whole.bytes().chain(fraction.bytes());
        if all().next().is_none() || !all().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let digits: String = all().map(char::from).skip_while(|digit| *digit == '0').collect();
        let scale = i64::try_from(fraction.len()).ok()? - exponent;
        Some(Self { negative: negative && !digits.is_empty(), digits, scale })
    }

    /// Whether it is negative, its digits without leading zeros (none of 0), and how many of them stand behind the point.
    pub(super) fn parts(&self) -> (bool, &str, i64) {
        (self.negative, &self.digits, self.scale)
    }

    fn of_integer(n: i128) -> Self {
        let digits = if n == 0 { String::new() } else { n.unsigned_abs().to_string() };
        Self { negative: n < 0, digits, scale: 0 }
    }

    /// With an exponent, so that it can be read as a floating-point number.
    fn text(&self) -> String {
        let sign = if self.negative { "-" } else { "" };
        format!("{sign}0{}e{}", self.digits, -self.scale)
    }

    fn magnitude(&self, other: &Self) -> Ordering {
        let point = |number: &Self| number.digits.len() as i64 - number.scale;
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => point(self)
                .cmp(&point(other))
                .then_with(|| self.digits.trim_end_matches('0').cmp(other.digits.trim_end_matches('0'))),
        }
    }
}

impl PartialOrd for Digits {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(match (self.negative, other.negative) {
            (false, false) => self.magnitude(other),
            (true, true) => other.magnitude(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        })
    }
}

impl Scalar {
    /// Compares two: numbers with numbers, exactly, or as the floating-point type that one of them has; text with text, by
    /// characters; booleans and nulls with their like. `None` for anything else, and for NaN.
    #[must_use]
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Null, Self::Null) => Some(Ordering::Equal),
            (Self::Boolean(a), Self::Boolean(b)) => a.partial_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.partial_cmp(b),
            (Self::Integer(a), Self::Integer(b)) => a.partial_cmp(b),
            (Self::Float(a), Self::Float(b)) => a.partial_cmp(b),
            (Self::Float(a), Self::Double(b)) => f64::from(*a).partial_cmp(b),
            (Self::Double(a), Self::Float(b)) => a.partial_cmp(&f64::from(*b)),
            (Self::Double(a), Self::Double(b)) => a.partial_cmp(b),
            (Self::Float(a), _) => a.partial_cmp(&other.digits()?.text().parse().ok()?),
            (Self::Double(a), _) => a.partial_cmp(&other.digits()?.text().parse().ok()?),
            (_, Self::Float(b)) => self.digits()?.text().parse::<f32>().ok()?.partial_cmp(b),
            (_, Self::Double(b)) => self.digits()?.text().parse::<f64>().ok()?.partial_cmp(b),
            _ => self.digits()?.partial_cmp(&other.digits()?),
        }
    }

    fn digits(&self) -> Option<Digits> {
        match self {
            Self::Integer(n) => Some(Digits::of_integer(*n)),
            Self::Decimal(digits) => Some(digits.clone()),
            _ => None,
        }
    }
}

/// At most so many paths can be picked at once.
pub const MAX_PATHS: usize = 64;

/// Picks what is at some paths. Can be used for one value after the other.
#[derive(Debug)]
pub struct PathSink<'p> {
    paths: &'p [ValuePath],
    found: Vec<Scalar>,
    open: Vec<Frame>,
    /// Objects, lists and maps within one that no path goes through.
    skipped: usize,
    /// The key of the entry that is open.
    key: Option<String>,
    scratch: Vec<u8>,
}

/// A set of paths, by index.
type Set = u64;

#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: Kind,
    /// Paths that lead into it.
    into: Set,
    /// Paths that lead to the value that comes next.
    next: Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    List(usize),
    /// A map, of which a key comes next.
    Key,
    /// A map, of which a value comes next.
    Value,
}

impl<'p> PathSink<'p> {
    /// Picks what is at these paths; those beyond [`MAX_PATHS`] are never found.
    #[must_use]
    pub fn new(paths: &'p [ValuePath]) -> Self {
        let paths = paths.get(..MAX_PATHS).unwrap_or(paths);
        let found = vec![Scalar::Missing; paths.len()];
        Self { paths, found, open: Vec::new(), skipped: 0, key: None, scratch: Vec::new() }
    }

    /// What was found, by path.
    #[must_use]
    pub fn found(&self) -> &[Scalar] {
        &self.found
    }

    /// Forgets all, before the next value.
    pub fn clear(&mut self) {
        self.found.fill(Scalar::Missing);
        self.open.clear();
        self.skipped = 0;
        self.key = None;
    }

    /// Of the paths that lead into a value at this depth, those that go on with a step.
    fn going(&self, into: Set, fits: impl Fn(&PathStep) -> bool) -> Set {
        let depth = self.open.len().saturating_sub(1);
        let mut next = 0;
        for (i, path) in self.paths.iter().enumerate() {
            if into >> i & 1 != 0 && path.steps.get(depth).is_some_and(&fits) {
                next |= 1 << i;
            }
        }
        next
    }

    /// The paths that lead to the value that comes now.
    fn arrive(&mut self) -> Set {
        let Some(&frame) = self.open.last() else {
            return self.paths.iter().enumerate().fold(0, |set, (i, _)| set | 1 << i);
        };
        let Kind::List(index) = frame.kind else { return frame.next };
        if let Some(frame) = self.open.last_mut() {
            frame.kind = Kind::List(index + 1);
        }
        self.going(frame.into, |step| *step == PathStep::Index(index))
    }

    fn is_key(&self) -> bool {
        self.open.last().is_some_and(|frame| frame.kind == Kind::Key)
    }

    /// A value that has no parts.
    fn scalar(&mut self, make: impl FnOnce(&mut Vec<u8>) -> Scalar) {
        if self.skipped > 0 {
            return;
        }
        if self.is_key() {
            self.key = match make(&mut self.scratch) {
                Scalar::Text(text) => Some(text),
                Scalar::Integer(n) => Some(n.to_string()),
                _ => None,
            };
            return;
        }
        let here = self.arrive();
        if here == 0 {
            return;
        }
        let depth = self.open.len();
        let value = make(&mut self.scratch);
        for (i, (path, found)) in self.paths.iter().zip(&mut self.found).enumerate() {
            if here >> i & 1 != 0 && path.steps.len() == depth {
                found.clone_from(&value);
            }
        }
    }

    fn begin(&mut self, kind: Kind) {
        if self.skipped > 0 {
            self.skipped += 1;
            return;
        }
        if self.is_key() {
            self.key = None;
            self.skipped = 1;
            return;
        }
        let here = self.arrive();
        if here == 0 {
            self.skipped = 1;
            return;
        }
        let depth = self.open.len();
        for (i, (path, found)) in self.paths.iter().zip(&mut self.found).enumerate() {
            if here >> i & 1 != 0 && path.steps.len() == depth {
                *found = Scalar::Other;
            }
        }
        self.open.push(Frame { kind, into: here, next: 0 });
    }

    fn end(&mut self) {
        match self.skipped.checked_sub(1) {
            Some(left) => self.skipped = left,
            None => drop(self.open.pop()),
        }
    }

    fn text_scalar(scratch: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Scalar {
        scratch.clear();
        write(scratch);
        std::str::from_utf8(scratch).map_or(Scalar::Other, |text| Scalar::Text(text.to_owned()))
    }
}

impl ValueSink for PathSink<'_> {
    fn null(&mut self) {
        self.scalar(|_| Scalar::Null);
    }

    fn boolean(&mut self, value: bool) {
        self.scalar(|_| Scalar::Boolean(value));
    }

    fn integer(&mut self, value: i64, _: Width) {
        self.scalar(|_| Scalar::Integer(value.into()));
    }

    fn float(&mut self, value: f32) {
        self.scalar(|_| Scalar::Float(value));
    }

    fn double(&mut self, value: f64) {
        self.scalar(|_| Scalar::Double(value));
    }

    fn decimal(&mut self, value: Decimal<'_>) {
        self.scalar(|scratch| {
            if let (0, Some(n)) = (value.scale, value.unscaled.small()) {
                return Scalar::Integer(n);
            }
            let Decimal { unscaled, scale } = value;
            scratch.clear();
            Decimal { unscaled, scale: 0 }.write(scratch);
            let digits = std::str::from_utf8(scratch).ok().and_then(Digits::parse);
            digits.map_or(Scalar::Other, |digits| Scalar::Decimal(Digits { scale: scale.into(), ..digits }))
        });
    }

    fn temporal(&mut self, value: Temporal) {
        self.scalar(|scratch| Self::text_scalar(scratch, |out| value.write(out)));
    }

    fn text(&mut self, value: Text<'_>) {
        self.scalar(|_| match value {
            Text::Utf8(text) => Scalar::Text(text.to_owned()),
            Text::Units(_) => value.chars().collect::<Result<_, _>>().map_or(Scalar::Other, Scalar::Text),
        });
    }

    fn bytes(&mut self, value: &[u8]) {
        self.scalar(|scratch| Self::text_scalar(scratch, |out| super::json::hex(value, out)));
    }

    fn opaque(&mut self, _: &Opaque<'_>) {
        self.scalar(|_| Scalar::Other);
    }

    fn begin_object(&mut self) {
        self.begin(Kind::Object);
    }

    fn field(&mut self, name: &Name) {
        if self.skipped > 0 {
            return;
        }
        let into = self.open.last().map_or(0, |frame| frame.into);
        let next = self.going(into, |step| matches!(step, PathStep::Field(field) if field == name.as_str()));
        if let Some(frame) = self.open.last_mut() {
            frame.next = next;
        }
    }

    fn end_object(&mut self) {
        self.end();
    }

    fn begin_list(&mut self) {
        self.begin(Kind::List(0));
    }

    fn end_list(&mut self) {
        self.end();
    }

    fn begin_map(&mut self) {
        self.begin(Kind::Key);
    }

    fn begin_entry(&mut self) {
        if self.skipped == 0 {
            self.key = None;
            if let Some(frame) = self.open.last_mut() {
                frame.kind = Kind::Key;
            }
        }
    }

    fn entry_value(&mut self) {
        if self.skipped > 0 {
            return;
        }
        let into = self.open.last().map_or(0, |frame| frame.into);
        let key = self.key.take();
        let next = match &key {
            Some(key) => self.going(into, |step| matches!(step, PathStep::Field(field) if field == key)),
            None => 0,
        };
        if let Some(frame) = self.open.last_mut() {
            (frame.kind, frame.next) = (Kind::Value, next);
        }
    }

    fn end_entry(&mut self) {}

    fn end_map(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_names_and_indexes() {
        use PathStep::{Field, Index};
        let field = |name: &str| Field(name.to_owned());
        let steps = |text: &str| ValuePath::parse(text).map(|path| path.steps);
        assert_eq!(steps(""), Ok(vec![]));
        assert_eq!(steps("value.amount"), Ok(vec![field("value"), field("amount")]));
        assert_eq!(steps("a[2][0].b"), Ok(vec![field("a"), Index(2), Index(0), field("b")]));
        assert_eq!(steps("[1]"), Ok(vec![Index(1)]));
        assert_eq!(steps(r#""a.b"."c\"\\""#), Ok(vec![field("a.b"), field("c\"\\")]));
        for (text, at) in [
            (".", 0),
            ("a.", 2),
            ("a..b", 2),
            ("a[", 1),
            ("a[x]", 2),
            ("a[+1]", 2),
            ("a[1]b", 4),
            ("a]", 1),
            ("\"a", 0),
            (r#""\n""#, 0),
        ] {
            assert_eq!(steps(text).unwrap_err().at, at, "{text}");
        }
    }

    #[test]
    fn numbers_are_compared_exactly() {
        use Ordering::{Equal, Greater, Less};
        let number = |text: &str| Scalar::Decimal(Digits::parse(text).unwrap());
        for (a, b, expected) in [
            ("1.10", "1.1", Equal),
            ("100", "1E+2", Equal),
            ("-0.0", "0", Equal),
            ("0.1", "0.09", Greater),
            ("-5", "3", Less),
            ("-5", "-30", Greater),
            (
                "99999999999999999999999999999999999999999.1",
                "99999999999999999999999999999999999999999.2",
                Less,
            ),
            ("1e-400", "0", Greater),
        ] {
            assert_eq!(number(a).compare(&number(b)), Some(expected), "{a} {b}");
            assert_eq!(number(b).compare(&number(a)), Some(expected.reverse()), "{a} {b}");
        }
        assert_eq!(Scalar::Integer(i64::MAX.into()).compare(&number("9223372036854775806.5")), Some(Greater));
        assert_eq!(Scalar::Integer(-7).compare(&Scalar::Integer(3)), Some(Less));
        assert_eq!(Scalar::Double(0.1).compare(&number("0.1")), Some(Equal));
        assert_eq!(number("0.1").compare(&Scalar::Float(0.1)), Some(Equal));
        assert_eq!(Scalar::Double(f64::NAN).compare(&number("0.1")), None);
        assert_eq!(Scalar::Integer(5).compare(&Scalar::Double(5.5)), Some(Less));
        assert_eq!(Scalar::Text("b".into()).compare(&Scalar::Text("a".into())), Some(Greater));
        assert_eq!(Scalar::Text("5".into()).compare(&Scalar::Integer(5)), None);
        assert_eq!(Scalar::Null.compare(&Scalar::Null), Some(Equal));
        assert_eq!(Scalar::Missing.compare(&Scalar::Missing), None);
        for bad in ["", "-", ".", "1e", "1.2.3", "x", "1e99999999999"] {
            assert_eq!(Digits::parse(bad), None, "{bad}");
        }
    }
}
