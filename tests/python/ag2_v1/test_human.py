"""A human being asked by a tool: who answers, who does not, and for whom a subtask asks."""

from __future__ import annotations

import asyncio

import pytest
from ag2 import Context, tool
from conftest import asked, speaker
from test_turns import tree


@tool
async def confirm(question: str, context: Context) -> str:
    """Asks a human."""
    return await context.input(question, timeout=0.05)


def confirming(server, **options):
    return speaker("ann", server, tools=[confirm], **options)


async def test_an_answer(recorder, traced, serve):
    async def answer(event):
        await asyncio.sleep(0)
        return "Go on."

    with traced():
        await confirming(serve(asked("confirm", question="May I?"), "ok"), hitl_hook=answer).ask("?")
    human = recorder.root.only("tool_call").only("human_input")
    assert human.attributes == {
        "gen_ai.agent.name": "ann",
        "ag2.human_input.prompt": "May I?",
        "ag2.human_input.response": "Go on.",
    }


async def test_nobody_to_ask(recorder, traced, serve):
    with traced(), pytest.raises(Exception) as raised:
        await confirming(serve(asked("confirm", question="May I?"))).ask("?")
    human = recorder.root.only("human_input")
    assert "HumanInputNotProvided" in human.error
    assert type(raised.value).__name__ in human.error
    assert "ag2.human_input.response" not in human.attributes


async def test_nobody_answers_in_time(recorder, traced, serve):
    async def sleep(event):
        await asyncio.Event().wait()

    with traced(), pytest.raises(Exception, match=r"0\.05"):
        await confirming(serve(asked("confirm", question="May I?")), hitl_hook=sleep).ask("?")
    assert "HumanInputTimeoutError" in recorder.root.only("human_input").error


async def test_a_subtask_asks_the_human_of_the_one_it_works_for(recorder, traced, serve):
    with traced():
        worker = confirming(serve(asked("confirm", question="May I?"), "done"))
        boss = speaker(
            "boss",
            serve(asked("task_ann", objective="Do it."), "ok"),
            tools=[worker.as_tool(description="Works.")],
            hitl_hook=lambda event: "Yes.",
        )
        await boss.ask("?")
    assert recorder.tree("agent_creation", "llm_call", "tool_execution") == tree("""
        workflow
          reply boss to -: ok
            * agent_send_msg user -> boss: ?
            * agent_send_msg boss -> user: ok
            tool_call task_ann by boss
              nested_chat run_task boss -> ann: done
                reply ann to boss: done
                  tool_call confirm by ann
                    human_input ann: Yes.
    """)
