"""Figures, and the table that they are printed in."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import NamedTuple


class Figure(NamedTuple):
    """What was measured several times: the median, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Figure:
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def __str__(self) -> str:
        return f"{_short(self.median)} ({_short(self.low)}-{_short(self.high)})"


class Row(NamedTuple):
    """One thing that was measured, on one side or on both."""

    name: str
    ours: object
    theirs: object = ""
    result: str = ""
    target: str = ""
    reached: bool | None = None
    """None where there is no target."""


class Section(NamedTuple):
    """Rows that belong together."""

    title: str
    theirs: str
    """What stands beside callboard."""
    result: str
    """What the column of results says."""
    rows: list[Row]
    notes: list[str] = []  # noqa: RUF012 - a default that nobody changes
    ours: str = "callboard"
    """What the first column of figures says."""


def times_less(name: str, ours: Figure, theirs: Figure, target: float | None = None) -> Row:
    """How many times less ours is."""
    ratio = theirs.median / ours.median
    if target is None:
        return Row(name, ours, theirs, f"{ratio:.1f}x less")
    return Row(name, ours, theirs, f"{ratio:.1f}x less", f"{target:g}x", ratio >= target)


def render(section: Section) -> str:
    """The section as text, in columns."""
    verdicts = {True: "reached", False: "missed", None: ""}
    head = ("", section.ours, section.theirs, section.result, "target", "")
    body = [
        (row.name, str(row.ours), str(row.theirs), row.result, row.target, verdicts[row.reached])
        for row in section.rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
    lines = [section.title]
    lines += ["  " + "  ".join(map(str.ljust, cells, widths)).rstrip() for cells in (head, *body)]
    lines += [f"  {note}" for note in section.notes]
    return "\n".join(lines) + "\n"


def _short(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
