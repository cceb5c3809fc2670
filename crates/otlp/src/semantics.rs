//! What callboard's spans are called elsewhere: the one place that knows.
//!
//! Three families of names travel together: the AG2 telemetry draft's (`ag2.*`), the GenAI conventions' of OpenTelemetry
//! (`gen_ai.*`, as of v1.41) and OpenInference's. What a program recorded itself under one of these names stays as it is.
//! Tokens and cost stand on model calls only, so that no backend counts them twice.

use callboard_core::{SpanHead, SpanKind, Value, keys};

use crate::assemble::Usage;
use crate::encode::Attributes;

/// How many messages of histories a span or an event leaves out.
pub(crate) const HISTORY_OMITTED: &str = "callboard.history.omitted";

/// The span was too large for any request: its longest values were cut.
pub(crate) const TRUNCATED: &str = "callboard.span.truncated";

const INPUT_MESSAGES: &str = "gen_ai.input.messages";
const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";

const OPERATION_NAME: &str = "gen_ai.operation.name";
const WORKFLOW_NAME: &str = "gen_ai.workflow.name";
const GEN_AI_AGENT_NAME: &str = "gen_ai.agent.name";
const PROVIDER_NAME: &str = "gen_ai.provider.name";
const REQUEST_MODEL: &str = "gen_ai.request.model";
const TOOL_NAME: &str = "gen_ai.tool.name";
const CONVERSATION_ID: &str = "gen_ai.conversation.id";
const USAGE_COST: &str = "gen_ai.usage.cost";

const OPENINFERENCE_KIND: &str = "openinference.span.kind";
const AGENT_NAME: &str = "agent.name";
const GRAPH_NODE_ID: &str = "graph.node.id";
const GRAPH_NODE_PARENT_ID: &str = "graph.node.parent_id";
const SESSION_ID: &str = "session.id";

const ERROR_TYPE: &str = "error.type";
const SELECTOR: &str = "ag2.agent.selector";
const FUNCTION_NAME: &str = "ag2.function.name";

/// What is known of a span that ended, besides its events.
pub(crate) struct SpanFacts<'a> {
    pub(crate) head: &'a SpanHead,
    pub(crate) attributes: &'a Attributes<'a>,
    pub(crate) usage: &'a Usage,
    /// The session that the run belongs to.
    pub(crate) session: Option<&'a Value>,
    /// The class of the exception that it failed with.
    pub(crate) error_type: Option<&'a Value>,
    /// The agent that does what the span covers.
    agent: Option<&'a Value>,
}

/// A value that the exporter adds.
pub(crate) enum Added<'a> {
    Text(&'a str),
    Int(i64),
    Double(f64),
    Recorded(&'a Value),
}

/// Whether a recorded attribute is exported as it is. The keys that a span is found by are the exporter's own; and where
/// the AG2 draft has an empty text for None, the GenAI conventions have no attribute.
pub(crate) fn is_exported(key: &str, value: &Value) -> bool {
    let is_own = matches!(key, keys::SPAN_TYPE | keys::CORE_SPAN_ID | keys::TRACE_ID);
    let is_nothing = matches!(value, Value::Null) && key.starts_with("gen_ai.");
    !is_own && !is_nothing
}

/// Whether a list under this key travels as a list: where the conventions ask for one. Any other is JSON text.
pub(crate) fn is_array(key: &str) -> bool {
    matches!(
        key,
        "gen_ai.response.finish_reasons"
            | "gen_ai.request.stop_sequences"
            | "gen_ai.request.encoding_formats"
            | "tag.tags"
    )
}

/// Whether the messages under this key travel as messages of parts.
pub(crate) fn holds_parts(key: &str) -> bool {
    matches!(key, INPUT_MESSAGES | OUTPUT_MESSAGES)
}

/// The span's session, as a program may name it on a root.
pub(crate) fn session(head: &SpanHead) -> Option<&Value> {
    head.attribute(SESSION_ID).or_else(|| head.attribute(CONVERSATION_ID))
}

/// The span's name, in one part or two: the GenAI conventions' where they have one, else the kind's value; a root's is the
/// workflow's.
pub(crate) fn span_name<'a>(facts: &SpanFacts<'a>) -> (&'a str, Option<&'a str>) {
    let named = |operation, of: Option<&'a Value>| (operation, of.and_then(Value::as_str));
    match &facts.head.kind {
        _ if facts.head.is_root() => (&facts.head.run.name, None),
        SpanKind::LlmCall => named("chat", facts.model()),
        SpanKind::ToolCall => named("execute_tool", facts.tool()),
        SpanKind::Reply => named("invoke_agent", facts.agent),
        kind => (kind.as_str(), None),
    }
}

/// OTLP's number for the side that the span is of.
pub(crate) fn span_kind(kind: &SpanKind) -> u64 {
    const INTERNAL: u64 = 1;
    const CLIENT: u64 = 3;
    if *kind == SpanKind::LlmCall { CLIENT } else { INTERNAL }
}

/// Gives every attribute that the exporter adds to the span.
pub(crate) fn describe(facts: &SpanFacts<'_>, add: &mut impl FnMut(&'static str, Added<'_>)) {
    let SpanHead { run, span_id, kind, .. } = facts.head;
    add(keys::TRACE_ID, Added::Text(hex(&run.trace_id.to_bytes(), &mut [0; 32])));
    add(keys::SPAN_TYPE, Added::Text(kind.as_str()));
    add(keys::CORE_SPAN_ID, Added::Text(hex(&span_id.to_bytes(), &mut [0; 16])));

    let mut add_if_absent = |key: &'static str, value: Option<Added<'_>>| match value {
        Some(value) if facts.attributes.get(key).is_none() => add(key, value),
        _ => {}
    };
    add_if_absent(OPENINFERENCE_KIND, Some(Added::Text(openinference_kind(kind))));
    add_if_absent(OPERATION_NAME, operation_name(kind).map(Added::Text));
    if facts.head.is_root() {
        add_if_absent(WORKFLOW_NAME, Some(Added::Text(&run.name)));
    }
    let agent = facts.agent;
    add_if_absent(GEN_AI_AGENT_NAME, agent.map(Added::Recorded));
    add_if_absent(AGENT_NAME, agent.map(Added::Recorded));
    let (node, parent) = facts.graph_node();
    add_if_absent(GRAPH_NODE_ID, node.map(Added::Recorded));
    add_if_absent(GRAPH_NODE_PARENT_ID, parent.map(Added::Recorded));
    add_if_absent(SESSION_ID, facts.session.map(Added::Recorded));
    add_if_absent(CONVERSATION_ID, facts.session.map(Added::Recorded));
    add_if_absent(ERROR_TYPE, facts.error_type.map(Added::Recorded));
    if *kind == SpanKind::LlmCall {
        describe_usage(facts.usage, &mut add_if_absent);
    }
}

fn describe_usage(usage: &Usage, add: &mut impl FnMut(&'static str, Option<Added<'_>>)) {
    add(PROVIDER_NAME, usage.provider.as_ref().map(Added::Recorded));
    add(REQUEST_MODEL, usage.model.as_ref().map(Added::Recorded));
    add(USAGE_COST, usage.cost_usd.map(Added::Double));
    add("gen_ai.usage.input_tokens", usage.input_tokens.map(Added::Int));
    add("gen_ai.usage.output_tokens", usage.output_tokens.map(Added::Int));
    add("gen_ai.usage.cache_read.input_tokens", usage.cache_read_tokens.map(Added::Int));
    add("gen_ai.usage.cache_creation.input_tokens", usage.cache_write_tokens.map(Added::Int));
    add("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens.map(Added::Int));
}

fn operation_name(kind: &SpanKind) -> Option<&'static str> {
    match kind {
        SpanKind::Workflow => Some("invoke_workflow"),
        SpanKind::Reply => Some("invoke_agent"),
        SpanKind::LlmCall => Some("chat"),
        SpanKind::ToolCall => Some("execute_tool"),
        _ => None,
    }
}

fn openinference_kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::LlmCall => "LLM",
        SpanKind::ToolCall | SpanKind::CodeExecution => "TOOL",
        SpanKind::Reply => "AGENT",
        _ => "CHAIN",
    }
}

impl<'a> SpanFacts<'a> {
    pub(crate) fn new(
        head: &'a SpanHead,
        attributes: &'a Attributes<'a>,
        usage: &'a Usage,
        session: Option<&'a Value>,
        error_type: Option<&'a Value>,
    ) -> Self {
        let agent = agent(head, attributes, usage);
        Self { head, attributes, usage, session, error_type, agent }
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        self.attributes.get(key)
    }

    fn model(&self) -> Option<&'a Value> {
        self.get(REQUEST_MODEL).or(self.usage.model.as_ref())
    }

    fn tool(&self) -> Option<&'a Value> {
        self.get(TOOL_NAME).or_else(|| self.get(FUNCTION_NAME))
    }

    /// Its place in the graph of who works for whom: a tool is its agent's, a reply that of the agent answered.
    fn graph_node(&self) -> (Option<&'a Value>, Option<&'a Value>) {
        let agent = self.agent;
        match self.head.kind {
            SpanKind::ToolCall => (self.tool(), agent),
            SpanKind::Reply | SpanKind::ReplyFunction => {
                (agent, self.get(keys::AGENT_SENDER).filter(|sender| Some(*sender) != agent))
            }
            _ => (agent, None),
        }
    }
}

fn agent<'a>(head: &SpanHead, attributes: &Attributes<'a>, usage: &'a Usage) -> Option<&'a Value> {
    let key = match head.kind {
        SpanKind::Reply | SpanKind::ReplyFunction => keys::AGENT_RECIPIENT,
        SpanKind::Chat
        | SpanKind::NestedChat
        | SpanKind::GroupChat
        | SpanKind::Round
        | SpanKind::Summary => keys::AGENT_SENDER,
        SpanKind::GroupchatSelectSpeaker => SELECTOR,
        _ => keys::AGENT_NAME,
    };
    attributes
        .get(GEN_AI_AGENT_NAME)
        .or_else(|| attributes.get(key))
        .or_else(|| attributes.get(keys::AGENT_NAME))
        .or(usage.agent.as_ref())
        .filter(|agent| **agent != Value::Null)
}

/// The bytes as lower-case hex digits.
fn hex<'a>(bytes: &[u8], digits: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    str::from_utf8(digits).unwrap_or_default()
}
