"""Budgets: a run that has used its budget up makes no more model calls, whatever AG2 does with exceptions."""

from __future__ import annotations

import callboard
import pytest
from ag2.middleware.builtin import RetryMiddleware
from callboard import Budget, BudgetExceeded
from conftest import asked, speaker
from model_server import Answer


@pytest.mark.parametrize("budget", [Budget(max_llm_calls=2), Budget(max_tokens=25), Budget(max_cost_usd=0.000005)])
async def test_the_run_is_stopped(budget, serve):
    server = serve(*[Answer("Go on.", input_tokens=10, output_tokens=3)] * 9)
    with callboard.telemetry_context(callboard.InstrumentationManager(budget=budget)):
        reply = await speaker("emma", server, middleware=[RetryMiddleware()]).ask("Go.")
        reply = await reply.ask("Go.")
        with pytest.raises(BudgetExceeded):
            await reply.ask("Go.")
    assert len(server.exchanges) == 2


async def test_it_is_raised_again_where_it_was_swallowed(serve):
    """A subtask's exception is its result, to AG2."""
    server, tasks = serve(asked("task_ann", objective="Go."), "Oh."), serve("never")
    with callboard.telemetry_context(callboard.InstrumentationManager(budget=Budget(max_llm_calls=1))):
        ann = speaker("ann", tasks)
        with pytest.raises(BudgetExceeded):
            await speaker("boss", server, tools=[ann.as_tool(description="Works.")]).ask("?")
    assert (len(server.exchanges), len(tasks.exchanges)) == (1, 0)
