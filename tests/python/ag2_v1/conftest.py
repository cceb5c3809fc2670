"""What the tests of the hooks of AG2 1.x share: a recorder, and agents of a scripted model."""

from __future__ import annotations

import gc
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import callboard
import pytest
import recorder as recording
from ag2 import Agent, tool
from ag2.config import OpenAIConfig
from fixtures import check, costs, manager, recorder, serve, served, sums, traced, untraced
from model_server import Answer, ModelServer, ToolCall

__all__ = ["asked", "config", "double", "named", "overheard", "served", "speaker", "untraced"]
__all__ += ["check", "costs", "manager", "recorder", "serve", "sums", "traced"]  # fixtures

OURS = str(Path(callboard.__file__).parent)

recording.SPAN_TEXTS.update(
    chat=lambda a: (
        f"{a['callboard.channel.type']} {a['ag2.agent.sender']} -> {a['ag2.agent.recipient']}: "
        f"{a.get('callboard.channel.close_reason', '-')}"
    ),
    group_chat=lambda a: (
        f"{a['callboard.channel.type']} of {', '.join(a['ag2.agents'])}: {a.get('ag2.groupchat.termination', '-')}"
    ),
    nested_chat=lambda a: (
        f"{a['ag2.chat_function']} {a['ag2.agent.sender']} -> {named(a['ag2.agent.recipient'])}: "
        f"{recording.text_of(a.get('ag2.chat_result.summary', '-'))}" + recording.hidden(a)
    ),
    reply=lambda a: (
        f"{named(a['ag2.agent.recipient'])} to {a.get('ag2.agent.sender', '-')}: "
        f"{recording.text_of(a.get('ag2.reply', '-'))}" + recording.hidden(a)
    ),
    llm_call=lambda a: f"{a['gen_ai.request.model']} of {named(a['gen_ai.agent.name'])}",
)
recording.EVENT_TEXTS.update(
    agent_creation=lambda a: named(a["ag2.agent.name"]) + recording.hidden(a),
    agent_transition=lambda a: (
        f"{a['ag2.agent.last_speaker']} -> {a['ag2.agent.next_speaker']}: {a['ag2.transition_reason']}"
    ),
    tool_execution=lambda a: f"{a['ag2.function.name']}: {str(a['ag2.function.content']).splitlines()[0]}",
)


def pytest_configure(config: pytest.Config) -> None:
    """AG2 makes a client for each turn and leaves it to the garbage collector, with its connections."""
    config.addinivalue_line("filterwarnings", "ignore:unclosed:ResourceWarning")


def pytest_sessionfinish() -> None:
    """Those of the last tests are collected before Python tells of them as it ends."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


def named(name: str) -> str:
    """A name without what AG2 draws by chance."""
    return re.sub(r"^subtask-[0-9a-f]{8}$", "subtask", name)


def config(server: ModelServer, **options: Any) -> OpenAIConfig:
    """A configuration for a scripted server, without waiting to try again."""
    options.setdefault("max_retries", 0)
    return OpenAIConfig("gpt-4o-mini", api_key="secret-key", base_url=server.base_url, **options)


def speaker(name: str, server: ModelServer | None, **options: Any) -> Agent:
    """An agent that answers with the server's script."""
    return Agent(name, f"You are {name}.", config=None if server is None else config(server), **options)


def asked(name: str = "double", **arguments: Any) -> Answer:
    """The model asks for a tool: for twice 21, where nothing else is said."""
    return Answer(tool_calls=[ToolCall(name, arguments or {"x": 21})])


@tool
def double(x: int) -> int:
    """Doubles a number."""
    return x * 2


def overheard(cls: type[Any], field: str, read: Callable[[], None]) -> type[Any]:
    """A class of AG2's; `read` is called whenever callboard reads this field of one."""

    class Overheard(cls):
        def __getattribute__(self, name: str) -> Any:
            if name == field and sys._getframe(1).f_code.co_filename.startswith(OURS):
                read()
            return super().__getattribute__(name)

    return Overheard
