"""Budgets: a run that has used its budget up makes no more model calls, whatever AG2 does with exceptions."""

from __future__ import annotations

import contextlib
import logging

import callboard
import pytest
from autogen import GroupChat, GroupChatManager
from callboard import Budget, BudgetExceeded
from conftest import Recorder, llm_config, speaker
from model_server import Answer, ToolCall
from test_chat import MODES, chat


@pytest.fixture
def limited():
    """Makes a manager with a budget, and its recorder."""

    def make(*budgets):
        manager = callboard.InstrumentationManager(budget=list(budgets))
        recorder = Recorder(manager)
        manager.register_provider(recorder)
        return manager, recorder

    return make


def exceeded(recorder):
    return recorder.root.found("budget_exceeded")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("budget", "limit"),
    [
        (Budget(max_llm_calls=2), "max_llm_calls"),
        (Budget(max_tokens=25), "max_tokens"),
        (Budget(max_cost_usd=0.000005), "max_cost_usd"),
    ],
)
async def test_the_run_is_stopped(mode, budget, limit, limited, serve):
    answer = Answer("Go on.", input_tokens=10, output_tokens=3)
    servers = [serve(*[answer] * 9), serve(*[answer] * 9)]
    manager, recorder = limited(budget)
    with callboard.telemetry_context(manager), pytest.raises(BudgetExceeded, match=f"the run has used .* of {limit}="):
        ana, ben = speaker("ana", servers[0]), speaker("ben", servers[1])
        await chat(ana, ben, mode, message="Go.", max_turns=5)
    assert sum(len(server.exchanges) for server in servers) == 2
    [event] = exceeded(recorder)
    assert event["callboard.budget.limit"] == limit
    assert event["callboard.budget.used"] >= event["callboard.budget.most"]
    assert recorder.root.only("chat").error.startswith("callboard.BudgetExceeded: ")


def test_it_is_raised_again_where_it_was_swallowed(limited, serve):
    """A tool's exception is its answer, to AG2."""
    asks = Answer(tool_calls=[ToolCall("ask_ben")])
    manager, recorder = limited(Budget(max_llm_calls=1))
    with callboard.telemetry_context(manager):
        boss, ana, ben = speaker("boss", None), speaker("ana", serve(asks, "Thanks.")), speaker("ben", serve("Well."))

        def ask_ben() -> str:
            """Ask Ben."""
            return str(ana.initiate_chat(ben, message="Well?", max_turns=1).summary)

        ana.register_for_llm(name="ask_ben", description="Ask Ben.")(ask_ben)
        boss.register_for_execution(name="ask_ben")(ask_ben)
        with pytest.raises(BudgetExceeded):
            boss.initiate_chat(ana, message="Go.", max_turns=3)
    assert len(exceeded(recorder)) == 2
    told = recorder.root.event("tool_execution")["ag2.function.content"]
    assert told == "Error: the run has used 1 of max_llm_calls=1; raise the budget to go on"


ANSWER = Answer("Go on.", input_tokens=10, output_tokens=3)
LIMITS = {"max_llm_calls": 2, "max_tokens": 25, "max_cost_usd": 0.000004}
"""Each is used up by two calls, of either model."""


def two_agents(serve, per):
    """Two who talk until somebody stops them; of two models, where these have budgets. Their servers."""
    servers = serve(*[ANSWER] * 9), serve(*[ANSWER] * 9)
    configs = [llm_config(server) for server in servers]
    if per == "model":
        configs[0]["config_list"][0]["model"] = "gpt-4.1-nano"
    ana, ben = (speaker(name, None, llm_config=config) for name, config in zip(("ana", "ben"), configs, strict=True))
    ana.initiate_chat(ben, message="Go.", max_turns=5)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(("per", "of", "calls"), [("run", None, 2), ("agent", "ben", 4), ("model", "gpt-4o-mini", 4)])
def test_of_a_run_an_agent_or_a_model(limit, per, of, calls, limited, serve):
    """Ben begins; of two who have a budget each, he is the first to have used his up."""
    manager, recorder = limited(Budget(**{limit: LIMITS[limit]}, per=per))
    with callboard.telemetry_context(manager), pytest.raises(BudgetExceeded) as raised:
        two_agents(serve, per)
    assert (raised.value.of, raised.value.limit) == (of, limit)
    assert len(recorder.root.all("llm_call")) == calls
    [event] = exceeded(recorder)
    assert (event["callboard.budget.per"], event["callboard.budget.of"]) == (per, of)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize(
    ("per", "of"), [("run", [None]), ("agent", ["ben", "ana"]), ("model", ["gpt-4o-mini", "gpt-4.1-nano"])]
)
def test_each_is_warned_of_once(limit, per, of, limited, serve, caplog):
    manager, recorder = limited(Budget(**{limit: LIMITS[limit]}, per=per, action="warn"))
    with callboard.telemetry_context(manager), caplog.at_level(logging.WARNING, "callboard"):
        two_agents(serve, per)
    assert len(recorder.root.all("llm_call")) == 9
    assert [event["callboard.budget.of"] for event in exceeded(recorder)] == of
    assert len([record for record in caplog.records if record.name == "callboard"]) == len(of)


@pytest.mark.parametrize("limit", LIMITS)
def test_it_is_raised_again_and_again(limit, limited, serve):
    """By a program, too, that goes on whatever it catches."""
    manager, recorder = limited(Budget(**{limit: LIMITS[limit]}))
    server = serve(*[ANSWER] * 9)
    with callboard.telemetry_context(manager):
        ana = speaker("ana", server)
        for _ in range(6):
            with contextlib.suppress(BudgetExceeded):
                ana.generate_reply(messages=[{"role": "user", "content": "Go."}])
    assert (len(server.exchanges), len(exceeded(recorder))) == (2, 4)


def test_warned_of_only(limited, serve, caplog):
    manager, recorder = limited(Budget(max_llm_calls=1, action="warn"))
    with callboard.telemetry_context(manager), caplog.at_level(logging.WARNING, "callboard"):
        ana, ben = speaker("ana", serve("a", "b")), speaker("ben", serve("a", "b"))
        ana.initiate_chat(ben, message="Go.", max_turns=2)
    assert [record.getMessage() for record in caplog.records if record.name == "callboard"] == [
        "the run has used 1 of max_llm_calls=1; raise the budget to go on"
    ]
    assert len(exceeded(recorder)) == 1
    assert len(recorder.root.all("llm_call")) == 3


def test_seconds_count_from_the_start_of_the_run(limited, serve):
    server = serve("a")
    manager, _ = limited(Budget(max_seconds=1e-6))
    with callboard.telemetry_context(manager), pytest.raises(BudgetExceeded, match="max_seconds"):
        speaker("ana", None).initiate_chat(speaker("ben", server), message="Go.", max_turns=1)
    assert server.exchanges == []


def test_seconds_that_are_warned_of(limited, serve):
    manager, recorder = limited(Budget(max_seconds=1e-6, action="warn"))
    with callboard.telemetry_context(manager):
        two_agents(serve, "run")
    assert len(recorder.root.all("llm_call")) == 9
    assert [event["callboard.budget.limit"] for event in exceeded(recorder)] == ["max_seconds"]


def test_runs_do_not_share(limited, serve):
    manager, recorder = limited(Budget(max_llm_calls=1))
    server = serve("a", "b")
    for _ in range(2):
        with callboard.telemetry_context(manager):
            speaker("ana", None).initiate_chat(speaker("ben", server), message="Go.", max_turns=1)
    assert len(server.exchanges) == 2
    assert manager.flush(10)
    assert len(recorder.roots) == 2


def test_a_model_without_a_price_is_told(limited, serve, caplog):
    manager, _ = limited(Budget(max_cost_usd=1))
    server = serve("a", "b")
    config = llm_config(server)
    config["config_list"][0]["model"] = "nobodys-model"
    with callboard.telemetry_context(manager), caplog.at_level(logging.WARNING, "callboard"):
        speaker("ana", None).initiate_chat(speaker("ben", server, llm_config=config), message="Go.", max_turns=1)
    told = [record.getMessage() for record in caplog.records if record.name == "callboard"]
    assert told == ["nobody has a price for 'nobodys-model': a budget of cost does not see its calls"]


def test_a_group_chat_is_stopped(limited, serve):
    manager, _ = limited(Budget(max_llm_calls=2))
    servers = [serve("ben", "ben", "ben"), serve("a", "b", "c")]
    with callboard.telemetry_context(manager), pytest.raises(BudgetExceeded):
        ana, ben = speaker("ana", None), speaker("ben", servers[1])
        group = GroupChat([ana, ben], [], max_round=9)
        ana.initiate_chat(GroupChatManager(group, llm_config=llm_config(servers[0])), message="Go.")
    assert [len(server.exchanges) for server in servers] == [1, 1]


def falls_back_to(good, model):
    """An agent whose first model is out of order, so that another one answers."""
    broken = llm_config(good)["config_list"][0] | {"model": "gpt-4o-mini", "base_url": f"{good.base_url}/nowhere"}
    works = llm_config(good)["config_list"][0] | {"model": model}
    return speaker("ana", None, llm_config={"config_list": [broken, works], "cache_seed": None})


def test_a_model_that_is_fallen_back_to_is_asked_for_by_its_own_name(limited, serve):
    manager, recorder = limited(Budget(max_llm_calls=2, per="model"))
    good = serve("One.", "Two.", "Three.")
    with callboard.telemetry_context(manager), pytest.raises(BudgetExceeded, match="model 'gpt-4o' has used 2"):
        ana = falls_back_to(good, "gpt-4o")
        for _ in range(3):
            ana.generate_reply(messages=[{"role": "user", "content": "Go."}])
    calls = recorder.root.all("llm_call")
    assert [call.error and call.error.split(":")[0] for call in calls] == [None, None, "callboard.BudgetExceeded"]
    assert good.input_tokens == sum(call["gen_ai.usage.input_tokens"] for call in calls[:2])
    [event] = exceeded(recorder)
    assert (event["callboard.budget.of"], event["callboard.budget.used"]) == ("gpt-4o", 2)


def test_a_warning_of_a_model_that_is_fallen_back_to(limited, serve, caplog):
    manager, recorder = limited(Budget(max_llm_calls=1, per="model", action="warn"))
    with callboard.telemetry_context(manager):
        ana = falls_back_to(serve("One.", "Two.", "Three."), "gpt-4o")
        for _ in range(3):
            ana.generate_reply(messages=[{"role": "user", "content": "Go."}])
    assert [event["callboard.budget.of"] for event in exceeded(recorder)] == ["gpt-4o"]
    assert [told.message for told in caplog.records if "has used" in told.message] == [
        "model 'gpt-4o' has used 1 of max_llm_calls=1; raise the budget to go on"
    ]
