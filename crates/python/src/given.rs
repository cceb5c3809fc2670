//! What a program passes to a call that records, read where it lies: texts are only pointed to.
//!
//! A program's call passes a dict ([`with_attributes`]); a hook that is written in Rust lists what it found
//! ([`AttributeList`]).
//!
//! What several calls share is kept out of line: by the second call of a span it is in the processor's cache, while a copy
//! in each call would have to be fetched for each.

use callboard_core::{Attribute, Given, Key};
use pyo3::ffi;
use pyo3::marker::Ungil;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};
use smallvec::SmallVec;

use crate::content::ContentPolicy;
use crate::value::{MOST_TEXT_BYTES, key, known_key, to_value};

/// How many attributes a call is given at the most, as a rule; more take a list of their own.
const USUAL: usize = 8;

type List<'a> = SmallVec<[(Key, Given<'a>); USUAL]>;

/// Hands the attributes of a dict to what records them. Anything that is no dict has none.
///
/// `record` has to leave Python's objects alone, which [`Ungil`] sees to: what it is given is theirs.
pub(crate) fn with_attributes<R>(
    attributes: Option<&Bound<'_, PyAny>>,
    policy: Option<&ContentPolicy>,
    record: impl Ungil + FnOnce(&mut [(Key, Given<'_>)]) -> R,
) -> R {
    let Some(entries) = attributes.and_then(|given| given.cast::<PyDict>().ok()) else {
        return record(&mut []);
    };
    let mut plain = List::new();
    if policy.is_none() && read_plain(entries, &mut plain).is_some() {
        return record(&mut plain);
    }
    // Each entry is held: reading a value may run code of the program's, which may change the dict.
    let held: Vec<_> = entries.iter().collect();
    let mut read = List::new();
    for (name, value) in &held {
        let key = key(name);
        let given = given_under(policy, &key, value);
        read.push((key, given));
    }
    record(&mut read)
}

/// The value of an attribute, as a policy has it recorded.
pub(crate) fn given_under<'a>(
    policy: Option<&ContentPolicy>,
    key: &Key,
    object: &'a Bound<'_, PyAny>,
) -> Given<'a> {
    match policy {
        Some(policy) => policy.attribute(object.py(), key, to_value(object)).into(),
        None => plain(object.as_borrowed()).unwrap_or_else(|| to_value(object).into()),
    }
}

/// Attributes that a hook lists, as a run's rules have them recorded.
pub(crate) struct AttributeList<'a> {
    policy: Option<&'a ContentPolicy>,
    list: SmallVec<[(Key, Given<'a>); MANY]>,
}

/// How many attributes a hook lists at the most, as a rule.
const MANY: usize = 16;

impl<'a> AttributeList<'a> {
    pub(crate) fn new(policy: Option<&'a ContentPolicy>) -> Self {
        Self { policy, list: SmallVec::new() }
    }

    /// Adds an attribute whose value is an object of the program's.
    #[inline(never)]
    pub(crate) fn put(&mut self, key: &'static str, object: &'a Bound<'_, PyAny>) {
        let key = Key::from_static(key);
        let given = given_under(self.policy, &key, object);
        self.list.push((key, given));
    }

    /// Adds an attribute whose value was read before.
    pub(crate) fn put_given(
        &mut self,
        py: Python<'_>,
        key: impl Into<Key>,
        value: impl Into<Given<'a>>,
    ) {
        self.add(py, key.into(), value.into());
    }

    #[inline(never)]
    fn add(&mut self, py: Python<'_>, key: Key, value: Given<'a>) {
        let value = match self.policy {
            Some(policy) => policy.attribute(py, &key, value.into()).into(),
            None => value,
        };
        self.list.push((key, value));
    }

    /// Adds attributes as they are: the run's rules were applied to them before.
    pub(crate) fn extend(&mut self, attributes: &[Attribute]) {
        let attributes = attributes.iter().cloned();
        self.list.extend(attributes.map(|(key, value)| (key, Given::Value(value))));
    }

    /// The attributes as they are to be kept.
    pub(crate) fn into_kept(self) -> Vec<Attribute> {
        self.list.into_iter().map(|(key, given)| (key, given.into())).collect()
    }

    /// Removes all attributes.
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// The attributes, to be recorded; nothing stays in their place.
    pub(crate) fn take(&mut self) -> &mut [(Key, Given<'a>)] {
        &mut self.list
    }
}

/// Reads the entries of a dict, up to the first that is not plain or whose name did not come before.
#[inline(never)]
fn read_plain<'a>(entries: &'a Bound<'_, PyDict>, read: &mut List<'a>) -> Option<()> {
    let (dict, py) = (entries.as_ptr(), entries.py());
    let (mut place, mut name, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: the pointers are to variables of this function.
    while unsafe { ffi::PyDict_Next(dict, &raw mut place, &raw mut name, &raw mut value) } != 0 {
        // SAFETY: they are the dict's, which keeps them as long as no Python code runs: none does here, nor in what is
        // done with the attributes.
        let (name, value): (Borrowed<'a, '_, PyAny>, Borrowed<'a, '_, PyAny>) =
            unsafe { (Borrowed::from_ptr(py, name), Borrowed::from_ptr(py, value)) };
        read.push((known_key(&name)?.clone(), plain(value)?));
    }
    Some(())
}

/// The value of most objects there are: text that is not too long, a number, a truth value, None. It runs no Python code.
#[inline(never)]
pub(crate) fn plain<'a>(object: Borrowed<'a, '_, PyAny>) -> Option<Given<'a>> {
    if let Ok(text) = object.cast_exact::<PyString>() {
        let text = text.to_str().ok().filter(|text| text.len() <= MOST_TEXT_BYTES)?;
        // SAFETY: it is within the object, which does not change and lives for 'a.
        return Some(Given::from(unsafe { &*std::ptr::from_ref(text) }));
    }
    if let Ok(truth) = object.cast_exact::<PyBool>() {
        return Some(truth.is_true().into());
    }
    if object.is_exact_instance_of::<PyInt>() {
        return object.extract::<i64>().ok().map(Given::from);
    }
    if let Ok(number) = object.cast_exact::<PyFloat>() {
        return Some(number.value().into());
    }
    object.is_none().then(|| None::<i64>.into())
}
