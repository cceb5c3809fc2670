"""A human in a chat, traced: when the human was asked, and what the answer was.

The human is a class of the program's own, with answers ready, as a program's window or web page would be. The agent's
answers come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

from typing import Any

from autogen import ConversableAgent
from callboard import InstrumentationManager, MermaidDiagramProvider, SpanKind, TelemetryProvider, telemetry_context
from model_server import ModelServer

SCRIPT = ["Rome or Oslo?", "Then take the night train."]
ANSWERS = iter(["Oslo.", "exit"])


class Human(ConversableAgent):
    """Asks nobody, as the answers are known."""

    def get_human_input(self, prompt: str, *args: Any, **kwargs: Any) -> str:
        return next(ANSWERS)


class Answers(TelemetryProvider):
    """Keeps what humans answered."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def end_span(self, context: Any) -> None:
        if context.kind == SpanKind.HUMAN_INPUT:
            about = context.attributes
            self.lines.append(f"{about['gen_ai.agent.name']}: {about['ag2.human_input.response']}")

    def start_trace(self, *args: Any, **kwargs: Any) -> None: ...
    def start_span(self, *args: Any, **kwargs: Any) -> None: ...
    def set_span_attribute(self, *args: Any) -> None: ...
    def record_event(self, *args: Any) -> None: ...
    def convert_attribute_value(self, value: Any) -> None: ...


def main() -> None:
    manager = InstrumentationManager()
    mermaid_provider, answers = MermaidDiagramProvider(), Answers()
    manager.register_provider(mermaid_provider)
    manager.register_provider(answers)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Travel"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        agent = ConversableAgent("Agent", llm_config=llm_config, human_input_mode="NEVER")
        human = Human("Human", llm_config=False, human_input_mode="ALWAYS")
        human.initiate_chat(agent, message="Where to?")

    print("\nAnswers:", *answers.lines, sep="\n  ")
    print(f"\n{mermaid_provider.generate_sequence_diagram()}")


if __name__ == "__main__":
    main()
