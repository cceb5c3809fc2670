//! The program that is measured: it records spans, by callboard or by `opentelemetry_sdk`, and says what that took.
//!
//! `callboard-benches SIDE LOOP SPANS ENDPOINT` prints one line of JSON: `caller_us`, what recording a span took of the
//! caller's time. `programs/spans.py` is its counterpart in Python.

mod callboard;
mod opentelemetry;

use std::time::{Duration, Instant};

use crate::callboard::Callboard;
use crate::opentelemetry::OpenTelemetry;

/// Records spans: 4 attributes at their start, 2 set later, 1 event with 2 attributes.
trait Side {
    /// Records one. Names that the program's source gives are constants; what it would know only as it runs is a
    /// `String`.
    fn record(&self, number: i64, texts: &Texts);

    /// Returns when everything recorded has been exported.
    fn flush(&self);
}

/// What a program would know only as it runs.
struct Texts {
    sender: String,
    recipient: String,
    reply: String,
    message: String,
}

const PACE: Duration = Duration::from_micros(200);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [side, in_loop, spans, endpoint] = arguments.as_slice() else {
        panic!(
            "give SIDE LOOP SPANS ENDPOINT: callboard tight 20000 http://127.0.0.1:4318/v1/traces"
        );
    };
    let spans = spans.parse().expect("SPANS is a number");
    let side: Box<dyn Side> = match side.as_str() {
        "callboard" => Box::new(Callboard::new(endpoint)),
        // With room for every span, as its default queue drops most of a tight loop's.
        "opentelemetry" => Box::new(OpenTelemetry::new(endpoint, 2 * spans)),
        other => panic!("{other} is no SIDE: use callboard or opentelemetry"),
    };
    let texts = Texts {
        sender: "jack".to_owned(),
        recipient: "emma".to_owned(),
        reply: "Why did the goldfish refuse the peanut butter?".to_owned(),
        message: "Tell me a joke.".to_owned(),
    };
    // As many before: what is measured is a program that runs, not the system giving it its first memory.
    tight(side.as_ref(), spans, &texts);
    side.flush();
    let spent = match in_loop.as_str() {
        "tight" => tight(side.as_ref(), spans, &texts),
        "at-work" => paced(side.as_ref(), spans, &texts, work_until),
        "asleep" => paced(side.as_ref(), spans, &texts, sleep_until),
        other => panic!("{other} is no LOOP: use tight, at-work or asleep"),
    };
    side.flush();
    println!("{{\"caller_us\": {}}}", spent.as_secs_f64() * 1e6 / spans as f64);
}

/// Records one span after the other; the time that it took.
fn tight(side: &dyn Side, spans: usize, texts: &Texts) -> Duration {
    let began = Instant::now();
    for number in 0..spans {
        side.record(number as i64, texts);
    }
    began.elapsed()
}

/// Records a span every 200 us and waits in between; the time spent in recording.
fn paced(side: &dyn Side, spans: usize, texts: &Texts, wait_until: fn(Instant)) -> Duration {
    let mut spent = Duration::ZERO;
    let mut due = Instant::now();
    for number in 0..spans {
        due += PACE;
        wait_until(due);
        let began = Instant::now();
        side.record(number as i64, texts);
        spent += began.elapsed();
    }
    spent
}

fn work_until(due: Instant) {
    while Instant::now() < due {}
}

fn sleep_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}
