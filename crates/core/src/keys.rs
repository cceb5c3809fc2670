//! Attribute keys, each named once. Those that begin with `ag2.` are the AG2 telemetry draft's; `callboard.` are our own.

macro_rules! keys {
    ($($(#[$about:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$about])* pub const $name: &str = $value;)*
    };
}

keys! {
    /// The kind of a span.
    SPAN_TYPE = "ag2.span.type";
    /// The id of a span, as every provider knows it.
    CORE_SPAN_ID = "ag2.span.core_span_id";
    /// The id of a trace.
    TRACE_ID = "ag2.trace.id";

    /// The name of the agent that sends.
    AGENT_SENDER = "ag2.agent.sender";
    /// The name of the agent that receives; on a reply, of the one that replies.
    AGENT_RECIPIENT = "ag2.agent.recipient";
    /// The id of the agent that sends; of the program's user, [`USER_ID`].
    AGENT_SENDER_ID = "ag2.agent.sender.id";
    /// The id of the agent that receives, as that of the one that sends.
    AGENT_RECIPIENT_ID = "ag2.agent.recipient.id";
    /// The name of the agent that an event is about.
    AGENT_NAME = "ag2.agent.name";
    /// The message: text, or a map with `content`, `tool_calls`, `tool_responses`.
    MESSAGE = "ag2.message";
    /// Whether a message is not shown; absent counts as true.
    SILENT = "ag2.silent";

    /// What something cost, in US dollars.
    COST = "ag2.cost";
    /// What kind of cost it is: `LLM` for a model call.
    COST_TYPE = "ag2.cost_type";
    /// Who serves the model.
    LLM_PROVIDER = "ag2.llm.provider";
    /// The model.
    LLM_MODEL = "ag2.llm.model";
    /// The tokens that went in, cached ones included.
    LLM_INPUT_TOKENS = "ag2.llm.input_tokens";
    /// The tokens that came out, reasoning included.
    LLM_OUTPUT_TOKENS = "ag2.llm.output_tokens";

    /// Of the input tokens, those read from the prompt cache.
    CACHE_READ_TOKENS = "callboard.llm.cache_read_input_tokens";
    /// Of the input tokens, those written to the prompt cache.
    CACHE_WRITE_TOKENS = "callboard.llm.cache_write_input_tokens";
    /// Of the output tokens, those spent on reasoning.
    REASONING_TOKENS = "callboard.llm.reasoning_output_tokens";
    /// A cost event: what the call costs by the price that the program configured, in US dollars.
    COST_CONFIGURED = "callboard.cost.configured";
    /// A cost event: what the framework says that the call cost, in US dollars; 0 where it knows no price.
    COST_FRAMEWORK = "callboard.cost.framework";
    /// A cost event: the answer came from a response cache and cost nothing.
    COST_CACHED = "callboard.cost.cached";
    /// A cost event: what the cached answer would have cost, in US dollars.
    COST_SAVED = "callboard.cost.saved";
    /// A cost event: how much of the cost is for the input, in US dollars. Where the source of the price tells a sum alone, it
    /// is shared out as another source has it.
    COST_INPUT = "callboard.cost.input";
    /// A cost event: where its price is from: `configured`, `framework`, `user-prices` or `genai-prices`.
    COST_SOURCE = "callboard.cost.source";
    /// A cost event: the version of the price table or price file that its price is from.
    COST_PRICE_VERSION = "callboard.cost.price_version";
    /// A cost event: no source has a price for it.
    COST_UNPRICED = "callboard.cost.unpriced";

    /// How a span ended that its program did not end: `run_end` or `dropped`.
    SPAN_ENDED_BY = "callboard.span.ended_by";
    /// The agent, chat or call is the framework's own means, not one of the program's.
    AGENT_INTERNAL = "callboard.agent.internal";
    /// A tool call: the agent whose message asked for it, where another one runs it.
    TOOL_CALLER = "callboard.tool.caller";
    /// The trace of the run around this one.
    OUTER_TRACE_ID = "callboard.outer.trace_id";
    /// The span, in the run around this one, in which this one began.
    OUTER_SPAN_ID = "callboard.outer.span_id";

    /// An exception's class (OpenTelemetry semantic conventions, exceptions).
    EXCEPTION_TYPE = "exception.type";
    /// An exception's text.
    EXCEPTION_MESSAGE = "exception.message";
    /// An exception's stack, as its language prints it.
    EXCEPTION_STACKTRACE = "exception.stacktrace";
}

/// The id that stands for whoever runs the program, in the place of an agent's.
pub const USER_ID: &str = "user";
