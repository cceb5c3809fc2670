"""What the programs of AG2's chats share: the ways to watch one, the model that answers at once, and the clock."""

from __future__ import annotations

import gc
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice

REPLIES = (7, 39, 199)
"""How many replies a chat has. The first message is none."""
STRETCH = 28
"""About so many replies are held before it is the other side's turn: several short chats, or a part of one that can be parted."""
ROUNDS = 3
"""So often chats of a length are held, bare and watched, and once more before, to warm up."""
TEXT = "Why did the goldfish refuse the peanut butter? It was already in enough sticky situations."
# Of the form that AG2 does not warn of.
API_KEY = f"sk-{0:048}"


class Side(NamedTuple):
    """A way to watch."""

    watching: Callable[[], AbstractContextManager[object]]
    """What is done within this is watched, and nothing outside of it."""
    watch: Callable[[Any], object]
    """Is told of each agent that is made to be watched."""
    flush: Callable[[], object]
    """Returns when everything recorded has been exported."""


@contextmanager
def bare(endpoint: str) -> Iterator[Side]:
    """The program without telemetry."""
    yield Side(nullcontext, lambda agent: None, lambda: None)


@contextmanager
def callboard(endpoint: str) -> Iterator[Side]:
    from callboard import (
        CostTrackerProvider,
        InstrumentationManager,
        MermaidDiagramProvider,
        OpenTelemetryProvider,
        instrument_ag2,
        uninstrument_ag2,
    )

    manager = InstrumentationManager()
    manager.register_provider(CostTrackerProvider())
    manager.register_provider(MermaidDiagramProvider())
    manager.register_provider(OpenTelemetryProvider(endpoint, "bench"))
    root = manager.start_trace("bench")
    manager.flush(60)  # Its threads have started now: before this one stays on a core.

    @contextmanager
    def watching() -> Iterator[None]:
        instrument_ag2()
        yield
        uninstrument_ag2()

    yield Side(watching, lambda agent: None, lambda: manager.flush(60))
    root.end()
    manager.flush(60)
    counted = manager.statistics()
    if counted["dropped"] or counted["bodies_dropped"] or any(each["dropped"] for each in counted["providers"]):
        sys.exit(f"not everything was recorded: {counted}")


def opentelemetry_sdk(endpoint: str) -> Any:
    """A tracer provider as the documentation of AG2's tracing has it."""
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "bench"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    return provider


class Service:
    """Stands in the model's place: an answer of its own for each length of the history."""

    def __init__(self) -> None:
        self.calls = 0

    def answer(self, *, messages: list[dict[str, Any]], model: str, **_: Any) -> ChatCompletion:
        self.calls += 1
        count = len(messages)
        message = ChatCompletionMessage.model_construct(
            role="assistant", content=f"{count}: {TEXT}", function_call=None, tool_calls=None
        )
        usage = CompletionUsage.model_construct(
            prompt_tokens=25 * count, completion_tokens=25, total_tokens=25 * count + 25
        )
        return ChatCompletion.model_construct(
            id=f"chatcmpl-{count}",
            choices=[Choice.model_construct(finish_reason="stop", index=0, message=message, logprobs=None)],
            created=0,
            model=model,
            object="chat.completion",
            usage=usage,
        )


def stay_on_a_core() -> None:
    """Keeps this thread on one core, and those that it starts from now on; what telemetry has started moves freely.

    AG2 1.x has threads take turns with this one, several times a reply. Which core the system wakes them on makes a process
    faster or slower than the next for as long as it runs.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class Spent:
    """What chats of a length took of the caller's time and of the CPU, exports included, and what bare ones took.

    They are held in rounds, of about as many replies at each length. Bare and watched ones take turns in one process, so
    that whatever makes a process or a while slow meets both. After a watched turn everything recorded is exported, so
    that no work for it falls into a bare one. Before each half of a round all garbage is collected: Python does
    that by itself every few rounds, now in these chats, now in those. Whose turn is the first after it finds the caches
    cold: in one half the bare ones', in the other the watched ones'.
    """

    def __init__(self, replies: int, side: Side) -> None:
        self._side = side
        self._at_once = range(max(STRETCH // replies, 1))
        """The chats that are held in one turn."""
        self._in_a_half = range(max(REPLIES) // (len(self._at_once) * replies))
        self._each = 1e6 / (2 * len(self._in_a_half) * len(self._at_once) * replies)
        self._of_rounds: list[dict[str, float]] = []
        """Microseconds a reply."""
        self._watched_first = False

    def rounds(self) -> Iterator[range]:
        """Gives the chats that are begun at once, to be held before the next are asked for: bare and watched, in `turns`."""
        for _ in range(1 + ROUNDS):
            self._of_rounds.append({"caller_us": 0.0, "cpu_us": 0.0, "bare_us": 0.0})
            for self._watched_first in (False, True):
                gc.collect()
                for _ in self._in_a_half:
                    yield self._at_once

    def turns(self) -> Iterator[bool]:
        """Says twice whose turn it is, the watched ones' or the bare ones': to be held before the next is asked for."""
        spent = self._of_rounds[-1]
        for watched in (self._watched_first, not self._watched_first):
            with self._side.watching() if watched else nullcontext():
                began, process = time.perf_counter(), time.process_time()
                yield watched
                spent["caller_us" if watched else "bare_us"] += (time.perf_counter() - began) * self._each
                if watched:
                    self._side.flush()
                    spent["cpu_us"] += (time.process_time() - process) * self._each
        self._watched_first = not self._watched_first

    def per_reply(self) -> dict[str, list[float]]:
        """Of each round but the first, which warms up."""
        return {what: [each[what] for each in self._of_rounds[1:]] for what in self._of_rounds[0]}
