"""Calls of a model: `llm_call`, with COST and LLM_CREATE.

    client called -> ClientCall                  what is asked, and by whom; no span yet
    client sends  -> ClientCall.send(messages)   the span begins, with the messages as they are sent
    client asks another client                   the other one's call is the model call, and this is none
    client returns                               COST first, as the rest of an answer may be unreadable; LLM_CREATE

A span begins late because a client may be one that asks others: a cache, a fallback, a vote. Its start is the moment of
the call. AG2's own client for OpenAI's API is seen converting the messages; of any other client the messages are read
off the events, when it sends a request or returns. `clients.py` has the ways in which a client is watched.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from callboard import EventKind, SpanContext, SpanKind, current_span
from callboard._load import native
from callboard.ag2.agents import name_of
from callboard.ag2.faults import guard
from callboard.ag2.images import by_reference
from callboard.ag2.patching import Patches, Steps
from callboard.ag2.scope import Scope, current, enclosing
from callboard.budget import ledger_of

from . import keys
from .agents import acting, internal
from .arguments import argument
from .delivery import Delivery
from .messages import calls_of, content_of_response, message_of, messages_of
from .model import Request, provider_name, request_of
from .serializing import encoder_of
from .usage import Tokens, tokens_of

MAX_HISTORIES = 64
"""How many conversations of one agent, at the most, keep what their latest call was sent."""

_latest: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
"""What the latest calls sent, by conversation, the oldest first."""

_asking_others: WeakSet[type] = WeakSet()
"""The classes of clients that were seen asking others. A request that one of them sends itself is not to a model."""

_UNREADABLE = Request(None, None, {}, {}, {})


def install(patches: Patches) -> None:
    """Watch what AG2's client for OpenAI's API sends, and the pieces of streamed answers."""
    patches.when_loaded("ag2.config.openai.mappers", _install_openai)
    patches.note_making("ag2.events.types:ModelMessageChunk", first_chunk)


def _install_openai(patches: Patches) -> None:
    def make(function: Any) -> Any:
        def convert_messages(*args: Any, **kwargs: Any) -> Any:
            messages = function(*args, **kwargs)
            call = current.get()
            if patches.live and isinstance(call, ClientCall):
                with guard("the messages of a model call"):
                    call.send(messages)
            return messages

        return convert_messages

    patches.wrap_function("ag2.config.openai.mappers:convert_messages", make)


def first_chunk(*args: Any, **kwargs: Any) -> None:
    """Keep when the first piece of a streamed answer came."""
    call = current.get()
    if isinstance(call, ClientCall) and call.first_chunk_ns is None:
        call.first_chunk_ns = native.clock_ns()


def llm_call(function: str, /, *args: Any, **kwargs: Any) -> Steps:
    """llm_call, of a method `__call__` of a client."""
    parent, events = current_span(), argument(args, kwargs, 1, "messages")
    if parent is not None and events is not None:
        yield from _recorded(ClientCall(parent, args[0], events, argument(args, kwargs, 2, "context"), kwargs))


def bound_llm_call(client: Any, bound: dict[str, Any], /, *args: Any, **kwargs: Any) -> Steps:
    """llm_call, of a function that is bound to a client and to what that gets by name."""
    parent, events = current_span(), argument(args, kwargs, 0, "messages")
    if parent is not None and events is not None:
        yield from _recorded(ClientCall(parent, client, events, argument(args, kwargs, 1, "context"), bound))


def _recorded(call: ClientCall) -> Steps:
    call.ask_budget()
    outer = enclosing(ClientCall)
    if outer is not None:
        outer.asks_others = True
        _asking_others.add(outer.client_class)
    current.set(call)
    response, error = yield call
    call.is_over = True
    if call.asks_others:
        return
    span = call.begin(is_current=False)
    if error is None:
        _record_answer(call, span, response)
    else:
        failed = {keys.LLM_IS_ERROR: True, keys.LLM_RESPONSE: f"{type(error).__name__}: {error}"}
        span.record_event(EventKind.LLM_CREATE, {**call.created(), **failed})


class ClientCall(Scope):
    """A client being called."""

    __slots__ = (
        *("agent_name", "asker", "asks_others", "client_class", "context", "events", "first_chunk_ns", "is_over"),
        *("messages", "parent", "request", "serializer", "started_ns"),
    )

    def __init__(self, parent: SpanContext, client: Any, events: Any, context: Any, options: dict[str, Any]) -> None:
        super().__init__(None, None)
        self.started_ns = native.clock_ns()
        self.first_chunk_ns: int | None = None
        self.parent = parent
        self.client_class = type(client)
        self.events = events
        self.context = context
        self.messages: Any = None
        self.serializer = options.get("serializer")
        self.asker = acting()
        self.agent_name = name_of(self.asker)
        self.asks_others = False
        """Whether it called another client."""
        self.is_over = False
        self.request = _UNREADABLE
        with guard("what a model is asked"):
            self.request = request_of(client, context, options.get("tools"))

    def ask_budget(self) -> None:
        """Ask whether the call may be made.

        Raises:
            BudgetExceeded: the run's budget is used up.

        """
        ledger = ledger_of(self.parent)
        if ledger is not None:
            ledger.ask(self.parent, self.agent_name, self.request.model)

    def send(self, messages: list[dict[str, Any]]) -> None:
        """Take the messages as the service gets them, and begin the span. An empty system message is left out."""
        if self.asks_others or self.is_over:
            return
        has_empty_prompt = bool(messages) and messages[0].get("role") == "system" and not messages[0].get("content")
        self.messages = self._history(messages[1:] if has_empty_prompt else messages)
        if self.span is None:
            self.begin(is_current=True)
        else:
            self.span.set_attribute(keys.GEN_AI_INPUT_MESSAGES, self.messages)

    def span_of_request(self) -> SpanContext | None:
        """Return the span in which a request is sent now; None where another client asks the model."""
        if self.asks_others or self.is_over or (self.span is None and self.client_class in _asking_others):
            return None
        return self.begin(is_current=True)

    def begin(self, *, is_current: bool) -> SpanContext:
        """Return the call's span, which begins now if it has not: at the moment of the call."""
        if self.span is not None:
            return self.span
        if self.messages is None:
            with guard("the messages of a model call"):
                self.messages = self._read()
        attributes = {
            **self.request.attributes,
            keys.GEN_AI_OPERATION: "chat",
            keys.GEN_AI_AGENT_NAME: self.agent_name,
            **self._sent(keys.GEN_AI_INPUT_MESSAGES),
            **internal(self.asker),
        }
        span = self.parent.start_child(SpanKind.LLM_CALL, attributes, current=is_current, start_ns=self.started_ns)
        self.span = span
        return span

    def created(self) -> dict[str, Any]:
        """Return what LLM_CREATE says of the request."""
        span_id = None if self.span is None else self.span.core_span_id
        return {
            keys.INVOCATION_ID: span_id,
            **self.request.about,
            keys.AGENT_TYPE: None if self.asker is None else type(self.asker).__name__,
            keys.AGENT_NAME: self.agent_name,
            keys.LLM_PARAMS: {**self.request.parameters, **self._sent("messages")},
        }

    def end(self, error: BaseException | None = None) -> None:
        """End the span, if there is one."""
        if self.span is not None:
            self.span.end(error)

    def _sent(self, key: str) -> dict[str, Any]:
        """Return the messages under a key; nothing where they could not be read."""
        return {} if self.messages is None else {key: self.messages}

    def _read(self) -> Any:
        """Return the messages that the events are. Iterators are the client's to read."""
        if not isinstance(self.events, (list, tuple)):
            return None
        prompt = getattr(self.context, "prompt", None)
        texts = "\n".join(prompt) if isinstance(prompt, (list, tuple)) else ""
        system = [{"role": "system", "content": texts}] if texts else []
        return self._history(system + messages_of(self.events, encoder_of(self.serializer)))

    def _history(self, messages: list[dict[str, Any]]) -> Any:
        """Return the messages as one value, which shares what the conversation's calls have in common."""
        delivery = enclosing(Delivery)
        stream = getattr(self.context, "stream", None)
        conversation = getattr(stream, "id", None) if delivery is None else delivery.channel_id
        owner = (str(id(self.asker)), "model", hash(conversation) % MAX_HISTORIES)
        return self.parent.messages(owner, _as_before(owner, messages), by_reference)


def _as_before(owner: tuple[str, str, int], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return equal messages with the dicts of the call before in it, so that they are the same and not only equal."""
    before = _latest.pop(owner, [])
    same = [old if old == new else new for old, new in zip(before, messages, strict=False)]
    _latest[owner] = latest = same + messages[len(same) :]
    if len(_latest) > MAX_HISTORIES:
        _latest.pop(next(iter(_latest)), None)
    return latest


def _record_answer(call: ClientCall, span: SpanContext, response: Any) -> None:
    tokens, request = tokens_of(response), call.request
    provider = provider_name(getattr(response, "provider", None)) or request.provider
    model = getattr(response, "model", None)
    cost = _cost(call.agent_name, provider, model or request.model, tokens)
    span.record_event(EventKind.COST, cost)
    ledger = ledger_of(span)
    if ledger is not None:
        ledger.count(span, call.agent_name, request.model, cost)

    reason = getattr(response, "finish_reason", None)
    response_id = getattr(response, "response_id", None)
    attributes = {
        **({} if tokens is None else tokens.of_span()),
        keys.GEN_AI_PROVIDER: provider,
        keys.GEN_AI_RESPONSE_MODEL: model,
        keys.GEN_AI_RESPONSE_ID: response_id,
        keys.GEN_AI_OUTPUT_MESSAGES: _output(response, reason),
        keys.GEN_AI_FINISH_REASONS: [reason],
    }
    if call.first_chunk_ns is not None:
        attributes[keys.GEN_AI_TIME_TO_FIRST_CHUNK] = max(call.first_chunk_ns - call.started_ns, 0) / 1e9
    span.set_attributes(attributes)

    choice = {"finish_reason": reason, "message": message_of(response)}
    answered = {
        keys.LLM_IS_ERROR: False,
        keys.LLM_RESPONSE: {"id": response_id, "model": model, "choices": [choice]},
        keys.LLM_IS_CACHED: False,
    }
    span.record_event(EventKind.LLM_CREATE, {**call.created(), **answered})


def _cost(agent_name: Any, provider: str | None, model: Any, tokens: Tokens | None) -> dict[str, Any]:
    """Return the attributes of COST. It has tokens and no price, which the pipeline adds."""
    about = {
        keys.COST_TYPE: "LLM",
        keys.AGENT_NAME: agent_name,
        keys.LLM_PROVIDER: provider,
        keys.LLM_MODEL: model,
    }
    return about | ({keys.COST_UNPRICED: True} if tokens is None else tokens.of_cost())


def _output(response: Any, reason: Any) -> list[dict[str, Any]]:
    """Return the answer as the GenAI conventions have it: a message made of parts."""
    content = content_of_response(response)
    parts: list[dict[str, Any]] = [] if content is None else [{"type": "text", "content": content}]
    for call in calls_of(response):
        parts.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments})
    return [{"role": "assistant", "parts": parts, "finish_reason": reason}]
