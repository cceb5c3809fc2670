"""What the tests of the AG2 hooks share: a recorder, and agents of a scripted model.

The tests run against each supported version of AG2. They treat versions apart only where AG2 itself does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import autogen
import pytest
from autogen import ConversableAgent
from fixtures import QUIET, check, costs, manager, recorder, serve, served, sums, traced, untraced
from model_server import ModelServer
from recorder import Recorder, Span, draw

__all__ = ["AG2_VERSION", "QUIET", "Recorder", "draw", "llm_config", "served", "speaker", "untraced"]
__all__ += ["check", "costs", "manager", "recorder", "serve", "sums", "traced"]  # fixtures

AG2_VERSION = tuple(int(part) for part in autogen.__version__.split(".")[:2])


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


def began_with_its_evaluation(root: Span) -> bool:
    """Whether the one hand-off by a condition on variables began when the agent's conditions were tried."""
    [hand_off] = [
        span for span in root.all("swarm_on_condition") if span["ag2.transition_reason"] == "ON_CONTEXT_CONDITION"
    ]
    tried = [span for span in root.all("reply_function") if span["ag2.reply_function"] == "_run_oncontextconditions"]
    return hand_off.began in [span.began for span in tried]


def speaker(name: str, server: ModelServer | None, **options: Any) -> ConversableAgent:
    """An agent that answers with the server's script, or, without a server, by its default reply."""
    options.setdefault("human_input_mode", "NEVER")
    options.setdefault("system_message", f"You are {name}.")
    config = False if server is None else llm_config(server)
    return ConversableAgent(name, llm_config=options.pop("llm_config", config), **options)
