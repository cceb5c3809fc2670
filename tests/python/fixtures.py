"""What the tests of the hooks of both AG2s share: a run that is recorded, and the model server that it asks.

Their `conftest.py` take it over by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import callboard
import pytest
from model_server import ModelServer, Rule, Step
from recorder import Recorder


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


def served(*servers: ModelServer) -> tuple[int, int]:
    """The tokens that these servers answered with, input and output."""
    return sum(server.input_tokens for server in servers), sum(server.output_tokens for server in servers)


@contextmanager
def untraced() -> Iterator[None]:
    """Stands where `traced()` does, for the same program without callboard."""
    yield
