"""Chats in the steps of generators that open a run each: interleaved, abandoned, each step on another thread."""

from __future__ import annotations

import contextvars
import warnings
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import callboard
from conftest import speaker


class Session:
    """A run of its own, a chat for each step."""

    def __init__(self, name: str, server: Any) -> None:
        self.name = name
        self.server = server
        self.costs = callboard.CostTrackerProvider()
        self.manager = callboard.InstrumentationManager()
        self.manager.register_provider(self.costs)

    def agents(self) -> tuple[Any, Any]:
        return speaker(f"asks_{self.name}", None), speaker(f"answers_{self.name}", self.server)

    def steps(self) -> Iterator[str]:
        asks, answers = self.agents()
        with callboard.telemetry_context(self.manager, self.name):
            for number in range(2):
                yield asks.initiate_chat(answers, message=f"{number}", max_turns=1, silent=True).summary

    async def async_steps(self) -> AsyncIterator[str]:
        asks, answers = self.agents()
        async with callboard.telemetry_context(self.manager, self.name):
            for number in range(2):
                chat = await asks.a_initiate_chat(answers, message=f"{number}", max_turns=1, silent=True)
                yield chat.summary


def sessions(serve: Any) -> list[Session]:
    return [Session(name, serve(*[f"{name} {number}" for number in range(2)])) for name in ("one", "two")]


def test_sessions_in_turn(serve, caplog):
    one, two = sessions(serve)
    both = list(zip(one.steps(), two.steps(), strict=True))
    assert "callboard" not in {record.name for record in caplog.records}, "there is nothing to warn of"
    assert both == [("one 0", "two 0"), ("one 1", "two 1")]
    assert recorded_of(one, two) == [["answers_one"] * 2, ["answers_two"] * 2]


async def test_async_sessions_in_turn(serve):
    one, two = sessions(serve)
    first, second = one.async_steps(), two.async_steps()
    both = [(await anext(first), await anext(second)) for _ in range(2)]
    assert [step async for step in first] == [step async for step in second] == []
    assert both == [("one 0", "two 0"), ("one 1", "two 1")]
    assert recorded_of(one, two) == [["answers_one"] * 2, ["answers_two"] * 2]


def test_each_step_on_another_thread(serve):
    one, two = sessions(serve)
    steps = [one.steps(), two.steps()]
    said = []
    for generator in steps * 3:
        with ThreadPoolExecutor(1) as pool:
            said.append(pool.submit(contextvars.copy_context().run, next, generator, None).result())
    assert said == ["one 0", "two 0", "one 1", "two 1", None, None]
    assert recorded_of(one, two) == [["answers_one"] * 2, ["answers_two"] * 2]


def test_what_is_said_between_is_of_no_session(serve):
    one, two = sessions(serve)
    generator = one.steps()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        next(generator)
        asks, answers = two.agents()
        asks.initiate_chat(answers, message="between", max_turns=1, silent=True)
        del generator
        asks.initiate_chat(answers, message="after", max_turns=1, silent=True)
    assert recorded_of(one, two) == [["answers_one"], []]


def recorded_of(*found: Session) -> list[list[str]]:
    """Whose answers each session recorded."""
    for session in found:
        assert session.manager.flush()
    return [[entry["ag2.agent.name"] for entry in session.costs.cost_history] for session in found]
