"""A real chat with a secret in it: it reaches no provider where it is to be redacted, or no content is to be recorded."""

from __future__ import annotations

import callboard
import pytest
from callboard import redaction
from conftest import Recorder, speaker
from model_server import Answer, ToolCall

SECRET = "sk-proj-abcDEF0123456789abcdef"


@pytest.fixture
def told(serve, collector):
    """Runs a chat with a tool call in which every text holds the secret; gives what providers and the diagram are told."""

    def run(**options):
        manager = callboard.InstrumentationManager(**options)
        recorder, diagram = Recorder(manager), callboard.MermaidDiagramProvider()
        manager.register_provider(recorder)
        manager.register_provider(diagram)
        address, taken = collector
        manager.register_provider(callboard.OpenTelemetryProvider(f"{address}/v1/traces", protocol="http/json"))
        server = serve(Answer(tool_calls=[ToolCall("look_up", {"key": SECRET})]), f"It is {SECRET}.")
        with callboard.telemetry_context(manager):
            boss, ann = speaker("boss", None), speaker("ann", server, system_message=f"The key is {SECRET}.")

            def look_up(key: str) -> str:
                """Look it up."""
                raise ValueError(f"no such key: {key}")

            ann.register_for_llm(name="look_up", description=f"Looks {SECRET} up.")(look_up)
            boss.register_for_execution(name="look_up")(look_up)
            boss.initiate_chat(ann, message=f"What is {SECRET}?", max_turns=2)
            asked = server.exchanges[-1].request["messages"]
        assert manager.flush(10)
        assert SECRET in str(asked), "the model is asked what the program says"
        spans = [(span.attributes, span.events) for span in recorder.spans.values()]
        return str(spans) + str(taken), diagram.generate_sequence_diagram(), recorder

    return run


def test_everything_by_default(told):
    recorded, diagram, _ = told()
    assert SECRET in recorded
    assert SECRET in diagram


def test_redacted(told):
    recorded, diagram, recorder = told(redact=redaction.READY)
    assert SECRET not in recorded
    assert SECRET not in diagram
    assert "What is [key]?" in diagram
    assert recorder.root.all("llm_call")[0]["gen_ai.input.messages"][-1]["content"] == "What is [key]?"


def test_no_content(told):
    recorded, diagram, recorder = told(capture_content="none")
    assert SECRET not in recorded
    assert diagram == "\n".join(
        [
            "sequenceDiagram",
            "    participant boss",
            "    participant ann",
            "    boss->>ann: ",
            "    ann->>boss: ",
            "    boss->>ann: ",
            "    ann->>boss: ",
        ]
    )
    assert len(recorder.root.all("llm_call")) == 2
    assert recorder.root.found("cost")[0]["ag2.llm.input_tokens"] > 0
