//! What is kept of an object of the program's, as long as that lives.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyWeakrefReference};

use super::agents::id_of;
use crate::guard::lock;

/// What is kept, by the ids of the objects; of few, as a rule, which are sooner compared than hashed.
pub(super) struct Kept<T>(Arc<Mutex<BTreeMap<usize, Entry<T>>>>);

struct Entry<T> {
    /// Removes this when the object is gone.
    _object: Py<PyWeakrefReference>,
    value: Arc<T>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Send + Sync + 'static> Kept<T> {
    /// What is kept of an object; made now where nothing is. Of one that cannot be referred to weakly nothing is kept.
    pub(super) fn of(
        &self,
        object: &Bound<'_, PyAny>,
        make: impl FnOnce() -> PyResult<T>,
    ) -> PyResult<Arc<T>> {
        let id = id_of(object);
        if let Some(entry) = lock(&self.0).get(&id) {
            return Ok(entry.value.clone());
        }
        let value = Arc::new(make()?);
        let kept = Arc::downgrade(&self.0);
        let forget = PyCFunction::new_closure(object.py(), None, None, move |_, _| {
            let gone = kept.upgrade().and_then(|kept| lock(&kept).remove(&id));
            // Without the lock: what is let go of may run Python code.
            drop(gone);
        })?;
        if let Ok(reference) = PyWeakrefReference::new_with(object, forget) {
            let entry = Entry { _object: reference.unbind(), value: value.clone() };
            let replaced = lock(&self.0).insert(id, entry);
            drop(replaced);
        }
        Ok(value)
    }
}
