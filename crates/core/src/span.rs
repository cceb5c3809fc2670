//! Spans: work with a duration. Their kinds, what names one, and how it ended.

use std::sync::Arc;

use crate::id::{SpanId, TraceId};
use crate::time::UnixNanos;
use crate::value::{Attribute, Text, Value, find};

macro_rules! kinds {
    (
        $(#[$about:meta])* $name:ident { $($(#[$member_about:meta])* $member:ident = $value:literal,)* }
    ) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$member_about])* $member,)*
            /// A kind of the program's own; [`from_value`](Self::from_value) makes one.
            Custom(Box<Text>),
        }

        impl $name {
            /// The kind's value, as it stands in attributes: lower case with underscores.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$member => $value,)*
                    Self::Custom(value) => value,
                }
            }

            /// The kind as text that is cheap to keep.
            pub fn text(&self) -> Text {
                match self {
                    $(Self::$member => Text::from_static($value),)*
                    Self::Custom(value) => Text::clone(value),
                }
            }

            /// The kind with this value; one that callboard does not know is the program's own.
            pub fn from_value(value: &str) -> Self {
                match value {
                    $($value => Self::$member,)*
                    _ => Self::Custom(Box::new(Text::new(value))),
                }
            }

            /// Which of the kinds that callboard knows it is, by its place among them; its value, where it is none.
            pub(crate) fn into_place(self) -> Result<u8, Box<Text>> {
                enum Place { $($member,)* }
                match self {
                    $(Self::$member => Ok(Place::$member as u8),)*
                    Self::Custom(value) => Err(value),
                }
            }

            /// The known kind at this place.
            pub(crate) fn at(place: Option<u8>) -> Option<Self> {
                Self::ALL.get(usize::from(place?)).cloned()
            }

            /// Every kind that callboard knows.
            pub const ALL: &'static [Self] = &[$(Self::$member,)*];
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use kinds;

kinds! {
    /// What a span covers. The first twelve are the AG2 telemetry draft's.
    SpanKind {
        /// The whole traced program: the root of a run.
        Workflow = "workflow",
        /// Several chats, one after the other.
        Chats = "chats",
        /// One chat.
        Chat = "chat",
        /// A chat within a reply.
        NestedChat = "nested_chat",
        /// A chat among several agents.
        GroupChat = "group_chat",
        /// A round of a chat that counts its rounds.
        Round = "round",
        /// An agent replying to another.
        Reply = "reply",
        /// One function tried during a reply.
        ReplyFunction = "reply_function",
        /// Summarising a chat.
        Summary = "summary",
        /// A step of a reasoning agent.
        Reasoning = "reasoning",
        /// Choosing the next speaker of a group chat, by whatever method.
        GroupchatSelectSpeaker = "groupchat_select_speaker",
        /// A hand-off on a condition.
        SwarmOnCondition = "swarm_on_condition",
        /// A call of a model.
        LlmCall = "llm_call",
        /// A call of a tool.
        ToolCall = "tool_call",
        /// Waiting for a person.
        HumanInput = "human_input",
        /// Running code that an agent wrote.
        CodeExecution = "code_execution",
    }
}

/// What is known of a run from its start on.
#[derive(Debug)]
pub struct RunHead {
    /// The trace that it is in.
    pub trace_id: TraceId,
    /// The id of its WORKFLOW span. With the trace id, the run's identity: one trace may hold several runs.
    pub root_span_id: SpanId,
    /// The id of the span of another program that it began in, if any: the parent of its WORKFLOW span.
    pub parent_span_id: Option<SpanId>,
    /// The workflow's name.
    pub name: Text,
}

/// What is known of a span from its start on. Its attributes are those given at the start.
#[derive(Debug)]
pub struct SpanHead {
    /// The run that it belongs to.
    pub run: Arc<RunHead>,
    /// Its id, the same in every provider.
    pub span_id: SpanId,
    /// Its parent's id. The root of a run has none, or one that is a span of another program.
    pub parent_span_id: Option<SpanId>,
    /// What it covers.
    pub kind: SpanKind,
    /// When it began.
    pub start_unix_ns: UnixNanos,
    /// What was said of it at its start.
    pub attributes: Box<[Attribute]>,
}

impl SpanHead {
    /// The start attribute under `key`.
    pub fn attribute(&self, key: &str) -> Option<&Value> {
        find(&self.attributes, key)
    }

    /// Whether it is the WORKFLOW span of its run.
    pub fn is_root(&self) -> bool {
        self.span_id == self.run.root_span_id
    }
}

/// How a span went.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Status {
    /// Nothing was said of it.
    #[default]
    Unset,
    /// It is known to have gone well.
    Ok,
    /// It failed.
    Error {
        /// What went wrong, for a person.
        message: Text,
    },
}

/// Who ended a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// The program, in its own time.
    Program,
    /// The run's end: the program had left the span open.
    RunEnd,
    /// Nobody held the span any more.
    Dropped,
}

impl EndedBy {
    /// Its value for `callboard.span.ended_by`; none where the program ended the span, as it should.
    pub fn mark(self) -> Option<&'static str> {
        match self {
            Self::Program => None,
            Self::RunEnd => Some("run_end"),
            Self::Dropped => Some("dropped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_value_of_its_own_and_is_found_by_it() {
        for kind in SpanKind::ALL {
            assert_eq!(&SpanKind::from_value(kind.as_str()), kind);
        }
        assert_eq!(SpanKind::from_value("retrieval").as_str(), "retrieval");
    }
}
