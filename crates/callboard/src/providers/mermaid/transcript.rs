//! What was said, as far as it is drawn: short lines, not the messages themselves.
//!
//! A run has a transcript of its own. The bounds are on all of them together: the oldest message goes first, whichever run it
//! belongs to.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use callboard_core::{Event, EventKind, Record, Text, UnixNanos, Value, keys};

use super::exchange::Exchanges;
use super::label;
use crate::providers::page::cut;
use crate::providers::runs::{RunFilter, RunKey, Runs, key_of};

/// So many calls of tools are remembered.
const MOST_TOOL_CALLS: usize = 10_000;

/// A longer id is no tool call's.
const MOST_ID_BYTES: usize = 512;

/// A name counts up to so many characters: agents whose names begin alike for that long are one.
const NAME_CHARACTERS: usize = 1_000;

/// The transcript holds so many bytes at the most, however few messages these are.
const MOST_BYTES: usize = 64 << 20;

/// One agent saying something to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// When it was sent.
    pub time_unix_ns: UnixNanos,
    /// Who sent it.
    pub from: Text,
    /// To whom.
    pub to: Text,
    /// What the diagram shows of it: one short text, not escaped.
    pub message: String,
}

/// The transcripts of all runs.
#[derive(Debug)]
pub(super) struct Transcript {
    runs: Runs<OfRun>,
    /// The runs of the messages that are kept, in the order in which these were recorded.
    order: VecDeque<RunKey>,
    bytes: usize,
    kept: usize,
    tools: Tools,
    exchanges: Exchanges,
}

#[derive(Debug, Default)]
struct OfRun {
    interactions: VecDeque<Interaction>,
    /// How many of its messages are no longer kept.
    dropped: u64,
}

/// What is kept of the messages of some runs.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// In order of time; of one moment, in the order of recording.
    pub(super) interactions: Vec<Interaction>,
    /// How many further ones are no longer kept.
    pub(super) dropped: u64,
}

/// The names of the tools that were called, by the call's id.
#[derive(Debug, Default)]
struct Tools {
    names: HashMap<Text, Text>,
    ids: VecDeque<Text>,
}

impl Transcript {
    pub(super) fn new(kept: usize) -> Self {
        let (runs, order, bytes) = (Runs::default(), VecDeque::new(), 0);
        let (tools, exchanges) = (Tools::default(), Exchanges::default());
        Self { runs, order, bytes, kept, tools, exchanges }
    }

    pub(super) fn enter(&mut self, record: &Record) {
        if let Some((run, forgotten)) = self.runs.note(record) {
            self.bytes -= forgotten.interactions.iter().map(Interaction::size_bytes).sum::<usize>();
            self.order.retain(|other| *other != run);
        }
        let said = match record {
            Record::Event(event) if event.kind == EventKind::AgentSendMsg => self.hear(event),
            other => self.exchanges.enter(other),
        };
        if let Some(interaction) = said {
            self.keep(key_of(&record.span().run), interaction);
        }
    }

    fn hear(&mut self, event: &Event) -> Option<Interaction> {
        let message = event.attribute(keys::MESSAGE).unwrap_or(&Value::Null);
        // Also of a silent message: the answer to its call may be said aloud.
        self.tools.learn(message);
        is_spoken(event).then(|| Interaction {
            time_unix_ns: event.time_unix_ns,
            from: agent(event.attribute(keys::AGENT_SENDER)),
            to: agent(event.attribute(keys::AGENT_RECIPIENT)),
            message: label::of_message(message, |id| self.tools.names.get(id).cloned()),
        })
    }

    fn keep(&mut self, run: RunKey, interaction: Interaction) {
        let Some(of_run) = self.runs.get_mut(&run) else { return };
        self.bytes += interaction.size_bytes();
        of_run.interactions.push_back(interaction);
        self.order.push_back(run);
        while (self.order.len() > self.kept || self.bytes > MOST_BYTES)
            && let Some(run) = self.order.pop_front()
        {
            let Some(of_run) = self.runs.get_mut(&run) else { continue };
            of_run.dropped += 1;
            self.bytes -= of_run.interactions.pop_front().map_or(0, |oldest| oldest.size_bytes());
        }
    }

    /// Everything that is kept, of all runs.
    pub(super) fn all(&self) -> Vec<Interaction> {
        let mut of_runs: HashMap<RunKey, _> = HashMap::new();
        let next = |run: &RunKey| {
            let of_run = || self.runs.get(run).map(|of_run| of_run.interactions.iter());
            of_runs.entry(*run).or_insert_with(of_run).as_mut()?.next().cloned()
        };
        let mut interactions: Vec<_> = self.order.iter().filter_map(next).collect();
        interactions.sort_by_key(|interaction| interaction.time_unix_ns);
        interactions
    }

    /// What was said in the run that began last.
    pub(super) fn of_last_run(&self) -> Said {
        self.of_runs(&Vec::from_iter(self.runs.last()))
    }

    /// What was said in the runs that are asked for; none where none of them is known.
    pub(super) fn of(&self, filter: RunFilter) -> Option<Said> {
        self.runs.find(filter).map(|runs| self.of_runs(&runs))
    }

    /// How many runs are no longer kept.
    pub(super) fn runs_dropped(&self) -> u64 {
        self.runs.dropped()
    }

    fn of_runs(&self, runs: &[RunKey]) -> Said {
        let mut said = Said::default();
        for of_run in runs.iter().filter_map(|run| self.runs.get(run)) {
            said.interactions.extend(of_run.interactions.iter().cloned());
            said.dropped += of_run.dropped;
        }
        said.interactions.sort_by_key(|interaction| interaction.time_unix_ns);
        said
    }
}

/// Who takes part: the first sender first, then by appearance.
pub(super) fn names(interactions: &[Interaction]) -> Vec<Text> {
    let mut known = HashSet::new();
    let names = interactions.iter().flat_map(|said| [&said.from, &said.to]);
    names.filter(|name| known.insert(name.as_str())).cloned().collect()
}

impl Interaction {
    /// About how many bytes of memory it holds.
    fn size_bytes(&self) -> usize {
        size_of::<Self>() + self.from.len() + self.to.len() + self.message.len()
    }
}

impl Tools {
    fn learn(&mut self, message: &Value) {
        for (id, name) in label::tool_calls(message) {
            if id.len() > MOST_ID_BYTES {
                continue;
            }
            if self.names.insert(id.clone(), name).is_none() {
                self.ids.push_back(id);
            }
            if self.ids.len() > MOST_TOOL_CALLS
                && let Some(oldest) = self.ids.pop_front()
            {
                self.names.remove(&oldest);
            }
        }
    }
}

/// Whether the message is drawn: only where it is said not to be silent.
fn is_spoken(event: &Event) -> bool {
    matches!(event.attribute(keys::SILENT), Some(Value::Bool(false) | Value::Null))
}

/// An agent's name as the diagram keeps it.
pub(super) fn agent(name: Option<&Value>) -> Text {
    let name = match name {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::Text(name)) => Cow::Borrowed(name.as_str()),
        Some(other) => Cow::Owned(other.to_json()),
    };
    Text::new(&cut(&name, NAME_CHARACTERS))
}
