"""A model that is out of order, and another that answers in its place, traced: one call, and what failed on the way.

AG2 goes on to the next configuration of the list when one fails, and says nothing of it. What is printed at the end
comes from a provider that is written here. Both services are scripts on this machine, so that it needs no key.
"""

from __future__ import annotations

from typing import Any

from autogen import ConversableAgent
from callboard import CostTrackerProvider, EventKind, InstrumentationManager, TelemetryProvider, telemetry_context
from model_server import Failure, ModelServer


class Attempts(TelemetryProvider):
    """Keeps which models were asked, and what became of it."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def record_event(self, span_context: Any, event_kind: Any, attributes: Any = None) -> None:
        if event_kind == EventKind.LLM_CREATE:
            failed, said = attributes["ag2.llm.is_error"], attributes["ag2.llm.response"]
            self.lines.append(f"{attributes['ag2.client.model']}: {said.partition(' - ')[0] if failed else 'answered'}")

    def start_trace(self, *args: Any, **kwargs: Any) -> None: ...
    def start_span(self, *args: Any, **kwargs: Any) -> None: ...
    def set_span_attribute(self, *args: Any) -> None: ...
    def end_span(self, context: Any) -> None: ...
    def convert_attribute_value(self, value: Any) -> None: ...


def main() -> None:
    manager = InstrumentationManager()
    cost_provider, attempts = CostTrackerProvider(), Attempts()
    manager.register_provider(cost_provider)
    manager.register_provider(attempts)

    with ModelServer([Failure(500)]) as broken, ModelServer(["At nine."]) as works, telemetry_context(manager, "Shop"):
        config_list = [
            {"model": model, "base_url": server.base_url, "api_key": "none", "max_retries": 0}
            for model, server in (("gpt-4o-mini", broken), ("gpt-4o", works))
        ]
        clerk = ConversableAgent(
            "Clerk", llm_config={"config_list": config_list, "cache_seed": None}, human_input_mode="NEVER"
        )
        customer = ConversableAgent("Customer", llm_config=False, human_input_mode="NEVER")
        customer.initiate_chat(clerk, message="When do you open?", max_turns=1)

    print("\nAsked:", *attempts.lines, sep="\n  ")
    print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")


if __name__ == "__main__":
    main()
