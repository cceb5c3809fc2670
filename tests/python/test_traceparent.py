"""A run that another program began: in the environment's `TRACEPARENT`, or in the header that a server was handed."""

from __future__ import annotations

import subprocess
import sys

import callboard
import pytest
from callboard import InstrumentationManager, telemetry_context
from harness import recorded, run_program
from receiver import Receiver

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"

RUNS = """
manager, recorder = recorded()
def ids(span):
    return [span.trace_id, span.parent_span_id]
root = manager.start_trace("by hand")
tell(ids(root))
root.end()
with telemetry_context(manager, "by a context"):
    tell(ids(current_span()))
    outer = current_span()
    with telemetry_context(manager, "within it"):
        tell(ids(current_span()))
        inner = current_span()
manager.flush()
roots = [call.given["attributes"] for call in recorder.named("start_trace")]
tell(roots[2]["callboard.outer.span_id"] == outer.core_span_id)
tell(sorted({call.context.parent_span_id for call in recorder.named("end_span")}, key=str))
"""


@pytest.mark.parametrize("flags", ["01", "00"])
def test_each_run_of_the_process_is_in_the_trace_that_the_environment_names(flags: str):
    ended = run_program(RUNS, environment={"TRACEPARENT": f"00-{TRACE}-{SPAN}-{flags}"})
    assert ended.lines() == [[TRACE, SPAN], [TRACE, SPAN], [TRACE, SPAN], True, [SPAN]]
    assert ended.errors == ""


@pytest.mark.parametrize(
    "environment",
    [
        {"TRACEPARENT": ""},
        {"TRACEPARENT": PARENT, "OTEL_PROPAGATORS": "none"},
        {"TRACEPARENT": PARENT, "OTEL_PROPAGATORS": "b3,baggage"},
    ],
)
def test_a_variable_that_says_nothing_and_one_that_is_not_to_be_read(environment: dict[str, str]):
    ended = run_program(RUNS, environment=environment)
    assert [line[1] for line in ended.lines()[:3]] == [None, None, None]
    assert len({line[0] for line in ended.lines()[:3]}) == 3
    assert ended.errors == ""


@pytest.mark.parametrize("parent", ["nonsense", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE.upper()}-{SPAN}-01", "-" * 999])
def test_what_is_no_traceparent_is_ignored_with_one_word(parent: str):
    ended = run_program(RUNS, environment={"TRACEPARENT": parent})
    assert [line[1] for line in ended.lines()[:3]] == [None, None, None]
    [said] = ended.errors.splitlines()
    assert "is no traceparent" in said and len(said) < 300


def test_a_context_takes_the_header_of_the_request_that_it_answers():
    manager, recorder = recorded()
    for parent in (PARENT, None, "nonsense"):
        with telemetry_context(manager, "a request", traceparent=parent):
            manager.start_span("work").end()
    manager.flush()
    roots = [call.context for call in recorder.named("end_span") if call.context.kind == "workflow"]
    assert [(root.trace_id == TRACE, root.parent_span_id) for root in roots] == [(True, SPAN), *[(False, None)] * 2]
    work = [call.context for call in recorder.named("end_span") if call.context.kind == "work"]
    assert [(one.trace_id, one.parent_span_id) for one in work] == [
        (root.trace_id, root.core_span_id) for root in roots
    ]


def test_a_header_beats_the_environment():
    ended = run_program(
        """
        with telemetry_context(InstrumentationManager(), traceparent=f"00-{'a' * 32}-{'b' * 16}-01"):
            tell(current_span().trace_id, current_span().parent_span_id)
        """,
        environment={"TRACEPARENT": PARENT},
    )
    assert ended.lines() == [["a" * 32, "b" * 16]]


def test_a_header_is_text():
    with pytest.raises(TypeError, match="traceparent must be a text or None, not bytes"):
        telemetry_context(InstrumentationManager(), traceparent=PARENT.encode())  # type: ignore[arg-type]  # the header as bytes


def test_one_that_is_a_span_of_this_process_leaves_each_run_its_costs():
    manager = InstrumentationManager()
    costs = callboard.CostTrackerProvider()
    manager.register_provider(costs)
    cost = {"ag2.cost": 0.25, "ag2.agent.name": "emma", "ag2.llm.model": "m"}
    with telemetry_context(manager):
        chat = manager.start_span("chat", attributes={"ag2.agent.sender": "jack", "ag2.agent.recipient": "emma"})
        asked = f"00-{chat.trace_id}-{chat.core_span_id}-01"
        manager.record_event("cost", cost)
        with telemetry_context(manager, traceparent=asked):
            manager.record_event("cost", cost)
    assert costs.total_cost == 0.5
    assert sorted(costs.cost_by_chat().values()) == [0.25, 0.25]


def test_an_unchanged_program_too_and_its_tree_begins_with_its_root(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import callboard\nwith callboard.current_span().start_child('work'):\n    pass\n")
    with Receiver() as receiver:
        ended = subprocess.run(
            [sys.executable, "-m", "callboard", "run", "--tree", "--otlp", receiver.endpoint, str(script)],
            env={"TRACEPARENT": PARENT, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    drawn = [line.split("  ")[0] for line in ended.stderr.splitlines()]
    assert "script.py" in drawn and "└─ work" in drawn and "not kept here" not in ended.stderr
    by_name = {span.name: span for span in receiver.spans}
    root, work = by_name["script.py"], by_name["work"]
    assert (root.trace_id, root.parent_id) == (TRACE, SPAN)
    assert (work.trace_id, work.parent_id) == (TRACE, root.span_id)
