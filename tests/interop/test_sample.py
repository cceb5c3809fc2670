"""The published sample, exported in every way to the real Collector and to real Jaeger, and read back."""

from __future__ import annotations

import comedians
import pytest
from callboard import OpenTelemetryProvider, TelemetryProvider
from peers import Peer, ReadSpan
from trees import assert_one_tree


class Watcher(TelemetryProvider):
    """What another provider is told of the same run: each span's id with its kind and its parent's id."""

    def __init__(self):
        self.trace_ids = set()
        self.spans = {}
        self.costs = []

    def start_trace(self, name, core_span_id, attributes=None):
        self.spans[core_span_id] = ("workflow", "")

    def start_span(self, kind, core_span_id, parent_context=None, attributes=None):
        self.trace_ids.add(parent_context.trace_id)
        self.spans[core_span_id] = (str(kind.value), parent_context.core_span_id)

    def record_event(self, span_context, event_kind, attributes=None):
        if event_kind.value == "cost":
            self.costs.append(attributes["ag2.cost"])

    def set_span_attribute(self, context, key, value): ...

    def end_span(self, context): ...

    def convert_attribute_value(self, value):
        return value


@pytest.fixture(params=["http", "http/json", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["none", "gzip"])
def compression(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_sample_comes_back_as_one_trace(peer: Peer, service: str, protocol: str, compression: str):
    watcher = Watcher()
    exporter = OpenTelemetryProvider(
        protocol=protocol,
        collector_endpoint=peer.endpoint(protocol),
        service_name=service,
        compression=compression,
    )
    comedians.main(watcher, open_telemetry=exporter)
    spans = peer.wait_for_spans(service, len(watcher.spans))

    assert assert_one_tree(spans).name == "My Workflow"
    assert {span.trace_id for span in spans} == watcher.trace_ids
    told = {span.span_id: (span.attributes["ag2.span.type"], span.parent_id) for span in spans}
    assert told == watcher.spans
    assert all(span.attributes["ag2.span.core_span_id"] == span.span_id for span in spans)

    assert {span.name for span in spans if span.kind == "client"} == {"chat gpt-4o-mini"}
    assert {span.kind for span in spans} == {"client", "internal"}
    assert not [span.name for span in spans if span.is_error]
    assert costs_of(spans) == sorted(watcher.costs) == [0.00001485, 0.00001725]

    exported = exporter.statistics()
    assert exported["sent"] == len(spans)
    assert exported["refused"] == exported["dropped"] == exported["retries"] == 0
    assert exported["last_error"] is None


def costs_of(spans: list[ReadSpan]) -> list[float]:
    """In the order of their size, US dollars."""
    return sorted(event.attributes["ag2.cost"] for span in spans for event in span.events if event.name == "cost")
