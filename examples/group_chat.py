"""A group chat in which a model selects who speaks, traced: who was selected each time, and why.

What is printed at the end comes from a provider that is written here. Selections and answers come from a script on this
machine, so that it needs no key.
"""

from __future__ import annotations

from typing import Any

from autogen import ConversableAgent, GroupChat, GroupChatManager
from callboard import CostTrackerProvider, InstrumentationManager, SpanKind, TelemetryProvider, telemetry_context
from model_server import ModelServer, Rule

SCRIPT = [
    Rule(["Writer", "Critic", "Writer"], system="You are in a role play game"),
    Rule(["Fresh bread every day.", "Dough we love. FINISH"], system="You are a writer"),
    Rule(["Every baker says that."], system="You are a critic"),
]


class Selections(TelemetryProvider):
    """Keeps who was selected to speak next, and why."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def end_span(self, context: Any) -> None:
        about = context.attributes
        if context.kind == SpanKind.GROUPCHAT_SELECT_SPEAKER and "ag2.agent.selected" in about:
            who = f"{about['ag2.agent.selected']} after {about['ag2.agent.last_speaker']}"
            tokens = about.get("callboard.selection.input_tokens", 0)
            candidates = ", ".join(about["callboard.selection.candidates"])
            self.lines.append(f"{who}: {about['ag2.transition_reason']} of {candidates}, by {tokens} tokens")

    def start_trace(self, *args: Any, **kwargs: Any) -> None: ...
    def start_span(self, *args: Any, **kwargs: Any) -> None: ...
    def set_span_attribute(self, *args: Any) -> None: ...
    def record_event(self, *args: Any) -> None: ...
    def convert_attribute_value(self, value: Any) -> None: ...


def main() -> None:
    manager = InstrumentationManager()
    cost_provider, selections = CostTrackerProvider(), Selections()
    manager.register_provider(cost_provider)
    manager.register_provider(selections)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Slogan"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        baker = ConversableAgent("Baker", llm_config=False, human_input_mode="NEVER")
        writer, critic = (
            ConversableAgent(
                name, f"You are a {name.lower()} of slogans.", llm_config=llm_config, human_input_mode="NEVER"
            )
            for name in ("Writer", "Critic")
        )
        group = GroupChat([baker, writer, critic], messages=[], max_round=9, speaker_selection_method="auto")
        group_manager = GroupChatManager(
            group, llm_config=llm_config, is_termination_msg=lambda message: "FINISH" in (message.get("content") or "")
        )
        baker.initiate_chat(group_manager, message="A slogan for my bakery, please.")

    print("\nSelected:", *selections.lines, sep="\n  ")
    print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")
    shares = {name: cost / cost_provider.total_cost for name, cost in cost_provider.cost_by_agent().items()}
    print(*(f"  {name}: {share:.0%}" for name, share in shares.items()), sep="\n")


if __name__ == "__main__":
    main()
