//! What a program gives the calls that record: attributes as it has them.
//!
//! Text is copied into the queue's own memory, which is used again and again. Memory that the program's thread allocates
//! and another one frees would cost the program more than the copy does.

use std::borrow::Cow;
use std::sync::Arc;

use crate::message::Context;
use crate::value::{Attribute, Key, Text, Value};

/// A value as the program has it.
#[derive(Clone, Debug)]
pub enum Given<'a> {
    /// A value that was made before.
    Value(Value),
    /// Text, which is copied.
    Text(Cow<'a, str>),
}

/// The attributes that a call is given: an array, whose texts may be borrowed, or a list that was made before.
///
/// ```
/// # use callboard_core::{Attribute, InstrumentationManager, ManagerConfig, SpanKind};
/// # let manager = InstrumentationManager::new(ManagerConfig::default());
/// let sender = String::from("emma");
/// let run = manager.start_run("My Workflow", [("workflow.id".into(), "123".into())]);
/// run.start_child(SpanKind::Chat, [("ag2.agent.sender".into(), sender.as_str().into())]).end();
///
/// let made_before: Vec<Attribute> = vec![("ag2.agent.sender".into(), "emma".into())];
/// run.start_child(SpanKind::Chat, made_before).end();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no attributes",
    note = "write them as `[(name.into(), value.into()), …]`, or give a `Vec<Attribute>`"
)]
pub trait Attributes: AsMut<[(Key, Self::Value)]> {
    /// What the values are.
    type Value: sealed::Recordable;
}

impl Attributes for Vec<Attribute> {
    type Value = Value;
}

impl<'a, const N: usize> Attributes for [(Key, Given<'a>); N] {
    type Value = Given<'a>;
}

/// Nothing stays in their place.
impl<'a> Attributes for &mut [(Key, Given<'a>)] {
    type Value = Given<'a>;
}

/// The most bytes of a text that are copied into the queue, which is locked meanwhile. Longer text is copied before.
pub(crate) const MOST_LAID_BYTES: usize = 1024;

pub(crate) use sealed::Recordable;

mod sealed {
    use crate::value::Value;

    /// What can be laid into the queue.
    pub trait Recordable: From<Value> {
        /// Does what takes long.
        fn prepare(&mut self);
        /// About how many bytes of memory it holds.
        fn size_bytes(&self) -> usize;
        /// Whether it is a history of messages.
        fn is_history(&self) -> bool;
        /// The text that is to be copied, if it is text.
        fn text(&self) -> Option<&str>;
        /// The value, of which nothing stays in its place.
        fn take(&mut self) -> Value;
    }
}

impl Recordable for Value {
    fn prepare(&mut self) {}

    fn size_bytes(&self) -> usize {
        self.size_bytes()
    }

    fn is_history(&self) -> bool {
        matches!(self, Self::Messages(_))
    }

    fn text(&self) -> Option<&str> {
        None
    }

    fn take(&mut self) -> Value {
        std::mem::take(self)
    }
}

impl Recordable for Given<'_> {
    fn prepare(&mut self) {
        if let Self::Text(text) = self
            && text.len() > MOST_LAID_BYTES
        {
            *self = Self::Value(self.take());
        }
    }

    fn size_bytes(&self) -> usize {
        match self {
            Self::Value(value) => value.size_bytes(),
            Self::Text(text) => size_of::<Value>() + text.len(),
        }
    }

    fn is_history(&self) -> bool {
        matches!(self, Self::Value(value) if value.is_history())
    }

    fn text(&self) -> Option<&str> {
        match self {
            Self::Value(_) => None,
            Self::Text(text) => Some(text),
        }
    }

    fn take(&mut self) -> Value {
        match self {
            Self::Value(value) => std::mem::take(value),
            Self::Text(text) => Text::new(text).into(),
        }
    }
}

impl From<Given<'_>> for Value {
    fn from(mut given: Given<'_>) -> Self {
        given.take()
    }
}

macro_rules! given_from {
    ($($type:ty),* $(,)?) => {
        $(impl From<$type> for Given<'_> {
            fn from(value: $type) -> Self {
                Self::Value(value.into())
            }
        })*
    };
}

given_from!(
    Value,
    bool,
    i64,
    i32,
    u32,
    u64,
    usize,
    f64,
    Text,
    Arc<str>,
    Context,
    Vec<Value>,
    Vec<Attribute>
);

impl<'a> From<&'a str> for Given<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Given<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<&'a String> for Given<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text.into())
    }
}

impl<'a, T: Into<Given<'a>>> From<Option<T>> for Given<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Value(Value::Null), Into::into)
    }
}
