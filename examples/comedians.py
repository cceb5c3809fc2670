"""Two comedians, traced: who said what to whom, and what it cost.

This is a program written for the AG2 telemetry proposal with only its import changed. Without a key in
OPENAI_API_KEY the jokes come from a script on this machine; with one they come from the real service.
The spans go to an OpenTelemetry collector, if one listens at COLLECTOR.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from autogen import ConversableAgent
from callboard import (
    CostTrackerProvider,
    InstrumentationManager,
    MermaidDiagramProvider,
    OpenTelemetryProvider,
    TelemetryProvider,
    telemetry_context,
)
from model_server import ModelServer, Rule

COLLECTOR = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318/v1/traces")

SCRIPT = [
    Rule(
        ["Why did the goldfish refuse the peanut butter? It was already in enough sticky situations."],
        system="Your name is Emma",
    ),
    Rule(["That one really stuck with me. FINISH"], system="Your name is Jack"),
]


def main(*watchers: TelemetryProvider, open_telemetry: TelemetryProvider | None = None) -> None:
    """Runs the sample, with `watchers` beside its three providers; `open_telemetry` replaces the first."""
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    mermaid_provider = MermaidDiagramProvider()
    manager.register_provider(
        open_telemetry or OpenTelemetryProvider(protocol="http", collector_endpoint=COLLECTOR, service_name="ag2")
    )
    manager.register_provider(cost_provider)
    manager.register_provider(mermaid_provider)
    for watcher in watchers:
        manager.register_provider(watcher)

    with model() as llm_config, telemetry_context(manager, "My Workflow", {"workflow.id": "123"}):
        jack = comedian(
            "Jack", "Whatever you hear, you laugh about it in one sentence and always say FINISH.", llm_config
        )
        emma = comedian("Emma", "Once you have heard two jokes from Jack, and not before, say FINISH.", llm_config)

        jack.initiate_chat(emma, message="Emma, tell me a joke about goldfish and peanut butter.", max_turns=4)

        print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)\n")
        print(mermaid_provider.generate_sequence_diagram())


def comedian(name: str, manner: str, llm_config: dict[str, Any]) -> ConversableAgent:
    return ConversableAgent(
        name,
        system_message=f"Your name is {name} and you are a comedian in a duo. {manner}",
        llm_config=llm_config,
        human_input_mode="NEVER",
        is_termination_msg=lambda message: "FINISH" in (message.get("content") or ""),
    )


@contextmanager
def model() -> Iterator[dict[str, Any]]:
    """The `llm_config` of the real service where there is a key, else of a scripted one."""
    if key := os.environ.get("OPENAI_API_KEY"):
        yield {"config_list": [{"model": "gpt-4o-mini", "api_key": key}]}
        return
    with ModelServer(SCRIPT) as server:
        yield {"config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}]}


if __name__ == "__main__":
    main()
