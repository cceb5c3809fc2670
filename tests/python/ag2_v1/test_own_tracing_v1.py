"""AG2's own tracing (a middleware, a hub's listener) beside callboard's: said once, and in traces of its own."""

from __future__ import annotations

import pytest
from ag2 import Agent
from ag2.middleware.builtin.telemetry import TelemetryMiddleware
from callboard import OpenTelemetryProvider, current_span
from callboard.traces import ag2_own
from conftest import config, double, served
from model_server import Answer, ToolCall
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from receiver import Receiver


@pytest.fixture
def own(monkeypatch):
    monkeypatch.setattr(ag2_own, "_told", set())
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return exporter, TelemetryMiddleware(tracer_provider=provider, agent_name="emma")


@pytest.mark.parametrize("is_exported", [False, True])
async def test_its_spans_are_a_trace_of_their_own(recorder, traced, serve, own, caplog, is_exported):
    exporter, middleware = own
    server = serve(Answer(tool_calls=[ToolCall("double", {"x": 2})]), "It is 4.")
    with Receiver() as receiver:
        if is_exported:
            recorder.manager.register_provider(OpenTelemetryProvider(collector_endpoint=receiver.endpoint))
        emma = Agent("emma", config=config(server), tools=[double], middleware=[middleware])
        with traced():
            trace_id = current_span().trace_id
            await emma.ask("Double 2!")
        assert recorder.manager.shutdown()
    spans = {span.context.span_id: span for span in exporter.get_finished_spans()}
    roots = [span.name for span in spans.values() if span.parent is None]
    assert roots == ["invoke_agent emma"]
    assert all(span.parent is None or span.parent.span_id in spans for span in spans.values())
    assert format(next(iter(spans.values())).context.trace_id, "032x") != trace_id
    root = recorder.roots[0]
    assert [len(root.all(kind)) for kind in ("reply", "llm_call", "tool_call")] == [1, 2, 1]
    assert recorder.spent() == served(server)
    [said] = [record.getMessage() for record in caplog.records if "own tracing" in record.getMessage()]
    assert "traces of their own" in said and "TelemetryMiddleware" in said
    assert len([span for span in receiver.spans if span.name == "chat gpt-4o-mini"]) == (2 if is_exported else 0)
