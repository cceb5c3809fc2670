"""Turns within a tool: subtasks, agents as tools, in the background; nobody's tokens are counted twice."""

from __future__ import annotations

import asyncio

from ag2 import TaskConfig
from ag2.tools.subagents import background_agent_tool
from conftest import asked, served, speaker
from model_server import Answer, Failure, Rule, ToolCall
from test_turns import tree


async def test_a_subtask(recorder, traced, serve):
    server = serve(asked("run_subtask", task="Count."), "three", "It is three.")
    with traced():
        reply = await speaker("boss", server, tasks=TaskConfig()).ask("How many?")
    assert reply.body == "It is three."
    assert recorder.tree() == tree("""
        workflow
          * agent_creation boss
          reply boss to -: It is three.
            * agent_send_msg user -> boss: How many?
            * agent_send_msg boss -> user: It is three.
            llm_call gpt-4o-mini of boss
              * cost
              * llm_create answered
            tool_call run_subtask by boss
              * agent_creation subtask [internal]
              * tool_execution run_subtask: three
              nested_chat run_task boss -> subtask: three [internal]
                reply subtask to boss: three [internal]
                  llm_call gpt-4o-mini of subtask
                    * cost
                    * llm_create answered
            llm_call gpt-4o-mini of boss
              * cost
              * llm_create answered
    """)
    assert recorder.spent() == served(server)
    usage = (await reply.usage()).total
    assert recorder.spent() == (usage.prompt_tokens, usage.completion_tokens)


async def test_several_subtasks_at_once(recorder, traced, serve):
    def script():
        yield Rule([asked("run_subtasks", tasks=["a", "b", "c"]), "All done."], system="boss")
        yield from (Rule([f"{letter} is done"], last=letter) for letter in "abc")

    server = serve(*script())
    with traced():
        await speaker("boss", server, tasks=TaskConfig()).ask("Do a, b and c.")
    chats = recorder.root.only("tool_call").all("nested_chat")
    assert {chat["ag2.chat.initial_message"]: chat["ag2.chat_result.summary"] for chat in chats} == {
        letter: f"{letter} is done" for letter in "abc"
    }
    for chat in chats:
        assert chat.only("reply")["ag2.reply"] == chat["ag2.chat_result.summary"]
    assert recorder.spent() == served(server)


async def test_an_agent_as_a_tool(recorder, traced, serve):
    servers = serve(asked("task_ann", objective="Count.", context="Apples."), "It is three."), serve("three")
    with traced():
        ann = speaker("ann", servers[1])
        boss = speaker("boss", servers[0], tools=[ann.as_tool(description="Counts.")])
        await boss.ask("How many?")
    chat = recorder.root.only("tool_call").only("nested_chat")
    assert chat["callboard.task.id"]
    assert {key: value for key, value in chat.attributes.items() if key != "callboard.task.id"} == {
        "ag2.chat_function": "run_task",
        "ag2.agent.sender": "boss",
        "ag2.agent.sender.id": str(id(boss)),
        "ag2.agent.recipient": "ann",
        "ag2.agent.recipient.id": str(id(ann)),
        "gen_ai.agent.name": "ann",
        "ag2.chat.initial_message": "Count.\n\nApples.",
        "ag2.chat_result.summary": "three",
    }
    assert chat.only("reply")["ag2.agent.sender"] == "boss"
    assert recorder.spent() == served(*servers)


async def test_a_task_that_fails(recorder, traced, serve):
    servers = serve(asked("task_ann", objective="Count."), "Oh."), serve(Failure(500))
    with traced():
        ann = speaker("ann", servers[1])
        reply = await speaker("boss", servers[0], tools=[ann.as_tool(description="Counts.")]).ask("?")
    assert reply.body == "Oh."
    chat = recorder.root.only("nested_chat")
    assert chat.error == chat.only("reply").error == chat.only("llm_call").error
    assert recorder.spent() == served(*servers)


async def test_tasks_within_tasks(recorder, traced, serve):
    servers = [serve(asked("task_b", objective="1"), "x"), serve(asked("task_c", objective="2"), "y"), serve("z")]
    with traced():
        c = speaker("c", servers[2])
        b = speaker("b", servers[1], tools=[c.as_tool(description="C.")])
        a = speaker("a", servers[0], tools=[b.as_tool(description="B.")])
        await a.ask("?")
    outer, inner = recorder.root.all("nested_chat")
    assert inner.parent.parent.parent is outer
    assert [chat["ag2.agent.sender"] for chat in (outer, inner)] == ["a", "b"]
    assert recorder.spent() == served(*servers)


async def test_a_task_in_the_background(recorder, traced, serve):
    """It ends after its tool has, and what came of it is said in another model call."""
    servers = serve(asked("ann", objective="Count."), "I wait.", "It is three."), serve(Answer("three", delay_s=0.2))
    with traced():
        ann = speaker("ann", servers[1])
        tool = background_agent_tool(ann, description="Counts.", name="ann")
        reply = await speaker("boss", servers[0], tools=[tool]).ask("?")
        while not reply.context.pending_messages:
            await asyncio.sleep(0.01)
        await reply.ask("And?")
    chat = recorder.root.only("tool_call").only("nested_chat")
    assert chat.only("reply")["ag2.reply"] == "three"
    assert recorder.spent() == served(*servers)


async def test_one_agent_as_a_tool_twice_at_once(recorder, traced, serve):
    calls = [ToolCall("task_ann", {"objective": "left"}), ToolCall("task_ann", {"objective": "right"})]
    servers = serve(Answer(tool_calls=calls), "ok"), serve(Rule(["L"], last="left"), Rule(["R"], last="right"))
    with traced():
        ann = speaker("ann", servers[1])
        await speaker("boss", servers[0], tools=[ann.as_tool(description="Works.")]).ask("?")
    found = {
        call.only("nested_chat")["ag2.chat.initial_message"]: call.only("reply")["ag2.reply"]
        for call in recorder.root.all("tool_call")
    }
    assert found == {"left": "L", "right": "R"}
    assert recorder.spent() == served(*servers)
