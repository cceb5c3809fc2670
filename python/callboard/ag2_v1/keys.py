"""Attribute keys that the hooks of AG2 1.x record: the classic hooks' (`callboard.ag2.keys`), and those of its own."""

from callboard.ag2.keys import *  # noqa: F403  # the same thing has the same key in both AG2s

# Messages and replies.
MESSAGES_START = "ag2.messages.start"

# Model calls and what they cost.
INVOCATION_ID = "ag2.invocation_id"
CLIENT_MODEL = "ag2.client.model"
LLM_PARAMS = "ag2.llm.params"
LLM_RESPONSE = "ag2.llm.response"
LLM_IS_ERROR = "ag2.llm.is_error"
LLM_IS_CACHED = "ag2.llm.is_cached"
LLM_PROVIDER = "ag2.llm.provider"
LLM_MODEL = "ag2.llm.model"
LLM_INPUT_TOKENS = "ag2.llm.input_tokens"
LLM_OUTPUT_TOKENS = "ag2.llm.output_tokens"
CACHE_READ_TOKENS = "callboard.llm.cache_read_input_tokens"
CACHE_WRITE_TOKENS = "callboard.llm.cache_write_input_tokens"
REASONING_TOKENS = "callboard.llm.reasoning_output_tokens"
COST_TYPE = "ag2.cost_type"
COST_UNPRICED = "callboard.cost.unpriced"

# Channels of a hub, and what is posted to them.
CHANNEL_ID = "callboard.channel.id"
CHANNEL_TYPE = "callboard.channel.type"
CHANNEL_CLOSE_REASON = "callboard.channel.close_reason"
ENVELOPE_ID = "callboard.envelope.id"
ENVELOPE_CAUSE = "callboard.envelope.causation_id"
ENVELOPE_TYPE = "callboard.envelope.type"
HANDOFF_REASON = "callboard.handoff.reason"
TASK_ID = "callboard.task.id"

# OpenTelemetry's GenAI conventions.
GEN_AI_REQUEST_MODEL = "gen_ai.request.model"
GEN_AI_RESPONSE_MODEL = "gen_ai.response.model"
GEN_AI_RESPONSE_ID = "gen_ai.response.id"
GEN_AI_FINISH_REASONS = "gen_ai.response.finish_reasons"
GEN_AI_TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
GEN_AI_INPUT_TOKENS = "gen_ai.usage.input_tokens"
GEN_AI_OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
GEN_AI_CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
GEN_AI_REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
GEN_AI_INPUT_MESSAGES = "gen_ai.input.messages"
GEN_AI_OUTPUT_MESSAGES = "gen_ai.output.messages"
