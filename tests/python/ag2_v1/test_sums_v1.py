"""What each kind of program costs: its calls, its agents and its models add up to the run, and to what was served.

Beside it the whole tree, of programs that no other file of these tests draws whole.
"""

from __future__ import annotations

import asyncio
from functools import partial

import pytest
from ag2 import TaskConfig
from ag2.middleware.builtin import RetryMiddleware
from conftest import asked, double, speaker
from model_server import Failure
from test_human import confirm
from test_network import closing, open_hub
from test_tools import double_badly


@pytest.fixture
def check(check):
    """Messages are shown, too, and who is created."""
    return partial(check, hidden=("cost", "llm_create"))


async def test_several_agents_at_once(traced, serve, check):
    """They begin in turn, and each has what it does under itself."""
    servers = [serve(asked(), f"I am {name}.") for name in ("ann", "bob", "cas")]
    with traced():
        agents = [
            speaker(name, server, tools=[double]) for name, server in zip(("ann", "bob", "cas"), servers, strict=True)
        ]
        await asyncio.gather(*(agent.ask("Who?") for agent in agents))
    check(
        """
        workflow
          * agent_creation ann
          * agent_creation bob
          * agent_creation cas
          reply ann to -: I am ann.
            * agent_send_msg user -> ann: Who?
            * agent_send_msg ann -> user: I am ann.
            llm_call gpt-4o-mini of ann
            tool_call double by ann
              * tool_execution double: 42
            llm_call gpt-4o-mini of ann
          reply bob to -: I am bob.
            * agent_send_msg user -> bob: Who?
            * agent_send_msg bob -> user: I am bob.
            llm_call gpt-4o-mini of bob
            tool_call double by bob
              * tool_execution double: 42
            llm_call gpt-4o-mini of bob
          reply cas to -: I am cas.
            * agent_send_msg user -> cas: Who?
            * agent_send_msg cas -> user: I am cas.
            llm_call gpt-4o-mini of cas
            tool_call double by cas
              * tool_execution double: 42
            llm_call gpt-4o-mini of cas
        """,
        *servers,
        hidden=("cost", "llm_create", "finding"),
    )


async def test_an_agent_as_a_tool(traced, serve, check):
    servers = serve(asked("task_ann", objective="Count."), "It is three."), serve(asked(), "three")
    with traced():
        ann = speaker("ann", servers[1], tools=[double])
        await speaker("boss", servers[0], tools=[ann.as_tool(description="Counts.")]).ask("How many?")
    check(
        """
        workflow
          * agent_creation ann
          * agent_creation boss
          reply boss to -: It is three.
            * agent_send_msg user -> boss: How many?
            * agent_send_msg boss -> user: It is three.
            llm_call gpt-4o-mini of boss
            tool_call task_ann by boss
              * tool_execution task_ann: three
              nested_chat run_task boss -> ann: three
                reply ann to boss: three
                  llm_call gpt-4o-mini of ann
                  tool_call double by ann
                    * tool_execution double: 42
                  llm_call gpt-4o-mini of ann
            llm_call gpt-4o-mini of boss
        """,
        *servers,
    )


async def test_subtasks_within_a_run(traced, serve, check):
    server = serve(asked("run_subtask", task="Count."), "three", "It is three.")
    with traced():
        async with speaker("boss", server, tasks=TaskConfig()).run("How many?") as run:
            await run.result()
    check(
        """
        workflow
          * agent_creation boss
          reply boss to -: It is three.
            * agent_send_msg user -> boss: How many?
            * agent_send_msg boss -> user: It is three.
            llm_call gpt-4o-mini of boss
            tool_call run_subtask by boss
              * agent_creation subtask [internal]
              * tool_execution run_subtask: three
              nested_chat run_task boss -> subtask: three [internal]
                reply subtask to boss: three [internal]
                  llm_call gpt-4o-mini of subtask
            llm_call gpt-4o-mini of boss
        """,
        server,
    )


async def test_a_tool_that_fails(traced, serve, check):
    server = serve(asked("double_badly"), "Oh.")
    with traced():
        await speaker("ann", server, tools=[double_badly]).ask("Twice 21?")
    check(
        """
        workflow
          * agent_creation ann
          reply ann to -: Oh.
            * agent_send_msg user -> ann: Twice 21?
            * agent_send_msg ann -> user: Oh.
            llm_call gpt-4o-mini of ann
            tool_call double_badly by ann !! LookupError: no double of 21
              * tool_execution double_badly: Traceback (most recent call last):
            llm_call gpt-4o-mini of ann
        """,
        server,
    )


async def test_a_call_that_is_tried_again(traced, serve, check):
    server = serve(Failure(500), Failure(429), "At last.")
    with traced():
        await speaker("emma", server, middleware=[RetryMiddleware(max_retries=3)]).ask("?")
    check(
        """
        workflow
          reply emma to -: At last.
            * agent_send_msg user -> emma: ?
            * agent_send_msg emma -> user: At last.
            llm_call gpt-4o-mini of emma !! openai.InternalServerError: Error code: 500 - scripted failure
              * llm_create failed
            llm_call gpt-4o-mini of emma !! openai.RateLimitError: Error code: 429 - scripted failure
              * llm_create failed
            llm_call gpt-4o-mini of emma
              * cost
              * llm_create answered
        """,
        server,
        hidden=("agent_creation",),
    )


async def test_a_human_who_is_asked(traced, serve, check):
    server = serve(asked("confirm", question="May I?"), "ok")
    with traced():
        await speaker("ann", server, tools=[confirm], hitl_hook=lambda event: "Yes.").ask("?")
    check(
        """
        workflow
          * agent_creation ann
          reply ann to -: ok
            * agent_send_msg user -> ann: ?
            * agent_send_msg ann -> user: ok
            llm_call gpt-4o-mini of ann
            tool_call confirm by ann
              * tool_execution confirm: Yes.
              human_input ann: Yes.
            llm_call gpt-4o-mini of ann
        """,
        server,
    )


async def test_questions_in_channels_at_once(traced, serve, check):
    servers = [serve("I am bob."), serve("I am cas.")]
    with traced():
        async with await open_hub() as hub:
            ann = await hub.register(speaker("ann", None))
            for name, server in zip(("bob", "cas"), servers, strict=True):
                await hub.register(speaker(name, server))
            channels = [await ann.open(type="consulting", target=name) for name in ("bob", "cas")]
            await asyncio.gather(*(channel.send("Who?") for channel in channels))
            for channel in channels:
                await closing(channel)
    check(
        """
        workflow
          * agent_creation ann
          * agent_creation bob
          * agent_creation cas
          chat consulting ann -> bob: consulting_complete
            * agent_send_msg ann -> bob: Who?
            * agent_send_msg bob -> ann: I am bob.
            reply bob to ann: I am bob.
              llm_call gpt-4o-mini of bob
          chat consulting ann -> cas: consulting_complete
            * agent_send_msg ann -> cas: Who?
            * agent_send_msg cas -> ann: I am cas.
            reply cas to ann: I am cas.
              llm_call gpt-4o-mini of cas
        """,
        *servers,
    )
