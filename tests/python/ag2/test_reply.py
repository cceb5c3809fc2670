"""Replies and the reply functions tried for them, which AG2 and programs compare by identity."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from unittest.mock import MagicMock

import pytest
from autogen import Agent, ConversableAgent
from conftest import AG2_VERSION, speaker
from test_chat import tree

QUESTION = [{"role": "user", "content": "Well?"}]


def functions(agent):
    return [entry["reply_func"] for entry in agent._reply_func_list]


def yes(agent, messages, sender, config):
    return True, "yes"


def not_me(agent, messages, sender, config):
    return False, "a thought"


def test_functions_that_decline(recorder, traced, serve):
    with traced():
        speaker("emma", serve("Hi.")).generate_reply(messages=QUESTION)
    assert recorder.tree("agent_creation", "cost", "llm_create", declined=True) == tree("""
        workflow
          reply emma generate_reply: Hi.
            reply_function check_termination_and_human_reply declined
            reply_function generate_function_call_reply declined
            reply_function generate_tool_calls_reply declined
            reply_function generate_oai_reply
              llm_call gpt-4o-mini of emma
    """)


async def test_async_functions_that_decline(recorder, traced, serve):
    with traced():
        await speaker("emma", serve("Hi.")).a_generate_reply(messages=QUESTION)
    tried = [one["ag2.reply_function"] for one in recorder.root.all("reply_function")]
    asynchronous = [name for name in tried if name.startswith("a_")]
    assert asynchronous == [
        "a_check_termination_and_human_reply",
        "a_generate_function_call_reply",
        "a_generate_tool_calls_reply",
        "a_generate_oai_reply",
    ]
    # Before 0.13 AG2 tries the plain functions in async chats too.
    assert (tried == asynchronous) == (AG2_VERSION >= (0, 13))


def test_what_a_reply_records(recorder, traced):
    with traced():
        emma, jack = speaker("emma", None), speaker("jack", None)
        emma.register_reply(Agent, yes)
        emma.generate_reply(messages=QUESTION, sender=jack)
    reply, function = recorder.root.only("reply"), recorder.root.only("reply_function")
    about = {
        "ag2.agent.sender": "jack",
        "ag2.agent.sender.id": str(id(jack)),
        "ag2.agent.recipient": "emma",
        "ag2.agent.recipient.id": str(id(emma)),
        "gen_ai.agent.name": "emma",
    }
    assert reply.attributes == {
        "ag2.reply_function": "generate_reply",
        **about,
        "ag2.messages.start": QUESTION,
        "ag2.reply": "yes",
        "ag2.messages.end": QUESTION,
    }
    assert function.attributes == {
        "ag2.reply_function": "yes",
        "ag2.reply_module": __name__,
        **about,
        "ag2.messages": QUESTION,
        "ag2.final": True,
        "ag2.reply": "yes",
    }


def test_a_function_that_has_something_to_say_but_does_not_reply(recorder, traced):
    with traced():
        emma = speaker("emma", None, default_auto_reply="default")
        emma.register_reply([Agent, None], not_me)
        assert emma.generate_reply(messages=QUESTION) == "default"
    mine = next(one for one in recorder.root.all("reply_function") if one["ag2.reply_function"] == "not_me")
    assert (mine["ag2.final"], mine["ag2.reply"]) == (False, "a thought")
    assert recorder.root.only("reply")["ag2.reply"] == "default"


def test_an_exception_in_a_function(recorder, traced):
    error = LookupError("lost")

    def fails(agent, messages, sender, config):
        raise error

    with traced():
        emma = speaker("emma", None)
        emma.register_reply([Agent, None], fails)
        with pytest.raises(LookupError) as raised:
            emma.generate_reply(messages=QUESTION)
    assert raised.value is error
    assert recorder.tree("agent_creation") == tree("""
        workflow
          reply emma generate_reply: - !! LookupError: lost
            reply_function fails !! LookupError: lost
    """)


def test_the_list_of_functions_is_left_alone(recorder, traced):
    seen = []

    def look(agent, messages, sender, config):
        seen.extend(functions(agent))
        return False, None

    emma = speaker("emma", None)
    emma.register_reply([Agent, None], look)
    before, entries = functions(emma), emma._reply_func_list
    with traced():
        emma.generate_reply(messages=QUESTION)
        jack = speaker("jack", None)
        assert functions(emma) == before
        assert ConversableAgent.generate_oai_reply in functions(jack)
    assert seen == before
    assert emma._reply_func_list is entries
    assert all(now is then for now, then in zip(functions(emma), before, strict=True))
    assert look in before and recorder.root.all("reply_function")


class Other(ConversableAgent):
    pass


class Duck:
    """It is no agent by its class, but has all that makes one."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.agent, name)

    def __init__(self, agent):
        self.agent = agent


def tried_by_triggers(asker):
    """Which functions an agent tries that is asked by `asker`, by their triggers."""
    emma, tried = speaker("emma", None), []
    jack = asker if asker is not None else speaker("jack", None)
    triggers = {
        "any agent or none": [Agent, None],
        "any agent": Agent,
        "none or any agent": [None, Agent],
        "an instance": jack if isinstance(jack, ConversableAgent) else "jack",
        "another instance": speaker("jack", None),
        "a class": ConversableAgent,
        "a class that derives": Other,
        "asked for": lambda sender: tried.append("asked for") or sender is not None,
        "any agent, or asked for": [Agent, lambda sender: tried.append("not to be asked for") or False],
        "asked for, or any agent": [lambda sender: tried.append("asked for first") or False, Agent],
        "an empty list": [],
    }

    def noting(what):
        return lambda agent, messages, sender, config: (tried.append(what) or False, None)

    for what, trigger in triggers.items():
        emma.register_reply(trigger, noting(what))
    if asker is not None:
        emma.register_reply("jack", noting("a name"))
    before = [entry["trigger"] for entry in emma._reply_func_list]
    emma.generate_reply(messages=QUESTION, sender=asker)
    assert [entry["trigger"] for entry in emma._reply_func_list] == before
    return tried


@pytest.mark.parametrize("asker", ["an agent", "one that derives", "a duck", "nobody"])
def test_triggers_match_as_they_do_without(recorder, traced, asker):
    askers = {
        "an agent": lambda: speaker("jack", None),
        "one that derives": lambda: Other("jack", llm_config=False),
        "a duck": lambda: Duck(speaker("jack", None)),
        "nobody": lambda: None,
    }
    without = tried_by_triggers(askers[asker]())
    with traced():
        assert tried_by_triggers(askers[asker]()) == without
    assert {"any agent or none", "asked for", "asked for first"} <= set(without)
    assert "not to be asked for" not in without or asker == "nobody"


def test_ag2_checks_and_reads_as_often_as_without(traced):
    """Each `isinstance`, each matched trigger and each property that AG2 reads of an agent."""

    def made_by_ag2(asynchronous):
        emma, jack = speaker("emma", None), speaker("jack", None)
        emma.register_reply([Agent, None], yes)
        emma.register_reply("nobody", yes)
        emma.register_reply(lambda sender: False, yes)
        called = []

        def look(frame, event, _):
            caller = frame.f_back
            while caller is not None and caller.f_globals.get("__name__") in ("typing", "functools", "abc"):
                caller = caller.f_back
            is_ag2s = caller is not None and caller.f_globals.get("__name__", "").startswith("autogen")
            if event == "call" and is_ag2s:
                called.append(frame.f_code.co_name)

        sys.setprofile(look)
        try:
            if asynchronous:
                asyncio.run(emma.a_generate_reply(messages=QUESTION, sender=jack))
            else:
                emma.generate_reply(messages=QUESTION, sender=jack)
        finally:
            sys.setprofile(None)
        looked = (
            "__instancecheck__",
            "_match_trigger",
            "name",
            "description",
            "system_message",
            "is_coroutine_callable",
        )
        return {name: called.count(name) for name in looked}

    for asynchronous in (False, True):
        without = made_by_ag2(asynchronous)
        assert without["__instancecheck__"] and without["_match_trigger"]
        with traced():
            assert made_by_ag2(asynchronous) == without


def test_the_view_is_for_ag2s_readers_alone(traced):
    """It has the length, the order and the triggers of the list, and functions that equal and hash like the real ones."""
    seen = []

    class Watching(ConversableAgent):
        def _match_trigger(self, trigger, sender):
            reader = sys._getframe(1)
            if reader.f_code.co_name == "generate_reply":
                seen.append((reader.f_locals["reply_func_tuple"], self._reply_func_list))
            return False

    emma = Watching("emma", llm_config=False, human_input_mode="NEVER")
    emma.register_reply([Agent, None], yes)
    own = emma._reply_func_list
    with traced():
        emma.generate_reply(messages=QUESTION)
        assert emma._reply_func_list is own
    viewed = [entry for entry, _ in seen]
    assert all(asked is own for _, asked in seen)
    plain = [entry for entry in own if not inspect.iscoroutinefunction(entry["reply_func"])]
    assert len(viewed) == len(plain)
    for entry, real in zip(viewed, plain, strict=True):
        wrapper, function = entry["reply_func"], real["reply_func"]
        assert wrapper is not function
        assert wrapper == function and function == wrapper and hash(wrapper) == hash(function)
        assert wrapper in [function] and {function: 1}[wrapper] == 1
        assert (wrapper.__name__, wrapper.__module__) == (function.__name__, function.__module__)
        assert {key: value for key, value in entry.items() if key != "reply_func"} == {
            key: value for key, value in real.items() if key != "reply_func"
        }
        assert entry["trigger"] is real["trigger"]


def test_ag2s_code_stays_as_it_is(traced):
    functions = [value for value in vars(ConversableAgent).values() if inspect.isfunction(value)]
    codes = [function.__code__ for function in functions]
    with traced():
        speaker("emma", None).generate_reply(messages=QUESTION)
        assert [function.__code__ for function in functions] == codes
        assert all(now is before for now, before in zip((f.__code__ for f in functions), codes, strict=True))


def test_a_class_that_matches_triggers_itself(recorder, traced):
    asked = []

    class Careful(ConversableAgent):
        def _match_trigger(self, trigger, sender):
            asked.append(trigger)
            return super()._match_trigger(trigger, sender)

    def ask():
        asked.clear()
        careful = Careful("careful", llm_config=False, human_input_mode="NEVER")
        careful.register_reply([Agent, None], yes)
        assert careful.generate_reply(messages=QUESTION, sender=speaker("jack", None)) == "yes"
        return list(asked)

    without = ask()
    with traced():
        assert ask() == without
    assert [Agent, None] in without


def test_excluding_and_replacing_functions(recorder, traced, serve):
    with traced():
        emma = speaker("emma", serve("model's"), default_auto_reply="default")
        excluded = [ConversableAgent.generate_oai_reply]
        assert emma.generate_reply(messages=QUESTION, exclude=excluded) == "default"
        emma.replace_reply_func(ConversableAgent.generate_oai_reply, yes)
        assert emma.generate_reply(messages=QUESTION) == "yes"
    replies = recorder.root.all("reply")
    tried = [[one["ag2.reply_function"] for one in reply.all("reply_function")] for reply in replies]
    assert [names[-1] for names in tried] == ["generate_tool_calls_reply", "yes"]


def test_a_function_that_registers_another(recorder, traced):
    """AG2 iterates over the list itself; what is put into it meanwhile counts."""

    def adds(agent, messages, sender, config):
        agent._reply_func_list.append({"trigger": [Agent, None], "reply_func": yes, "config": None})
        return False, None

    emma = speaker("emma", None)
    emma.register_reply([Agent, None], adds)
    with traced():
        assert emma.generate_reply(messages=QUESTION) == "yes"
    assert [one["ag2.reply_function"] for one in recorder.root.all("reply_function")][-1] == "yes"


def test_async_functions_stay_async(recorder, traced):
    async def later(agent, messages, sender, config):
        return True, "later"

    with traced():
        emma, jack = speaker("emma", None), speaker("jack", None)
        emma.register_reply([Agent, None], later)
        assert inspect.iscoroutinefunction(functions(emma)[0])
        with pytest.raises(RuntimeError, match="later"):
            jack.initiate_chat(emma, message="Hello?", max_turns=1)
        emma.generate_reply(messages=QUESTION)
    [reply] = recorder.root.all("reply")
    assert "later" not in [one["ag2.reply_function"] for one in reply.all("reply_function")]


async def test_an_async_function_replies(recorder, traced):
    async def later(agent, messages, sender, config):
        return True, "later"

    with traced():
        emma = speaker("emma", None)
        emma.register_reply([Agent, None], later)
        assert await emma.a_generate_reply(messages=QUESTION) == "later"
    assert recorder.root.only("reply_function")["ag2.reply"] == "later"


def test_a_class_that_overrides_generate_reply(recorder, traced, serve):
    class Polite(ConversableAgent):
        def generate_reply(self, *args, **kwargs):
            return f"Please: {super().generate_reply(*args, **kwargs)}"

    with traced():
        polite = Polite("polite", llm_config=False, default_auto_reply="no", human_input_mode="NEVER")
        assert polite.generate_reply(messages=QUESTION) == "Please: no"
    reply = recorder.root.only("reply")
    assert reply["ag2.reply"] == "Please: no"
    assert reply.all("reply_function")


def test_a_hook_that_rewrites_the_history(recorder, traced, serve):
    server = serve("Hi.")
    with traced():
        emma = speaker("emma", server)
        short = [{"role": "user", "content": "Short."}]
        emma.register_hook("process_all_messages_before_reply", lambda messages: short)
        emma.generate_reply(messages=QUESTION)
    reply = recorder.root.only("reply")
    function = reply.all("reply_function")[-1]
    assert reply["ag2.messages.start"] == QUESTION
    assert function["ag2.reply_function"] == "generate_oai_reply"
    assert function["ag2.messages"] == short
    assert server.exchanges[0].request["messages"][-1]["content"] == "Short."


def test_ag2s_own_logging_names_the_real_functions(traced, monkeypatch):
    logged = []

    def log_event(source, name, **what):
        logged.append((what.get("reply_func_name"), what.get("reply_func_module")))

    monkeypatch.setattr("autogen.agentchat.conversable_agent.logging_enabled", lambda: True)
    for name, stand_in in (("log_event", log_event), ("log_new_agent", lambda *_: None)):
        monkeypatch.setattr(f"autogen.agentchat.conversable_agent.{name}", stand_in)
    with traced():
        emma = speaker("emma", None)
        emma.register_reply([Agent, None], yes)
        emma.generate_reply(messages=QUESTION)
    assert logged[-1] == ("yes", __name__)


class Answering:
    """A callable object as a reply function."""

    def __call__(self, agent, messages, sender, config):
        return True, "object"

    async def later(self, agent, messages, sender, config):
        return True, "method"


class AnsweringLater:
    async def __call__(self, agent, messages, sender, config):
        return True, "awaited object"


async def awaited(agent, messages, sender, config, extra=None):
    return True, "partial"


@pytest.mark.parametrize(
    "make",
    [
        Answering,
        AnsweringLater,
        lambda: Answering().later,
        lambda: functools.partial(awaited, extra=1),
        lambda: functools.partial(yes),
        lambda: MagicMock(return_value=(True, "mock")),
    ],
)
async def test_functions_of_every_kind(make, traced, recorder):
    """AG2 tells the same of a wrapper as of the function: whether it is called, and whether it is awaited."""

    async def replies():
        emma, function = speaker("emma", None, default_auto_reply="default"), make()
        emma.register_reply([Agent, None], function)
        told = []
        for asked in ("generate_reply", "a_generate_reply"):
            try:
                reply = getattr(emma, asked)(messages=QUESTION)
                told.append(await reply if asked.startswith("a_") else reply)
            except (
                AttributeError,
                TypeError,
            ) as error:  # What versions of AG2 say of functions that they do not expect.
                told.append(str(error))
        assert next(entry["reply_func"] for entry in emma._reply_func_list) is function
        return told

    without = await replies()
    with traced():
        assert await replies() == without
