"""What is said at the end of a run: how long it took, what it cost, what AG2 says, and what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from callboard.ag2.figures import Reported, differences
from callboard.ag2.tally import Spent

from .stderr import cut
from .tree import NAME_COLUMNS, lasting


def summary(name: str, seconds: float, ended_by: str, report: str, notes: list[str]) -> str:
    """The whole text. `ended_by` is the signal's or the exception's name, empty where the program just ended."""
    how = f", ended by {ended_by}" if ended_by else ""
    return "\n".join([f"callboard: {name} ran for {lasting(seconds)}{how}", report.rstrip("\n"), *notes])


def framework_differs(run: str) -> list[str]:
    """Say in a line where AG2 itself reports another cost for a chat of this run, the one that differs most."""
    found = differences(run)
    if found is None:
        return []
    chat, reported, spent = found.largest
    plural = "" if spent.unpriced == 1 else "s"
    told = f"${reported.cost_usd:.6f} ({_tokens(reported)} tokens) for {cut(chat, NAME_COLUMNS)}"
    cost = f"{spent.unpriced:,} unpriced call{plural}" if spent.cost_usd is None else f"${spent.cost_usd:.6f}"
    others = found.count - 1
    more = f"; {others:,} more chat{' differs' if others == 1 else 's differ'}" if others else ""
    return ["", f"AG2 itself reports {told}; callboard counted {cost} ({_tokens(spent)} tokens){more}"]


def _tokens(of: Reported | Spent) -> str:
    return f"{of.input_tokens + of.output_tokens:,}"


def losses(recorded: dict[str, Any], exported: dict[str, Any] | None) -> list[str]:
    """What the statistics of the manager, and of the exporter if there is one, tell of losses."""
    lines = [*_of_recording(recorded), *(_of_export(exported) if exported is not None else ())]
    return ["", *lines] if lines else []


def _of_recording(recorded: dict[str, Any]) -> Iterator[str]:
    if recorded["dropped"]:
        yield f"Dropped: {recorded['dropped']:,} of {recorded['recorded']:,} records"
    if recorded["bodies_dropped"]:
        yield f"Dropped: {recorded['bodies_dropped']:,} message bodies"
    for provider in recorded["providers"]:
        if provider["dropped"] or provider["failures"]:
            missed = f"{provider['dropped']:,} records, {provider['failures']:,} failures"
            yield f"Missed by {provider['name']}: {missed}"


def _of_export(exported: dict[str, Any]) -> Iterator[str]:
    lost = {what: exported[what] for what in ("refused", "dropped") if exported[what]}
    told = "".join(f", {count:,} {what}" for what, count in lost.items())
    yield f"Exported: {exported['sent']:,} span{'' if exported['sent'] == 1 else 's'}{told}"
    if exported["parts_dropped"]:
        yield f"Cut: {exported['parts_dropped']:,} parts of exported spans"
    if exported["last_error"]:
        yield f"Last error of the export: {exported['last_error']}"
