"""Providers: a user's own, as the draft has it, and the built-in ones as they read from Python."""

from __future__ import annotations

import threading

import pytest
from callboard import (
    CostTrackerProvider,
    EventKind,
    InstrumentationManager,
    MermaidDiagramProvider,
    OpenTelemetryProvider,
    SpanKind,
    telemetry_context,
)
from harness import Recorder, recorded, wait_until

COST = {"ag2.cost": 0.25, "ag2.cost_type": "LLM", "ag2.llm.model": "gpt-4o-mini", "ag2.agent.name": "emma"}
MESSAGE = {
    "ag2.agent.sender": "jack",
    "ag2.agent.recipient": "emma",
    "ag2.message": {"content": "Hello.", "role": "user"},
    "ag2.silent": False,
}


def chat(manager):
    """A chat of one message and one cost, in a run of its own."""
    with manager.start_span(SpanKind.CHAT, attributes={"ag2.agent.sender": "jack"}) as span:
        manager.record_event(EventKind.AGENT_SEND_MSG, MESSAGE)
        span.set_attribute("ag2.chat_result.summary", "Bye.")
        manager.record_event(EventKind.COST, COST)


# ---- a user's own


def test_calls_come_as_the_draft_has_them():
    manager, recorder = recorded()
    with telemetry_context(manager, "My Workflow", {"workflow.id": "123"}):
        chat(manager)
        seen = [call.method for call in recorder.calls]
        assert seen == ["start_trace", "start_span", "record_event", "set_span_attribute", "record_event", "end_span"]
    root, span = recorder.named("start_trace")[0].given, recorder.named("start_span")[0].given
    assert (root["name"], root["attributes"]) == ("My Workflow", {"workflow.id": "123"})
    assert (span["kind"], span["attributes"]) == (SpanKind.CHAT, {"ag2.agent.sender": "jack"})
    assert (span["parent"].core_span_id, span["parent"].kind) == (root["id"], SpanKind.WORKFLOW)
    assert recorder.events("agent_send_msg") == [MESSAGE]
    assert recorder.named("record_event")[0].given["kind"] is EventKind.AGENT_SEND_MSG
    assert recorder.set_on("chat") == {"ag2.chat_result.summary": "Bye."}
    assert recorder.ended() == ["chat", "workflow"]


@pytest.mark.parametrize("method", ["start_trace", "start_span", "set_span_attribute", "end_span", "record_event"])
def test_one_that_raises_harms_nobody(method, caplog):
    class Broken(Recorder):
        """Raises wherever it is told something in `method`."""

    def broken(*arguments, **named):
        raise RuntimeError("a fault of the provider's")

    setattr(Broken, method, broken)
    manager, recorder = InstrumentationManager(), Recorder()
    costs, fault = CostTrackerProvider(), Broken()
    for provider in (fault, recorder, costs):
        manager.register_provider(provider)
    with telemetry_context(manager):
        chat(manager)
        chat(manager)
        assert costs.total_cost == 0.5
    assert recorder.ended() == ["chat", "chat", "workflow"]
    told = [record.getMessage() for record in caplog.records if "Broken failed" in record.getMessage()]
    assert len(told) == 1, told
    assert f"{method} raised RuntimeError: a fault of the provider's" in told[0]
    assert manager.statistics()["providers"][0]["failures"] > 0


def test_one_that_sleeps_for_ever_holds_up_nobody():
    woken = threading.Event()

    class Sleeper(Recorder):
        def record_event(self, span_context, event_kind, attributes=None):
            woken.wait()

    manager, sleeper = InstrumentationManager(queue_bytes=1 << 20), Sleeper()
    costs = CostTrackerProvider()
    manager.register_provider(sleeper)
    manager.register_provider(costs)
    manager.start_trace("A run")
    for count in range(1, 101):
        for _ in range(50):
            chat(manager)
        assert costs.total_cost == 12.5 * count, "reading waits for what was recorded, and for nobody else"
    assert not manager.flush(0.1)
    counted = manager.statistics()
    assert counted["providers"][0]["delivered"] < 10
    assert counted["providers"][1]["dropped"] == 0
    woken.set()
    manager.get_current_span().end()
    assert manager.shutdown()


# ---- costs and diagram


def test_results_read_right_inside_the_block_and_after_it():
    manager, costs, diagram = InstrumentationManager(), CostTrackerProvider(), MermaidDiagramProvider()
    assert (costs.total_cost, costs.cost_history) == (0.0, [])
    manager.register_provider(costs)
    manager.register_provider(diagram)
    expected = "sequenceDiagram\n    participant jack\n    participant emma\n    jack->>emma: Hello."

    def check():
        assert costs.total_cost == 0.25
        assert [entry["ag2.cost"] for entry in costs.cost_history] == [0.25]
        assert costs.cost_by_agent() == {"emma": 0.25}
        assert costs.cost_by_model() == {"gpt-4o-mini": 0.25}
        assert list(costs.cost_by_chat().values()) == [0.25]
        assert (costs.unpriced, costs.saved) == ([], 0.0)
        assert diagram.generate_sequence_diagram() == expected
        assert [said[1:] for said in diagram.interactions] == [("jack", "emma", "Hello.")]
        assert list(diagram.participants) == ["jack", "emma"]

    with telemetry_context(manager):
        chat(manager)
        check()
    check()


def test_a_price_file_of_ones_own(tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text("{}")
    with pytest.raises(ValueError, match=re_escape(prices)):
        InstrumentationManager(prices=prices)
    with pytest.raises(ValueError, match="no-such-file"):
        InstrumentationManager(prices="no-such-file.json")


def re_escape(path):
    return str(path).replace("\\", "\\\\").replace(".", r"\.")


def test_a_notebook_shows_costs_and_diagram_escaped():
    manager, costs, diagram = InstrumentationManager(), CostTrackerProvider(), MermaidDiagramProvider()
    manager.register_provider(costs)
    manager.register_provider(diagram)
    hostile = "<script>alert(1)</script>"
    with telemetry_context(manager):
        manager.record_event(EventKind.COST, {**COST, "ag2.agent.name": hostile})
        manager.record_event(EventKind.AGENT_SEND_MSG, {**MESSAGE, "ag2.agent.sender": hostile})
    for shown in (costs._repr_html_(), diagram._repr_html_()):
        assert "script" in shown
        assert "<script>" not in shown


async def test_a_cell_that_is_executed_again(caplog):
    """In a notebook an event loop is running, and a cell may run twice with the same manager and providers."""
    manager, costs = InstrumentationManager(), CostTrackerProvider()
    for _ in range(2):
        manager.register_provider(costs)
        with telemetry_context(manager, "Cell"):
            chat(manager)
    assert costs.total_cost == 0.5
    assert len(manager.statistics()["providers"]) == 1


# ---- OpenTelemetry


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"collector_endpoint": "nonsense"}, "nonsense.* is no collector endpoint: .*write http://nonsense/v1/traces"),
        ({"collector_endpoint": "ftp://localhost/"}, "is no collector endpoint"),
        ({"protocol": "carrier-pigeon"}, "carrier-pigeon.* is no OTLP protocol: use .*grpc"),
        ({"compression": "rar"}, "is no compression: use .*gzip"),
        ({"history": "some"}, "is no .*: use .*new"),
        ({"timeout": -1.0}, "timeout takes a number of seconds"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_fix(arguments, message):
    with pytest.raises(ValueError, match=message):
        OpenTelemetryProvider(**arguments)


def test_a_collector_gets_every_span_when_the_context_ends(collector):
    address, taken = collector
    manager = InstrumentationManager()
    exporter = OpenTelemetryProvider(
        f"{address}/v1/traces", "comedians", "http/json", headers={"x-key": "k"}, resource_attributes={"team": "a"}
    )
    manager.register_provider(exporter)
    with telemetry_context(manager, "My Workflow"):
        chat(manager)
    [(path, headers, request)] = taken
    assert (path, headers["x-key"]) == ("/v1/traces", "k")
    [resource_spans] = request["resourceSpans"]
    resource = {entry["key"]: entry["value"]["stringValue"] for entry in resource_spans["resource"]["attributes"]}
    assert (resource["service.name"], resource["team"]) == ("comedians", "a")
    assert resource["telemetry.sdk.language"] == "python"
    [scope_spans] = resource_spans["scopeSpans"]
    assert scope_spans["scope"]["name"] == "ag2.telemetry"
    assert sorted(span["name"] for span in scope_spans["spans"]) == ["My Workflow", "chat"]
    assert exporter.statistics()["sent"] == 2


def test_the_environment_says_what_the_program_does_not(collector, monkeypatch):
    address, taken = collector
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "from-the-environment")
    manager = InstrumentationManager()
    manager.register_provider(OpenTelemetryProvider())
    with telemetry_context(manager):
        pass
    [(path, _, request)] = taken
    names = [entry for entry in request["resourceSpans"][0]["resource"]["attributes"] if entry["key"] == "service.name"]
    assert (path, names[0]["value"]["stringValue"]) == ("/v1/traces", "from-the-environment")


def test_an_unreachable_collector_costs_the_program_nothing_but_a_warning(caplog):
    manager, costs = InstrumentationManager(), CostTrackerProvider()
    exporter = OpenTelemetryProvider("http://127.0.0.1:1/v1/traces", "comedians")
    manager.register_provider(exporter)
    manager.register_provider(costs)
    with telemetry_context(manager):
        chat(manager)
        assert costs.total_cost == 0.25
    wait_until(lambda: exporter.statistics()["last_error"], "the exporter has tried")
    assert manager.shutdown()
    assert exporter.statistics()["dropped"] == 2
    assert any("127.0.0.1:1" in record.getMessage() for record in caplog.records)


def test_a_provider_is_told_when_and_how_a_span_ended():
    manager = InstrumentationManager()
    recorder = Recorder()
    manager.register_provider(recorder)
    with telemetry_context(manager) as telemetry:
        held = telemetry.start_span(SpanKind.CHAT)
        held.set_error("no answer")
        telemetry.end_span()
        assert (held.ended_at, held.error) == (None, None), "it is a handle, and told of nothing"
        telemetry.start_span(SpanKind.REPLY).end(ValueError("why"))
    ended = [call.context for call in recorder.named("end_span")]
    assert [span.error for span in ended] == ["no answer", "why", None]
    assert all(span.timestamp <= span.ended_at for span in ended)
    assert ended[0].ended_at <= ended[1].timestamp, "exact, whenever the provider hears of it"
