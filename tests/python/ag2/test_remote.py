"""Agents that another program serves by the a2a protocol: what is recorded where they are asked, and one trace with there."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket

import pytest
from callboard import current_span
from conftest import llm_config, speaker
from model_server import Failure

pytest.importorskip("a2a", reason="this environment has no a2a")
uvicorn = pytest.importorskip("uvicorn")
a2a = pytest.importorskip("autogen.a2a")


pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def quiet(caplog):
    """The card that AG2 makes of an agent lacks skills, which is told at each use; and it does not close all its clients."""
    caplog.set_level(logging.ERROR, "a2a")
    yield
    gc.collect()


@contextlib.asynccontextmanager
async def serving(agent):
    """A server of the agent; its address, and the headers of the messages that it gets."""
    got = []
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        app = a2a.A2aAgentServer(agent, agent_card=a2a.CardSettings(url=url)).build()

        async def kept(scope, receive, send):
            if scope["type"] == "http" and scope["method"] == "POST":
                got.append(dict(scope["headers"]).get(b"traceparent", b"").decode())
            await app(scope, receive, send)

        server = uvicorn.Server(uvicorn.Config(kept, log_level="critical"))
        task = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.001)
        yield url, got
        server.should_exit = True
        await task


async def test_a_remote_agents_replies(recorder, traced, serve):
    async with serving(speaker("emma", serve("One.", "Two."))) as (url, got):
        jack = speaker("jack", None, default_auto_reply="And?")
        with traced():
            trace_id = current_span().trace_id
            await jack.a_initiate_chat(a2a.A2aRemoteAgent(url, "emma"), message="Hello?", max_turns=2)
    tree = recorder.tree("console_print", "agent_creation").splitlines()
    assert tree[:6] == [
        "workflow",
        "  chat a_initiate_chat jack -> emma",
        "    round 1 of 2",
        "      * agent_send_msg jack -> emma: Hello?",
        "      * agent_send_msg emma -> jack: One.",
        "      reply emma a_generate_reply: One.",
    ]
    asking = [
        one for one in recorder.root.all("reply_function") if one["ag2.reply_function"] == "a_generate_remote_reply"
    ]
    assert got == [f"00-{trace_id}-{one.id}-01" for one in asking]
    assert [one["ag2.final"] for one in asking] == [True, True]


async def test_a_server_that_is_away(recorder, traced, serve):
    async with serving(speaker("emma", serve("One."))) as (url, _):
        pass
    with traced(), pytest.raises(Exception, match="not found"):
        await speaker("jack", None).a_initiate_chat(a2a.A2aRemoteAgent(url, "emma"), message="Hello?", max_turns=1)
    for kind in ("chat", "round", "reply"):
        assert "A2aAgentNotFoundError" in recorder.root.only(kind).error


async def test_a_server_that_fails(recorder, traced, serve):
    emma = speaker("emma", None, llm_config=llm_config(serve(Failure(500), Failure(500))))
    async with serving(emma) as (url, _):
        with traced(), pytest.raises(Exception) as raised:
            await speaker("jack", None).a_initiate_chat(a2a.A2aRemoteAgent(url, "emma"), message="Hello?", max_turns=1)
    assert type(raised.value).__name__ in recorder.root.only("chat").error


async def test_outside_of_a_run_nothing_is_told(serve):
    async with serving(speaker("emma", serve("One."))) as (url, got):
        await speaker("jack", None).a_initiate_chat(a2a.A2aRemoteAgent(url, "emma"), message="Hello?", max_turns=1)
    assert got == [""]


async def test_the_whole_tree(traced, serve, check):
    """What the other program spends is no cost of this run."""
    server = serve("Hello?")
    async with serving(speaker("emma", serve("One.", "Two."))) as (url, _):
        with traced():
            emma = a2a.A2aRemoteAgent(url, "emma")
            await speaker("jack", server).a_initiate_chat(emma, message="Hello?", max_turns=2)
    check(
        """
        workflow
          chat a_initiate_chat jack -> emma
            round 1 of 2
              reply emma a_generate_reply: One.
                reply_function a_generate_remote_reply
            round 2 of 2
              reply jack a_generate_reply: Hello?
                reply_function a_generate_oai_reply
                  llm_call gpt-4o-mini of jack
              reply emma a_generate_reply: Two.
                reply_function a_generate_remote_reply
            summary last_msg: Two.
        """,
        server,
    )
