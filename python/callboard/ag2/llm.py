"""Calls of a model: `llm_call`, with LLM_CREATE and the COST of each answer.

`OpenAIWrapper.create` is one call of ours, though it may try several configurations: it goes on to the next
when one fails, or when a filter of the program's rejects the answer. What failed on the way has an LLM_CREATE too.
streams.py tells when a streamed answer began.
"""

from __future__ import annotations

from typing import Any

from callboard import EventKind, SpanContext, SpanKind
from callboard._load import native
from callboard.budget import ledger_of

from . import images, keys
from .agents import internal, name_of
from .cost import Usage, record_costs, tokens_used
from .model import Model, Request, answer_of
from .patching import Patches, Steps
from .reply import Attempt, Reply
from .scope import Scope, current, here

WRAPPER = "autogen.oai.client:OpenAIWrapper"
CLIENT = "autogen.oai.client:OpenAIClient"


def install(patches: Patches) -> None:
    """Watch model calls, and AG2's bookkeeping of what they use."""
    patches.watch(f"{WRAPPER}.create", llm_call)
    patches.watch(f"{CLIENT}.create", attempt)
    patches.note(f"{WRAPPER}._update_usage", usage)


class ModelCall(Scope):
    """A model being called: what its answers used so far, and what of them was streamed to the console."""

    __slots__ = ("asked_ns", "failures", "first_chunk_ns", "streamed", "usages")

    def __init__(self, span: SpanContext, agent: Any) -> None:
        super().__init__(span, agent)
        self.usages: list[Usage] = []
        self.streamed: list[str] = []
        self.failures: list[tuple[Any, str]] = []
        """The attempts that failed: the client of each, and its exception in words."""
        self.ask()

    def ask(self) -> None:
        """Note that a service is asked now."""
        self.asked_ns: int = native.clock_ns()
        self.first_chunk_ns: int | None = None

    def chunk(self) -> None:
        """Note that a piece of a streamed answer is there."""
        if self.first_chunk_ns is None:
            self.first_chunk_ns = native.clock_ns()

    def survived(self, error: BaseException | None) -> list[tuple[Any, str]]:
        """Tell the failures that the call went on from: all but the one that ended it."""
        if not self.failures:
            return []
        ending = {_in_words(one) for one in (error, getattr(error, "__cause__", None)) if one is not None}
        return self.failures[:-1] if self.failures[-1][1] in ending else self.failures


def usage(wrapper: Any, /, actual_usage: Any = None, total_usage: Any = None) -> None:
    """Keep what an answer used for the COST events of its call."""
    call = current.get()
    if isinstance(call, ModelCall):
        call.usages.append(Usage(actual_usage, total_usage))


def attempt(function: str, client: Any, /, *args: Any, **kwargs: Any) -> Steps:
    """Keep when a configuration's service was asked, and whether that failed."""
    call = current.get()
    if isinstance(call, ModelCall):
        call.ask()
        _, error = yield None
        if error is not None:
            call.failures.append((client, _in_words(error)))


def llm_call(function: str, wrapper: Any, /, **config: Any) -> Steps:
    """llm_call, from the request to the answer or the error."""
    parent = here()
    if parent is None:
        return
    agent = config.get("agent")
    agent_name = name_of(agent)
    request = Request(wrapper, config)
    ledger = ledger_of(parent)
    if ledger is not None:
        ledger.ask(parent, agent_name, request.name_of(request.model))
    messages = _context(parent, agent, config.get("messages"))
    attributes = request.attributes()
    attributes[keys.GEN_AI_OPERATION] = "chat"
    attributes[keys.GEN_AI_AGENT_NAME] = agent_name
    attributes[keys.GEN_AI_INPUT_MESSAGES] = messages
    attributes.update(internal(agent))
    span = parent.start_child(SpanKind.LLM_CALL, attributes)
    call = ModelCall(span, agent)
    current.set(call)
    response, error = yield span
    # The costs first: an answer of a shape that nobody foresaw may fail the rest.
    model = request.model if error is not None else request.answered_by(response)
    record_costs(span, call.usages, agent_name, model, request, response)
    if call.first_chunk_ns is not None:
        span.set_attribute(keys.GEN_AI_TIME_TO_FIRST_CHUNK, (call.first_chunk_ns - call.asked_ns) / 1e9)
    _record_failures(span, call, error, request, messages)
    attributes = _llm_create(call, model, request, messages)
    if error is None:
        attributes[keys.LLM_RESPONSE], output = answer_of(response)
        attributes[keys.LLM_IS_CACHED] = bool(call.usages) and call.usages[-1].is_cached
        attributes[keys.LLM_COST] = getattr(response, "cost", None)
        _record_answer(span, call, response, output)
    else:
        attributes[keys.LLM_RESPONSE] = _in_words(error)
    attributes[keys.LLM_IS_ERROR] = error is not None
    span.record_event(EventKind.LLM_CREATE, attributes)


def _context(parent: SpanContext, agent: Any, messages: Any) -> Any:
    """Make the messages one value, which shares what the agent's earlier calls of the conversation hold."""
    if not isinstance(messages, list):
        return messages
    scope = current.get()
    if isinstance(scope, Attempt):
        scope = scope.outer
    peer = id(scope.sender) if isinstance(scope, Reply) else None
    return images.history(parent, agent, messages, peer, "model")


def _llm_create(call: ModelCall, model: Model, request: Request, messages: Any) -> dict[str, Any]:
    return {
        **model.about,
        keys.INVOCATION_ID: call.span.core_span_id if call.span is not None else None,
        keys.CLIENT_MODEL: request.name_of(model),
        keys.AGENT_TYPE: type(call.agent).__name__ if call.agent is not None else None,
        keys.AGENT_NAME: name_of(call.agent),
        keys.LLM_PARAMS: request.parameters(model, messages),
    }


def _record_failures(
    span: SpanContext, call: ModelCall, error: BaseException | None, request: Request, messages: Any
) -> None:
    for client, failure in call.survived(error):
        attributes = _llm_create(call, request.model_of(client), request, messages)
        span.record_event(EventKind.LLM_CREATE, {**attributes, keys.LLM_RESPONSE: failure, keys.LLM_IS_ERROR: True})


def _in_words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _record_answer(span: SpanContext, call: ModelCall, response: Any, output: list[dict[str, Any]]) -> None:
    attributes = tokens_used(call.usages, response)
    attributes[keys.GEN_AI_RESPONSE_MODEL] = getattr(response, "model", None)
    attributes[keys.GEN_AI_RESPONSE_ID] = getattr(response, "id", None)
    if output:
        attributes[keys.GEN_AI_OUTPUT_MESSAGES] = output
        attributes[keys.GEN_AI_FINISH_REASONS] = [message["finish_reason"] for message in output]
    span.set_attributes(attributes)
    if call.streamed:
        text = "".join(call.streamed)
        span.record_event(EventKind.CONSOLE_PRINT, {keys.CONSOLE_EVENT: "stream", keys.CONSOLE_TEXT: text})
