"""Tools that a model asks for, traced: one that answers at once, one that is awaited, and one that fails.

AG2 makes of a tool's exception an answer like any other; here it is told apart. What the model asks for comes from a
script on this machine, so that it needs no key.
"""

from __future__ import annotations

import asyncio
from typing import Any

from autogen import ConversableAgent
from callboard import CostTrackerProvider, EventKind, InstrumentationManager, TelemetryProvider, telemetry_context
from model_server import Answer, ModelServer, ToolCall

CALLS = [ToolCall("convert", {"euros": 20}), ToolCall("weather", {"city": "Oslo"}), ToolCall("book", {"train": "R 10"})]
SCRIPT: list[Answer | str] = [Answer(tool_calls=CALLS), "20 euros are 234 kroner, and it is sunny. The train is full."]


class ToolUse(TelemetryProvider):
    """Lists the tools that were used, with what they were given and what came of it."""

    def __init__(self) -> None:
        self.used: list[str] = []

    def record_event(self, span_context: Any, event_kind: Any, attributes: Any = None) -> None:
        if event_kind == EventKind.TOOL_EXECUTION:
            name, arguments = attributes["ag2.function.name"], attributes["ag2.function.arguments"]
            self.used.append(f"{name} {arguments}: {attributes['ag2.function.content']}")

    def start_trace(self, *args: Any, **kwargs: Any) -> None: ...
    def start_span(self, *args: Any, **kwargs: Any) -> None: ...
    def set_span_attribute(self, *args: Any) -> None: ...
    def end_span(self, context: Any) -> None: ...
    def convert_attribute_value(self, value: Any) -> None: ...


def convert(euros: int) -> str:
    return f"{euros * 11.7:.0f} kroner"


async def weather(city: str) -> str:
    await asyncio.sleep(0.01)
    return f"sunny in {city}"


def book(train: str) -> str:
    raise LookupError(f"no seat on {train}")


async def main() -> None:
    manager = InstrumentationManager()
    cost_provider, tool_use = CostTrackerProvider(), ToolUse()
    manager.register_provider(cost_provider)
    manager.register_provider(tool_use)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Journey"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        guide = ConversableAgent("Guide", llm_config=llm_config, human_input_mode="NEVER")
        traveller = ConversableAgent("Traveller", llm_config=False, human_input_mode="NEVER")
        for tool in (convert, weather, book):
            guide.register_for_llm(name=tool.__name__, description=f"Can {tool.__name__}.")(tool)
            traveller.register_for_execution(name=tool.__name__)(tool)
        await traveller.a_initiate_chat(guide, message="A day in Oslo with 20 euros?", max_turns=2)

    print("\nTools:", *sorted(tool_use.used), sep="\n  ")
    print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")


if __name__ == "__main__":
    asyncio.run(main())
