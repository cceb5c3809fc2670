//! What was said, as far as it is drawn: short lines, not the messages themselves.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet, VecDeque};

use callboard_core::{Event, EventKind, Record, Text, UnixNanos, Value, keys};

use super::label;
use crate::providers::page::cut;

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

#[derive(Debug)]
pub(super) struct Transcript {
    interactions: VecDeque<Interaction>,
    bytes: usize,
    kept: usize,
    dropped: u64,
    tools: Tools,
}

/// The names of the tools that were called, by the call's id.
#[derive(Debug, Default)]
struct Tools {
    names: HashMap<Text, Text>,
    ids: VecDeque<Text>,
}

impl Transcript {
    pub(super) fn new(kept: usize) -> Self {
        Self { interactions: VecDeque::new(), bytes: 0, kept, dropped: 0, tools: Tools::default() }
    }

    pub(super) fn enter(&mut self, record: &Record) {
        if let Record::Event(event) = record
            && event.kind == EventKind::AgentSendMsg
        {
            let message = event.attribute(keys::MESSAGE).unwrap_or(&Value::Null);
            // Also of a silent message: the answer to its call may be said aloud.
            self.tools.learn(message);
            if is_spoken(event) {
                self.keep(self.interaction(event, message));
            }
        }
    }

    fn interaction(&self, event: &Event, message: &Value) -> Interaction {
        Interaction {
            time_unix_ns: event.time_unix_ns,
            from: agent(event, keys::AGENT_SENDER),
            to: agent(event, keys::AGENT_RECIPIENT),
            message: label::of_message(message, |id| self.tools.names.get(id).cloned()),
        }
    }

    fn keep(&mut self, interaction: Interaction) {
        self.bytes += interaction.size_bytes();
        self.interactions.push_back(interaction);
        while (self.interactions.len() > self.kept || self.bytes > MOST_BYTES)
            && let Some(oldest) = self.interactions.pop_front()
        {
            self.bytes -= oldest.size_bytes();
            self.dropped += 1;
        }
    }

    /// The messages that are kept, in order of time; of one moment, in the order of recording.
    pub(super) fn in_order_of_time(&self) -> Vec<Interaction> {
        let mut interactions: Vec<_> = self.interactions.iter().cloned().collect();
        interactions.sort_by_key(|interaction| interaction.time_unix_ns);
        interactions
    }

    /// How many messages are no longer kept.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
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

fn agent(event: &Event, key: &str) -> Text {
    let name = match event.attribute(key) {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::Text(name)) => Cow::Borrowed(name.as_str()),
        Some(other) => Cow::Owned(other.to_json()),
    };
    Text::new(&cut(&name, NAME_CHARACTERS))
}
