"""The published sample, exported in every way to the real Collector and to real Jaeger, and read back."""

from __future__ import annotations

import re

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


def kind_of(span: ReadSpan) -> str:
    """callboard's kind: the root says `trace`, as the proposal's did."""
    kind = span.attributes["ag2.span.type"]
    return "workflow" if kind == "trace" else kind


def test_the_sample_comes_back_as_one_trace(
    peer: Peer, service: str, protocol: str, compression: str, capsys
):
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
    assert {span.span_id: (kind_of(span), span.parent_id) for span in spans} == watcher.spans
    assert {span.trace_id for span in spans} == watcher.trace_ids
    assert all(span.attributes["ag2.span.core_span_id"] == span.span_id for span in spans)
    assert all(span.kind == "internal" and not span.is_error for span in spans)

    read_costs = [
        event.attributes["ag2.cost"] for span in spans for event in span.events if event.name == "cost"
    ]
    printed = re.search(r"Cost summary: (\S+) \((\d) cost events\)", capsys.readouterr().out)
    assert sorted(read_costs) == sorted(watcher.costs)
    assert printed.groups() == (f"{sum(read_costs):.6f}", "2") == ("0.000032", "2")
