"""A program of AG2's: two agents that chat, bare or watched, and what that took: one line of JSON, by replies of a chat.

caller_us   what a reply took of the caller's time, from the chat's beginning to its result
cpu_us      what a reply took of the CPU, in all threads, until everything was exported
returned    what the first chat of that length returned: its history, its summary, its cost

Beside them, `model_calls` says how many there were in all. The model answers at once, in this process: the method of
openai's client that would ask the service is replaced. Everything above it is real, AG2's client for OpenAI included.
Each side is imported only where it is measured.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from autogen import ConversableAgent
from openai.resources.chat.completions import Completions
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessage
from openai.types.chat.chat_completion import Choice

REPLIES = (7, 39, 199)
"""How many replies a chat has. The initiator's first message is none."""
SECONDS = 0.7
WARM_UP_SECONDS = 0.3
"""So long chats of a length are held at the least, and at least two of them."""
TEXT = "Why did the goldfish refuse the peanut butter? It was already in enough sticky situations."


class Side(NamedTuple):
    """A way to watch."""

    watch: Callable[[ConversableAgent], object]
    """Is told of each agent that is made."""
    flush: Callable[[], object]
    """Returns when everything recorded has been exported."""


@contextmanager
def bare(endpoint: str) -> Iterator[Side]:
    """The program without telemetry."""
    yield Side(lambda agent: None, lambda: None)


@contextmanager
def callboard(endpoint: str) -> Iterator[Side]:
    from callboard import (
        CostTrackerProvider,
        InstrumentationManager,
        MermaidDiagramProvider,
        OpenTelemetryProvider,
        telemetry_context,
    )

    manager = InstrumentationManager()
    manager.register_provider(CostTrackerProvider())
    manager.register_provider(MermaidDiagramProvider())
    manager.register_provider(OpenTelemetryProvider(endpoint, "bench"))
    with telemetry_context(manager, "bench"):
        yield Side(lambda agent: None, lambda: manager.flush(60))
    counted = manager.statistics()
    if counted["dropped"] or counted["bodies_dropped"] or any(each["dropped"] for each in counted["providers"]):
        sys.exit(f"not everything was recorded: {counted}")


@contextmanager
def tracing(endpoint: str) -> Iterator[Side]:
    """AG2's own tracing, as its documentation has it."""
    from autogen.opentelemetry import instrument_agent, instrument_llm_wrapper
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "bench"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    trace.set_tracer_provider(provider)
    instrument_llm_wrapper(tracer_provider=provider)
    yield Side(lambda agent: instrument_agent(agent, tracer_provider=provider), provider.force_flush)


@contextmanager
def logging(endpoint: str) -> Iterator[Side]:
    """AG2's `runtime_logging`, into a database of SQLite."""
    from autogen import runtime_logging

    with tempfile.TemporaryDirectory() as folder:
        runtime_logging.start(logger_type="sqlite", config={"dbname": str(Path(folder) / "logs.db")})
        yield Side(lambda agent: None, lambda: None)
        runtime_logging.stop()


SIDES: dict[str, Callable[[str], AbstractContextManager[Side]]] = {
    side.__name__: side for side in (bare, callboard, tracing, logging)
}


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


def comedian(name: str, side: Side) -> ConversableAgent:
    # No `base_url`: AG2's `runtime_logging` fails on one. The key is of the form that AG2 does not warn of.
    agent = ConversableAgent(
        name,
        system_message=f"Your name is {name} and you are a comedian in a duo.",
        llm_config={"config_list": [{"model": "gpt-4o-mini", "api_key": f"sk-{0:032}"}], "cache_seed": None},
        human_input_mode="NEVER",
    )
    side.watch(agent)
    return agent


def measured(replies: int, side: Side) -> dict[str, Any]:
    """Holds chats of this many replies: first those that warm up, then those that count."""
    jack, emma = comedian("jack", side), comedian("emma", side)

    def chat() -> Any:
        # A turn is a reply of each, but the first, which the initiator begins with the message.
        return jack.initiate_chat(emma, message=TEXT, max_turns=(replies + 1) // 2, silent=True)

    result = chat()
    if len(result.chat_history) != replies + 1:
        sys.exit(f"a chat had {len(result.chat_history) - 1} replies, not {replies}")
    # As it is now: AG2 goes on writing into the history and the cost.
    returned = copy.deepcopy({"history": result.chat_history, "summary": result.summary, "cost": result.cost})
    spent(chat, side, WARM_UP_SECONDS)
    count, seconds, cpu = spent(chat, side, SECONDS)
    per_reply = 1e6 / (count * replies)
    return {"caller_us": seconds * per_reply, "cpu_us": cpu * per_reply, "returned": returned}


def spent(chat: Callable[[], object], side: Side, least: float) -> tuple[int, float, float]:
    """How many chats there were, the seconds in which they were held, and those of the CPU, exports included."""
    count, seconds, cpu = 0, 0.0, 0.0
    while seconds < least or count < 2:
        began, process = time.perf_counter(), time.process_time()
        chat()
        seconds += time.perf_counter() - began
        # What was recorded is exported before the next chat, so that no side gets ahead of its exporter and drops.
        side.flush()
        cpu += time.process_time() - process
        count += 1
    return count, seconds, cpu


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("endpoint")
    given = parser.parse_args()

    service = Service()
    Completions.create = lambda completions, **asked: service.answer(**asked)
    with SIDES[given.side](given.endpoint) as side, contextlib.redirect_stdout(io.StringIO()):
        said = {replies: measured(replies, side) for replies in REPLIES}
    print(json.dumps({**said, "model_calls": service.calls}))


if __name__ == "__main__":
    main()
