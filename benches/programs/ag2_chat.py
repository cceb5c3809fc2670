"""A program of AG2's: two agents that chat, bare or watched, and what that took: one line of JSON, by replies of a chat.

caller_us   what a reply took of the caller's time, from the chat's beginning to its result
cpu_us      what a reply took of the CPU, in all threads, until everything was exported
bare_us     what a reply took of the caller's time in the same process, bare
returned    what the first watched chat of that length returned: its history, its summary, its cost

Beside them, `model_calls` says how many of them were watched. The model answers at once, in this process: the method of
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
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from autogen import ConversableAgent, OpenAIWrapper
from chats import (
    API_KEY,
    REPLIES,
    TEXT,
    Service,
    Side,
    Spent,
    bare,
    callboard,
    opentelemetry_sdk,
    stay_on_a_core,
)
from openai.resources.chat.completions import Completions


@contextmanager
def tracing(endpoint: str) -> Iterator[Side]:
    """AG2's own tracing, as its documentation has it."""
    from autogen.opentelemetry import instrument_agent, instrument_llm_wrapper
    from opentelemetry import trace

    provider = opentelemetry_sdk(endpoint)
    trace.set_tracer_provider(provider)

    @contextmanager
    def watching() -> Iterator[None]:
        create = OpenAIWrapper.create
        instrument_llm_wrapper(tracer_provider=provider)
        yield
        OpenAIWrapper.create = create

    yield Side(watching, lambda agent: instrument_agent(agent, tracer_provider=provider), provider.force_flush)


@contextmanager
def logging(endpoint: str) -> Iterator[Side]:
    """AG2's `runtime_logging`, into a database of SQLite."""
    from autogen import runtime_logging

    with tempfile.TemporaryDirectory() as folder:

        @contextmanager
        def watching() -> Iterator[None]:
            runtime_logging.start(logger_type="sqlite", config={"dbname": str(Path(folder) / "logs.db")})
            yield
            runtime_logging.stop()

        yield Side(watching, lambda agent: None, lambda: None)


SIDES: dict[str, Callable[[str], AbstractContextManager[Side]]] = {
    side.__name__: side for side in (bare, callboard, tracing, logging)
}


def comedian(name: str) -> ConversableAgent:
    # No `base_url`: AG2's `runtime_logging` fails on one.
    return ConversableAgent(
        name,
        system_message=f"Your name is {name} and you are a comedian in a duo.",
        llm_config={"config_list": [{"model": "gpt-4o-mini", "api_key": API_KEY}], "cache_seed": None},
        human_input_mode="NEVER",
    )


def measured(replies: int, side: Side) -> dict[str, Any]:
    """Holds chats of this many replies."""
    bare_ones, watched_ones = ((comedian("jack"), comedian("emma")) for _ in range(2))
    for agent in watched_ones:
        side.watch(agent)
    spent, returned = Spent(replies, side), None
    for chats in spent.rounds():
        for watched in spent.turns():
            jack, emma = watched_ones if watched else bare_ones
            for _ in chats:
                # A turn is a reply of each, but the first, which the initiator begins with the message.
                result = jack.initiate_chat(emma, message=TEXT, max_turns=(replies + 1) // 2, silent=True)
                if watched and returned is None:
                    returned = _returned(result, replies)
    return {**spent.per_reply(), "returned": returned}


def _returned(result: Any, replies: int) -> dict[str, Any]:
    """What a chat returned, as it is now: AG2 goes on writing into the history and the cost."""
    if len(result.chat_history) != replies + 1:
        sys.exit(f"a chat had {len(result.chat_history) - 1} replies, not {replies}")
    return copy.deepcopy({"history": result.chat_history, "summary": result.summary, "cost": result.cost})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("endpoint")
    given = parser.parse_args()

    service = Service()
    Completions.create = lambda completions, **asked: service.answer(**asked)
    with SIDES[given.side](given.endpoint) as side, contextlib.redirect_stdout(io.StringIO()):
        stay_on_a_core()
        said = {replies: measured(replies, side) for replies in REPLIES}
    print(json.dumps({**said, "model_calls": service.calls // 2}))


if __name__ == "__main__":
    main()
