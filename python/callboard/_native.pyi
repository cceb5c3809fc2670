"""The native half of the package: Rust, through PyO3. Private; import from `callboard`."""

from collections.abc import Callable, Hashable, Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from datetime import datetime
from os import PathLike
from types import FrameType, TracebackType
from typing import Any, final

from typing_extensions import Self

from .budget import Budget
from .content import Redact
from .kinds import EventKind, SpanKind

_Attributes = dict[str, Any]
"""Values are text, numbers, bools, bytes, None, lists and dicts of these; anything else becomes JSON, else text."""

__version__: str

@final
class ContentPolicy:
    """A run's rules for what of its texts is recorded. `callboard.content` makes them."""

    def __new__(cls, most_chars: int | None, redact: Callable[[str], str] | None, content_keys: set[str]) -> Self: ...

@final
class Messages:
    """A history of messages as one attribute value; made by `SpanContext.messages`."""

    def __len__(self) -> int: ...

@final
class Switch:
    """What the watched functions of one installation share.

    Args:
        scope: the context variable that holds what the program is doing; it has a default.
        report: takes a name and an exception: says that something could not be recorded, and why.

    """

    def __new__(cls, scope: ContextVar[Any], report: Callable[[str, BaseException], None]) -> Self: ...
    @property
    def live(self) -> bool:
        """Whether calls are watched."""
    def watches(self) -> bool:
        """Whether a call made now is watched: it is within a run, and nothing was turned off."""
    def turn_off(self) -> None:
        """Have every function called straight from now on."""

@final
class Waiting:
    """A body at its yield."""

@final
class Watch:
    """What `body` does around each call of a function while `switch` is live.

    Args:
        body: a `Hook`; or a generator function that gets `about` and the call's arguments, yields what is to end with
            the call, and is sent the outcome.
        about: goes before the call's arguments to the body.

    """

    def __new__(cls, body: Hook | Callable[..., Any], about: tuple[Any, ...], switch: Switch) -> Self: ...
    def begin(self, arguments: tuple[Any, ...], named: dict[str, Any] | None) -> Waiting | None:
        """Run the body up to its yield; None where it sees nothing to watch for, or failed.

        Raises:
            BudgetExceeded: a budget does not allow the call.
            BaseException: one that belongs to the program, such as a signal handler's.

        """
    def finish(self, waiting: Waiting, result: Any, error: BaseException | None) -> None:
        """Let the body record the outcome; leave its scope and end its span, whatever the body did.

        A second call does nothing.

        Raises:
            BaseException: one that belongs to the program, such as a signal handler's.

        """

@final
class Hook:
    """A body that is written in Rust, for `Watch`."""

@final
class Hooks:
    """The hooks of AG2's busiest functions, and what they take of the package.

    Args:
        chat: the class of the scope of a chat.
        internal: the agents that AG2 made for its own use.
        rewrite: takes a message, and gives the one that is recorded instead; it must give the same for the same.
        described: takes a wrapper of models, a client and its configuration; see `ag2.model.described`.
        given: takes a wrapper of models and a call's arguments; see `ag2.model.given`.
        tally: the class of scopes that count what is spent within them.
        most_waiting: how many calls wait in one to be summed at the most.
        ledger_of: takes a span, and gives the ledger of its run.

    """

    def __new__(
        cls,
        *,
        chat: type[Any],
        internal: InternalAgents,
        rewrite: Callable[[Any], Any],
        described: Callable[[Any, Any, dict[str, Any]], Any],
        given: Callable[[Any, dict[str, Any]], tuple[Any, ...] | None],
        tally: type[Any],
        most_waiting: int,
        ledger_of: Callable[[SpanContext], Any],
    ) -> Self: ...
    def reply(self) -> Hook:
        """REPLY: watch an agent replying."""
    def llm_call(self) -> Hook:
        """LLM_CALL: watch a model being called, by whichever configuration answers."""

@final
class InternalAgents:
    """The agents that AG2 made for its own use: those marked, and those whose name AG2 keeps for such."""

    def __new__(cls) -> Self: ...
    def mark(self, agent: Any) -> None:
        """Keep in mind that AG2 made this agent for its own use."""
    def __contains__(self, agent: Any, /) -> bool:
        """Whether this is an agent of AG2's own."""

class Scope:
    """A hooked call in progress: what the scopes in Rust have in common, beside `span`, `agent` and `outer`."""

    @property
    def internal_names(self) -> frozenset[str]:
        """The names of agents that are of AG2's own making in it: none."""
    def opened(self, span: SpanContext) -> SpanContext:
        """Return where something is recorded while `span` is current: there."""

@final
class Reply(Scope):
    """An agent replying to a sender: a scope. `messages` is the history that it was given."""

    @property
    def span(self) -> SpanContext:
        """The span."""
    @property
    def agent(self) -> Any:
        """The agent that replies."""
    @property
    def sender(self) -> Any:
        """To whom it replies."""
    @property
    def messages(self) -> Any:
        """The messages that it was given."""
    @property
    def outer(self) -> Any:
        """The scope around it."""
    def opened(self, span: SpanContext) -> SpanContext:
        """Return where something is recorded while `span` is current: there, or in a function that is being tried."""

@final
class ModelCall(Scope):
    """A model being called: a scope."""

    @property
    def span(self) -> SpanContext:
        """The span."""
    @property
    def agent(self) -> Any:
        """The agent that calls; None where it is none."""
    @property
    def outer(self) -> Any:
        """The scope around it."""
    @property
    def streamed(self) -> list[str]:
        """The texts that were streamed to the console: a list, to be added to."""
    def try_next(self) -> Any:
        """Note that a configuration is tried; return the agent's name if another one was tried before it, else None."""
    def ask(self) -> None:
        """Note that a service is asked now."""
    def fail(self, client: Any, error: BaseException) -> None:
        """Note that a service could not be asked, or failed."""
    def count(self, actual: Any, total: Any) -> None:
        """Note what an answer used, as AG2 counts it."""
    def chunk(self) -> None:
        """Note that a piece of a streamed answer is there."""

@final
class Cost:
    """What a call cost, as a tally keeps it until it is summed."""

    @property
    def input_tokens(self) -> Any:
        """The tokens that went in; None where that is not known."""
    @property
    def output_tokens(self) -> Any:
        """The tokens that came out; None where that is not known."""
    def price(self, manager: InstrumentationManager) -> int | None:
        """Give what a manager says that it cost, in picodollars (10^-12 US dollars); None where nobody knows."""

@final
class Trial:
    """A reply function that is tried. Where it declines, a brief child of the reply says so.

    Args:
        name, module: what the function is called, and where it is from.
        at_once: whether its span is opened when it is called.

    """

    def __new__(cls, switch: Switch, hooks: Hooks, *, name: str, module: str, at_once: bool) -> Self: ...
    def begin(self, arguments: tuple[Any, ...], named: dict[str, Any] | None) -> Attempt | None:
        """Begin an attempt; None where no agent is replying."""
    def finish(self, attempt: Attempt, result: Any, error: BaseException | None) -> None:
        """Leave the attempt, and record how it went. A second call does nothing.

        Raises:
            BaseException: one that belongs to the program, such as a signal handler's.

        """

@final
class Attempt(Scope):
    """A reply function being tried: a scope where it has a span at once. Others may have none for good."""

    @property
    def span(self) -> SpanContext | None:
        """The span, if it is open."""
    @property
    def agent(self) -> Any:
        """The agent that replies."""
    @property
    def outer(self) -> Reply:
        """The scope around it: the reply."""
    @property
    def started_ns(self) -> int:
        """When the function was called: a reading of `clock_ns()`."""
    def end_with(self, ending: Any) -> None:
        """Have something end with the attempt: its `end` is called with the error that the function raised, or None."""
    def opened(self, span: SpanContext) -> SpanContext:
        """Return where something is recorded while `span` is current: there, or in the attempt's own."""

@final
class Activation(AbstractContextManager[SpanContext]):
    """See `SpanContext.activate`."""

    def __enter__(self) -> SpanContext: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

@final
class SpanContext:
    """A span: its handle, as `start_span` gives it, or what a provider is told of it.

    Recording never raises, and does nothing once the span has ended.
    """

    def __new__(
        cls,
        kind: SpanKind | str,
        trace_id: str | None = None,
        timestamp: datetime | None = None,
        parent_span_id: str | None = None,
        attributes: _Attributes | None = None,
        core_span_id: str | None = None,
    ) -> Self: ...
    @property
    def kind(self) -> SpanKind | str:
        """What the span covers; text for a kind of the program's own."""
    @property
    def trace_id(self) -> str:
        """The trace's id: 32 lower-case hex digits."""
    @property
    def core_span_id(self) -> str | None:
        """The span's id, the same in every provider: 16 lower-case hex digits."""
    @property
    def parent_span_id(self) -> str | None:
        """The parent's id; None for the root of a run."""
    @property
    def timestamp(self) -> datetime | None:
        """When the span began, in UTC."""
    @property
    def ended_at(self) -> datetime | None:
        """When the span ended, in UTC. Told to providers; None before, and on a program's own handle."""
    @property
    def error(self) -> str | None:
        """Why the span failed, which may be empty; None where it did not. Told to providers at its end."""
    @property
    def attributes(self) -> _Attributes:
        """Everything set on the span so far, as a new dict."""
    @property
    def run_name(self) -> str:
        """The name of the run that the span is in; empty where there is none."""
    @property
    def manager(self) -> InstrumentationManager | None:
        """The manager that recorded the span; None where it belongs to no run here."""
    @property
    def ended(self) -> bool:
        """Whether the span has ended, or never was one of a run here."""
    @property
    def _run_id(self) -> str | None:
        """The id of the root of the run that the span is in; None where it belongs to no run here."""
    @property
    def _previous(self) -> SpanContext | None:
        """What was current when this span became current."""
    @property
    def _is_carried(self) -> bool:
        """Whether some span of the run was activated: made current elsewhere than where it began."""
    def start_child(
        self,
        kind: SpanKind | str,
        attributes: _Attributes | None = None,
        *,
        current: bool = True,
        start_ns: int | None = None,
    ) -> SpanContext:
        """Start a span within this one. With `current` it is the current span of this context until it ends.

        With `start_ns`, a reading of `clock_ns()`, it began then.
        """
    def add_brief_child(self, kind: SpanKind | str, attributes: _Attributes | None, start_ns: int, end_ns: int) -> None:
        """Record a span within this one that is over already. Times are readings of `clock_ns()`."""
    def set_attribute(self, key: str, value: object) -> None:
        """Set an attribute; a later value replaces an earlier one."""
    def set_attributes(self, attributes: _Attributes) -> None:
        """Set every entry of a dict."""
    def has_attribute(self, key: str) -> bool:
        """Whether a value was set under this key."""
    def record_event(self, kind: EventKind | str, attributes: _Attributes | None = None) -> None:
        """Record that something happened in this span, now."""
    def record_exception(self, error: BaseException) -> None:
        """Record an exception, and that the span failed."""
    def set_error(self, message: object) -> None:
        """Say that the span failed, and why, where there is no exception to tell of it."""
    def end(self, error: BaseException | None = None) -> None:
        """End the span, in whatever thread; an exception given is recorded first."""
    def messages(
        self, owner: Hashable, messages: Sequence[Any], rewrite: Callable[[Any], Any] | None = None
    ) -> Messages:
        """A history of message dicts as one value; successive lists of one owner share what they have in common.

        `rewrite` takes a message whose content is a list of parts, and gives the one that is recorded instead; it must
        give the same for the same.
        """
    def activate(self) -> Activation:
        """A context manager that makes this span current where it is entered, and restores what was before."""
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None: ...

class InstrumentationManager:
    """Makes runs and hands what happens in them to its providers.

    Args:
        capture_console: whether console output is recorded as events.
        queue_bytes: the most bytes of memory that all records may hold which some provider has yet to take. Beyond
            three quarters of it message bodies are dropped, at it whole records; both are counted. Default: 64 MiB.
        prices: a file with prices of your own, in JSON; it overrides the built-in table. Default: the file that the
            environment variable CALLBOARD_PRICES names, if any.
        budget: what a run may use at the most: a `Budget`, or several.
        capture_content: what of messages is recorded: "full", "none", or how many characters of each text. Default:
            what the environment variable OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, else "full".
        redact: what is taken out of every text before it is recorded: a function of a text, or patterns, such as
            those of `callboard.redaction`.

    Raises:
        TypeError: the budget is none, or `redact` is nothing that redacts.
        ValueError: the price file cannot be used, `capture_content` is none, or `queue_bytes` is below 0; the message
            names the fix.

    """

    def __new__(
        cls,
        *,
        capture_console: bool = True,
        queue_bytes: int | None = None,
        prices: str | PathLike[str] | None = None,
        budget: Budget | Sequence[Budget] | None = None,
        capture_content: str | int | None = None,
        redact: Redact | None = None,
    ) -> Self: ...
    @property
    def capture_console(self) -> bool:
        """Whether console output is recorded as events."""
    @property
    def budgets(self) -> tuple[Budget, ...]:
        """What a run may use at the most."""
    @property
    def capture_content(self) -> str | int | None:
        """What of messages is recorded, as it was given."""
    @property
    def redact(self) -> Redact | None:
        """What is taken out of texts, as it was given."""
    def register_provider(self, provider: object) -> None:
        """Hand everything recorded from now on to the provider too. Registered again, it still gets everything once.

        Raises:
            TypeError: the object is no provider; the message names the methods that it lacks.

        """
    def deregister_provider(self, provider: object) -> bool:
        """Hand nothing more to the provider; what was recorded before it still gets. False: it was not registered."""
    def start_trace(self, name: str | None = None, attributes: _Attributes | None = None) -> SpanContext:
        """Start a run: a trace with a WORKFLOW span as its root, which becomes the current span.

        The trace is a new one unless the environment variable TRACEPARENT names a span that the run is begun in.
        """
    def _start_trace_under(
        self,
        name: str | None,
        attributes: _Attributes | None,
        policy: ContentPolicy | None,
        traceparent: str | None = None,
    ) -> SpanContext:
        """As `start_trace`, by rules of the run's own for what is recorded of texts, and in a given trace.

        No rules: all of a text is recorded.
        """
    def start_span(
        self,
        kind: SpanKind | str,
        parent_context: SpanContext | None = None,
        attributes: _Attributes | None = None,
    ) -> SpanContext:
        """Start a span, which becomes the current one, within `parent_context` or else the current span."""
    def set_attribute(self, span_context: SpanContext, key: str, value: object) -> None:
        """Set an attribute on a span; a later value replaces an earlier one."""
    def end_span(self) -> None:
        """End the current span; what was current before it is again."""
    def record_event(self, event_kind: EventKind | str, attributes: _Attributes | None = None) -> None:
        """Record that something happened in the current span, now. Without a current span it does nothing."""
    def get_current_span(self) -> SpanContext | None:
        """The span that is current in this context; None where this manager has none."""
    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until every provider has passed on what was recorded so far, `timeout` seconds at the most.

        False: it took longer, and goes on in the background.
        """
    def _flush_on_leaving(self, timeout: float) -> bool:
        """As `flush`, at the end of a context, without a wait for a provider that was waited for in vain before."""
    def _shutdown_on_leaving(self, timeout: float) -> bool:
        """As `shutdown`, at the program's end; without a wait for a provider that a context waited for in vain."""
    def shutdown(self, timeout: float = 10.0) -> bool:
        """Deliver what is left and shut the providers down; nothing is recorded afterwards.

        False: `timeout` seconds were not enough, and it goes on in the background.
        """
    def _exports(self) -> bool:
        """Whether what is recorded is exported: whether an OpenTelemetryProvider is registered."""
    def _price_of(self, attributes: _Attributes) -> int | None:
        """What a COST event with these attributes will be said to cost, in picodollars; None where nobody knows."""
    def statistics(self) -> dict[str, Any]:
        """What was recorded, delivered and dropped so far: `recorded`, `dropped`, `bodies_dropped`, `providers`."""

class OpenTelemetryProvider:
    """Sends spans to any OpenTelemetry collector, Jaeger included, over OTLP.

    What is left out comes from the standard `OTEL_*` environment variables; an argument beats the environment.

    Args:
        collector_endpoint: where the collector listens. With "http" the full address, used as given:
            "http://localhost:4318/v1/traces". With "grpc" with or without a scheme: "localhost:4317".
        service_name: the resource's `service.name`.
        protocol: "http" (protobuf over HTTP; the default), "http/json" or "grpc".
        headers: sent with each request, such as an authorisation.
        timeout: the most seconds that one request may take. Default: 10.
        compression: "none" (the default) or "gzip".
        history: how histories of messages are sent: "full" (within `history_max_bytes`; the default), "new" (only
            messages not sent before) or "none".
        history_max_bytes: the most bytes of a history in one attribute; the oldest messages are left out beyond.
        certificate: a PEM file of the authorities that may vouch for the collector.
        client_certificate: a PEM file with the client's own certificate chain.
        client_key: a PEM file with the key to it.
        insecure: whether a gRPC endpoint without a scheme is spoken to in plain text.
        resource_attributes: more attributes of the resource.
        schedule_delay: how many seconds a span waits for others to go with it. Default: 5.
        max_export_batch_bytes: the most bytes in one request, before compression.
        max_queue_bytes: the most bytes of spans that wait to be sent; the oldest are dropped beyond, and counted.

    Raises:
        ValueError: an argument, or a variable in its place, cannot be used; the message names the fix.

    """

    def __new__(
        cls,
        collector_endpoint: str | None = None,
        service_name: str | None = None,
        protocol: str | None = None,
        *,
        headers: dict[str, str] | None = None,
        timeout: float | None = None,
        compression: str | None = None,
        history: str | None = None,
        history_max_bytes: int | None = None,
        certificate: str | PathLike[str] | None = None,
        client_certificate: str | PathLike[str] | None = None,
        client_key: str | PathLike[str] | None = None,
        insecure: bool | None = None,
        resource_attributes: dict[str, Any] | None = None,
        schedule_delay: float | None = None,
        max_export_batch_bytes: int | None = None,
        max_queue_bytes: int | None = None,
    ) -> Self: ...
    def statistics(self) -> dict[str, Any]:
        """What became of the spans: `sent`, `refused`, `dropped`, `retries`, and what went wrong last, `last_error`."""

class CostTrackerProvider:
    """Adds up what model calls, and anything else with a cost, cost.

    What is read covers all runs. The methods take a `run`: a `SpanContext` of it, its root or any other, or its trace
    id. A run that is not known is a ValueError.

    Args:
        history_entries: the most entries of `cost_history`; the oldest go first. Sums never lose anything.

    Raises:
        ValueError: `history_entries` is below 0.

    """

    def __new__(cls, *, history_entries: int | None = None) -> Self: ...
    @property
    def total_cost(self) -> float:
        """What everything cost so far, in US dollars."""
    @property
    def cost_history(self) -> list[_Attributes]:
        """A dict for each COST event that counts, in the order of recording, with the event's attributes."""
    def cost_by_agent(self, *, run: SpanContext | str | None = None) -> dict[str, float]:
        """US dollars by the name of the agent that called, the dearest first. They add up to the total."""
    def cost_by_model(self, *, run: SpanContext | str | None = None) -> dict[str, float]:
        """US dollars by model, the dearest first. They add up to the total."""
    def cost_by_chat(self, *, run: SpanContext | str | None = None) -> dict[str, float]:
        """US dollars by the nearest chat around the call, the dearest first. They add up to the total."""
    def cost_by_message(self, limit: int | None = 20, *, run: SpanContext | str | None = None) -> list[dict[str, Any]]:
        """What each message cost over its life, a dict a message, the dearest first; `limit` of them, None for all.

        A message is paid for when a model makes it, and each time that a call carries it. A dict has its `run`; who
        said it: `role` (`tools` for the definitions of an agent's tools), `agent` and `tool`, None where unknown;
        `text`, its beginning on one line, None where messages are not recorded; `calls`, how many carried it;
        `input_tokens`, `input_cost_usd` for these; `output_tokens`, `output_cost_usd` for making it; `cost_usd`, the
        two; `share`, its part in the run's cost from 0 to 1; `in_words`, a sentence; and `estimated`, always True:
        services bill a call as a whole, and its input is shared out by length. All `input_cost_usd` add up to what
        was billed for the input of the calls whose history was recorded.
        """
    @property
    def unpriced(self) -> list[dict[str, Any]]:
        """The calls that nobody has a price for, a dict a model: `model`, `calls`, `input_tokens`, `output_tokens`."""
    @property
    def saved(self) -> float:
        """What answers from a response cache would have cost, in US dollars."""
    def summary(self, *, run: SpanContext | str | None = None) -> dict[str, Any]:
        """The sums: `total_cost`, `cost_events` (how many), `saved`, `cached_answers` (how many) and `unpriced`.

        Without a run they are those of the properties.
        """
    def history(self, *, run: SpanContext | str | None = None) -> list[_Attributes]:
        """The `cost_history` of a run; without one that of all runs."""
    @property
    def runs_dropped(self) -> int:
        """How many runs are no longer kept apart; the sums over all runs have what they cost."""
    def report(self, *, run: SpanContext | str | None = None) -> str:
        """The costs as a table of plain text."""
    def _repr_html_(self) -> str: ...

class MermaidDiagramProvider:
    """Draws who said what to whom, as a Mermaid sequence diagram.

    Args:
        fold: whether rounds that repeat are drawn once, in a `loop`.
        max_messages: the most messages that are drawn, the first and the last ones; a note tells how many are left out.
        kept_messages: the most messages that are kept at all; the oldest go first. Default: 100,000.

    Raises:
        ValueError: `max_messages` or `kept_messages` is below 0.

    """

    def __new__(
        cls, *, fold: bool = False, max_messages: int | None = None, kept_messages: int | None = None
    ) -> Self: ...
    def generate_sequence_diagram(
        self,
        *,
        run: SpanContext | str | None = None,
        fold: bool | None = None,
        max_messages: int | None = None,
    ) -> str:
        """The text of a run's diagram; without a `run` that of the run that began last.

        `run` takes a `SpanContext` of the run, its root or any other, or its trace id. `fold` and `max_messages`
        replace the provider's own for this drawing.

        Raises:
            ValueError: the run is not known here, or `max_messages` is below 0.

        """
    @property
    def runs_dropped(self) -> int:
        """How many runs are no longer kept, with their messages."""
    @property
    def interactions(self) -> list[tuple[datetime, str, str, str]]:
        """Every message of all runs, in order of time: when, the sender, the recipient, what a diagram shows."""
    @property
    def participants(self) -> dict[str, str]:
        """The agents that take part in any run, in the diagram's order; each name stands under itself."""
    def _repr_html_(self) -> str: ...

def ask_generators(asked: bool) -> None:
    """Have `callboard._generators` asked which span is current, or no longer."""

def generator_of(frame: FrameType) -> object | None:
    """The generator or coroutine that a frame is of; None where the interpreter does not say."""

def current_span() -> SpanContext | None:
    """The span current in this context; None where no run is."""

def with_current_span(context: Any) -> Any:
    """Give the OpenTelemetry API's context as it is to be seen, where `context` is what was attached last."""

def clock_ns() -> int:
    """A reading of the clock that spans are timed with, in nanoseconds."""

def set_kind_classes(span_kind: type[SpanKind], event_kind: type[EventKind]) -> None: ...
def shutdown_all(timeout: float) -> None: ...
def flush_all(timeout: float) -> None: ...
def before_fork() -> None: ...
def after_fork_in_parent() -> None: ...
def after_fork_in_child() -> None: ...
