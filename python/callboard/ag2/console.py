"""What AG2 prints: CONSOLE_PRINT, with the kind of AG2's event and the text as it stands on the console."""

from __future__ import annotations

import re
from typing import Any

from callboard import EventKind, SpanContext

from . import keys
from .llm import ModelCall
from .patching import Patches
from .scope import current, here

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def install(patches: Patches) -> None:
    """Watch AG2's own output streams."""
    patches.note("autogen.io.console:IOConsole.send", console_print)
    patches.note("autogen.io.thread_io_stream:ThreadIOStream.send", console_print)
    patches.note("autogen.io.thread_io_stream:AsyncThreadIOStream.send", console_print)


def console_print(stream: Any, /, message: Any, *args: Any, **kwargs: Any) -> None:
    """CONSOLE_PRINT. The pieces of a streamed answer are gathered to one by their model call."""
    span = here()
    if span is None or not captures(span):
        return
    kind = getattr(message, "type", None) or type(message).__name__
    call = current.get()
    if kind == "stream" and isinstance(call, ModelCall):
        call.streamed.append(str(message.content.content))
    else:
        span.record_event(EventKind.CONSOLE_PRINT, {keys.CONSOLE_EVENT: kind, keys.CONSOLE_TEXT: printed_text(message)})


def captures(span: SpanContext) -> bool:
    """Whether the run of this span records what is printed."""
    manager = span.manager
    return manager is not None and manager.capture_console


def printed_text(message: Any) -> str | None:
    """Say what an event of AG2 prints, without colours.

    None for an event of the program's own: its `print` may do more than print.
    """
    if not type(message).__module__.startswith("autogen."):
        return None
    pieces: list[str] = []

    def collect(*objects: Any, sep: str = " ", end: str = "\n", **_: Any) -> None:
        pieces.append(sep.join(map(str, objects)) + end)

    message.print(collect)
    return _COLOURS.sub("", "".join(pieces))
