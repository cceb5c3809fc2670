"""Attribute keys that the AG2 hooks record; those of the hooks in Rust are in `crates/python/src/ag2/keys.rs`.

`ag2.*` are the AG2 telemetry draft's, `gen_ai.*` OpenTelemetry's, `callboard.*` our own.
"""

# Who: the `.id` of an agent is Python's `id()` of it, as text.
SENDER = "ag2.agent.sender"
SENDER_ID = "ag2.agent.sender.id"
RECIPIENT = "ag2.agent.recipient"
RECIPIENT_ID = "ag2.agent.recipient.id"

AGENT_ID = "ag2.agent.id"
AGENT_TYPE = "ag2.agent.type"
AGENT_NAME = "ag2.agent.name"
AGENT_SYSTEM_MESSAGE = "ag2.agent.system_message"
AGENT_DESCRIPTION = "ag2.agent.description"
AGENT_HAS_LLM_CONFIG = "ag2.agent.has_llm_config"
AGENT_INTERNAL = "callboard.agent.internal"
AGENT_HUMAN_INPUT_MODE = "ag2.agent.human_input_mode"

# Chats and rounds.
CHAT_FUNCTION = "ag2.chat_function"
CHAT_QUEUE_LENGTH = "ag2.chat_queue_length"
CHAT_INITIAL_MESSAGE = "ag2.chat.initial_message"
CHAT_HISTORY = "ag2.chat_result.chat_history"
CHAT_SUMMARY = "ag2.chat_result.summary"
CHAT_RESULT_COST = "ag2.chat_result.cost"
CHAT_RESULT_INPUT_TOKENS = "ag2.chat_result.input_tokens"
CHAT_RESULT_OUTPUT_TOKENS = "ag2.chat_result.output_tokens"
ROUND = "ag2.round"
ROUNDS_MAX = "ag2.rounds_max"

# Group chats, and who speaks next in them.
AGENTS = "ag2.agents"
GROUP_OPENED_BY = "callboard.groupchat.opened_by"
GROUP_INTERNAL_AGENTS = "callboard.groupchat.internal_agents"
GROUP_TERMINATION = "ag2.groupchat.termination"
GROUP_MESSAGES = "messages"
GROUP_MAX_ROUND = "max_round"
GROUP_SELECTION_METHOD = "speaker_selection_method"
GROUP_AGENTS = "agents"
LAST_SPEAKER = "ag2.agent.last_speaker"
LAST_SPEAKER_ID = "ag2.agent.last_speaker.id"
NEXT_SPEAKER = "ag2.agent.next_speaker"
NEXT_SPEAKER_ID = "ag2.agent.next_speaker.id"
SELECTOR = "ag2.agent.selector"
SELECTOR_ID = "ag2.agent.selector.id"
SELECTED = "ag2.agent.selected"
SELECTED_ID = "ag2.agent.selected.id"
TRANSITION_REASON = "ag2.transition_reason"
SELECTION_METHOD = "callboard.selection.method"
CANDIDATES = "callboard.selection.candidates"

# What was spent within something: of what, and then what of it.
OF_CHAT = "callboard.chat"
OF_SELECTION = "callboard.selection"
SPENT_CALLS = ".llm_calls"
SPENT_INPUT_TOKENS = ".input_tokens"
SPENT_OUTPUT_TOKENS = ".output_tokens"
SPENT_COST = ".cost_usd"
SPENT_UNPRICED_CALLS = ".unpriced_calls"

# Hand-offs.
SWARM_SOURCE = "ag2.swarm.source"
SWARM_SOURCE_ID = "ag2.swarm.source.id"
SWARM_TARGET = "ag2.swarm.target"
SWARM_CONDITION = "ag2.swarm.condition"
SWARM_OVERRIDDEN = "callboard.swarm.overridden"

SUMMARY = "ag2.summary"
SUMMARY_FUNCTION = "ag2.summary.function"

# Messages and replies.
MESSAGE = "ag2.message"
SILENT = "ag2.silent"
MESSAGES = "ag2.messages"
REPLY = "ag2.reply"
REPLY_FUNCTION = "ag2.reply_function"

# Model calls and what they cost.
CLIENT_ID = "ag2.client.client_id"
WRAPPER_ID = "ag2.client.wrapper_id"
CLIENT_API_TYPE = "ag2.client.api_type"
CLIENT_BASE_URL = "ag2.client.base_url"

# Tools, people, the console.
TOOL_CALLER = "callboard.tool.caller"
TOOL_CALL_ID = "ag2.tool_call_id"
FUNCTION_NAME = "ag2.function.name"
FUNCTION_ARGUMENTS = "ag2.function.arguments"
FUNCTION_CONTENT = "ag2.function.content"
HUMAN_PROMPT = "ag2.human_input.prompt"
HUMAN_RESPONSE = "ag2.human_input.response"
CONSOLE_EVENT = "ag2.console.event"
CONSOLE_TEXT = "callboard.console.text"

# Code that is run. Languages and code are lists, an entry a block.
CODE = "ag2.code_execution.code"
CODE_LANGUAGE = "ag2.code_execution.language"
CODE_EXIT_CODE = "ag2.code_execution.exit_code"
CODE_OUTPUT = "ag2.code_execution.output"

# Steps of reasoning.
REASONING_STEP = "ag2.reasoning.step"
REASONING_METHOD = "ag2.reasoning.method"
REASONING_NODE = "ag2.reasoning.node"
REASONING_DEPTH = "ag2.reasoning.depth"
REASONING_OPTIONS = "ag2.reasoning.options"
REASONING_RATING = "ag2.reasoning.rating"
REASONING_RATINGS = "ag2.reasoning.ratings"
REASONING_ANSWER = "ag2.reasoning.answer"

# OpenTelemetry's GenAI conventions.
GEN_AI_OPERATION = "gen_ai.operation.name"
GEN_AI_PROVIDER = "gen_ai.provider.name"
GEN_AI_AGENT_NAME = "gen_ai.agent.name"
GEN_AI_REQUEST_STREAM = "gen_ai.request.stream"
GEN_AI_TOOL_DEFINITIONS = "gen_ai.tool.definitions"
GEN_AI_TOOL_NAME = "gen_ai.tool.name"
GEN_AI_TOOL_TYPE = "gen_ai.tool.type"
GEN_AI_TOOL_CALL_ID = "gen_ai.tool.call.id"
GEN_AI_TOOL_CALL_ARGUMENTS = "gen_ai.tool.call.arguments"
GEN_AI_TOOL_CALL_RESULT = "gen_ai.tool.call.result"
