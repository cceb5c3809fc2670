"""Entering a context instruments AG2 by itself, whenever and in whatever thread the program imports that."""

from __future__ import annotations

import pytest
from harness import run_program

pytest.importorskip("autogen", reason="AG2 is not installed")

IS_WATCHED = """
def is_watched():
    return hasattr(sys.modules["autogen"].ConversableAgent.initiate_chat, "__wrapped__")
"""


def test_an_import_within_a_context() -> None:
    told = run_program(
        IS_WATCHED
        + """
manager, _ = recorded()
assert "autogen" not in sys.modules
with telemetry_context(manager):
    assert "autogen" not in sys.modules
    import autogen
    tell(is_watched())
    with telemetry_context(manager):
        tell(is_watched())
    tell(is_watched())
tell(is_watched())
"""
    ).lines()
    assert told == [True, True, True, False]


def test_an_import_that_another_thread_is_in_the_midst_of() -> None:
    """Neither thread waits for the other for ever, and the program's import is not crossed by ours."""
    told = run_program(
        IS_WATCHED
        + """
manager, _ = recorded()
def imports():
    with telemetry_context(manager):
        import autogen
        tell(is_watched())
def enters():
    wait_until(lambda: "autogen" in sys.modules, "the import has begun")
    with telemetry_context(manager):
        tell("entered")
    tell("left")
threads = [threading.Thread(target=target) for target in (imports, enters)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
with telemetry_context(manager):
    tell(is_watched())
tell(is_watched())
"""
    )
    assert told.lines() == ["entered", "left", True, True, False]
    assert told.errors == ""


def test_by_hand_it_stays_until_it_is_taken_back() -> None:
    told = run_program(
        IS_WATCHED
        + """
import autogen
manager, _ = recorded()
for _ in range(2):
    assert instrument_ag2()
tell(is_watched())
with telemetry_context(manager):
    pass
tell(is_watched())
with telemetry_context(manager):
    uninstrument_ag2()
    tell(is_watched())
tell(is_watched())
uninstrument_ag2()
"""
    ).lines()
    assert told == [True, True, True, False]
