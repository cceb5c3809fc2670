"""What the tests of the AG2 hooks share: a recorder, and agents of a scripted model.

The tests run against each supported version of AG2. They treat versions apart only where AG2 itself does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import autogen
import callboard
import pytest
from autogen import ConversableAgent
from model_server import ModelServer, Rule, Step
from recorder import Recorder, draw

__all__ = ["AG2_VERSION", "Recorder", "draw", "llm_config", "served", "speaker", "untraced"]

AG2_VERSION = tuple(int(part) for part in autogen.__version__.split(".")[:2])


@pytest.fixture
def manager() -> callboard.InstrumentationManager:
    return callboard.InstrumentationManager()


@pytest.fixture
def recorder(manager: callboard.InstrumentationManager) -> Recorder:
    recorder = Recorder(manager)
    manager.register_provider(recorder)
    return recorder


@pytest.fixture
def traced(manager: callboard.InstrumentationManager, recorder: Recorder) -> Callable[[], Any]:
    """`with traced():` is one run, which the recorder keeps."""
    return lambda: callboard.telemetry_context(manager, "Test")


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    """Starts a scripted model server that lasts as long as the test."""
    servers: list[ModelServer] = []

    def start(*script: Step | Rule) -> ModelServer:
        server = ModelServer(list(script)).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.stop()


@pytest.fixture
def console(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    """What AG2 prints in this test.

    Newer versions print by a logger that keeps the `sys.stdout` of its first use, and takes a handler of
    pytest's, which only loggers get that do not propagate, for that. So each test begins with the logger anew.
    """
    logger = logging.getLogger("ag2.event.processor")
    logger.handlers.clear()
    logger.propagate = True
    yield capsys
    logger.handlers.clear()


def llm_config(server: ModelServer, **options: Any) -> dict[str, Any]:
    """A configuration for a scripted server; without AG2's disk cache, and without waiting to try again."""
    return {
        "config_list": [
            {"model": "gpt-4o-mini", "api_key": "secret-key", "base_url": server.base_url, "max_retries": 0}
        ],
        "cache_seed": None,
        **options,
    }


def served(*servers: ModelServer) -> tuple[int, int]:
    """The tokens that these servers answered with, input and output."""
    return sum(server.input_tokens for server in servers), sum(server.output_tokens for server in servers)


def speaker(name: str, server: ModelServer | None, **options: Any) -> ConversableAgent:
    """An agent that answers with the server's script, or, without a server, by its default reply."""
    options.setdefault("human_input_mode", "NEVER")
    options.setdefault("system_message", f"You are {name}.")
    config = False if server is None else llm_config(server)
    return ConversableAgent(name, llm_config=options.pop("llm_config", config), **options)


@contextmanager
def untraced() -> Iterator[None]:
    """Stands where `traced()` does, for the same program without callboard."""
    yield
