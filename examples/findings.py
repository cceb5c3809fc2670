"""A team that goes in circles, traced: what callboard finds wrong with it, while it happens.

Two agents wait for each other, and one asks for the same thing three times. What is printed at the end comes from a
provider that is written here. The answers come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

from typing import Any

from autogen import ConversableAgent
from callboard import InstrumentationManager, TelemetryProvider, telemetry_context
from model_server import Answer, ModelServer, ToolCall

ASKS = Answer(tool_calls=[ToolCall("stock", {"of": "nails"})])
SCRIPT: list[Answer | str] = [ASKS, ASKS, ASKS, "There are none."]


class Findings(TelemetryProvider):
    """Keeps what was found, in sentences."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def record_event(self, span_context: Any, event_kind: Any, attributes: Any = None) -> None:
        if event_kind == "finding":
            self.lines.append(f"{attributes['callboard.finding']}: {attributes['callboard.finding.text']}")

    def start_trace(self, *args: Any, **kwargs: Any) -> None: ...
    def start_span(self, *args: Any, **kwargs: Any) -> None: ...
    def set_span_attribute(self, *args: Any) -> None: ...
    def end_span(self, context: Any) -> None: ...
    def convert_attribute_value(self, value: Any) -> None: ...


def stock(of: str) -> str:
    """Looks up what is in stock."""
    return f"no {of} left"


def main() -> None:
    manager, findings = InstrumentationManager(), Findings()
    manager.register_provider(findings)
    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Workshop"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        joiner, smith = (
            ConversableAgent(
                name, llm_config=False, human_input_mode="NEVER", default_auto_reply=f"After you, {other}."
            )
            for name, other in (("Joiner", "Smith"), ("Smith", "Joiner"))
        )
        joiner.initiate_chat(smith, message="After you, Smith.", max_turns=3)

        clerk = ConversableAgent("Clerk", llm_config=llm_config, human_input_mode="NEVER")
        clerk.register_for_llm(description="Looks up what is in stock.")(stock)
        joiner.register_for_execution()(stock)
        joiner.initiate_chat(clerk, message="Are there nails?", max_turns=4)

    print("\nFound:", *findings.lines, sep="\n  ")


if __name__ == "__main__":
    main()
