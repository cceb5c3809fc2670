//! What `fork` means here: the child is a new process with the parent's memory but none of its threads.
//!
//! The host's binding calls [`before`] and then [`after_in_parent`] or [`after_in_child`] around a fork. Each pipeline's
//! thread comes to rest first, so that no lock is held across the fork; the child then starts pipelines of its own and
//! never touches what a thread of the parent's may have been holding. Ids are seeded anew by the [`generation`].

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::pipeline::Pipeline;

static GENERATION: AtomicU32 = AtomicU32::new(0);
static PIPELINES: Mutex<Vec<Weak<Pipeline>>> = Mutex::new(Vec::new());

/// How many forks lie between the first process and this one.
pub fn generation() -> u32 {
    GENERATION.load(Ordering::Relaxed)
}

/// Brings every pipeline's thread to rest, for a bounded time at the most. Call it just before `fork`.
pub fn before() {
    for pipeline in live_pipelines() {
        pipeline.pause();
    }
}

/// Lets the pipelines go on. Call it after `fork`, in the parent.
pub fn after_in_parent() {
    for pipeline in live_pipelines() {
        pipeline.resume();
    }
}

/// Gives this process pipelines of its own. Call it after `fork`, in the child.
pub fn after_in_child() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
    for pipeline in live_pipelines() {
        pipeline.restart_in_child();
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
