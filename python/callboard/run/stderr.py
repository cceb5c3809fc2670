"""Standard error, the only place that `callboard run` writes to: never raising, never in the program's way."""

from __future__ import annotations

import os
import unicodedata
from typing import TextIO

REPLACED = {
    **{code: chr(0x2400 + code) for code in range(0x20)},  # control pictures, in the order of what they picture
    0x7F: "\N{SYMBOL FOR DELETE}",
    **dict.fromkeys([*range(0x80, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "\ufffd"),
}
"""What is shown for a character that would move the cursor, break the line or rearrange it."""


class Stderr:
    """The process's standard error as it was at the start, whatever the program makes of `sys.stderr` since.

    What is written goes to the file at once, past the stream and its lock: a program may fork while it is held.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.is_terminal = self._is_terminal()

    def _is_terminal(self) -> bool:
        try:
            return self._stream is not None and self._stream.isatty() and os.environ.get("TERM") != "dumb"
        except (OSError, ValueError):
            return False

    def write(self, text: str) -> None:
        """Write the text as it is; where that fails there is nobody to tell."""
        if self._stream is None:
            return
        data = text.encode(self._stream.encoding or "utf-8", "backslashreplace")
        try:
            descriptor = self._stream.fileno()
            while data:
                data = data[os.write(descriptor, data) :]
        except (OSError, ValueError):
            pass

    def tell(self, text: str) -> None:
        """Write lines that are to be shown as they are, whoever wrote them."""
        self.write("".join(f"{one_line(line)}\n" for line in text.removesuffix("\n").split("\n")))

    def flush(self) -> None:
        """Pass on what the program wrote and the stream holds, so that what is written next comes after it."""
        try:
            if self._stream is not None:
                self._stream.flush()
        except (OSError, ValueError, RuntimeError):
            pass

    def size(self) -> tuple[int, int]:
        """Columns and lines of the terminal."""
        try:
            columns, lines = os.get_terminal_size(self._stream.fileno() if self._stream is not None else 2)
        except (OSError, ValueError):
            columns, lines = 0, 0
        return columns or 80, lines or 24


def one_line(text: str) -> str:
    """Text of anybody's as it may stand in a line of a terminal."""
    return text.translate(REPLACED)


def width(text: str) -> int:
    """How many columns a line takes at the most."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def cut(text: str, columns: int) -> str:
    """The text's beginning, where it is too wide."""
    if width(text) <= columns:
        return text
    while text and width(text) > columns - 1:
        text = text[:-1]
    return f"{text}…"
