"""Into AG2 1.x and out again: counted, whole, whenever `ag2` is imported, and whatever a version lacks."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import ag2.network
import callboard
import pytest
from ag2 import Agent
from ag2.events import TextInput
from callboard import ag2_v1
from callboard.ag2 import faults, patching
from callboard.ag2.patching import Patches
from callboard.ag2_v1 import clients, envelopes, model, turns
from conftest import asked, config, double, overheard, speaker

BEFORE = dict(vars(Agent))
SCOPE = "_drive_scope" if "_drive_scope" in BEFORE else "_turn_scope"


def everything():
    """Every attribute of every class and module of AG2: its identity."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in ("ag2", __name__):
            continue
        for key, value in list(vars(module).items()):
            found[name, key] = value
            if inspect.isclass(value):
                found.update({(name, key, attribute): held for attribute, held in list(vars(value).items())})
    return {key: id(value) for key, value in found.items() if key[-1] not in CACHES}


# Python and pydantic put these there when a class is first used.
CACHES = {
    "__abstractmethods__",
    "__slotnames__",
    "_abc_impl",
    "__annotations__",
    "__pydantic_fields_set__",
    "__doc__",
    "__warningregistry__",
    "__non_callable_proto_members__",
}


async def test_uninstrument_puts_everything_back(serve):
    agent = speaker("emma", serve("Hi.", asked(), "Hi."), tools=[double])
    await agent.ask("?")
    before = everything()
    callboard.instrument_ag2()
    assert everything() != before
    assert (await agent.ask("?")).body == "Hi."
    callboard.uninstrument_ag2()
    assert everything() == before


def instrumented():
    return vars(Agent)[SCOPE] is not BEFORE[SCOPE]


def test_by_hand_once_is_once():
    for _ in range(3):
        callboard.instrument_ag2()
    assert instrumented()
    callboard.uninstrument_ag2()
    assert not instrumented()
    callboard.uninstrument_ag2()
    assert not instrumented()


def test_contexts_are_counted(traced):
    with traced():
        with traced():
            assert instrumented()
        assert instrumented()
    assert not instrumented()


def test_by_hand_and_by_contexts(traced):
    callboard.instrument_ag2()
    with traced():
        callboard.uninstrument_ag2()
        assert instrumented()
    assert not instrumented()


def test_many_threads_at_once():
    def enter_and_leave(_):
        ag2_v1.acquire()
        seen = instrumented()
        ag2_v1.release()
        return seen

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(enter_and_leave, range(100)))
    assert not instrumented()


async def test_what_the_program_patched_over_ours_stays(traced, serve, recorder):
    """And does not count twice when AG2 is instrumented again, under it."""
    original = vars(Agent)[SCOPE]
    with traced():
        ours = vars(Agent)[SCOPE]

        def theirs(self, event, **options):
            return ours(self, event, **options)

        setattr(Agent, SCOPE, theirs)
    try:
        assert vars(Agent)[SCOPE] is theirs
        with traced():
            await speaker("emma", serve("Hi.")).ask("?")
    finally:
        setattr(Agent, SCOPE, original)
    assert recorder.manager.flush(10)
    assert len(recorder.roots[1].all("reply")) == 1


@pytest.mark.filterwarnings("ignore")
def test_a_version_that_lacks_something_costs_one_hook(caplog, monkeypatch, traced):
    """And that is logged once, however many contexts there are."""
    monkeypatch.setattr(patching, "_told_missing", set())
    monkeypatch.delattr(Agent, "_run_subtask")
    for _ in range(3):
        with traced():
            assert vars(Agent)["__init__"] is not BEFORE["__init__"]
    [told] = [record.message for record in caplog.records if record.name == "callboard.ag2"]
    assert "ag2.agent:Agent._run_subtask" in told


@pytest.mark.filterwarnings("error")
def test_every_hook_finds_its_place(caplog):
    callboard.instrument_ag2()
    callboard.uninstrument_ag2()
    assert [record.message for record in caplog.records if record.name.startswith("callboard")] == []


async def test_a_fault_of_ours_stays_with_us(monkeypatch, traced, recorder, serve, caplog):
    """Each hook fails in turn; the program notices nothing, and the log tells each once."""
    faults._reported.clear()

    def broken(*_, **__):
        raise ZeroDivisionError("a fault of callboard's own")

    odd = overheard(TextInput, "content", broken)
    monkeypatch.setattr(model, "_sent", broken)
    monkeypatch.setattr(envelopes, "message_of", broken)
    monkeypatch.setattr(clients, "_watched", type("Broken", (), {"__contains__": broken, "add": id})())
    with traced():
        async with await ag2.network.Hub.open(ag2.knowledge.MemoryKnowledgeStore()) as hub:
            ann = await hub.register(speaker("ann", serve("Hi.", asked(), "Hi."), tools=[double]))
            await hub.register(speaker("bob", None))
            channel = await ann.open(type="conversation", target="bob")
            await channel.send("Hello.")
            for _ in range(2):
                assert (await ann.agent.ask(odd("?"))).body == "Hi."
        assert callboard.current_span().kind == "workflow"
    told = [record.message.split(";")[0] for record in caplog.records if record.name == "callboard.ag2"]
    assert sorted(told) == [
        "callboard could not record a client of the program's own",
        "callboard could not record fanned_out",
        "callboard could not record what a model is asked",
        "callboard could not record what a turn begins with",
    ]
    assert len(recorder.root.all("tool_call")) == 1


def run_python(program):
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_ag2_imported_within_a_run():
    """And its networks later still."""
    assert run_python("""
import sys, callboard
manager = callboard.InstrumentationManager()
with callboard.telemetry_context(manager):
    assert "ag2" not in sys.modules and "callboard.ag2_v1.turns" not in sys.modules
    from ag2 import Agent
    print(hasattr(Agent.__init__, "__wrapped__"), "ag2.network" in sys.modules)
    from ag2.network import AgentClient
    print(hasattr(AgentClient.receive, "__wrapped__"))
ours = [finder for finder in sys.meta_path if "callboard" in str(finder)]
print(hasattr(Agent.__init__, "__wrapped__"), hasattr(AgentClient.receive, "__wrapped__"), len(ours))
""") == ["True", "False", "True", "False", "False", "0"]


def test_a_run_without_ag2_loads_no_hooks():
    assert run_python("""
import sys, callboard
before = list(sys.meta_path)
with callboard.telemetry_context(callboard.InstrumentationManager()):
    pass
print("ag2" in sys.modules, sys.meta_path == before, [name for name in sys.modules if "ag2_v1." in name])
""") == ["False", "True", "[]"]


def test_a_module_of_that_name_that_is_not_ag2(tmp_path):
    (tmp_path / "ag2.py").write_text("answer = 42")
    assert run_python(f"""
import sys, callboard
sys.path.insert(0, {str(tmp_path)!r})
with callboard.telemetry_context(callboard.InstrumentationManager()):
    import ag2
    print(ag2.answer)
""") == ["42"]


def test_a_client_whose_class_is_defined_in_the_run(recorder, traced, serve):
    from ag2.config.openai.openai_client import OpenAIClient

    server = serve("Hi.")
    with traced():

        class Own(OpenAIClient):
            async def __call__(self, messages, context, **options):
                return await super().__call__(messages, context, **options)

        class Config:
            provider = model = "own"

            def create(self):
                client = config(server).create()
                client.__class__ = Own
                return client

        asyncio.run(Agent("emma", config=Config()).ask("?"))
    assert len(recorder.root.all("llm_call")) == 1
    assert not hasattr(Own.__call__, "__wrapped__")


def test_missing_parts_are_told_once():
    """Not once an installation: a program may enter a context for every request."""
    told = []
    for _ in range(3):
        patches = Patches()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            patches.watch("ag2.agent:Agent.no_such_hook", turns.reply)
        patches.restore()
        told += [str(warning.message) for warning in caught]
    assert len(told) == 1
    assert "no_such_hook" in told[0]
