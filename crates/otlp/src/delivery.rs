//! Gets batches to the collector: sends, waits and tries again, splits, gives up. What it does is counted, and each kind
//! of trouble is logged once.
//!
//! A batch is kept until the collector has taken it or refused it for good, or until the queue is too long: an
//! unreachable collector costs memory up to a bound, and no span as long as it comes back in time. While records come in,
//! nothing here waits for a retry to be due; only a flush does, within its time.

use std::time::{Duration, Instant};

use crate::batch::{Batch, Envelope, Queue};
use crate::config::ResolvedConfig;
use crate::statistics::StatisticsHandle;
use crate::transport::{Outcome, Transport};

pub(crate) struct Delivery {
    transport: Box<dyn Transport>,
    envelope: Envelope,
    queue: Queue,
    /// The request at hand; its memory is used again.
    request: Vec<u8>,
    back_off: BackOff,
    timeout: Duration,
    endpoint: String,
    statistics: StatisticsHandle,
    told: Told,
}

/// How many failures in a row a flush puts up with before it leaves the rest for later. A collector that is not there
/// should not hold up the end of a program, the less so when that was known before.
const FLUSH_FAILURES: u32 = 3;

impl Delivery {
    pub(crate) fn new(
        config: &ResolvedConfig,
        envelope: Envelope,
        transport: Box<dyn Transport>,
        statistics: StatisticsHandle,
    ) -> Self {
        Self {
            transport,
            envelope,
            queue: Queue::new(config.max_queue_bytes, config.max_queue_spans),
            request: Vec::new(),
            back_off: BackOff::new(config.retry_initial_delay, config.retry_max_delay),
            timeout: config.timeout,
            endpoint: config.endpoint.to_string(),
            statistics,
            told: Told::default(),
        }
    }

    /// Takes a batch to deliver.
    pub(crate) fn add(&mut self, batch: Batch) {
        let dropped = self.queue.push(batch);
        if dropped > 0 {
            self.dropped(dropped, "too many wait to be delivered");
        }
    }

    /// Sends what waits, as far as it is time to.
    pub(crate) fn send_due(&mut self) {
        while !self.queue.is_empty() && self.back_off.is_over() {
            self.send_next(self.timeout);
        }
    }

    /// Sends all that waits, trying again as need be, until `deadline`. True: nothing waits any more.
    pub(crate) fn flush(&mut self, deadline: Instant) -> bool {
        let mut patience = FLUSH_FAILURES.saturating_sub(self.back_off.failures).max(1);
        self.back_off.forgive();
        while !self.queue.is_empty() {
            let now = Instant::now();
            let due = self.back_off.not_before.max(now);
            if patience == 0 || due >= deadline {
                return false;
            }
            std::thread::sleep(due - now);
            let left = deadline.saturating_duration_since(Instant::now());
            let is_done = self.send_next(self.timeout.min(left));
            patience = if is_done { FLUSH_FAILURES } else { patience - 1 };
        }
        true
    }

    /// Lets go of all that waits.
    pub(crate) fn abandon(&mut self) {
        let mut dropped = 0;
        while let Some(batch) = self.queue.pop() {
            dropped += batch.spans();
        }
        self.dropped(dropped, "the collector did not take them in time");
    }

    /// Sends the batch that has waited longest. False: it has to be tried again.
    fn send_next(&mut self, timeout: Duration) -> bool {
        let Some(batch) = self.queue.pop() else { return true };
        let spans = batch.spans();
        self.envelope.request(&batch, &mut self.request);
        let mut outcome = self.transport.send(&self.request, timeout);
        if matches!(outcome, Outcome::Broken(_)) && self.back_off.was_connected() {
            // The collector may have closed a connection that was kept too long; a new one will tell.
            self.statistics.add_retry();
            outcome = self.transport.send(&self.request, timeout);
        }
        match outcome {
            Outcome::Taken { rejected_spans, message } => {
                self.taken(spans as u64, rejected_spans, message);
            }
            Outcome::Refused(reason) => self.refused(spans, &reason),
            Outcome::TooLarge(reason) if spans == 1 => self.refused(spans, &reason),
            Outcome::TooLarge(_) => {
                let (first, second) = batch.split();
                self.queue.put_back(second);
                self.queue.put_back(first);
                self.statistics.add_retry();
            }
            Outcome::NotNow { reason, wait } => {
                self.try_again(batch, &reason, wait);
                return false;
            }
            Outcome::Broken(reason) | Outcome::TimedOut(reason) => {
                self.try_again(batch, &reason, None);
                return false;
            }
        }
        self.back_off.succeeded();
        true
    }

    fn taken(&mut self, spans: u64, rejected: u64, message: Option<String>) {
        let rejected = rejected.min(spans);
        self.statistics.add_sent(spans - rejected);
        self.statistics.add_refused(rejected);
        if rejected > 0 || message.is_some() {
            let message = message.unwrap_or_else(|| "it does not say why".to_owned());
            self.tell(
                Trouble::Partial,
                &format!("{rejected} of {spans} spans were refused: {message}"),
            );
        }
    }

    fn refused(&mut self, spans: usize, reason: &str) {
        self.statistics.add_refused(spans as u64);
        self.tell(Trouble::Refused, &format!("{spans} spans were refused: {reason}"));
    }

    fn try_again(&mut self, batch: Batch, reason: &str, wait: Option<Duration>) {
        self.queue.put_back(batch);
        self.back_off.failed(wait);
        self.statistics.add_retry();
        let spans = self.queue.spans();
        self.tell(Trouble::Waiting, &format!("{spans} spans wait to be tried again: {reason}"));
    }

    fn dropped(&mut self, spans: usize, reason: &str) {
        if spans > 0 {
            self.statistics.add_dropped(spans as u64);
            self.tell(Trouble::Dropped, &format!("{spans} spans were let go of: {reason}"));
        }
    }

    /// A span that no request can hold.
    pub(crate) fn too_large(&mut self) {
        self.statistics.add_dropped(1);
        self.tell(Trouble::Dropped, "a span was let go of: it is too large for any request");
    }

    fn tell(&mut self, trouble: Trouble, what: &str) {
        self.statistics.set_last_error(what);
        let level = if self.told.is_first(trouble) { log::Level::Warn } else { log::Level::Debug };
        log::log!(level, "OTLP collector {}: {what} (told once, then only counted)", self.endpoint);
    }
}

/// The kinds of trouble that are told apart.
#[derive(Clone, Copy)]
enum Trouble {
    Waiting,
    Refused,
    Partial,
    Dropped,
}

/// Which kinds of trouble have been told.
#[derive(Default)]
struct Told([bool; 4]);

impl Told {
    fn is_first(&mut self, trouble: Trouble) -> bool {
        !std::mem::replace(&mut self.0[trouble as usize], true)
    }
}

/// When the next request may be made: after a failure later and later, with chance mixed in so that many programs don't
/// come back at the same moment; never before the time that the collector named.
struct BackOff {
    initial: Duration,
    longest: Duration,
    failures: u32,
    not_before: Instant,
    named_by_collector: bool,
    has_connected: bool,
}

impl BackOff {
    fn new(initial: Duration, longest: Duration) -> Self {
        Self {
            initial,
            longest,
            failures: 0,
            not_before: Instant::now(),
            named_by_collector: false,
            has_connected: false,
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.not_before
    }

    /// Whether the last request was answered.
    fn was_connected(&self) -> bool {
        self.has_connected && self.failures == 0
    }

    fn succeeded(&mut self) {
        self.failures = 0;
        self.has_connected = true;
    }

    fn failed(&mut self, named: Option<Duration>) {
        let doubled = self.initial.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        self.named_by_collector = named.is_some();
        let wait = named.unwrap_or_else(|| doubled.mul_f64(0.5 + fastrand::f64() / 2.0));
        // A wait without end would be an overflow; a day is as good.
        self.not_before = Instant::now() + wait.min(Duration::from_secs(24 * 3600));
    }

    /// Lets the next request be made now, unless it was the collector that named the time.
    fn forgive(&mut self) {
        if !self.named_by_collector {
            self.not_before = Instant::now();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::ExporterConfig;

    /// Gives the outcomes of its script, then the same one for ever; counts the requests.
    #[derive(Clone)]
    struct Scripted {
        script: Arc<Mutex<VecDeque<Outcome>>>,
        then: fn() -> Outcome,
        requests: Arc<Mutex<usize>>,
    }

    impl Transport for Scripted {
        fn send(&mut self, _request: &[u8], _timeout: Duration) -> Outcome {
            *self.requests.lock().unwrap() += 1;
            self.script.lock().unwrap().pop_front().unwrap_or_else(self.then)
        }
    }

    fn yes() -> Outcome {
        Outcome::Taken { rejected_spans: 0, message: None }
    }

    fn broken() -> Outcome {
        Outcome::Broken("refused".into())
    }

    /// A delivery with a batch to deliver, and what its transport is asked.
    fn delivery(script: Vec<Outcome>, then: fn() -> Outcome) -> (Delivery, Scripted) {
        let config = ExporterConfig {
            retry_initial_delay: Some(Duration::from_micros(10)),
            ..ExporterConfig::default()
        };
        let config = config.resolve(&|_| None).unwrap();
        let script = Arc::new(Mutex::new(script.into()));
        let scripted = Scripted { script, then, requests: Arc::default() };
        let transport = Box::new(scripted.clone());
        let envelope = Envelope::new(&config.resource);
        let mut delivery = Delivery::new(&config, envelope, transport, StatisticsHandle::default());
        add(&mut delivery);
        (delivery, scripted)
    }

    fn add(delivery: &mut Delivery) {
        let mut batch = Batch::default();
        batch.push(b"span");
        delivery.add(batch);
    }

    fn flush(delivery: &mut Delivery) -> bool {
        delivery.flush(Instant::now() + Duration::from_secs(60))
    }

    fn requests(scripted: &Scripted) -> usize {
        std::mem::take(&mut scripted.requests.lock().unwrap())
    }

    #[test]
    fn a_flush_gives_up_the_sooner_the_longer_the_collector_is_known_to_be_away() {
        let (mut delivery, scripted) = delivery(vec![], broken);
        assert!(!flush(&mut delivery));
        assert_eq!(requests(&scripted), 3);
        assert!(!flush(&mut delivery));
        assert_eq!(requests(&scripted), 1);
    }

    #[test]
    fn a_success_gives_patience_back() {
        let (mut delivery, scripted) =
            delivery(vec![broken(), broken(), yes(), broken(), broken(), broken()], yes);
        add(&mut delivery);
        assert!(flush(&mut delivery));
        // One of them tells whether the connection was only too old.
        assert_eq!(requests(&scripted), 7);
    }

    #[test]
    fn a_connection_that_worked_is_opened_again_at_once_but_time_is_not_spent_twice() {
        let (mut delivery, scripted) = delivery(vec![yes(), broken(), yes()], yes);
        delivery.send_due();
        add(&mut delivery);
        delivery.send_due();
        assert_eq!(requests(&scripted), 3);
        let timed_out = || Outcome::TimedOut("no answer".into());
        scripted.script.lock().unwrap().push_back(timed_out());
        add(&mut delivery);
        delivery.send_due();
        assert_eq!(requests(&scripted), 1);
    }

    #[test]
    fn a_time_that_the_collector_named_is_kept_to_by_a_flush_too() {
        let wait = Some(Duration::from_secs(3600));
        let later = Outcome::NotNow { reason: "busy".into(), wait };
        let (mut delivery, scripted) = delivery(vec![later], yes);
        delivery.send_due();
        assert!(!flush(&mut delivery));
        assert_eq!(requests(&scripted), 1);
        delivery.abandon();
        assert_eq!(delivery.statistics.get().dropped, 1);
    }

    #[test]
    fn waits_grow_up_to_a_bound() {
        let mut back_off = BackOff::new(Duration::from_secs(1), Duration::from_secs(5));
        let mut wait = || {
            back_off.failed(None);
            back_off.not_before - Instant::now()
        };
        let seconds: Vec<_> = (0..50).map(|_| wait().as_secs_f64()).collect();
        for (wait, most) in seconds.iter().zip([1.0, 2.0, 4.0].into_iter().chain([5.0; 47])) {
            assert!((most * 0.49..=most).contains(wait), "{wait} of {most} s");
        }
        assert!(seconds[5..].iter().any(|wait| *wait != seconds[4]), "with chance mixed in");
    }
}
