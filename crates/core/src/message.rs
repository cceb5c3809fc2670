//! Messages, and contexts: histories of messages stored once.
//!
//! A conversation's whole history goes to the model at every call. Recorded naively it would grow with the square of its
//! length; as a chain it grows with its length:
//!
//! ```text
//! call 1    [m1]                     context 1
//! call 2    [m1, m2, m3]             context 1 <- m2 <- m3 = context 3
//! call 3    [m1, m2, m3, m4, m5]     context 3 <- m4 <- m5 = context 5
//! ```
//!
//! A context is (parent context, one more message); two contexts that begin alike share what they begin with.

use std::sync::{Arc, OnceLock};

use crate::value::Value;

/// One message of a conversation: a map such as `{"role": "user", "content": "…"}`, as the program had it.
#[derive(Debug)]
pub struct Message {
    body: Value,
    json: OnceLock<Box<str>>,
    said_bytes: Option<u64>,
}

impl Message {
    /// A message with this body.
    pub fn new(body: Value) -> Arc<Self> {
        Arc::new(Self { body, json: OnceLock::new(), said_bytes: None })
    }

    /// A message of which only `body` may be told, though it said `said_bytes` bytes of text.
    pub fn shortened(body: Value, said_bytes: u64) -> Arc<Self> {
        Arc::new(Self { body, json: OnceLock::new(), said_bytes: Some(said_bytes) })
    }

    /// The message as the program had it.
    pub fn body(&self) -> &Value {
        &self.body
    }

    /// The message as JSON text, rendered once however many histories it stands in.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| self.body.to_json().into_boxed_str())
    }

    /// How many bytes of text it said before it was shortened; none where the body is all of it.
    pub fn said_bytes(&self) -> Option<u64> {
        self.said_bytes
    }

    /// About how many bytes of memory it holds.
    pub fn size_bytes(&self) -> usize {
        self.body.size_bytes()
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.body == other.body && self.said_bytes == other.said_bytes
    }
}

/// A history of messages, oldest first. Cloning it, and adding a message, cost the same however long it is.
#[derive(Clone, Default)]
pub struct Context {
    newest: Option<Arc<Link>>,
}

struct Link {
    earlier: Context,
    message: Arc<Message>,
    length: usize,
}

impl Context {
    /// The history without a message.
    pub fn empty() -> Self {
        Self::default()
    }

    /// This history and one more message. The history itself stays as it is.
    #[must_use]
    pub fn push(&self, message: Arc<Message>) -> Self {
        let link = Link { earlier: self.clone(), message, length: self.len() + 1 };
        Self { newest: Some(Arc::new(link)) }
    }

    /// How many messages it has.
    pub fn len(&self) -> usize {
        self.newest.as_ref().map_or(0, |link| link.length)
    }

    /// Whether it has no message.
    pub fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// Its last message.
    pub fn newest(&self) -> Option<&Arc<Message>> {
        self.newest.as_ref().map(|link| &link.message)
    }

    /// The history before its last message.
    pub fn earlier(&self) -> Option<&Context> {
        self.newest.as_ref().map(|link| &link.earlier)
    }

    /// Its messages, oldest first.
    pub fn messages(&self) -> Vec<&Message> {
        self.messages_after(0)
    }

    /// Its messages but the first `length`, oldest first. It takes as long as there are of them.
    pub fn messages_after(&self, length: usize) -> Vec<&Message> {
        let mut messages = Vec::with_capacity(self.len().saturating_sub(length));
        let mut rest = self;
        while let Some(link) = &rest.newest
            && link.length > length
        {
            messages.push(link.message.as_ref());
            rest = &link.earlier;
        }
        messages.reverse();
        messages
    }

    /// Its first `length` messages; the whole where it has no more.
    #[must_use]
    pub fn first(&self, length: usize) -> Self {
        let mut rest = self;
        while let Some(link) = &rest.newest
            && link.length > length
        {
            rest = &link.earlier;
        }
        rest.clone()
    }

    /// Whether the two are one and the same chain, not only equal.
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.newest, &other.newest) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl PartialEq for Context {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || (self.len() == other.len() && self.messages() == other.messages())
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Context({} messages)", self.len())
    }
}

impl Drop for Link {
    /// Lets go of a long chain link by link: dropped recursively it would overflow the stack.
    fn drop(&mut self) {
        let mut rest = self.earlier.newest.take();
        while let Some(link) = rest {
            match Arc::try_unwrap(link) {
                Ok(mut alone) => rest = alone.earlier.newest.take(),
                Err(_) => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(content: &str) -> Arc<Message> {
        Message::new(vec![("content".into(), content.to_owned().into())].into())
    }

    #[test]
    fn histories_that_begin_alike_share_what_they_begin_with() {
        let one = Context::empty().push(message("a"));
        let (left, right) = (one.push(message("b")), one.push(message("c")));
        assert!(left.earlier().unwrap().is_same(right.earlier().unwrap()));
        assert_eq!(left.len(), 2);
        assert!(left.first(1).is_same(&one));
        assert_ne!(left, right);
        assert_eq!(left, one.push(message("b")));
    }

    #[test]
    fn a_very_long_history_is_let_go_of_without_deep_recursion() {
        let mut context = Context::empty();
        for _ in 0..300_000 {
            context = context.push(message("x"));
        }
        assert_eq!(context.messages().len(), 300_000);
        drop(context);
    }
}
