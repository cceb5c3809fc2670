//! What was said, as far as it is drawn: short lines, not the messages themselves.

use std::collections::{HashMap, HashSet, VecDeque};

use callboard_core::{Event, EventKind, Record, Text, UnixNanos, Value, keys};

use super::label;

/// So many calls of tools are remembered that nobody has answered yet.
const OPEN_TOOL_CALLS: usize = 10_000;

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
    kept: usize,
    dropped: u64,
    names: Names,
    tools: Tools,
}

/// Who took part, by appearance.
#[derive(Debug, Default)]
struct Names {
    known: HashSet<Text>,
    in_order: Vec<Text>,
}

/// The names of the tools that were called, by the call's id.
#[derive(Debug, Default)]
struct Tools {
    names: HashMap<Text, Text>,
    ids: VecDeque<Text>,
}

impl Transcript {
    pub(super) fn new(kept: usize) -> Self {
        Self {
            interactions: VecDeque::new(),
            kept,
            dropped: 0,
            names: Names::default(),
            tools: Tools::default(),
        }
    }

    pub(super) fn enter(&mut self, record: &Record) {
        if let Record::Event(event) = record
            && event.kind == EventKind::AgentSendMsg
            && is_spoken(event)
        {
            self.say(event);
        }
    }

    fn say(&mut self, event: &Event) {
        let message = event.attribute(keys::MESSAGE).unwrap_or(&Value::Null);
        self.tools.learn(message);
        let interaction = Interaction {
            time_unix_ns: event.time_unix_ns,
            from: self.names.meet(agent(event, keys::AGENT_SENDER)),
            to: self.names.meet(agent(event, keys::AGENT_RECIPIENT)),
            message: label::of_message(message, |id| self.tools.names.get(id).cloned()),
        };
        if self.interactions.len() >= self.kept {
            self.interactions.pop_front();
            self.dropped += 1;
        }
        if self.kept > 0 {
            self.interactions.push_back(interaction);
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

    /// Who took part: the first sender first, then by appearance.
    pub(super) fn names(&self) -> &[Text] {
        &self.names.in_order
    }
}

impl Names {
    fn meet(&mut self, name: Text) -> Text {
        match self.known.get(&name) {
            Some(known) => known.clone(),
            None => {
                self.known.insert(name.clone());
                self.in_order.push(name.clone());
                name
            }
        }
    }
}

impl Tools {
    fn learn(&mut self, message: &Value) {
        for (id, name) in label::tool_calls(message) {
            if self.names.insert(id.clone(), name).is_none() {
                self.ids.push_back(id);
            }
            if self.ids.len() > OPEN_TOOL_CALLS
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
    match event.attribute(key) {
        Some(Value::Text(name)) => name.clone(),
        None | Some(Value::Null) => "".into(),
        Some(other) => other.to_json().into(),
    }
}
