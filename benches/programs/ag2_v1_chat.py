"""A program of AG2 1.x: an agent that is asked again and again, bare or watched, and what that took: one line of JSON, by
replies of a chat.

caller_us   what a reply took of the caller's time, from the chat's beginning to its last reply
cpu_us      what a reply took of the CPU, in all threads, until everything was exported
bare_us     what a reply took of the caller's time in the same process, bare
returned    what the first watched chat of that length returned: the texts of its replies

Beside them, `model_calls` says how many of them were watched. The model answers at once, as in `ag2_chat.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from ag2 import Agent
from ag2.config import OpenAIConfig
from chats import (
    API_KEY,
    REPLIES,
    STRETCH,
    TEXT,
    Service,
    Side,
    Spent,
    bare,
    callboard,
    opentelemetry_sdk,
    stay_on_a_core,
)
from openai.resources.chat.completions import AsyncCompletions

CONFIG = OpenAIConfig("gpt-4o-mini", api_key=API_KEY)
PROMPT = "Your name is Emma and you are a comedian in a duo."


@contextmanager
def tracing(endpoint: str) -> Iterator[Side]:
    """AG2's own tracing, as its documentation has it."""
    from ag2.middleware import TelemetryMiddleware

    provider = opentelemetry_sdk(endpoint)

    def watch(agent: Agent) -> None:
        agent.add_middleware(
            TelemetryMiddleware(
                tracer_provider=provider, agent_name=agent.name, provider_name="openai", model_name="gpt-4o-mini"
            )
        )

    yield Side(nullcontext, watch, provider.force_flush)


SIDES: dict[str, Callable[[str], AbstractContextManager[Side]]] = {
    side.__name__: side for side in (bare, callboard, tracing)
}


class Conversation:
    """A conversation with an agent, held in parts."""

    def __init__(self, agent: Agent) -> None:
        self._ask = agent.ask
        self.texts: list[str | None] = []

    async def go_on(self, replies: int) -> None:
        for _ in range(replies):
            reply = await self._ask(TEXT)
            self._ask = reply.ask
            self.texts.append(reply.body)


async def measured(replies: int, side: Side) -> dict[str, Any]:
    """Holds chats of this many replies."""
    bare_emma, emma = (Agent("emma", PROMPT, config=CONFIG) for _ in range(2))
    side.watch(emma)
    parts = math.ceil(replies / STRETCH)
    spent, returned = Spent(replies, side), None
    for chats in spent.rounds():
        bare_chats, watched_chats = ([Conversation(agent) for _ in chats] for agent in (bare_emma, emma))
        for part in range(parts):
            count = (replies - part - 1) // parts + 1
            for watched in spent.turns():
                for chat in watched_chats if watched else bare_chats:
                    await chat.go_on(count)
        returned = returned or watched_chats[0].texts
    return {**spent.per_reply(), "returned": {"texts": returned}}


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("side", choices=SIDES)
    parser.add_argument("endpoint")
    given = parser.parse_args()

    service = Service()

    async def create(completions: AsyncCompletions, **asked: Any) -> Any:
        return service.answer(**asked)

    AsyncCompletions.create = create
    with SIDES[given.side](given.endpoint) as side:
        stay_on_a_core()
        said = {replies: await measured(replies, side) for replies in REPLIES}
    print(json.dumps({**said, "model_calls": service.calls // 2}))


if __name__ == "__main__":
    asyncio.run(main())
