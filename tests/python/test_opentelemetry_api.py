"""Spans that the program or its libraries make with the OpenTelemetry API: children of callboard's current span."""

from __future__ import annotations

from harness import PRELUDE, run_program

PROGRAM = """
import asyncio, contextvars
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from callboard import *

exporter, provider = InMemorySpanExporter(), TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("a library")
manager = InstrumentationManager()

def child(name):
    with tracer.start_as_current_span(name):
        pass

def ids(span):
    return [span.trace_id, span.core_span_id]
"""


def children(source: str) -> dict[str, list[str] | None]:
    """Runs the program; for each span of the OpenTelemetry API the ids of its trace and its parent, if it has one."""
    told = run_program(PROGRAM + source + REPORT, prelude="import json, os\n").lines()
    return told[0], told[1]


REPORT = """
found = {}
for span in exporter.get_finished_spans():
    parent = span.parent
    found[span.name] = parent and [format(parent.trace_id, "032x"), format(parent.span_id, "016x")]
print(json.dumps(found), flush=True)
print(json.dumps(expected), flush=True)
assert trace.get_tracer_provider() is provider
"""


def test_they_are_children_of_the_current_span_and_only_while_there_is_one():
    found, expected = children("""
child("before")
with telemetry_context(manager):
    root = manager.get_current_span()
    child("in the run")
    chat = manager.start_span(SpanKind.CHAT)
    child("in the chat")
    manager.end_span()
    child("in the run again")
child("after")
expected = {"before": None, "in the run": ids(root), "in the chat": ids(chat), "in the run again": ids(root), "after": None}
""")
    assert found == expected


def test_a_context_that_is_kept_in_another_way():
    """As `OTEL_PYTHON_CONTEXT` has it, which names a class."""
    found, expected = children("""
from opentelemetry import context

class Kept(type(context._RUNTIME_CONTEXT)):
    def __init__(self):
        self.now = context.Context()
    def attach(self, within):
        before, self.now = self.now, within
        return before
    def get_current(self):
        return self.now
    def detach(self, before):
        self.now = before

context._RUNTIME_CONTEXT = Kept()
with telemetry_context(manager):
    root = manager.get_current_span()
    child("in the run")
child("after")
expected = {"in the run": ids(root), "after": None}
""")
    assert found == expected


def test_a_context_that_the_program_attaches_is_current_as_it_is():
    """Also the one in which a run or a span began, and also where it is left in another order than it was entered."""
    found, expected = children("""
from opentelemetry import context

outside = context.get_current()
with telemetry_context(manager):
    root = manager.get_current_span()
    token = context.attach(outside)
    child("as if outside")
    with manager.start_span(SpanKind.CHAT) as chat:
        child("in a chat as if outside")
    context.detach(token)
    child("in the run")
    token = context.attach(context.set_value("key", "value"))
    with manager.start_span(SpanKind.CHAT):
        assert context.get_value("key") == "value"
        context.detach(token)
        assert context.get_value("key") is None
        child("in a chat that began in what is left")
    with manager.start_span(SpanKind.CHAT):
        token = context.attach(context.set_value("key", "value"))
    assert context.get_value("key") == "value"
    context.detach(token)
    assert context.get_value("key") is None
    child("when the chat and then its context are left")
assert context.get_current() is outside
expected = {
    "as if outside": None,
    "in a chat as if outside": ids(chat),
    "in the run": ids(root),
    "in a chat that began in what is left": ids(root),
    "when the chat and then its context are left": ids(root),
}
""")
    assert found == expected


def test_a_context_taken_within_a_span_keeps_it():
    found, expected = children("""
import threading
from opentelemetry import context

def elsewhere(taken):
    context.attach(taken)
    child("in a thread")
    with telemetry_context(manager):
        theirs.append(ids(manager.get_current_span()))
        child("in a run in the thread")
    child("in the thread again")

def activated(span):
    with span.activate():
        child("where it is made current as well")

theirs = []
with telemetry_context(manager):
    root = manager.get_current_span()
    with manager.start_span(SpanKind.CHAT) as chat:
        taken = context.get_current()
        assert trace.get_current_span() is trace.get_current_span()
        contextvars.Context().run(activated, chat)
    thread = threading.Thread(target=elsewhere, args=(taken,))
    thread.start()
    thread.join()
expected = {
    "in a thread": ids(chat),
    "in a run in the thread": theirs[0],
    "in the thread again": ids(chat),
    "where it is made current as well": ids(chat),
}
""")
    assert found == expected


def test_a_span_of_their_own_stays_the_parent_of_what_is_within_it():
    found, expected = children("""
with telemetry_context(manager):
    root = manager.get_current_span()
    with tracer.start_as_current_span("outer") as outer:
        child("inner")
        inner_parent = outer.get_span_context().span_id
expected = {"inner": [root.trace_id, format(inner_parent, "016x")], "outer": ids(root)}
""")
    assert found == expected


def test_tasks_and_carried_contexts_have_it_too():
    found, expected = children("""
async def task(name):
    with manager.start_span(SpanKind.REPLY) as span:
        await asyncio.sleep(0)
        child(name)
        return span

async def main():
    async with telemetry_context(manager):
        return await asyncio.gather(task("one"), task("two"))

one, two = asyncio.run(main())
expected = {"one": ids(one), "two": ids(two)}
""")
    assert found == expected


def test_a_span_that_another_task_or_thread_ends_is_no_parent_any_more():
    found, expected = children("""
import threading

async def main():
    async with telemetry_context(manager):
        root = manager.get_current_span()
        span = manager.start_span(SpanKind.CHAT)
        async def end():
            manager.end_span()
            child("in the task")
        await asyncio.create_task(end())
        manager.record_event("noticed")
        child("after the task")
        span = manager.start_span(SpanKind.CHAT)
        thread = threading.Thread(target=span.end)
        thread.start()
        thread.join()
        with manager.start_span(SpanKind.CHAT) as span:
            child("within the next")
        child("after the next")
        return root, span

root, span = asyncio.run(main())
expected = {"in the task": ids(root), "after the task": ids(root), "after the next": ids(root), "within the next": ids(span)}
""")
    assert found == expected


def test_spans_that_end_out_of_turn():
    found, expected = children("""
with telemetry_context(manager):
    root = manager.get_current_span()
    first = manager.start_span("first")
    beside = manager.start_span("beside", root)
    first.end()
    child("first has ended")
    beside.end()
    child("both have ended")
expected = {"first has ended": ids(beside), "both have ended": ids(root)}
""")
    assert found == expected


def test_a_span_that_nobody_holds_is_let_go_of():
    found, expected = children("""
with telemetry_context(manager):
    carried = contextvars.copy_context()
    forgotten = [carried.run(manager.start_span, "forgotten").core_span_id]
    costs = []
    class Ends(TelemetryProvider):
        start_trace = start_span = set_span_attribute = record_event = convert_attribute_value = lambda *a, **k: None
        def end_span(self, context):
            costs.append(context.core_span_id)
    manager.register_provider(Ends())
    del carried
    manager.flush()
    found_ended, was = list(costs), list(forgotten)
assert found_ended == was, (found_ended, was)
expected = {}
""")
    assert found == expected


def test_callboard_neither_loads_it_nor_sets_a_provider():
    told = run_program("""
    with telemetry_context(InstrumentationManager()):
        current_span().start_child("chat").end()
    tell([name for name in sys.modules if name.startswith("opentelemetry")])
    """)
    assert told.lines() == [[]]


def test_importing_callboard_imports_little():
    told = run_program(
        "import sys; import callboard, json; "
        "heavy = {'asyncio', 'autogen', 'dataclasses', 'inspect', 'logging', 'opentelemetry', 'pydantic', 'typing'}; "
        "print(json.dumps(sorted(heavy & set(sys.modules))))",
        prelude="",
    )
    assert told.lines() == [[]]


def test_the_object_that_keeps_the_context_is_put_back():
    """Once no run is open, however runs nest, wherever they end, and also where one is dropped without an end."""
    told = run_program(
        """
    import threading
    from opentelemetry import context, trace

    manager = InstrumentationManager()
    own = context._RUNTIME_CONTEXT
    is_own = []
    def look():
        is_own.append(context._RUNTIME_CONTEXT is own)

    with telemetry_context(manager):
        look()
        with telemetry_context(InstrumentationManager()):
            manager.start_span(SpanKind.CHAT)
        look()
    look()
    root = manager.start_trace("by hand")
    with telemetry_context(manager):
        pass
    look()
    thread = threading.Thread(target=root.end)
    thread.start()
    thread.join()
    look()
    root = manager.start_trace("dropped")
    look()
    contextvars.copy_context().run(manager.end_span)
    manager.start_trace("dropped")
    del root
    current_span().end()
    contextvars.copy_context().run(manager.start_trace, "dropped")
    look()
    tell(is_own)
    """,
        prelude=PRELUDE + "import contextvars\n",
    )
    assert told.lines() == [[False, False, True, False, True, False, True]]


def test_an_object_that_somebody_else_put_there_is_left():
    told = run_program(
        """
    from opentelemetry import context, trace
    from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext

    manager = InstrumentationManager()
    with telemetry_context(manager):
        theirs = context._RUNTIME_CONTEXT = ContextVarsRuntimeContext()
    with telemetry_context(manager):
        tell(context._RUNTIME_CONTEXT is theirs)
        tell(trace.get_current_span().get_span_context().span_id == int(current_span().core_span_id, 16))
    tell(context._RUNTIME_CONTEXT is theirs)
    """,
        prelude=PRELUDE + "import contextvars\n",
    )
    assert told.lines() == [False, True, True]


def test_it_is_put_back_where_it_was_imported_in_the_midst_of_a_run():
    told = run_program(
        """
    manager = InstrumentationManager()
    with telemetry_context(manager):
        from opentelemetry import context, trace
        own = context._RUNTIME_CONTEXT
        with manager.start_span(SpanKind.CHAT) as chat:
            tell(context._RUNTIME_CONTEXT is own)
            tell(trace.get_current_span().get_span_context().span_id == int(chat.core_span_id, 16))
    tell(context._RUNTIME_CONTEXT is own)
    """,
        prelude=PRELUDE + "import contextvars\n",
    )
    assert told.lines() == [False, True, True]


def test_it_is_there_whenever_a_run_is_open_in_some_thread():
    told = run_program(
        """
    import threading
    from opentelemetry import context, trace
    sys.setswitchinterval(1e-6)
    manager = InstrumentationManager()
    own, wrong = context._RUNTIME_CONTEXT, []
    def work():
        for _ in range(500):
            with telemetry_context(manager):
                found = trace.get_current_span().get_span_context().span_id
                if found != int(current_span().core_span_id, 16):
                    wrong.append(found)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tell([wrong, context._RUNTIME_CONTEXT is own])
    """,
        prelude=PRELUDE + "import contextvars\n",
    )
    assert told.lines() == [[[], True]]
