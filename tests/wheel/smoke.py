"""What the built wheel must do under every supported Python, with only the standard library beside it."""

import asyncio
import subprocess
import sys
from pathlib import Path

import callboard
from callboard import (
    CostTrackerProvider,
    EventKind,
    InstrumentationManager,
    MermaidDiagramProvider,
    SpanKind,
    TelemetryProvider,
    telemetry_context,
)


class Watcher(TelemetryProvider):
    """A provider of a user's own, with the six methods that the proposal asks for."""

    def __init__(self):
        self.calls = []

    def start_trace(self, name, core_span_id, attributes=None):
        self.calls.append(("start_trace", name))

    def start_span(self, kind, core_span_id, parent_context=None, attributes=None):
        self.calls.append(("start_span", kind))

    def set_span_attribute(self, context, key, value):
        self.calls.append(("set_span_attribute", key))

    def end_span(self, context):
        self.calls.append(("end_span", context.kind))

    def record_event(self, span_context, event_kind, attributes=None):
        self.calls.append(("record_event", event_kind))

    def convert_attribute_value(self, value):
        return value


def main():
    manager = InstrumentationManager()
    cost, mermaid, watcher = CostTrackerProvider(), MermaidDiagramProvider(), Watcher()
    for provider in (cost, mermaid, watcher):
        manager.register_provider(provider)

    async def work():
        async with telemetry_context(manager, "Smoke", {"workflow.id": "1"}) as telemetry:
            chat = telemetry.start_span(SpanKind.CHAT)
            await asyncio.sleep(0)
            message = {
                "ag2.agent.sender": "Jack",
                "ag2.agent.recipient": "Emma",
                "ag2.message": "Hi",
                "ag2.silent": False,
            }
            telemetry.record_event(EventKind.AGENT_SEND_MSG, message)
            telemetry.record_event(EventKind.COST, {"ag2.cost": 0.25})
            telemetry.set_attribute(chat, "ag2.chat_result.summary", "short")
            telemetry.end_span()

    asyncio.run(work())

    assert not Path(callboard.__file__).is_relative_to(Path(__file__).parents[2] / "python"), "not the wheel's package"
    assert (cost.total_cost, len(cost.cost_history)) == (0.25, 1)
    diagram = "sequenceDiagram\n    participant Jack\n    participant Emma\n    Jack->>Emma: Hi"
    assert mermaid.generate_sequence_diagram() == diagram
    assert watcher.calls == [
        ("start_trace", "Smoke"),
        ("start_span", SpanKind.CHAT),
        ("record_event", EventKind.AGENT_SEND_MSG),
        ("record_event", EventKind.COST),
        ("set_span_attribute", "ag2.chat_result.summary"),
        ("end_span", SpanKind.CHAT),
        ("end_span", SpanKind.WORKFLOW),
    ]
    command = [sys.executable, "-m", "callboard", "run", "--tree", "-m", "this"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("The Zen of Python")
    assert "callboard: this ran for" in ran.stderr

    print(f"Python {sys.version.split()[0]}: the wheel works")


main()
