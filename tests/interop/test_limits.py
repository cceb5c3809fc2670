"""Long texts and a store that takes only short ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from callboard import InstrumentationManager, OpenTelemetryProvider, telemetry_context
from peers import JaegerOnDisk
from trees import assert_one_tree

LIMIT = 60_000


@pytest.fixture
def jaeger(tmp_path: Path) -> Iterator[JaegerOnDisk]:
    running = JaegerOnDisk(tmp_path)
    running.start()
    yield running
    running.stop()


def test_the_standard_length_limit_lets_long_texts_into_a_jaeger_on_disk(
    jaeger: JaegerOnDisk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", str(LIMIT))
    manager = InstrumentationManager()
    manager.register_provider(OpenTelemetryProvider(jaeger.endpoint("http"), "limits"))
    with telemetry_context(manager, "Long", {"text": "x" * (LIMIT + 10_000)}) as telemetry:
        telemetry.start_span("reply", attributes={"text": "short"})

    spans = jaeger.wait_for_spans("limits", 2)
    assert assert_one_tree(spans).attributes["text"] == "x" * LIMIT
