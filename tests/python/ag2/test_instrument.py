"""Into AG2 and out again: counted, whole, whenever `autogen` is imported, and whatever a version lacks."""

from __future__ import annotations

import dis
import inspect
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import autogen
import callboard
import pytest
from autogen import ConversableAgent, OpenAIWrapper
from callboard import ag2
from callboard.ag2 import faults, images, model, reply
from callboard.ag2.chat import Chat
from callboard.ag2.hooks import HOOKS
from callboard.ag2.patching import Patches
from conftest import speaker

BEFORE = {name: vars(ConversableAgent).get(name) for name in dir(ConversableAgent)}


def everything():
    """Every attribute of every class and module of AG2, and of what else callboard touches: its identity; so its code."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in ("autogen", "concurrent", __name__):
            continue
        for key, value in list(vars(module).items()):
            found[name, key] = value
            if inspect.isclass(value):
                found.update({(name, key, attribute): held for attribute, held in list(vars(value).items())})
    found.update({(*key, "code"): value.__code__ for key, value in found.items() if inspect.isfunction(value)})
    return {key: id(value) for key, value in found.items() if key[-1] not in CACHES}


# Python and pydantic put these there when a class is first used.
CACHES = {
    "__abstractmethods__",
    "_abc_impl",
    "__annotations__",
    "__pydantic_fields_set__",
    "__doc__",
    "__warningregistry__",
}


def test_uninstrument_puts_everything_back(serve):
    agent = speaker("emma", serve("Hi.", "Hi."))
    warm_up = agent.generate_reply(messages=[{"role": "user", "content": "?"}])
    functions = [entry["reply_func"] for entry in agent._reply_func_list]
    before = everything()
    callboard.instrument_ag2()
    assert everything() != before
    made_meanwhile = speaker("jack", None)
    agent.generate_reply(messages=[{"role": "user", "content": "?"}])
    callboard.uninstrument_ag2()
    assert everything() == before
    assert warm_up == "Hi."
    assert all(
        entry["reply_func"] is function for entry, function in zip(agent._reply_func_list, functions, strict=True)
    )
    assert [entry["reply_func"] for entry in made_meanwhile._reply_func_list] == functions
    assert {name: vars(ConversableAgent).get(name) for name in BEFORE} == BEFORE


def test_put_back_in_the_midst_of_a_reply():
    """As where another thread leaves the last context: what AG2 is about to read is still there."""

    def leaving(message):
        callboard.uninstrument_ag2()
        return message

    callboard.instrument_ag2()
    emma = ConversableAgent("emma", llm_config=False, human_input_mode="NEVER", default_auto_reply="Hi.")
    emma.register_hook("process_last_received_message", leaving)
    question = [{"role": "user", "content": "?"}]
    assert emma.generate_reply(messages=question) == "Hi."
    emma.hook_lists["process_last_received_message"].clear()
    callboard.instrument_ag2()
    assert emma.generate_reply(messages=question) == "Hi."
    callboard.uninstrument_ag2()
    assert emma.generate_reply(messages=question) == "Hi."
    assert reply.LIST not in vars(ConversableAgent)


def test_a_reply_reads_the_list_before_it_waits():
    """A coroutine that waits is in no thread's midst."""
    code = inspect.unwrap(ConversableAgent.a_generate_reply).__code__
    steps = [(one.opname, one.argval) for one in dis.get_instructions(code)]
    reads = next(at for at, (_, name) in enumerate(steps) if name == "_reply_func_list")
    assert not {"SEND", "YIELD_FROM"} & {opname for opname, _ in steps[:reads]}
    assert {"SEND", "YIELD_FROM"} & {opname for opname, _ in steps[reads:]}


def instrumented():
    return ConversableAgent.generate_reply is not BEFORE["generate_reply"]


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
        ag2.acquire()
        seen = instrumented()
        ag2.release()
        return seen

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(enter_and_leave, range(200)))
    assert not instrumented()


def test_what_the_program_patched_over_ours_stays(traced, serve, recorder):
    """And does not count twice when AG2 is instrumented again, under it."""
    original = OpenAIWrapper.create
    with traced():
        ours = OpenAIWrapper.create

        def theirs(self, **config):
            return ours(self, **config)

        OpenAIWrapper.create = theirs
    try:
        assert OpenAIWrapper.create is theirs
        with traced():
            speaker("emma", serve("Hi.")).generate_reply(messages=[{"role": "user", "content": "?"}])
    finally:
        OpenAIWrapper.create = original
    assert recorder.manager.flush(10)
    assert len(recorder.roots[1].all("llm_call")) == 1


def test_a_class_that_took_over_a_wrapper_gets_the_original(traced):
    with traced():

        class Alias(ConversableAgent):
            generate_reply = ConversableAgent.generate_reply

    assert vars(Alias)["generate_reply"] is ConversableAgent.generate_reply is BEFORE["generate_reply"]


def test_classes_defined_during_a_run_are_watched_once(traced, recorder):
    with traced():

        class Fixed(ConversableAgent):
            def generate_reply(self, messages=None, sender=None, **kwargs):
                return "fixed"

        class Child(Fixed):
            pass

        assert Child("child", llm_config=False).generate_reply(messages=[]) == "fixed"
    assert recorder.root.only("reply")["ag2.reply"] == "fixed"
    assert Fixed.generate_reply.__qualname__.endswith("Fixed.generate_reply")
    assert not hasattr(Fixed.generate_reply, "__wrapped__")


@pytest.mark.filterwarnings("ignore")
def test_a_version_that_lacks_something_costs_one_hook(caplog, recwarn):
    patches = Patches()
    patches.watch("autogen.agentchat.conversable_agent:ConversableAgent.moved_elsewhere", HOOKS.reply())
    patches.watch("autogen.no_such_module:Thing.method", HOOKS.reply())
    patches.wrap_function("autogen.agentchat.chat:no_such_function", lambda function: function)
    patches.restore()
    told = [record.message for record in caplog.records]
    assert len(told) == 3
    assert "ConversableAgent.moved_elsewhere" in told[0]
    assert "autogen.no_such_module" in told[1]
    assert "no_such_function" in told[2]


@pytest.mark.filterwarnings("error")
def test_a_missing_hook_is_no_error_where_warnings_are():
    patches = Patches()
    patches.watch("autogen.agentchat.conversable_agent:ConversableAgent.moved_elsewhere", HOOKS.reply())
    patches.restore()


@pytest.mark.filterwarnings("error")
def test_every_hook_finds_its_place(caplog):
    callboard.instrument_ag2()
    callboard.uninstrument_ag2()
    assert [record.message for record in caplog.records] == []


def test_every_hook_is_in_the_table_of_the_documents(monkeypatch):
    table = (Path(__file__).parents[3] / "docs/ag2-hooks.md").read_text()
    hooked = []
    for method in ("watch", "wrap", "wrap_function", "note", "note_making", "add"):
        original = getattr(Patches, method)

        def kept(patches, target, *given, original=original, **named):
            hooked.append((target, sys._getframe(1).f_globals["__name__"]))
            return original(patches, target, *given, **named)

        monkeypatch.setattr(Patches, method, kept)
    callboard.instrument_ag2()
    callboard.uninstrument_ag2()
    ours = {target for target, module in hooked if module.startswith("callboard.ag2.") and "patching" not in module}
    assert len(ours) > 25
    for target in ours:
        assert f"{target.split('.')[-1].split(':')[-1]}`" in table, target


def test_a_fault_of_ours_stays_with_us(monkeypatch, traced, recorder, serve, caplog):
    """Each hook fails in turn; the program notices nothing, and the log tells each once."""
    faults._reported.clear()

    def broken(*_, **__):
        raise ZeroDivisionError("a fault of callboard's own")

    monkeypatch.setattr(Chat, "before_send", broken)
    monkeypatch.setattr(model, "sent_parameters", broken)
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", serve("one", "two"))
        emma.register_reply([autogen.Agent, None], lambda *_, **__: (False, None))
        monkeypatch.setattr(reply.ReplyFunctions, "_watched_within", broken)
        result = jack.initiate_chat(emma, message="Hello.", max_turns=2)
        assert callboard.current_span().kind == "workflow"
    assert result.summary == "two"
    told = [record.message.split(";")[0] for record in caplog.records if record.name == "callboard.ag2"]
    assert sorted(told) == [
        "callboard could not record a reply function",
        "callboard could not record llm_call",
        "callboard could not record message",
    ]
    assert recorder.root.all("llm_call") == []
    assert len(recorder.root.all("reply")) == 3


def test_an_answer_of_an_unforeseen_shape_has_its_cost(traced, recorder, caplog):
    faults._reported.clear()

    class Choice:
        message = SimpleNamespace(content="Hi.")

        @property
        def finish_reason(self):
            raise ZeroDivisionError("no reason")

    class Client:
        def __init__(self, config, **options):
            pass

        def create(self, params):
            return SimpleNamespace(choices=[Choice()], model="m", usage=SimpleNamespace())

        def message_retrieval(self, response):
            return [choice.message.content for choice in response.choices]

        def cost(self, response):
            return 0.5

        def get_usage(self, response):
            return {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.5, "model": "m"}

    with traced():
        wrapper = OpenAIWrapper(config_list=[{"model": "m", "model_client_cls": "Client"}], cache_seed=None)
        wrapper.register_model_client(Client)
        assert wrapper.create(messages=[{"role": "user", "content": "Hello?"}]).cost == 0.5
    told = [record.message.split(";")[0] for record in caplog.records if record.name == "callboard.ag2"]
    assert told == ["callboard could not record llm_call"]
    assert recorder.root.only("llm_call").ended
    assert len(recorder.root.found("cost")) == 1


def test_a_fault_after_the_call_ends_the_span(monkeypatch, traced, recorder):
    faults._reported.clear()
    monkeypatch.setattr(images, "_part", lambda part: 1 / 0)
    said = {"role": "assistant", "content": [{"type": "text", "text": "Hi."}]}
    with traced():
        emma = speaker("emma", None)
        emma.register_reply([autogen.Agent, None], lambda *_, **__: (True, said))
        assert emma.generate_reply(messages=[{"role": "user", "content": "?"}]) is said
        assert callboard.current_span().kind == "workflow"
    assert recorder.root.only("reply").ended


def run_python(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_autogen_imported_within_a_run():
    assert run_python("""
import sys, callboard
manager = callboard.InstrumentationManager()
with callboard.telemetry_context(manager):
    assert "autogen" not in sys.modules
    import autogen
    loader = autogen.__spec__.loader
    print(hasattr(autogen.ConversableAgent.generate_reply, "__wrapped__"), "exec_module" in vars(loader))
ours = [finder for finder in sys.meta_path if "callboard" in str(finder)]
print(hasattr(autogen.ConversableAgent.generate_reply, "__wrapped__"), len(ours))
""") == ["True", "False", "False", "0"]


def test_a_run_without_autogen_leaves_nothing_behind():
    assert run_python("""
import sys, callboard
before = list(sys.meta_path)
with callboard.telemetry_context(callboard.InstrumentationManager()):
    pass
print("autogen" in sys.modules, sys.meta_path == before)
""") == ["False", "True"]


def test_autogen_that_is_only_looked_for():
    assert run_python("""
import sys, callboard, importlib.util
callboard.instrument_ag2()
spec = importlib.util.find_spec("autogen")
print(spec is not None, "autogen" in sys.modules)
import autogen
print(hasattr(autogen.ConversableAgent.generate_reply, "__wrapped__"))
""") == ["True", "False", "True"]
