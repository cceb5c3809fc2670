//! Batches of encoded spans, the envelope that they travel in, and the bounded queue in which they wait.

use std::collections::VecDeque;

use crate::wire;

/// The scope of all that callboard exports.
const SCOPE_NAME: &str = "ag2.telemetry";

/// Encoded spans, one after the other.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    /// Where each span ends.
    ends: Vec<usize>,
}

impl Batch {
    /// An empty batch that will probably become as large as this one.
    pub(crate) fn like(other: &Self) -> Self {
        Self { bytes: Vec::with_capacity(other.bytes()), ends: Vec::with_capacity(other.spans()) }
    }

    pub(crate) fn spans(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Adds an encoded span.
    pub(crate) fn push(&mut self, span: &[u8]) {
        /// `ScopeSpans.spans`
        const SPANS: u64 = 2;
        wire::bytes(&mut self.bytes, SPANS, span);
        self.ends.push(self.bytes.len());
    }

    /// Its first half and its second. Each has a span where it has two.
    pub(crate) fn split(mut self) -> (Self, Self) {
        let middle = self.spans() / 2;
        let at = if middle == 0 { 0 } else { self.ends[middle - 1] };
        let bytes = self.bytes.split_off(at);
        let ends = self.ends.split_off(middle).into_iter().map(|end| end - at).collect();
        (self, Self { bytes, ends })
    }
}

/// What is the same in every request: the resource and the scope.
pub(crate) struct Envelope {
    resource: Vec<u8>,
    scope: Vec<u8>,
}

impl Envelope {
    pub(crate) fn new(resource: &[(String, String)]) -> Self {
        let mut encoded = Self { resource: Vec::new(), scope: Vec::new() };
        wire::message(&mut encoded.resource, 1, |out| {
            for (key, value) in resource {
                wire::message(out, 1, |out| {
                    wire::bytes(out, 1, key.as_bytes());
                    wire::message(out, 2, |out| wire::bytes(out, 1, value.as_bytes()));
                });
            }
        });
        wire::message(&mut encoded.scope, 1, |out| {
            wire::bytes(out, 1, SCOPE_NAME.as_bytes());
            wire::bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
        });
        encoded
    }

    /// How many bytes a request has besides its spans, at the most.
    pub(crate) fn bytes(&self) -> usize {
        const TWO_HEADERS: usize = 22;
        self.resource.len() + self.scope.len() + TWO_HEADERS
    }

    /// Writes an `ExportTraceServiceRequest` with the batch's spans into `request`, which is emptied first.
    pub(crate) fn request(&self, batch: &Batch, request: &mut Vec<u8>) {
        /// `ExportTraceServiceRequest.resource_spans`, whose `scope_spans` are field 2.
        const RESOURCE_SPANS: u64 = 1;
        const SCOPE_SPANS: u64 = 2;
        let scope_spans = self.scope.len() + batch.bytes();
        let resource_spans = self.resource.len() + wire::bytes_len(scope_spans);
        request.clear();
        request.reserve(self.bytes() + batch.bytes());
        wire::header(request, RESOURCE_SPANS, resource_spans);
        request.extend_from_slice(&self.resource);
        wire::header(request, SCOPE_SPANS, scope_spans);
        request.extend_from_slice(&self.scope);
        request.extend_from_slice(&batch.bytes);
    }
}

/// Batches that wait to be sent, the oldest first. When they are too much, the oldest go.
pub(crate) struct Queue {
    waiting: VecDeque<Batch>,
    bytes: usize,
    spans: usize,
    max_bytes: usize,
    max_spans: usize,
}

impl Queue {
    pub(crate) fn new(max_bytes: usize, max_spans: usize) -> Self {
        Self { waiting: VecDeque::new(), bytes: 0, spans: 0, max_bytes, max_spans }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn spans(&self) -> usize {
        self.spans
    }

    /// Adds a batch behind all others; says how many spans had to go for it.
    pub(crate) fn push(&mut self, batch: Batch) -> usize {
        self.count_in(&batch);
        self.waiting.push_back(batch);
        self.shed()
    }

    /// The batch that has waited longest.
    pub(crate) fn pop(&mut self) -> Option<Batch> {
        let batch = self.waiting.pop_front()?;
        self.bytes -= batch.bytes();
        self.spans -= batch.spans();
        Some(batch)
    }

    /// Puts back a batch that was taken.
    pub(crate) fn put_back(&mut self, batch: Batch) {
        self.count_in(&batch);
        self.waiting.push_front(batch);
    }

    fn count_in(&mut self, batch: &Batch) {
        self.bytes += batch.bytes();
        self.spans += batch.spans();
    }

    fn shed(&mut self) -> usize {
        let mut shed = 0;
        while (self.bytes > self.max_bytes || self.spans > self.max_spans) && self.waiting.len() > 1
        {
            shed += self.pop().map_or(0, |batch| batch.spans());
        }
        shed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(sizes: &[usize]) -> Batch {
        let mut batch = Batch::default();
        for size in sizes {
            batch.push(&vec![0; *size]);
        }
        batch
    }

    #[test]
    fn a_batch_is_split_between_two_spans() {
        let (first, second) = batch(&[5, 6, 7]).split();
        assert_eq!((first.spans(), first.bytes()), (1, 7));
        assert_eq!((second.spans(), second.bytes()), (2, 17));
        let (first, second) = second.split();
        assert_eq!((first.bytes(), second.bytes()), (8, 9));
    }

    #[test]
    fn a_full_queue_lets_go_of_the_oldest() {
        let mut queue = Queue::new(30, usize::MAX);
        assert_eq!(queue.push(batch(&[8, 8])), 0);
        assert_eq!(queue.push(batch(&[8])), 0);
        assert_eq!(queue.push(batch(&[8])), 2);
        assert_eq!(queue.spans(), 2);
        let mut queue = Queue::new(usize::MAX, 2);
        assert_eq!(queue.push(batch(&[1, 1])), 0);
        assert_eq!(queue.push(batch(&[1])), 2);
    }
}
