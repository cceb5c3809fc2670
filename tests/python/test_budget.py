"""What a budget may be."""

from __future__ import annotations

import callboard
import pytest
from callboard import Budget, InstrumentationManager


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "a budget needs a limit"),
        ({"max_tokens": 0}, "max_tokens must be a number above 0, not 0"),
        ({"max_cost_usd": "1"}, "max_cost_usd must be a number above 0, not '1'"),
        ({"max_llm_calls": True}, "max_llm_calls must be a number above 0, not True"),
        ({"max_cost_usd": float("nan")}, "max_cost_usd must be a number above 0, not nan"),
        ({"max_tokens": 1, "per": "chat"}, "per must be one of 'run', 'agent', 'model', not 'chat'"),
        ({"max_tokens": 1, "action": "ask"}, "action must be one of 'stop', 'warn', not 'ask'"),
        ({"max_seconds": 1, "per": "agent"}, "max_seconds is for whole runs"),
    ],
)
def test_what_is_none_is_told(given, told):
    with pytest.raises(ValueError, match=told):
        Budget(**given)


def test_a_manager_takes_one_or_several():
    one, two = Budget(max_tokens=1), Budget(max_cost_usd=0.5, per="agent", action="warn")
    assert InstrumentationManager().budgets == ()
    assert InstrumentationManager(budget=one).budgets == (one,)
    assert InstrumentationManager(budget=[one, two]).budgets == (one, two)
    with pytest.raises(TypeError, match="budget takes a Budget or a list of them, not int"):
        InstrumentationManager(budget=5)


def test_it_shows_itself():
    assert repr(Budget(max_cost_usd=0.5)) == "Budget(max_cost_usd=0.5, per='run', action='stop')"


def test_a_run_beyond_those_that_are_kept_begins_anew():
    manager = InstrumentationManager(budget=Budget(max_tokens=1))

    def run():
        root = manager.start_trace()
        root.end()
        return root

    first = run()
    ledger = callboard.budget.ledger_of(first)
    assert callboard.budget.ledger_of(first) is ledger
    for _ in range(callboard.budget.MOST_RUNS):
        callboard.budget.ledger_of(run())
    assert callboard.budget.ledger_of(first) is not ledger
    assert len(callboard.budget._ledgers) == callboard.budget.MOST_RUNS
