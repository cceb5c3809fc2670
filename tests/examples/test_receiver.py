"""The demonstration's receiver, fed by the OpenTelemetry SDK's own exporter."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request

import pytest
from drawing import shape
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import StatusCode, Tracer
from receiver import Receiver, draw, run


def tracer(endpoint: str, compression: Compression = Compression.NoCompression) -> Tracer:
    """Every span that ends is posted at once, so a tree arrives leaves first."""
    provider = TracerProvider(resource=Resource({"service.name": "test"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint, compression=compression)))
    return provider.get_tracer("test.scope")


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_spans_arrive_whole(compression: Compression):
    values = {"text": "ü", "number": 7, "float": 0.5, "flag": True, "list": ["a", "b"]}
    with Receiver() as receiver:
        with tracer(receiver.endpoint, compression).start_as_current_span("one", attributes=values) as sent:
            sent.add_event("happened", {"n": 1})
        [span] = receiver.spans

    assert span.trace_id == f"{sent.get_span_context().trace_id:032x}"
    assert span.span_id == f"{sent.get_span_context().span_id:016x}"
    assert (span.parent_id, span.name, span.scope, span.is_error) == ("", "one", "test.scope", False)
    assert span.attributes == values
    assert [(event.name, event.attributes) for event in span.events] == [("happened", {"n": 1})]
    assert span.resource == {"service.name": "test"}
    assert 0 < span.end_ns - span.start_ns < 60_000_000_000


def test_a_trace_is_drawn_as_a_tree():
    with Receiver() as receiver:
        traced = tracer(receiver.endpoint)
        with traced.start_as_current_span("My Workflow", attributes={"ag2.span.type": "trace"}):
            chat = {"ag2.span.type": "chat", "ag2.agent.sender": "Jack", "ag2.agent.recipient": "Emma"}
            with traced.start_as_current_span("chat", attributes=chat):
                with traced.start_as_current_span("round", attributes={"ag2.span.type": "round", "ag2.round": 1}):
                    with traced.start_as_current_span("chat gpt-4o-mini") as call:
                        cost = {
                            "ag2.cost": 0.0000179,
                            "ag2.llm.input_tokens": 47,
                            "ag2.llm.output_tokens": 18,
                        }
                        call.add_event("cost", cost)
                    with traced.start_as_current_span("chat unheard-of") as call:
                        call.add_event("cost", {"ag2.llm.input_tokens": 1, "ag2.llm.output_tokens": 2})
                with traced.start_as_current_span("tool_call") as failed:
                    failed.set_status(StatusCode.ERROR)
        drawn = draw(receiver.spans)

    assert shape(drawn).splitlines() == [
        "My Workflow",
        "└─ chat: Jack → Emma",
        "   ├─ round 1",
        "   │  ├─ chat gpt-4o-mini  47 + 18 tokens, $0.000018",
        "   │  └─ chat unheard-of  1 + 2 tokens, unpriced",
        "   └─ tool_call  FAILED",
    ]


def test_a_span_whose_parent_is_missing_is_drawn_all_the_same():
    with Receiver() as receiver:
        traced = tracer(receiver.endpoint)
        with traced.start_as_current_span("lost"), traced.start_as_current_span("orphan"):
            pass
        assert shape(draw(span for span in receiver.spans if span.name != "lost")) == "orphan"


@pytest.mark.parametrize(
    ("path", "content_type", "body", "status"),
    [
        ("/elsewhere", "application/x-protobuf", b"", 404),
        ("/v1/traces", "application/json", b"{}", 415),
        ("/v1/traces", "application/x-protobuf", b"no protobuf", 400),
    ],
)
def test_what_is_no_otlp_is_refused(path: str, content_type: str, body: bytes, status: int):
    with Receiver() as receiver, pytest.raises(urllib.error.HTTPError) as caught:
        address = receiver.endpoint.removesuffix("/v1/traces") + path
        urllib.request.urlopen(urllib.request.Request(address, body, {"Content-Type": content_type}))
    assert caught.value.code == status
    caught.value.close()


def test_a_program_is_told_where_to_export_and_its_status_is_kept(capsys: pytest.CaptureFixture[str]):
    program = """
import os, sys, urllib.request
urllib.request.urlopen(urllib.request.Request(
    os.environ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"], b"", {"Content-Type": "application/x-protobuf"}))
sys.exit(3)
"""
    with Receiver() as receiver:
        assert run(receiver, [sys.executable, "-c", program]) == 3
        assert f"0 spans in 0 traces came to {receiver.endpoint}" in capsys.readouterr().out
