"""An answer that is streamed, traced: when its first piece and all of it was there, and what it cost.

AG2 returns when the whole answer is there; when the first piece came, only the record tells. What is printed at the end
comes from a provider that is written here. The answer comes from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

from typing import Any

from autogen import ConversableAgent
from callboard import CostTrackerProvider, InstrumentationManager, SpanKind, TelemetryProvider, telemetry_context
from model_server import ModelServer

SCRIPT = ["Peel them, boil them for twenty minutes, and add butter."]


class FirstPieces(TelemetryProvider):
    """Keeps after how many seconds each model call had its first piece, and its whole answer."""

    def __init__(self) -> None:
        self.seconds: list[tuple[float, float]] = []

    def end_span(self, context: Any) -> None:
        if context.kind == SpanKind.LLM_CALL:
            whole = (context.ended_at - context.timestamp).total_seconds()
            self.seconds.append((context.attributes["gen_ai.response.time_to_first_chunk"], whole))

    def start_trace(self, *args: Any, **kwargs: Any) -> None: ...
    def start_span(self, *args: Any, **kwargs: Any) -> None: ...
    def set_span_attribute(self, *args: Any) -> None: ...
    def record_event(self, *args: Any) -> None: ...
    def convert_attribute_value(self, value: Any) -> None: ...


def main() -> None:
    manager = InstrumentationManager()
    cost_provider, first_pieces = CostTrackerProvider(), FirstPieces()
    manager.register_provider(cost_provider)
    manager.register_provider(first_pieces)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Recipe"):
        config = {"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none", "stream": True}
        cook = ConversableAgent(
            "Cook", llm_config={"config_list": [config], "cache_seed": None}, human_input_mode="NEVER"
        )
        guest = ConversableAgent("Guest", llm_config=False, human_input_mode="NEVER")
        guest.initiate_chat(cook, message="How does one cook potatoes?", max_turns=1)

    [(first, whole)] = first_pieces.seconds
    print(f"\nThe first piece was there after {first:.3f} s, the whole answer after {whole:.3f} s.")
    print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")


if __name__ == "__main__":
    main()
