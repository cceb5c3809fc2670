"""Calls of a model: `llm_call`, with LLM_CREATE and COST.

The hook is the client, innermost of all: each attempt of a middleware that tries again is a call, what a middleware
answers itself is none, and what AG2 asks a model for its own use (to sum up a conversation) is one too. AG2's clients
derive from `LLMClient`. One that does not is watched by a middleware, the turn's last.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from callboard import EventKind, SpanContext, SpanKind, current_span
from callboard._load import native
from callboard.ag2.agents import name_of
from callboard.ag2.patching import Patches, Steps, watched
from callboard.ag2.scope import Scope, current, enclosing, innermost
from callboard.budget import ledger_of

from . import history, keys
from .agents import acting, internal
from .cost import Tokens, record_cost, tokens_used
from .delivery import Delivery
from .model import Request, answer_of, output_messages, provider_name

CLIENT = "ag2.config.client:LLMClient"


def install(patches: Patches) -> None:
    """Watch the clients of models, and the classes of them that are defined or imported from now on."""
    patches.watch(f"{CLIENT}.__call__", llm_call, overrides=True)
    patches.cover_subclasses(CLIENT)
    patches.note_making("ag2.events.types:ModelMessageChunk", chunk)


class ModelCall(Scope):
    """A model being called."""

    __slots__ = ("asked_ns", "first_chunk_ns")

    def __init__(self, span: SpanContext) -> None:
        super().__init__(span, None)
        self.asked_ns = native.clock_ns()
        self.first_chunk_ns: int | None = None


def chunk(*args: Any, **kwargs: Any) -> None:
    """A piece of a streamed answer is there."""
    call = current.get()
    if isinstance(call, ModelCall) and call.first_chunk_ns is None:
        call.first_chunk_ns = native.clock_ns()


def llm_call(function: str, client: Any, /, messages: Any, context: Any, tools: Any = None, **kwargs: Any) -> Steps:
    """llm_call, from the request to the answer or the error."""
    parent = current_span()
    if parent is None or innermost(ModelCall) is not None:
        return  # A client that calls another one, to which it adds something.
    agent = acting()
    request = Request(client, context, tools)
    ledger = ledger_of(parent)
    if ledger is not None:
        ledger.ask(parent, name_of(agent), request.name)
    context_messages = _context(parent, agent, messages, context)
    span = parent.start_child(
        SpanKind.LLM_CALL,
        {
            **request.attributes(),
            keys.GEN_AI_OPERATION: "chat",
            keys.GEN_AI_AGENT_NAME: name_of(agent),
            keys.GEN_AI_INPUT_MESSAGES: context_messages,
            **internal(agent),
        },
    )
    call = ModelCall(span)
    current.set(call)
    response, error = yield span
    if error is None:
        _record_answer(span, call, agent, request, response)
    attributes = _llm_create(span, agent, request, context_messages)
    attributes[keys.LLM_IS_ERROR] = error is not None
    if error is None:
        attributes[keys.LLM_RESPONSE] = answer_of(response)
        attributes[keys.LLM_IS_CACHED] = False
    else:
        attributes[keys.LLM_RESPONSE] = f"{type(error).__name__}: {error}"
    span.record_event(EventKind.LLM_CREATE, attributes)


def _context(parent: SpanContext, agent: Any, messages: Any, context: Any) -> Any:
    """Make the messages one value, which shares what the agent's earlier calls in the same place hold."""
    prompt = tuple(getattr(context, "prompt", ()))
    delivery = enclosing(Delivery)
    place = None if delivery is None else delivery.channel_id
    return parent.messages((id(agent), place, "model"), history.of_stream(context.stream, prompt, messages))


def _record_answer(span: SpanContext, call: ModelCall, agent: Any, request: Request, response: Any) -> None:
    tokens = Tokens.of(response)
    provider = provider_name(response.provider) or request.provider
    cost = record_cost(span, name_of(agent), provider, response.model or request.name, tokens)
    ledger = ledger_of(span)
    if ledger is not None:
        ledger.count(span, name_of(agent), request.name, cost)
    attributes = tokens_used(tokens)
    attributes[keys.GEN_AI_PROVIDER] = provider
    attributes[keys.GEN_AI_RESPONSE_MODEL] = response.model
    attributes[keys.GEN_AI_RESPONSE_ID] = response.response_id
    attributes[keys.GEN_AI_OUTPUT_MESSAGES] = output_messages(response)
    attributes[keys.GEN_AI_FINISH_REASONS] = [response.finish_reason]
    if call.first_chunk_ns is not None:
        attributes[keys.GEN_AI_TIME_TO_FIRST_CHUNK] = (call.first_chunk_ns - call.asked_ns) / 1e9
    span.set_attributes(attributes)


def _llm_create(span: SpanContext, agent: Any, request: Request, messages: Any) -> dict[str, Any]:
    return {
        keys.INVOCATION_ID: span.core_span_id,
        keys.CLIENT_ID: request.client.id,
        keys.CLIENT_API_TYPE: request.provider,
        keys.CLIENT_MODEL: request.name,
        keys.CLIENT_BASE_URL: request.client.base_url,
        keys.AGENT_TYPE: type(agent).__name__ if agent is not None else None,
        keys.AGENT_NAME: name_of(agent),
        keys.LLM_PARAMS: request.parameters(messages),
    }


def watching(given: dict[str, Any], patches: Patches) -> dict[str, Any]:
    """Add to a turn's settings what watches a client that is none of AG2's classes."""
    if any(cls.__name__ == "LLMClient" for cls in type(given.get("client")).__mro__):
        return given
    middleware = (*given.get("additional_middleware", ()), lambda event, context: Innermost(given["client"], patches))
    return {**given, "additional_middleware": middleware}


class Innermost:
    """A middleware that watches the client, whatever that is, and leaves everything else alone."""

    def __init__(self, client: Any, patches: Patches) -> None:
        self.client = client
        self.patches = patches

    def on_llm_call(self, call_next: Any, events: Any, context: Any) -> Awaitable[Any]:
        """Have the call watched, with the tools that AG2 has bound to it."""
        about = ("__call__", self.client)
        call = watched(call_next, _bound(call_next), *about, switch=self.patches, is_coroutine=True)
        answer: Awaitable[Any] = call(events, context)
        return answer

    def on_turn(self, call_next: Any, event: Any, context: Any) -> Awaitable[Any]:
        """Go on."""
        answer: Awaitable[Any] = call_next(event, context)
        return answer

    on_tool_execution = on_human_input = on_turn


def _bound(call: Any) -> Any:
    """Make the body that is told of arguments which `call` is bound to."""
    tools = getattr(call, "keywords", {}).get("tools")

    def llm_call_of(function: str, client: Any, /, messages: Any, context: Any) -> Steps:
        return llm_call(function, client, messages, context, tools)

    return llm_call_of
