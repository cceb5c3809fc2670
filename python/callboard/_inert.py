"""The names of the native half, doing nothing: what stands in for it in a subinterpreter.

A program runs there as it would elsewhere; there is only no telemetry, and one warning that says so.
"""

from __future__ import annotations

import time
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

warnings.warn(
    "callboard records nothing in a subinterpreter; record in the main interpreter instead",
    RuntimeWarning,
    stacklevel=4,  # the program's own import of callboard
)

__version__ = "0"


class SpanContext:
    """A span that nothing is recorded of; it keeps what it is given."""

    run_name = ""
    manager = None
    ended = True
    ended_at = None
    error = None
    _run_id = None
    _previous = None
    _is_carried = False

    def __init__(
        self,
        kind: object,
        trace_id: str | None = None,
        timestamp: object = None,
        parent_span_id: str | None = None,
        attributes: dict[str, Any] | None = None,
        core_span_id: str | None = None,
    ) -> None:
        self.kind = kind
        self.trace_id = trace_id or ""
        self.timestamp = timestamp
        self.parent_span_id = parent_span_id
        self.attributes: dict[str, Any] = dict(attributes or {})
        self.core_span_id = core_span_id

    def start_child(
        self,
        kind: object,
        attributes: dict[str, Any] | None = None,
        *,
        current: bool = True,
        start_ns: int | None = None,
    ) -> SpanContext:
        """Give another such span."""
        return SpanContext(kind, attributes=attributes)

    def add_brief_child(self, kind: object, attributes: dict[str, Any] | None, start_ns: int, end_ns: int) -> None:
        """Do nothing."""

    def set_attribute(self, key: str, value: object) -> None:
        """Keep the value."""
        self.attributes[key] = value

    def set_attributes(self, attributes: dict[str, Any]) -> None:
        """Keep the values."""
        self.attributes.update(attributes)

    def has_attribute(self, key: str) -> bool:
        """Say whether there is a value under this key."""
        return key in self.attributes

    def record_event(self, kind: object, attributes: dict[str, Any] | None = None) -> None:
        """Do nothing."""

    def record_exception(self, error: BaseException) -> None:
        """Do nothing."""

    def set_error(self, message: str) -> None:
        """Do nothing."""

    def end(self, error: BaseException | None = None) -> None:
        """Do nothing."""

    def messages(self, owner: object, messages: list[Any], rewrite: object = None) -> Messages:
        """Give what stands for a history."""
        return Messages(len(messages))

    def activate(self) -> Activation:
        """Give a context manager that does nothing."""
        return Activation(self)

    def __enter__(self) -> SpanContext:
        return self

    def __exit__(self, *error: object) -> None:
        return None


class Activation:
    """What `SpanContext.activate` gives."""

    def __init__(self, span: SpanContext) -> None:
        self._span = span

    def __enter__(self) -> SpanContext:
        return self._span

    def __exit__(self, *error: object) -> None:
        return None


class Switch:
    """Has no function watched."""

    live = False

    def __init__(self, scope: object = None, report: object = None) -> None:
        pass

    def watches(self) -> bool:
        """Watch nothing."""
        return False

    def turn_off(self) -> None:
        """Do nothing."""


class Watch:
    """What does nothing around a call."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def begin(self, arguments: tuple[Any, ...], named: dict[str, Any] | None) -> None:
        """See nothing to watch for."""

    def finish(self, waiting: object, result: object, error: BaseException | None) -> None:
        """Do nothing."""


class Waiting:
    """What no call leaves."""


class Hook:
    """A body that is never run."""


class Hooks:
    """Hooks that record nothing."""

    def __init__(self, **_: object) -> None:
        pass

    def reply(self) -> Hook:
        """Return what is never run."""
        return Hook()

    llm_call = reply


class TurnHooks:
    """Hooks that record nothing."""

    def __init__(self, **_: object) -> None:
        pass

    def reply(self) -> Hook:
        """Return what is never run."""
        return Hook()

    def llm_call_of(self, client: object, tools: object) -> Hook:
        """Return what is never run."""
        return Hook()

    def note_chunk(self) -> None:
        """Note nothing."""

    llm_call = reply


class InternalAgents:
    """Agents that nobody asks for."""

    def mark(self, agent: object) -> None:
        """Do nothing."""

    def __contains__(self, agent: object) -> bool:
        return False


class Trial(Watch):
    """What does nothing around a reply function."""


class Scope:
    """What no hooked call is."""

    internal_names: frozenset[str] = frozenset()
    span = agent = outer = None

    def opened(self, span: SpanContext) -> SpanContext:
        """Return the span."""
        return span


class Reply(Scope):
    """What no reply is."""

    sender = messages = None


class Attempt(Scope):
    """What no call is."""

    started_ns = 0

    def end_with(self, ending: object) -> None:
        """Do nothing."""


class ModelCall(Scope):
    """What no call of a model is."""

    def __init__(self) -> None:
        self.streamed: list[str] = []

    def ask(self) -> None:
        """Note nothing."""

    def try_next(self) -> None:
        """Note nothing."""

    def fail(self, client: object, error: object) -> None:
        """Note nothing."""

    def count(self, actual: object, total: object) -> None:
        """Note nothing."""

    def chunk(self) -> None:
        """Note nothing."""


class Turn(Scope):
    """What no turn is."""


class Cost:
    """What nothing cost."""

    input_tokens = None
    output_tokens = None

    def price(self, manager: object) -> int | None:
        """Give nothing."""


class ContentPolicy:
    """Rules for texts that are not recorded."""

    def __init__(self, most_chars: int | None = None, redact: object = None, content_keys: object = ()) -> None:
        pass


class Messages:
    """What `SpanContext.messages` gives."""

    def __init__(self, count: int = 0) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count


class InstrumentationManager:
    """A manager whose runs are not recorded. It knows its providers, which are told nothing."""

    def __init__(
        self,
        *,
        capture_console: bool = True,
        queue_bytes: int | None = None,
        prices: object = None,
        budget: object = None,
        capture_content: object = None,
        redact: object = None,
    ) -> None:
        self.capture_console = capture_console
        self.capture_content, self.redact = capture_content, redact
        self.budgets: tuple[object, ...] = ()
        self._providers: list[object] = []

    def register_provider(self, provider: object) -> None:
        """Note the provider."""
        if not any(known is provider for known in self._providers):
            self._providers.append(provider)

    def deregister_provider(self, provider: object) -> bool:
        """Forget the provider. False: it was not registered."""
        before = len(self._providers)
        self._providers = [known for known in self._providers if known is not provider]
        return len(self._providers) < before

    def start_trace(self, name: str | None = None, attributes: dict[str, Any] | None = None) -> SpanContext:
        """Give a span that nothing is recorded of."""
        return SpanContext("workflow", attributes=attributes)

    def _start_trace_under(
        self, name: str | None, attributes: dict[str, Any] | None, policy: object, traceparent: str | None = None
    ) -> SpanContext:
        return self.start_trace(name, attributes)

    def start_span(
        self,
        kind: object,
        parent_context: SpanContext | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> SpanContext:
        """Give a span that nothing is recorded of."""
        return SpanContext(kind, attributes=attributes)

    def set_attribute(self, span_context: SpanContext, key: str, value: object) -> None:
        """Keep the value on the span."""
        span_context.set_attribute(key, value)

    def end_span(self) -> None:
        """Do nothing."""

    def record_event(self, event_kind: object, attributes: dict[str, Any] | None = None) -> None:
        """Do nothing."""

    def get_current_span(self) -> SpanContext | None:
        """Give None."""
        return None

    def flush(self, timeout: float = 10.0) -> bool:
        """Do nothing; there is nothing to wait for."""
        return True

    def _flush_on_leaving(self, timeout: float) -> bool:
        return True

    def _shutdown_on_leaving(self, timeout: float) -> bool:
        return True

    def _exports(self) -> bool:
        return False

    def _price_of(self, attributes: dict[str, Any]) -> int | None:
        return None

    def shutdown(self, timeout: float = 10.0) -> bool:
        """Do nothing; there is nothing to wait for."""
        return True

    def statistics(self) -> dict[str, Any]:
        """Give counts of nothing."""
        return {"recorded": 0, "dropped": 0, "bodies_dropped": 0, "providers": []}


class OpenTelemetryProvider:
    """An exporter that sends nothing."""

    def __init__(
        self,
        collector_endpoint: str | None = None,
        service_name: str | None = None,
        protocol: str | None = None,
        **options: object,
    ) -> None: ...

    def statistics(self) -> dict[str, Any]:
        """Give counts of nothing."""
        return {
            "sent": 0,
            "refused": 0,
            "dropped": 0,
            "parts_dropped": 0,
            "retries": 0,
            "last_error": None,
        }


class CostTrackerProvider:
    """A cost tracker of nothing."""

    total_cost = 0.0
    saved = 0.0
    runs_dropped = 0

    def __init__(self, *, history_entries: int | None = None) -> None:
        self.cost_history: list[dict[str, Any]] = []
        self.unpriced: list[dict[str, Any]] = []

    def cost_by_agent(self, *, run: SpanContext | str | None = None) -> dict[str, float]:
        """Give nothing."""
        return {}

    def cost_by_model(self, *, run: SpanContext | str | None = None) -> dict[str, float]:
        """Give nothing."""
        return {}

    def cost_by_chat(self, *, run: SpanContext | str | None = None) -> dict[str, float]:
        """Give nothing."""
        return {}

    def cost_by_message(self, limit: int | None = 20, *, run: SpanContext | str | None = None) -> list[dict[str, Any]]:
        """Give nothing."""
        return []

    def summary(self, *, run: SpanContext | str | None = None) -> dict[str, Any]:
        """Give sums of nothing."""
        return {"total_cost": 0.0, "cost_events": 0, "saved": 0.0, "cached_answers": 0, "unpriced": []}

    def history(self, *, run: SpanContext | str | None = None) -> list[dict[str, Any]]:
        """Give nothing."""
        return []

    def report(self, *, run: SpanContext | str | None = None) -> str:
        """Give nothing."""
        return ""

    def _repr_html_(self) -> str:
        return ""


class MermaidDiagramProvider:
    """A diagram of nobody."""

    runs_dropped = 0

    def __init__(
        self, *, fold: bool = False, max_messages: int | None = None, kept_messages: int | None = None
    ) -> None:
        self.interactions: list[tuple[Any, str, str, str]] = []
        self.participants: dict[str, str] = {}

    def generate_sequence_diagram(
        self,
        *,
        run: SpanContext | str | None = None,
        fold: bool | None = None,
        max_messages: int | None = None,
    ) -> str:
        """Give a diagram without anybody in it."""
        return "sequenceDiagram"

    def _repr_html_(self) -> str:
        return ""


def ask_generators(asked: bool) -> None:
    """Do nothing."""


def generator_of(frame: object) -> None:
    """Give None."""


def current_span() -> SpanContext | None:
    """Give None."""
    return None


def with_current_span(context: Any) -> Any:
    """Give the context."""
    return context


def clock_ns() -> int:
    """Give a reading of a monotonic clock."""
    return time.monotonic_ns()


def _nothing(*_: object) -> None:
    """Do nothing."""


set_kind_classes: Callable[..., None] = _nothing
shutdown_all: Callable[..., None] = _nothing
flush_all: Callable[..., None] = _nothing
before_fork: Callable[..., None] = _nothing
after_fork_in_parent: Callable[..., None] = _nothing
after_fork_in_child: Callable[..., None] = _nothing
