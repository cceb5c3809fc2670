"""A program of AG2 1.x: an agent that is asked again and again, bare or watched, and what that took: one line of JSON, by
replies of a chat.

caller_us   what a reply took of the caller's time, from the chat's beginning to its last reply
cpu_us      what a reply took of the CPU, in all threads, until everything was exported
returned    what the first chat of that length returned: the texts of its replies

Beside them, `model_calls` says how many there were in all. The model answers at once, as in `ag2_chat.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ag2 import Agent
from ag2.config import OpenAIConfig
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
    wait_for_turn,
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

    yield Side(watch, provider.force_flush)


SIDES: dict[str, Callable[[str], AbstractContextManager[Side]]] = {
    side.__name__: side for side in (bare, callboard, tracing)
}


async def measured(replies: int, side: Side) -> dict[str, Any]:
    """Holds chats of this many replies."""
    emma = Agent("emma", PROMPT, config=CONFIG)
    side.watch(emma)

    async def chat() -> list[str | None]:
        reply = await emma.ask(TEXT)
        texts = [reply.body]
        for _ in range(replies - 1):
            reply = await reply.ask(TEXT)
            texts.append(reply.body)
        return texts

    spent, returned = Spent(replies), None
    for chats in spent.rounds(side):
        for _ in chats:
            texts = await chat()
            returned = returned or texts
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
    wait_for_turn()
    print(json.dumps({**said, "model_calls": service.calls}))


if __name__ == "__main__":
    asyncio.run(main())
