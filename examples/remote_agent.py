"""An agent that another program serves by the a2a protocol, traced on both sides: two runs, one trace.

Both programs are in this one, so that it runs by itself, and the answers come from a script on this machine. It takes
`pip install "autogen[a2a]" "a2a-sdk[http-server]" uvicorn`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
from typing import Any

import uvicorn
from autogen import ConversableAgent
from autogen.a2a import A2aAgentServer, A2aRemoteAgent, CardSettings
from callboard import InstrumentationManager, OpenTelemetryProvider, telemetry_context
from model_server import ModelServer
from receiver import Receiver, draw


def exporting(receiver: Receiver) -> InstrumentationManager:
    """A manager as each of the two programs has one."""
    manager = InstrumentationManager()
    manager.register_provider(OpenTelemetryProvider(collector_endpoint=receiver.endpoint))
    return manager


class TracedServer:
    """Makes each message that the server answers a run, in the trace of whoever sent it."""

    def __init__(self, app: Any, manager: InstrumentationManager) -> None:
        self.app = app
        self.manager = manager

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        traceparent = dict(scope["headers"]).get(b"traceparent", b"").decode() or None
        async with telemetry_context(self.manager, "Answer", traceparent=traceparent):
            await self.app(scope, receive, send)


def serve(agent: ConversableAgent, manager: InstrumentationManager, port: int) -> uvicorn.Server:
    """The program that has the agent."""
    card = CardSettings(url=f"http://127.0.0.1:{port}")
    app = TracedServer(A2aAgentServer(agent, agent_card=card).build(), manager)
    return uvicorn.Server(uvicorn.Config(app, log_level="error"))


async def talk(manager: InstrumentationManager, url: str) -> None:
    """The program that asks it."""
    with telemetry_context(manager, "Question"):
        jack = ConversableAgent("Jack", llm_config=False, human_input_mode="NEVER")
        result = await jack.a_initiate_chat(A2aRemoteAgent(url, "Emma"), message="Is it raining?", max_turns=1)
    print(f"\nAnswer: {result.summary}")


async def main() -> None:
    logging.disable(logging.WARNING)  # The card that AG2 makes of an agent lacks skills, which is told at each use.
    with ModelServer(["It is."]) as model, Receiver() as receiver, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        config = {"config_list": [{"model": "gpt-4o-mini", "base_url": model.base_url, "api_key": "none"}]}
        emma = ConversableAgent("Emma", llm_config={**config, "cache_seed": None}, human_input_mode="NEVER")
        there, here = exporting(receiver), exporting(receiver)
        server = serve(emma, there, port)
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        await talk(here, f"http://127.0.0.1:{port}")
        server.should_exit = True
        await serving
        there.shutdown()
        here.shutdown()
        print(re.sub(r" +[\d.]+ ms", "", draw(receiver.spans)))


if __name__ == "__main__":
    asyncio.run(main())
