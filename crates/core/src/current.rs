//! The current span of a Rust program: of a thread, and of an async task wherever it is polled.
//!
//! A Python program has a `contextvars.ContextVar` for it instead.

use std::cell::RefCell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::handle::Span;

thread_local! {
    static ENTERED: RefCell<Vec<Span>> = const { RefCell::new(Vec::new()) };
}

/// The span entered last on this thread, and not left since.
pub fn current_span() -> Option<Span> {
    ENTERED.with_borrow(|entered| entered.last().cloned())
}

/// While this lives, a span is the thread's current one; leaving restores the one before. It does not end the span.
#[must_use = "the span is current only while this lives"]
pub struct Entered {
    depth: usize,
    /// A guard is of its thread.
    _not_send: PhantomData<*const ()>,
}

impl Span {
    /// Makes this the current span of this thread until the guard is dropped.
    pub fn enter(&self) -> Entered {
        ENTERED.with_borrow_mut(|entered| {
            entered.push(self.clone());
            Entered { depth: entered.len(), _not_send: PhantomData }
        })
    }

    /// Runs `future` with this as its current span, on whatever threads it is polled.
    pub fn within<F: Future>(&self, future: F) -> Within<F> {
        Within { span: self.clone(), future: Box::pin(future) }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        ENTERED.with_borrow_mut(|entered| entered.truncate(self.depth.saturating_sub(1)));
    }
}

/// A future with a current span of its own; see [`Span::within`].
pub struct Within<F> {
    span: Span,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _entered = self.span.enter();
        self.future.as_mut().poll(context)
    }
}
