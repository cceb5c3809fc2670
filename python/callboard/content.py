"""What of messages is recorded: all of it, the beginnings, nothing; and what is taken out of every text."""

from __future__ import annotations

import os

from ._load import native

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable
    from typing import Any, TypeAlias

    from .redaction import Pattern

    Redact: TypeAlias = (
        Callable[[str], str] | Pattern | re.Pattern[str] | str | Iterable[Pattern | re.Pattern[str] | str]
    )

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""OpenTelemetry's own variable; what the program says goes before it."""

CONTENT_KEYS = {
    "ag2.agent.description",
    "ag2.agent.system_message",
    "ag2.chat.initial_message",
    "ag2.chat_result.chat_history",
    "ag2.chat_result.summary",
    "ag2.code_execution.code",
    "ag2.code_execution.output",
    "ag2.function.arguments",
    "ag2.function.content",
    "ag2.human_input.prompt",
    "ag2.human_input.response",
    "ag2.llm.params",
    "ag2.llm.response",
    "ag2.message",
    "ag2.messages",
    "ag2.messages.end",
    "ag2.messages.start",
    "ag2.reasoning.answer",
    "ag2.reasoning.node",
    "ag2.reasoning.options",
    "ag2.reply",
    "ag2.summary",
    "callboard.console.text",
    "callboard.handoff.reason",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
    "gen_ai.system_instructions",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.call.result",
    "gen_ai.tool.definitions",
}
"""The attributes that hold what was said: to a model, by one, to a tool, to a person."""


def policy(capture_content: object, redact: object) -> Any:
    """Make the rules of a run; None where everything is recorded as it is.

    Raises:
        ValueError: `capture_content` is no number and no such word.
        TypeError: `redact` is no callable, no pattern and no list of these.

    """
    most_chars, redactor = checked_capture(capture_content), checked_redact(redact)
    if most_chars is None and redactor is None:
        return None
    return native.ContentPolicy(most_chars, redactor, CONTENT_KEYS)


def checked_capture(capture_content: object) -> int | None:
    """Give how many characters of a text are recorded; None where all are."""
    if capture_content is None:
        capture_content = _by_the_environment()
    if capture_content == "full":
        return None
    if capture_content == "none":
        return 0
    if isinstance(capture_content, int) and not isinstance(capture_content, bool) and capture_content > 0:
        return capture_content
    raise ValueError(
        "capture_content must be 'full', 'none' or how many characters of each text are recorded, "
        f"not {capture_content!r}"
    )


def checked_redact(redact: object) -> Callable[[str], str] | None:
    """Give what redacts a text; None where nothing is to be."""
    if redact is None or callable(redact):
        return redact
    from .redaction import redactor  # here, as it needs `re`

    patterns: Iterable[Any] = redact if isinstance(redact, (list, tuple, set, frozenset)) else (redact,)
    return redactor(patterns)


def _by_the_environment() -> str:
    value = os.environ.get(VARIABLE, "").strip().lower()
    return "none" if value in ("no_content", "false") else "full"
