//! What was worked out for an object of the program's source (a name, an enum member), kept by the object's address.
//!
//! Such objects come again at every call. Each is kept alive, so that its address stays its own. Looking one up takes no
//! lock: a place, once taken, is never given to another object.

use std::sync::OnceLock;

use pyo3::prelude::*;

/// How many places an object may take; where all are taken by others, it is worked out each time.
const PROBES: usize = 4;

/// A table with `PLACES` places, a power of two.
pub(crate) struct Known<T, const PLACES: usize>([OnceLock<(Py<PyAny>, T)>; PLACES]);

impl<T: Clone, const PLACES: usize> Known<T, PLACES> {
    pub(crate) const fn new() -> Self {
        assert!(PLACES.is_power_of_two());
        Self([const { OnceLock::new() }; PLACES])
    }

    /// What is known of the object.
    pub(crate) fn get(&self, object: &Bound<'_, PyAny>) -> Option<&T> {
        let taken = self.places(object).map_while(OnceLock::get);
        taken.filter(|(known, _)| known.is(object)).map(|(_, value)| value).next()
    }

    /// What is known of the object, or what `work_out` finds. Only an object whose meaning cannot change is to be asked for.
    pub(crate) fn get_or(&self, object: &Bound<'_, PyAny>, work_out: impl FnOnce() -> T) -> T {
        self.get(object).cloned().unwrap_or_else(|| {
            let value = work_out();
            if let Some(free) = self.places(object).find(|place| place.get().is_none()) {
                // Another thread may have taken it meanwhile; then the object finds another place next time.
                let _ = free.set((object.clone().unbind(), value.clone()));
            }
            value
        })
    }

    fn places(&self, object: &Bound<'_, PyAny>) -> impl Iterator<Item = &OnceLock<(Py<PyAny>, T)>> {
        let spread = (object.as_ptr() as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        (0..PROBES).map(move |probe| &self.0[(spread as usize + probe) & (PLACES - 1)])
    }
}
