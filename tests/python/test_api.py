"""The API that programs written for the AG2 telemetry draft rely on: names, shapes, values."""

from __future__ import annotations

import ast
import re
from datetime import datetime, timezone
from pathlib import Path

import callboard
import pytest
from callboard import (
    CostTrackerProvider,
    EventContext,
    EventKind,
    InstrumentationManager,
    MermaidDiagramProvider,
    OpenTelemetryProvider,
    SpanContext,
    SpanKind,
    TelemetryProvider,
    _native,
    get_current_telemetry,
    telemetry_context,
)
from harness import recorded

SPAN_KINDS = """
    workflow chats chat nested_chat group_chat round reply reply_function summary reasoning groupchat_select_speaker
    swarm_on_condition llm_call tool_call human_input code_execution
"""
EVENT_KINDS = """
    agent_transition agent_creation groupchat_creation llm_create agent_send_msg tool_execution cost swarm_transition
    console_print exception
"""


NEVER_TYPED = {"__doc__", "__module__", "__repr__", "__weakref__", "__dict__", "__new__"}


def test_every_kind_has_the_drafts_name_and_value():
    assert [(kind.name, kind.value) for kind in SpanKind] == [(value.upper(), value) for value in SPAN_KINDS.split()]
    assert [(kind.name, kind.value) for kind in EventKind] == [(value.upper(), value) for value in EVENT_KINDS.split()]


def test_everything_public_can_be_imported():
    for name in callboard.__all__:
        assert getattr(callboard, name) is not None, name


def test_the_native_half_is_typed_whole():
    stub = ast.parse(Path(callboard.__file__).with_name("_native.pyi").read_text())
    typed = {node.name: node for node in stub.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}
    native = {name for name in dir(_native) if not name.startswith("_")}
    assert native == set(typed)
    for name, node in typed.items():
        if isinstance(node, ast.ClassDef):
            members = {member.name for member in node.body if isinstance(member, ast.FunctionDef)}
            own = set(vars(getattr(_native, name))) - NEVER_TYPED
            assert own == members - {"__new__"}, name


def test_what_the_context_gives_is_the_manager():
    manager = InstrumentationManager()
    assert get_current_telemetry() is None
    with telemetry_context(manager, "My Workflow", {"workflow.id": "123"}) as telemetry:
        assert telemetry is manager
        assert get_current_telemetry() is manager
        root = telemetry.get_current_span()
        assert (root.kind, root.parent_span_id, root.run_name) == (SpanKind.WORKFLOW, None, "My Workflow")
        assert root.attributes == {"workflow.id": "123"}
    assert get_current_telemetry() is None
    assert manager.get_current_span() is None


async def test_the_context_can_be_entered_asynchronously():
    manager, recorder = recorded()
    async with telemetry_context(manager) as telemetry:
        assert telemetry is manager
        assert telemetry.get_current_span().run_name == "AG2 Workflow"
    assert recorder.ended() == ["workflow"]


def test_a_span_is_current_until_it_ends():
    manager, recorder = recorded()
    with telemetry_context(manager):
        root = manager.get_current_span()
        chat = manager.start_span(SpanKind.CHAT, attributes={"ag2.chat_function": "initiate_chat"})
        assert manager.get_current_span() is chat
        reply = manager.start_span(SpanKind.REPLY, root)
        assert (chat.parent_span_id, reply.parent_span_id) == (root.core_span_id, root.core_span_id)
        manager.set_attribute(reply, "ag2.reply", "Hi.")
        assert (reply.has_attribute("ag2.reply"), reply.has_attribute("ag2.final")) == (True, False)
        manager.end_span()
        assert manager.get_current_span() is chat
        chat.set_attribute("ag2.chat_result.summary", "Done.")
        assert chat.attributes == {"ag2.chat_function": "initiate_chat", "ag2.chat_result.summary": "Done."}
        manager.end_span()
        assert manager.get_current_span() is root
    assert recorder.ended() == ["reply", "chat", "workflow"]


def test_ids_are_hex_and_times_are_utc():
    manager = InstrumentationManager()
    before = datetime.now(timezone.utc)
    with telemetry_context(manager):
        span = manager.start_span(SpanKind.CHAT)
    assert re.fullmatch("[0-9a-f]{32}", span.trace_id)
    assert re.fullmatch("[0-9a-f]{16}", span.core_span_id)
    assert abs((span.timestamp - before).total_seconds()) < 60


def test_an_event_without_a_current_span_is_nothing():
    manager, recorder = recorded()
    manager.record_event(EventKind.COST, {"ag2.cost": 1.0})
    manager.end_span()
    assert manager.flush()
    assert recorder.calls == []


def test_a_span_outside_of_every_run_takes_everything_and_records_nothing():
    manager, recorder = recorded()
    span = manager.start_span(SpanKind.CHAT, attributes={"a": 1})
    span.set_attribute("b", 2)
    span.record_event(EventKind.COST, {"ag2.cost": 1.0})
    span.end()
    assert (span.attributes, span.core_span_id) == ({"a": 1, "b": 2}, None)
    assert manager.flush()
    assert recorder.calls == []


def test_contexts_can_be_made_by_a_provider():
    now = datetime.now(timezone.utc)
    span = SpanContext(
        kind=SpanKind.CHAT, trace_id="ab", timestamp=now, parent_span_id="cd", attributes={"a": 1}, core_span_id="ef"
    )
    span.set_attribute("b", "2")
    assert (span.kind, span.trace_id, span.timestamp, span.parent_span_id) == (SpanKind.CHAT, "ab", now, "cd")
    assert (span.attributes, span.core_span_id) == ({"a": 1, "b": "2"}, "ef")
    event = EventContext(EventKind.COST, {"ag2.cost": 1.0})
    assert (event.kind, event.attributes) == (EventKind.COST, {"ag2.cost": 1.0})
    assert EventContext(EventKind.COST) == EventContext(EventKind.COST, {})


def test_deregistering_tells_whether_there_was_anything_to_deregister():
    manager, recorder = recorded()
    manager.register_provider(recorder)
    with telemetry_context(manager):
        assert manager.deregister_provider(recorder) is True
        assert manager.deregister_provider(recorder) is False
        manager.start_span(SpanKind.CHAT)
    assert [call.method for call in recorder.calls] == ["start_trace"]


@pytest.mark.parametrize("provider", [CostTrackerProvider(), MermaidDiagramProvider(), OpenTelemetryProvider()])
def test_the_built_in_providers_are_providers(provider):
    assert isinstance(provider, TelemetryProvider)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (object(), "object is no TelemetryProvider: it lacks start_trace, start_span, .*derive it from callboard"),
        (CostTrackerProvider, r"CostTrackerProvider is a class: register .*CostTrackerProvider\(\)"),
    ],
)
def test_what_is_no_provider_is_refused_with_the_fix(wrong, message):
    with pytest.raises(TypeError, match=message):
        InstrumentationManager().register_provider(wrong)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (InstrumentationManager, "queue_bytes"),
        (CostTrackerProvider, "history_entries"),
        (CostTrackerProvider().cost_by_message, "limit"),
        (MermaidDiagramProvider, "max_messages"),
        (MermaidDiagramProvider, "kept_messages"),
        (MermaidDiagramProvider().generate_sequence_diagram, "max_messages"),
        (OpenTelemetryProvider, "history_max_bytes"),
        (OpenTelemetryProvider, "max_export_batch_bytes"),
        (OpenTelemetryProvider, "max_queue_bytes"),
    ],
)
def test_how_many_is_never_less_than_none(call, argument):
    with pytest.raises(ValueError, match=f"^{argument} takes a whole number from 0 on, not -1$"):
        call(**{argument: -1})
    with pytest.raises(TypeError, match="'str' object cannot be interpreted as an integer"):
        call(**{argument: "many"})
    call(**{argument: 2**70})


def test_what_is_no_manager_is_refused_with_the_fix():
    with pytest.raises(TypeError, match=r"takes an InstrumentationManager, not str: telemetry_context\("):
        telemetry_context("My Workflow")


def test_an_exception_of_the_program_passes_unchanged():
    manager, recorder = recorded()
    error = ValueError("the program's own")
    with pytest.raises(ValueError, match="own") as caught, telemetry_context(manager):
        raise error
    assert caught.value is error
    assert [event["exception.type"] for event in recorder.events("exception")] == ["ValueError"]
    assert recorder.ended() == ["workflow"]


def test_every_kind_has_its_line_in_the_documents():
    page = (Path(__file__).parents[2] / "docs/ag2.md").read_text()
    first_cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("|")]
    named = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    kinds = {kind.value for kind in (*SpanKind, *EventKind)} | {"finding", "budget_exceeded"}
    assert kinds - named == set()
