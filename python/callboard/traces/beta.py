"""`autogen.beta`, a forerunner of AG2 1.x: it is not traced, which is said once, where a run uses it."""

from __future__ import annotations

import sys
from typing import Any

from callboard.ag2.faults import logger
from callboard.ag2.patching import Patches

AGENT = "autogen.beta.agent"

_told: set[str] = set()


def install(patches: Patches) -> None:
    """Watch its agents' turns begin, once it is loaded."""
    patches.when_loaded(AGENT, _watch)


def _watch(patches: Patches) -> None:
    agent = sys.modules[AGENT].Agent
    method = "_turn_scope" if hasattr(agent, "_turn_scope") else "_execute"  # the latter before 0.14
    patches.note(f"{AGENT}:Agent.{method}", turn)


def turn(*args: Any, **kwargs: Any) -> None:
    """Say that what begins here is not recorded."""
    if AGENT not in _told:
        _told.add(AGENT)
        logger.warning(
            "callboard does not trace agents of autogen.beta: what they do in this run is not recorded. "
            "AG2 1.x (pip install ag2), which grew out of it, is traced"
        )
