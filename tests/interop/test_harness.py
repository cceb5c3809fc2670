"""The control: what the OpenTelemetry SDK sends comes back through the same peers and checks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import StatusCode, Tracer
from peers import Peer
from trees import assert_one_tree


def exporter(peer: Peer, protocol: str) -> SpanExporter:
    endpoint = peer.endpoint(protocol)
    return GrpcExporter(endpoint, insecure=True) if protocol == "grpc" else HttpExporter(endpoint)


def send_sample(tracer: Tracer) -> list[tuple[str, str]]:
    """A root with two children. Returns the ids, (trace, span), in order of time."""
    with tracer.start_as_current_span("root", attributes={"text": "ü", "number": 7, "flag": True}) as root:
        with tracer.start_as_current_span("first") as first:
            first.add_event("cost", {"ag2.cost": 0.25})
        with tracer.start_as_current_span("second") as second:
            second.set_status(StatusCode.ERROR, "it broke")
    contexts = [span.get_span_context() for span in (root, first, second)]
    return [(f"{context.trace_id:032x}", f"{context.span_id:016x}") for context in contexts]


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_sdks_spans_come_back_as_they_were_sent(peer: Peer, service: str, protocol: str):
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter(peer, protocol)))
    sent = send_sample(provider.get_tracer("control"))
    provider.shutdown()

    read = {span.name: span for span in peer.wait_for_spans(service, 3)}
    assert [(read[name].trace_id, read[name].span_id) for name in ("root", "first", "second")] == sent
    assert assert_one_tree(list(read.values())).name == "root"
    assert read["root"].attributes.items() >= {"text": "ü", "number": 7, "flag": True}.items()
    assert read["root"].kind == "internal"
    assert [(event.name, event.attributes) for event in read["first"].events] == [("cost", {"ag2.cost": 0.25})]
    assert [read[name].is_error for name in ("root", "first", "second")] == [False, False, True]
    assert 0 <= read["first"].duration_us <= read["root"].duration_us < 60_000_000


def test_the_check_of_a_tree_finds_what_is_wrong(peer: Peer, service: str):
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter(peer, "http")))
    send_sample(provider.get_tracer("control"))
    provider.shutdown()
    root, first, second = sorted(peer.wait_for_spans(service, 3), key=lambda span: span.name != "root")

    for broken, complaint in [
        ([first, second], "roots: "),
        ([root, replace(first, parent_id="0" * 15 + "1")], "orphans: "),
        ([root, replace(first, parent_id="")], "roots: "),
        ([root, first, first], "came twice"),
        ([root, replace(first, trace_id="0" * 32)], "more than one trace"),
    ]:
        with pytest.raises(AssertionError, match=complaint):
            assert_one_tree(broken)
