//! Events: points in time inside a span.

use crate::span::kinds;
use crate::value::Text;

kinds! {
    /// What happened. All but `Exception` are the AG2 telemetry draft's.
    EventKind {
        /// The turn moved from one agent to another.
        AgentTransition = "agent_transition",
        /// An agent was constructed.
        AgentCreation = "agent_creation",
        /// A group chat was constructed.
        GroupchatCreation = "groupchat_creation",
        /// A model call was answered, from the cache or not, or failed.
        LlmCreate = "llm_create",
        /// An agent sent a message to another.
        AgentSendMsg = "agent_send_msg",
        /// A tool or function has run.
        ToolExecution = "tool_execution",
        /// Something cost money, a model call or anything else.
        Cost = "cost",
        /// Why a hand-off went where it did.
        SwarmTransition = "swarm_transition",
        /// Console output.
        ConsolePrint = "console_print",
        /// An exception, with OpenTelemetry's `exception.*` attributes.
        Exception = "exception",
    }
}
