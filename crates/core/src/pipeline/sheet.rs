//! Attributes as they lie in the queue: one after the other, with their texts beside them.

use crate::given::Recordable;
use crate::value::{Attribute, Key, Text, Value};

/// Attributes, in order.
#[derive(Default)]
pub(crate) struct Sheet {
    lines: Vec<Line>,
    /// The texts, one behind the other.
    text: String,
}

type Line = (Key, Laid);

/// The value of an attribute.
#[derive(Clone)]
enum Laid {
    Value(Value),
    /// So many bytes of the text.
    Text(usize),
}

impl Sheet {
    pub(crate) fn with_capacity(attributes: usize, text_bytes: usize) -> Self {
        Self { lines: Vec::with_capacity(attributes), text: String::with_capacity(text_bytes) }
    }

    /// Whether it was never made larger than this.
    pub(crate) fn is_within(&self, attributes: usize, text_bytes: usize) -> bool {
        self.lines.capacity() <= attributes && self.text.capacity() <= text_bytes
    }

    /// How many attributes there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// How many bytes of text there are.
    pub(crate) fn text_bytes(&self) -> usize {
        self.text.len()
    }

    /// Adds attributes, of which nothing stays in their place.
    pub(crate) fn append<V: Recordable>(&mut self, attributes: &mut [(Key, V)]) {
        let Self { lines, text: beside } = self;
        lines.reserve(attributes.len());
        for (key, value) in attributes {
            // Each is moved into its place by itself: a line put together first would be copied piece by piece.
            match value.text() {
                Some(text) => {
                    beside.push_str(text);
                    lines.push((std::mem::take(key), Laid::Text(text.len())));
                }
                None => lines.push((std::mem::take(key), Laid::Value(value.take()))),
            }
        }
    }

    /// Empties it; `read` gets what was in it.
    pub(crate) fn drain(&mut self, read: impl FnOnce(&mut dyn Iterator<Item = Attribute>)) {
        read(&mut Reader { lines: self.lines.drain(..), text: &self.text });
        self.text.clear();
    }

    /// A copy of each attribute.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Attribute> {
        Reader { lines: self.lines.iter().cloned(), text: &self.text }
    }

    /// Writes all of its memory once, so that the system has given it before it is needed.
    pub(crate) fn touch(&mut self) {
        self.lines.resize(self.lines.capacity(), (Key::default(), Laid::Text(0)));
        self.text.push_str(&" ".repeat(self.text.capacity()));
        self.lines.clear();
        self.text.clear();
    }
}

/// Puts attributes together again.
struct Reader<'a, L> {
    lines: L,
    text: &'a str,
}

impl<L: Iterator<Item = Line>> Iterator for Reader<'_, L> {
    type Item = Attribute;

    fn next(&mut self) -> Option<Attribute> {
        let (key, laid) = self.lines.next()?;
        let value = match laid {
            Laid::Value(value) => value,
            Laid::Text(bytes) => {
                let (text, rest) = self.text.split_at(bytes);
                self.text = rest;
                Value::Text(Text::new(text))
            }
        };
        Some((key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::given::Given;

    fn attributes(sheet: &mut Sheet) -> Vec<Attribute> {
        let mut all = Vec::new();
        sheet.drain(|attributes| all = attributes.collect());
        all
    }

    #[test]
    fn what_is_laid_down_comes_back_in_order() {
        let long = "ä".repeat(300);
        let made = || Value::from(vec![Value::from("in a list")]);
        let given: Vec<Given<'_>> = vec![
            "".into(),
            long.as_str().into(),
            made().into(),
            (-7_i64).into(),
            true.into(),
            f64::NEG_INFINITY.into(),
            String::from("owned").into(),
            Value::from("a value").into(),
            None::<i64>.into(),
            false.into(),
        ];
        let expected = [
            "".into(),
            Value::from(long.clone()),
            made(),
            Value::Int(-7),
            Value::Bool(true),
            Value::Double(f64::NEG_INFINITY),
            "owned".into(),
            "a value".into(),
            Value::Null,
            Value::Bool(false),
        ];
        let mut sheet = Sheet::default();
        for _ in 0..2 {
            for (number, value) in given.iter().enumerate() {
                sheet.append(&mut [(format!("key {number}").into(), value.clone())]);
            }
            let copies: Vec<_> = sheet.iter().collect();
            let taken = attributes(&mut sheet);
            assert_eq!(copies, taken);
            assert!(taken.iter().map(|(_, value)| value).eq(&expected), "{taken:?}");
            assert!(
                taken.iter().enumerate().all(|(n, (key, _))| *key == format!("key {n}").as_str())
            );
        }
    }

    #[test]
    fn what_nobody_reads_is_gone_too() {
        let mut sheet = Sheet::default();
        sheet.append(&mut [("unread".into(), Given::from("text"))]);
        sheet.append(&mut [("unread".into(), Value::from(vec![Value::Null]))]);
        sheet.drain(|_| {});
        sheet.touch();
        sheet.append(&mut [("read".into(), Given::from("new text"))]);
        assert_eq!(attributes(&mut sheet), [("read".into(), "new text".into())]);
    }
}
