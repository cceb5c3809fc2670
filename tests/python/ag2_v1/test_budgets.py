"""Budgets: a run that has used its budget up makes no more model calls, whatever AG2 does with exceptions."""

from __future__ import annotations

import contextlib

import callboard
import pytest
from ag2 import Agent
from ag2.middleware.builtin import RetryMiddleware
from callboard import Budget, BudgetExceeded
from conftest import asked, config, speaker
from model_server import Answer
from recorder import Recorder


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


def of_two_models(server):
    """Two agents, each with a model of its own."""
    return [Agent(name, config=config(server).copy(model=model)) for name, model in MODELS.items()]


MODELS = {"ann": "gpt-4o-mini", "ben": "gpt-4o"}


@pytest.mark.parametrize("limit", [{"max_llm_calls": 2}, {"max_tokens": 25}, {"max_cost_usd": 0.000005}])
@pytest.mark.parametrize(("per", "of"), [("run", None), ("agent", "ann"), ("model", "gpt-4o-mini")])
@pytest.mark.parametrize("action", ["stop", "warn"])
async def test_of_a_run_an_agent_or_a_model(limit, per, of, action, serve):
    """Ann asks and asks; ben has a budget of his own, where there is one each."""
    manager = callboard.InstrumentationManager(budget=Budget(**limit, per=per, action=action))
    recorder = Recorder(manager)
    manager.register_provider(recorder)
    server = serve(*[Answer("Go on.", input_tokens=10, output_tokens=3)] * 9)
    with callboard.telemetry_context(manager):
        ann, ben = of_two_models(server)
        for agent in (ann, ann, ann, ann, ben):
            with contextlib.suppress(BudgetExceeded):
                await agent.ask("Go.")
    told = [event["callboard.budget.of"] for event in recorder.root.found("budget_exceeded")]
    if action == "warn":
        assert (len(server.exchanges), told) == (5, [of])
    else:
        assert (len(server.exchanges), told) == ((2, [None] * 3) if per == "run" else (3, [of] * 2))
