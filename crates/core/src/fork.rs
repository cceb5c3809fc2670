//! What `fork` means here: the child is a new process with the parent's memory but none of its threads.
//!
//! The host's binding calls [`before`] and then [`after_in_parent`] or [`after_in_child`] around a fork. Each pipeline's
//! thread comes to rest first, and whoever takes a lock meanwhile [holds forks off](hold_off), so that no lock is held
//! across the fork; the child then starts pipelines of its own and never touches what a thread of the parent's may have
//! been holding. Ids are seeded anew by the [`generation`].

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use crate::pipeline::Pipeline;

static GENERATION: AtomicU32 = AtomicU32::new(0);
/// How many forks have been announced and are yet to happen.
static ANNOUNCED: AtomicU32 = AtomicU32::new(0);
/// How many threads hold forks off.
static HELD_OFF: AtomicU32 = AtomicU32::new(0);

/// How long a fork and who holds it off wait for one another at the most.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_micros(50);

static PIPELINES: Mutex<Vec<Weak<Pipeline>>> = Mutex::new(Vec::new());

/// How many forks lie between the first process and this one.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Brings every pipeline's thread to rest, and waits for whoever holds forks off, for a bounded time at the most. Call it
/// just before `fork`.
pub fn before() {
    for pipeline in live_pipelines() {
        pipeline.pause();
    }
    ANNOUNCED.fetch_add(1, Ordering::SeqCst);
    let deadline = Instant::now() + PATIENCE;
    while HELD_OFF.load(Ordering::SeqCst) > 0 && Instant::now() < deadline {
        std::thread::sleep(PAUSE);
    }
}

/// Lets everything go on. Call it after `fork`, in the parent.
pub fn after_in_parent() {
    ANNOUNCED.fetch_sub(1, Ordering::SeqCst);
    for pipeline in live_pipelines() {
        pipeline.resume();
    }
}

/// Gives this process pipelines of its own. Call it after `fork`, in the child.
pub fn after_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    ANNOUNCED.store(0, Ordering::SeqCst);
    HELD_OFF.store(0, Ordering::SeqCst);
    for pipeline in live_pipelines() {
        pipeline.restart_in_child();
    }
}

/// While it lives, no fork happens that has yet to be announced; see [`hold_off`].
#[must_use = "forks are held off only while this lives"]
pub struct HeldOff(());

/// Holds forks off for a moment: for whoever, on a thread that may run while another one forks, takes a lock that a child
/// would find taken. Where a fork has been announced it first waits until that has happened, for a bounded time. Not to be
/// held while waiting for anything, nor asked for where the thread that forks cannot go on before this one.
pub fn hold_off() -> HeldOff {
    let deadline = Instant::now() + PATIENCE;
    loop {
        HELD_OFF.fetch_add(1, Ordering::SeqCst);
        let held_off = HeldOff(());
        if ANNOUNCED.load(Ordering::SeqCst) == 0 || Instant::now() >= deadline {
            return held_off;
        }
        drop(held_off);
        std::thread::sleep(PAUSE);
    }
}

impl Drop for HeldOff {
    fn drop(&mut self) {
        HELD_OFF.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Makes a pipeline known to the calls above.
pub(crate) fn watch(pipeline: &Arc<Pipeline>) {
    if let Ok(mut pipelines) = PIPELINES.lock() {
        pipelines.retain(|known| known.strong_count() > 0);
        pipelines.push(Arc::downgrade(pipeline));
    }
}

/// The pipelines that still exist. Where another thread held the list at the fork, none: rather idle than stuck.
fn live_pipelines() -> Vec<Arc<Pipeline>> {
    match PIPELINES.try_lock() {
        Ok(pipelines) => pipelines.iter().filter_map(Weak::upgrade).collect(),
        Err(_) => Vec::new(),
    }
}
