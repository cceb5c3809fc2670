"""Generators that open a run each, and what iterates them, for the tests of both pages."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from callboard import InstrumentationManager, _generators, current_span, telemetry_context


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    _generators._warned.update((_generators.SUSPENDED, _generators.ELSEWHERE))
    yield
    gc.collect()
    assert current_span() is None
    assert _generators._by_run == _generators._by_frame == {}


def record(manager: InstrumentationManager, name: str) -> None:
    """Record a span, and what it is called."""
    with manager.start_span(name):
        manager.record_event(f"in {name}")


def session(manager: InstrumentationManager, name: str, steps: int = 3) -> Iterator[str]:
    with telemetry_context(manager, name):
        for number in range(steps):
            record(manager, f"{name} {number}")
            yield f"{name} {number}"


async def async_session(manager: InstrumentationManager, name: str, steps: int = 3) -> AsyncIterator[str]:
    async with telemetry_context(manager, name):
        for number in range(steps):
            await asyncio.sleep(0)
            record(manager, f"{name} {number}")
            await asyncio.sleep(0)
            yield f"{name} {number}"


def in_copies(generator: Iterator[Any]) -> list[Any]:
    """What a generator gives whose steps run each in a copy of this context, on another thread: as Starlette has it."""
    found = []
    with ThreadPoolExecutor(1) as pool:
        while (one := pool.submit(contextvars.copy_context().run, next, generator, None).result()) is not None:
            found.append(one)
    return found


def children(name: str, steps: int = 3) -> dict[str, str | None]:
    return {"workflow": None, **{f"{name} {number}": "workflow" for number in range(steps)}}
