//! What was worked out for an object of the program's source (a name, an enum member), kept by the object's address.
//!
//! Such objects come again at every call. Each is kept alive, so that its address stays its own.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

/// The most objects that are kept. A program's own names are fewer; where it makes them up as it goes, all are forgotten
/// now and then.
const MOST: usize = 4096;

type ByAddress<T> = HashMap<usize, (Py<PyAny>, T), BuildHasherDefault<AddressHasher>>;

pub(crate) struct Known<T>(Mutex<Option<ByAddress<T>>>);

impl<T: Clone> Known<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What is known for the object. Only what was kept before is; see [`keep`](Self::keep).
    pub(crate) fn get(&self, object: &Bound<'_, PyAny>) -> Option<T> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref()?.get(&(object.as_ptr() as usize)).map(|(_, value)| value.clone())
    }

    pub(crate) fn keep(&self, object: &Bound<'_, PyAny>, value: &T) {
        let entry = (object.clone().unbind(), value.clone());
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = slot.get_or_insert_default();
        let forgotten = (known.len() >= MOST).then(|| std::mem::take(known));
        let replaced = known.insert(object.as_ptr() as usize, entry);
        drop(slot);
        // Without the lock: an object that is let go of may run Python code.
        drop((forgotten, replaced));
    }
}

/// Addresses differ enough in their middle bits for a multiplication to spread them.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_usize(usize::from(*byte) ^ self.0 as usize);
        }
    }

    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
