//! Python's objects as attribute values, and back.
//!
//! Whatever a program passes becomes a value, within bounds, and never an exception: numbers too large, texts that are no
//! UTF-8, cycles and objects whose `__str__` raises included.

use callboard_core::{Attribute, Context, Key, Text, Value};
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDict, PyFloat, PyFrozenSet, PyInt, PyList, PySet, PyString,
    PyTuple, PyType,
};

use crate::exit;
use crate::guard::quietly;
use crate::history::Messages;
use crate::known::Known;

/// The most bytes of text that one value may have, in all its parts together. What is beyond is cut, and that is said.
pub(crate) const MOST_TEXT_BYTES: usize = 8 << 20;
/// The most bytes of an attribute's name. What is beyond is cut.
const MOST_NAME_BYTES: usize = 1024;
/// The most parts that one value may have.
const MOST_PARTS: usize = 100_000;
/// How deep a value may nest.
const MOST_DEPTH: usize = 32;
/// What stands for a part that is nested too deep, as every part of a cycle is in the end.
const TOO_DEEP: &str = "[nested too deep]";
/// What stands for the rest of a list or dict that has too many parts.
const TOO_MANY: &str = "[the rest was cut]";

/// The attributes of a dict, to be kept. Anything that is no dict has none.
pub(crate) fn attributes(attributes: Option<&Bound<'_, PyAny>>) -> Vec<Attribute> {
    let Some(entries) = attributes.and_then(|given| given.cast::<PyDict>().ok()) else {
        return Vec::new();
    };
    // Taken out first: what a value runs when it is read may change the dict.
    let entries: Vec<_> = entries.iter().collect();
    entries.iter().map(|(name, value)| (key(name), to_value(value))).collect()
}

/// The value of an object.
pub(crate) fn to_value(object: &Bound<'_, PyAny>) -> Value {
    Reader::new().value(object, 0)
}

/// Whether an object is known to become this value. It runs no Python code, and says no where that would be needed.
pub(crate) fn is_plainly(value: &Value, object: Borrowed<'_, '_, PyAny>) -> bool {
    match value {
        Value::Text(text) => object
            .cast_exact::<PyString>()
            .is_ok_and(|object| object.to_str().is_ok_and(|object| object == text.as_str())),
        Value::Null => object.is_none(),
        Value::Bool(truth) => {
            object.cast_exact::<PyBool>().is_ok_and(|object| object.is_true() == *truth)
        }
        Value::Int(number) => {
            object.is_exact_instance_of::<PyInt>()
                && object.extract().is_ok_and(|object: i64| object == *number)
        }
        Value::List(values) => object.cast_exact::<PyList>().is_ok_and(|object| {
            object.len() == values.len()
                && values
                    .iter()
                    .zip(object.iter())
                    .all(|(value, object)| is_plainly(value, object.as_borrowed()))
        }),
        Value::Map(entries) => object.cast_exact::<PyDict>().is_ok_and(|object| {
            object.len() == entries.len()
                && entries.iter().zip(object.iter()).all(|((name, value), (key, object))| {
                    key.cast_exact::<PyString>()
                        .is_ok_and(|key| key.to_str().is_ok_and(|key| key == name.as_str()))
                        && is_plainly(value, object.as_borrowed())
                })
        }),
        Value::Double(number) => object
            .cast_exact::<PyFloat>()
            .is_ok_and(|object| object.value().to_bits() == number.to_bits()),
        Value::Bytes(_) | Value::Messages(_) => false,
    }
}

/// The names of attributes. Python interns those in a program's source, so the same object comes again and again.
static NAMES: Known<Key, 1024> = Known::new();

/// The name of an attribute.
pub(crate) fn key(name: &Bound<'_, PyAny>) -> Key {
    known_key(name).cloned().unwrap_or_else(|| new_key(name))
}

/// The name of an attribute, where the same object was one before.
pub(crate) fn known_key(name: &Bound<'_, PyAny>) -> Option<&'static Key> {
    NAMES.get(name)
}

fn new_key(name: &Bound<'_, PyAny>) -> Key {
    // The text of another object than text may change. Long text is not kept alive for it.
    let is_short = name
        .cast_exact::<PyString>()
        .is_ok_and(|name| name.len().is_ok_and(|n| n <= MOST_NAME_BYTES));
    if is_short { NAMES.get_or(name, || entry_name(name)) } else { entry_name(name) }
}

/// The name of an entry of a dict. Those in messages are mostly made anew each time.
fn entry_name(name: &Bound<'_, PyAny>) -> Key {
    match name.cast_exact::<PyString>().ok().and_then(|name| name.to_str().ok()) {
        Some(name) => Text::new(beginning(name, MOST_NAME_BYTES)),
        None => Text::new(beginning(&text_of(name), MOST_NAME_BYTES)),
    }
}

/// An object as text: itself, where it is text, else `str` of it.
pub(crate) fn text_of(object: &Bound<'_, PyAny>) -> String {
    match object.cast::<PyString>() {
        Ok(text) => text.to_string_lossy().into_owned(),
        Err(_) => rendered(object),
    }
}

fn rendered(object: &Bound<'_, PyAny>) -> String {
    let py = object.py();
    let Some(_inside) = exit::enter() else { return format!("<{}>", class_name(object)) };
    let text = object.str();
    let raised = text.as_ref().err().map(|error| class_name(error.value(py)));
    match quietly(py, text) {
        Some(text) => text.to_string_lossy().into_owned(),
        None => {
            format!("<{}: str() raised {}>", class_name(object), raised.unwrap_or_default())
        }
    }
}

/// The text within the bounds of one value.
pub(crate) fn bounded(text: String) -> Text {
    if text.len() <= MOST_TEXT_BYTES { text.into() } else { cut(&text, MOST_TEXT_BYTES) }
}

/// The first `most` bytes of the text, and how much is missing.
fn cut(text: &str, most: usize) -> Text {
    let kept = beginning(text, most);
    Text::from(format!("{kept}… [{} bytes cut]", text.len() - kept.len()))
}

/// The first `most` characters of the text, and how many are missing.
pub(crate) fn cut_to_chars(text: &Text, most: usize) -> Text {
    match text.char_indices().nth(most) {
        None => text.clone(),
        Some((end, _)) => {
            let missing = text[end..].chars().count();
            Text::from(format!("{}… [{missing} characters cut]", &text[..end]))
        }
    }
}

/// The most of the text that fits into `most` bytes without parting a character.
fn beginning(text: &str, most: usize) -> &str {
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=most.min(text.len())).rev().find(fits).unwrap_or(0);
    &text[..end]
}

/// The name of an object's class.
pub(crate) fn class_name(object: &Bound<'_, PyAny>) -> String {
    object
        .get_type()
        .name()
        .map_or_else(|_| "object".into(), |name| name.to_string_lossy().into_owned())
}

/// Reads one object, or what is put together of several, within the bounds of one value.
pub(crate) struct Reader {
    text_bytes: usize,
    parts: usize,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self { text_bytes: MOST_TEXT_BYTES, parts: MOST_PARTS }
    }

    /// The value of an object that is nested so deep.
    pub(crate) fn value(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Value {
        self.parts = self.parts.saturating_sub(1);
        if let Ok(text) = object.cast::<PyString>() {
            return self.text(text.to_string_lossy().as_ref());
        }
        if object.is_none() {
            return Value::Null;
        }
        if let Ok(truth) = object.cast::<PyBool>() {
            return Value::Bool(truth.is_true());
        }
        if object.is_instance_of::<PyInt>() {
            return object.extract().map_or_else(|_| self.text(&text_of(object)), Value::Int);
        }
        if let Ok(number) = object.cast::<PyFloat>() {
            return Value::Double(number.value());
        }
        if let Ok(messages) = object.cast::<Messages>() {
            return Value::Messages(messages.get().context.clone());
        }
        if depth >= MOST_DEPTH {
            return Value::Text(Text::from_static(TOO_DEEP));
        }
        self.collection(object, depth).unwrap_or_else(|| self.other(object, depth))
    }

    fn text(&mut self, text: &str) -> Value {
        if text.len() <= self.text_bytes {
            self.text_bytes -= text.len();
            return Value::Text(Text::new(text));
        }
        Value::Text(cut(text, std::mem::take(&mut self.text_bytes)))
    }

    fn bytes(&mut self, bytes: &[u8]) -> Value {
        let kept = bytes.len().min(self.text_bytes);
        self.text_bytes -= kept;
        Value::Bytes(bytes[..kept].into())
    }

    fn collection(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Option<Value> {
        if let Ok(entries) = object.cast::<PyDict>() {
            return Some(self.map(entries, depth));
        }
        if let Ok(values) = object.cast::<PyList>() {
            return Some(self.list(values.iter(), depth));
        }
        if let Ok(values) = object.cast::<PyTuple>() {
            return Some(self.list(values.iter(), depth));
        }
        if let Ok(bytes) = object.cast::<PyBytes>() {
            return Some(self.bytes(bytes.as_bytes()));
        }
        if let Ok(bytes) = object.cast::<PyByteArray>() {
            return Some(self.bytes(&bytes.to_vec()));
        }
        if object.is_instance_of::<PySet>() || object.is_instance_of::<PyFrozenSet>() {
            let py = object.py();
            let values = quietly(py, object.try_iter())?.map_while(|value| quietly(py, value));
            let values: Vec<_> = values.take(self.parts + 1).collect();
            return Some(self.list(values.into_iter(), depth));
        }
        None
    }

    fn map(&mut self, entries: &Bound<'_, PyDict>, depth: usize) -> Value {
        // Taken out first: what a value runs when it is rendered may change the dict.
        let entries: Vec<_> = entries.iter().take(self.parts + 1).collect();
        let mut attributes = Vec::with_capacity(entries.len());
        for (name, value) in &entries {
            if self.parts == 0 {
                attributes.push((Text::from_static("…"), Value::Text(Text::from_static(TOO_MANY))));
                break;
            }
            attributes.push((entry_name(name), self.value(value, depth + 1)));
        }
        Value::Map(attributes.into())
    }

    fn list<'py>(
        &mut self,
        values: impl Iterator<Item = Bound<'py, PyAny>>,
        depth: usize,
    ) -> Value {
        let mut read = Vec::new();
        for value in values {
            if self.parts == 0 {
                read.push(Value::Text(Text::from_static(TOO_MANY)));
                break;
            }
            read.push(self.value(&value, depth + 1));
        }
        Value::List(read.into())
    }

    /// An object of some other class: its fields where it says them (pydantic models, dataclasses), else its text.
    fn other(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Value {
        self.fields(object, depth).unwrap_or_else(|| self.text(&text_of(object)))
    }

    fn fields(&mut self, object: &Bound<'_, PyAny>, depth: usize) -> Option<Value> {
        let (py, class) = (object.py(), object.get_type());
        let _inside = exit::enter()?;
        if object.is_instance_of::<PyType>() {
            return None;
        }
        if quietly(py, class.hasattr("model_dump")).unwrap_or(false) {
            let fields = quietly(py, object.call_method0("model_dump"))?;
            return Some(self.map(fields.cast::<PyDict>().ok()?, depth));
        }
        let names = quietly(py, class.getattr("__dataclass_fields__"))?;
        let fields = PyDict::new(py);
        for name in names.cast::<PyDict>().ok()?.keys() {
            let field = quietly(py, object.getattr(name.cast::<PyString>().ok()?))?;
            fields.set_item(&name, field).ok()?;
        }
        Some(self.map(&fields, depth))
    }
}

/// A value as Python's objects: text, numbers, bytes, lists and dicts.
pub(crate) fn to_python<'py>(py: Python<'py>, value: &Value) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(truth) => PyBool::new(py, *truth).to_owned().into_any(),
        Value::Int(number) => number.into_pyobject(py)?.into_any(),
        Value::Double(number) => PyFloat::new(py, *number).into_any(),
        Value::Text(text) => PyString::new(py, text).into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Value::List(values) => {
            let list = PyList::empty(py);
            for value in values.iter() {
                list.append(to_python(py, value)?)?;
            }
            list.into_any()
        }
        Value::Map(entries) => attributes_to_python(py, entries)?.into_any(),
        Value::Messages(context) => messages_to_python(py, context)?.into_any(),
    })
}

/// Attributes as a dict; of two values under one key the later one.
pub(crate) fn attributes_to_python<'py>(
    py: Python<'py>,
    attributes: &[Attribute],
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (key, value) in attributes {
        dict.set_item(key.as_str(), to_python(py, value)?)?;
    }
    Ok(dict)
}

fn messages_to_python<'py>(py: Python<'py>, context: &Context) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for message in context.messages() {
        list.append(to_python(py, message.body())?)?;
    }
    Ok(list)
}
