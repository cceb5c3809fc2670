"""A model that fails twice before it answers, asked by an agent of AG2 1.x that tries again, traced: each attempt.

What is printed at the end comes from a provider that is written here. The answer comes from a script on this machine,
so that it needs no key.
"""

from __future__ import annotations

import asyncio
from typing import Any

from ag2 import Agent
from ag2.config import OpenAIConfig
from ag2.middleware.builtin import RetryMiddleware
from callboard import CostTrackerProvider, EventKind, InstrumentationManager, TelemetryProvider, telemetry_context
from model_server import Failure, ModelServer

SCRIPT: list[Failure | str] = [Failure(500), Failure(429), "On the third try, as usual."]


class Attempts(TelemetryProvider):
    """Keeps what became of each model call."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def record_event(self, span_context: Any, event_kind: Any, attributes: Any = None) -> None:
        if event_kind == EventKind.LLM_CREATE:
            failed, said = attributes["ag2.llm.is_error"], attributes["ag2.llm.response"]
            self.lines.append(said.partition(" - ")[0] if failed else "answered")

    def start_trace(self, *args: Any, **kwargs: Any) -> None: ...
    def start_span(self, *args: Any, **kwargs: Any) -> None: ...
    def set_span_attribute(self, *args: Any) -> None: ...
    def end_span(self, context: Any) -> None: ...
    def convert_attribute_value(self, value: Any) -> None: ...


async def main() -> None:
    manager = InstrumentationManager()
    cost_provider, attempts = CostTrackerProvider(), Attempts()
    manager.register_provider(cost_provider)
    manager.register_provider(attempts)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Patience"):
        config = OpenAIConfig("gpt-4o-mini", base_url=server.base_url, api_key="none", max_retries=0)
        agent = Agent("Caller", "You are patient.", config=config, middleware=[RetryMiddleware(max_retries=3)])
        reply = await agent.ask("Are you there?")

    print(reply.body)
    print("\nAttempts:", *attempts.lines, sep="\n  ")
    print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")


if __name__ == "__main__":
    asyncio.run(main())
