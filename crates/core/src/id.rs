//! Ids of traces and spans, in OpenTelemetry's sizes, and where they come from.
//!
//! One id names a span in every provider, the OTLP exporter included. Only the manager asks an [`IdSource`] for one.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use crate::fork;

/// The id of a trace: 128 bits, never zero. Its text form is 32 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(NonZeroU128);

/// The id of a span: 64 bits, never zero. Its text form is 16 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(NonZeroU64);

/// A text that is no id: wrong length, not hex, or all zeros.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what} id: it takes {digits} hex digits that are not all zero")]
pub struct ParseIdError {
    text: String,
    what: &'static str,
    digits: usize,
}

macro_rules! id_type {
    ($name:ident, $nonzero:ident, $int:ty, $bytes:literal, $digits:literal, $what:literal) => {
        impl $name {
            /// The id with this number; zero, which OpenTelemetry calls invalid, becomes one.
            pub const fn from_int(number: $int) -> Self {
                match $nonzero::new(number) {
                    Some(number) => Self(number),
                    None => Self($nonzero::MIN),
                }
            }

            /// The id as a number.
            pub const fn to_int(self) -> $int {
                self.0.get()
            }

            /// The id as big-endian bytes, as OTLP carries it.
            pub const fn to_bytes(self) -> [u8; $bytes] {
                self.0.get().to_be_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:0", $digits, "x}"), self.0.get())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let well_formed =
                    text.len() == $bytes * 2 && text.bytes().all(|b| b.is_ascii_hexdigit());
                match <$int>::from_str_radix(text, 16) {
                    Ok(number) if well_formed && number != 0 => Ok(Self::from_int(number)),
                    _ => Err(ParseIdError { text: text.into(), what: $what, digits: $bytes * 2 }),
                }
            }
        }
    };
}

id_type!(TraceId, NonZeroU128, u128, 16, "32", "trace");
id_type!(SpanId, NonZeroU64, u64, 8, "16", "span");

/// Where ids come from: random in a program, counted in a test.
pub trait IdSource: Send + Sync {
    /// A trace id that no other run has.
    fn trace_id(&self) -> TraceId;
    /// A span id that no other span of the trace has.
    fn span_id(&self) -> SpanId;
}

/// Random ids. Trace ids come from the operating system; span ids from a generator of each thread, which is seeded by
/// the operating system and seeded anew in a forked child, so that parent and child never give the same ids.
#[derive(Debug, Default, Clone, Copy)]
pub struct RandomIds;

thread_local! {
    static THREAD_STATE: Cell<Option<(u32, u64)>> = const { Cell::new(None) };
}

impl IdSource for RandomIds {
    fn trace_id(&self) -> TraceId {
        let high = u128::from(system_random());
        TraceId::from_int((high << 64) | u128::from(system_random()))
    }

    fn span_id(&self) -> SpanId {
        let generation = fork::generation();
        let seed = match THREAD_STATE.get() {
            Some((seeded_in, state)) if seeded_in == generation => state,
            _ => system_random(),
        };
        let mut random = fastrand::Rng::with_seed(seed);
        let number = random.u64(..);
        THREAD_STATE.set(Some((generation, random.get_seed())));
        SpanId::from_int(number)
    }
}

/// Random bits of the operating system, or, where it has none to give, of the hasher's keys and the clock.
fn system_random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| fastrand::Rng::new().u64(..))
}

/// A map by ids.
pub type IdMap<Id, T> = HashMap<Id, T, BuildHasherDefault<IdHasher>>;

/// Hashes ids for a map: random or consecutive as they are, they need no more than to be put together.
#[derive(Debug, Default, Clone, Copy)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 ^= number;
    }

    fn write_u128(&mut self, number: u128) {
        self.0 ^= number as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = TraceId::from_int(0xabc);
        assert_eq!(id.to_string(), "00000000000000000000000000000abc");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(SpanId::from_int(7).to_string(), "0000000000000007");
        assert_eq!(SpanId::from_int(0), SpanId::from_int(1));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "abc", "0000000000000000", "+00000000000000a", "zzzzzzzzzzzzzzzz"] {
            let error = text.parse::<SpanId>().unwrap_err();
            assert!(error.to_string().contains("16 hex digits"), "{error}");
        }
    }

    #[test]
    fn span_ids_differ_between_threads_and_after_a_fork() {
        let here: Vec<_> = (0..1000).map(|_| RandomIds.span_id()).collect();
        let there =
            std::thread::spawn(|| (0..1000).map(|_| RandomIds.span_id()).collect::<Vec<_>>());
        let mut all: Vec<_> = here.into_iter().chain(there.join().unwrap()).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 2000);
    }
}
