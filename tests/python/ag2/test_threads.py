"""Work that AG2 does in threads of its own is in the same trace."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import autogen.agentchat
import callboard
import pytest
from autogen import ConversableAgent
from autogen.agentchat import a_run_group_chat, run_group_chat
from autogen.agentchat.group import AgentTarget, TerminateTarget
from autogen.agentchat.group.patterns import DefaultPattern
from conftest import speaker
from model_server import Answer, ToolCall

KINDS = ["chat", "round", "reply", "reply_function", "llm_call", "summary"]


def check_one_chat(recorder):
    chat = recorder.root.only("chat")
    assert chat.parent is recorder.root
    assert [len(chat.all(kind)) >= 1 for kind in KINDS] == [True] * len(KINDS)
    assert chat.only("llm_call")["gen_ai.agent.name"] == "emma"


def test_run(recorder, traced, serve):
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", serve("Hi."))
        response = jack.run(emma, message="Hello.", max_turns=1)
        response.process()
    assert response.summary == "Hi."
    check_one_chat(recorder)


def test_run_without_a_recipient(recorder, traced, serve):
    """AG2 makes the other agent itself, in the thread."""
    with traced():
        emma = speaker("emma", serve("Hi."))
        emma.run(message="Hello.", max_turns=1, user_input=False).process()
    check_one_chat(recorder)
    assert len(recorder.root.found("agent_creation")) == 2


async def test_a_run(recorder, traced, serve):
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", serve("Hi."))
        response = await jack.a_run(emma, message="Hello.", max_turns=1)
        await response.process()
    check_one_chat(recorder)


def test_sequential_run(recorder, traced, serve):
    with traced():
        boss, ann, ben = speaker("boss", None), speaker("ann", serve("plan")), speaker("ben", serve("text"))
        entries = [{"recipient": agent, "message": "Go.", "max_turns": 1} for agent in (ann, ben)]
        for response in boss.sequential_run(entries):
            response.process()
    assert [chat["ag2.agent.recipient"] for chat in recorder.root.children] == ["ann", "ben"]
    assert len(recorder.root.all("llm_call")) == 2


@pytest.mark.skipif(not hasattr(ConversableAgent, "run_iter"), reason="this version of AG2 has no run_iter")
def test_run_iter(recorder, traced, serve):
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", serve("Hi."))
        kinds = [event.type for event in jack.run_iter(emma, message="Hello.", max_turns=1)]
    assert "text" in kinds
    check_one_chat(recorder)


@pytest.mark.parametrize("goes_on", ["thread", "executor"])
def test_where_the_program_goes_on(goes_on, recorder, traced, serve):
    """In a thread of the program's own, from within a tool: what is within is what is recorded."""

    def asks_further() -> str:
        def ask():
            speaker("ann", None).initiate_chat(speaker("ben", serve("Two.")), message="What is 1 + 1?", max_turns=1)

        if goes_on == "executor":
            with ThreadPoolExecutor(1) as pool:
                pool.submit(ask).result()
        else:
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
        return "Two."

    with traced():
        jack, emma = (
            speaker("jack", None),
            speaker("emma", serve(Answer(tool_calls=[ToolCall("asks_further")]), "It is two.")),
        )
        emma.register_for_llm(description="Asks somebody else.")(asks_further)
        jack.register_for_execution()(asks_further)
        jack.initiate_chat(emma, message="Find out.", max_turns=2)
    [chat] = [chat for chat in recorder.root.all("chat") if chat["ag2.agent.sender"] == "ann"]
    assert chat.parent.kind == "tool_call"
    assert chat.only("llm_call")["gen_ai.agent.name"] == "ben"
    assert len(recorder.root.all("llm_call")) == 3


async def test_chats_in_tasks_keep_apart(recorder, traced, serve):
    with traced():
        pairs = [(speaker(f"asks{i}", None), speaker(f"answers{i}", serve(f"Hi {i}."))) for i in range(5)]
        await asyncio.gather(*(one.a_initiate_chat(two, message="Hello.", max_turns=1) for one, two in pairs))
    chats = recorder.root.all("chat")
    assert [chat["ag2.agent.sender"] for chat in chats] == [f"asks{i}" for i in range(5)]
    for i, chat in enumerate(chats):
        assert chat.only("llm_call")["gen_ai.agent.name"] == f"answers{i}"
        assert chat.only("summary")["ag2.summary"] == f"Hi {i}."


def test_two_runs_in_two_threads_do_not_mix(serve):
    from conftest import Recorder

    def program(name):
        manager = callboard.InstrumentationManager()
        recorder = Recorder(manager)
        manager.register_provider(recorder)
        with callboard.telemetry_context(manager, name):
            speaker(name, None).initiate_chat(speaker("emma", serve("Hi.")), message="Hello.", max_turns=1)
        return recorder

    with ThreadPoolExecutor(4) as pool:
        recorders = list(pool.map(program, "abcd"))
    for name, recorder in zip("abcd", recorders, strict=True):
        assert recorder.root.only("chat")["ag2.agent.sender"] == name
        assert len(recorder.root.all("llm_call")) == 1


def test_a_thread_pool_that_outlives_the_run(recorder, traced):
    with ThreadPoolExecutor(1) as pool:
        with traced():
            assert pool.submit(callboard.current_span).result().kind == "workflow"
        assert pool.submit(callboard.current_span).result() is None


def a_pattern(serve):
    ana, ben = speaker("ana", serve("One.")), speaker("ben", serve("Two."))
    ana.handoffs.set_after_work(AgentTarget(ben))
    return DefaultPattern(initial_agent=ana, agents=[ana, ben], group_after_work=TerminateTarget())


def check_one_group_chat(recorder):
    group = recorder.root.only("chat").only("group_chat")
    assert group["ag2.groupchat.termination"] == "No eligible speaker"
    assert [reply["ag2.agent.recipient"] for reply in group.all("reply")] == ["ana", "ben"]
    assert [one["ag2.swarm.target"] for one in group.found("swarm_transition")] == ["ben", "Terminate"]
    assert len(recorder.root.all("llm_call")) == 2


def test_run_group_chat(recorder, traced, serve):
    with traced():
        run_group_chat(a_pattern(serve), messages="Go.", max_rounds=9).process()
    check_one_group_chat(recorder)


async def test_a_run_group_chat(recorder, traced, serve):
    with traced():
        response = await a_run_group_chat(a_pattern(serve), messages="Go.", max_rounds=9)
        await response.process()
    check_one_group_chat(recorder)


@pytest.mark.skipif(not hasattr(autogen.agentchat, "run_group_chat_iter"), reason="this version of AG2 has none")
def test_run_group_chat_iter(recorder, traced, serve):
    with traced():
        for _ in autogen.agentchat.run_group_chat_iter(a_pattern(serve), messages="Go.", max_rounds=9):
            pass
    check_one_group_chat(recorder)
