"""Budgets: what a run may use at the most, counted as its model calls end and asked for before each begins.

    ledger = ledger_of(span)                 the run's, None where its manager has no budget
    ledger.ask(span, agent, model)           raises BudgetExceeded where a budget is used up
    ledger.count(span, agent, model, cost)   after the answer: `cost` are the attributes of its COST event

Counting is done on the caller's side, at once, and not by a provider: the next call must know. Calls that are
in flight at the same time may use more than is left; each of them was within the budget when it began.
"""

from __future__ import annotations

import os
import time
from _thread import RLock

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    from typing import Any

    from ._native import SpanContext

PICODOLLARS = 10**12
"""In a US dollar."""

MOST_RUNS = 1024
"""How many runs' ledgers are kept; beyond, those that were asked least recently go."""

_SCOPES = ("run", "agent", "model")
_ACTIONS = ("stop", "warn")
_EXCEEDED = "budget_exceeded"
"""The kind of the event."""


class BudgetExceeded(RuntimeError):
    """A model call was not made, as a budget is used up. Every later call of the run that it covers raises it again.

    Attributes:
        budget: the `Budget`.
        limit: which of its limits, `max_tokens` for example.
        used: what was used, in the limit's unit.
        of: whose it was: the agent's or the model's name; None for the run.

    """

    __module__ = "callboard"

    def __init__(self, budget: Budget, limit: str, used: float, of: str | None) -> None:
        whose = "the run" if of is None else f"{budget.per} {of!r}"
        most = getattr(budget, limit)
        super().__init__(f"{whose} has used {used:g} of {limit}={most:g}; raise the budget to go on")
        self.budget, self.limit, self.used, self.of = budget, limit, used, of


class Budget:
    """What may be used at the most. Give at least one limit.

    Args:
        max_cost_usd: US dollars. Calls that nobody has a price for count nothing; that is warned of once a run.
        max_tokens: tokens, input and output together; what a cache of the framework's answered is none.
        max_llm_calls: model calls that were answered by a service.
        max_seconds: seconds since the run began; for whole runs only.
        per: "run", "agent" or "model": what has these limits each.
        action: "stop" raises `BudgetExceeded` at the next model call and each later one, "warn" only says so, once.

    Raises:
        ValueError: a limit is no number above 0, or there is none, or `per` or `action` is no such word.

    """

    __slots__ = ("action", "max_cost_usd", "max_llm_calls", "max_seconds", "max_tokens", "per")

    def __init__(
        self,
        *,
        max_cost_usd: float | None = None,
        max_tokens: int | None = None,
        max_llm_calls: int | None = None,
        max_seconds: float | None = None,
        per: str = "run",
        action: str = "stop",
    ) -> None:
        self.max_cost_usd = max_cost_usd
        self.max_tokens = max_tokens
        self.max_llm_calls = max_llm_calls
        self.max_seconds = max_seconds
        self.per = per
        self.action = action
        self._check()

    def _check(self) -> None:
        limits = self.limits()
        if not limits:
            raise ValueError(
                "a budget needs a limit: Budget(max_cost_usd=0.5), max_tokens=, max_llm_calls= or max_seconds="
            )
        for name, limit in limits.items():
            if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not limit > 0:
                raise ValueError(f"{name} must be a number above 0, not {limit!r}")
        for name, word, words in (("per", self.per, _SCOPES), ("action", self.action, _ACTIONS)):
            if word not in words:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, words))}, not {word!r}")
        if self.max_seconds is not None and self.per != "run":
            raise ValueError("max_seconds is for whole runs: leave per= out, or make a budget of its own for it")

    def limits(self) -> dict[str, float]:
        """Those limits that are set, by name."""
        names = ("max_cost_usd", "max_tokens", "max_llm_calls", "max_seconds")
        return {name: limit for name in names if (limit := getattr(self, name)) is not None}

    def __repr__(self) -> str:
        limits = "".join(f"{name}={limit!r}, " for name, limit in self.limits().items())
        return f"Budget({limits}per={self.per!r}, action={self.action!r})"


class Ledger:
    """What one run has used so far."""

    def __init__(self, budgets: tuple[Budget, ...]) -> None:
        self._budgets = budgets
        self._began = time.monotonic()
        self._used: dict[tuple[str, str | None], dict[str, int]] = {}
        self._told: set[object] = set()

    def ask(self, span: SpanContext, agent: str | None, model: str | None) -> None:
        """Ask whether a model call may be made.

        Raises:
            BudgetExceeded: a budget that covers it is used up.

        """
        for budget in self._budgets:
            exceeded = self._exceeded(budget, agent, model)
            if exceeded is None:
                continue
            if budget.action == "stop":
                self._record(span, exceeded)
                raise exceeded
            told = (budget, exceeded.limit, exceeded.of)
            if told not in self._told:
                self._told.add(told)
                self._record(span, exceeded)
                _warn(str(exceeded))

    def count(self, span: SpanContext, agent: str | None, model: str | None, cost: dict[str, Any]) -> None:
        """Count an answer, by the attributes of its COST event."""
        if cost.get("callboard.cost.cached"):
            return
        tokens = (cost.get("ag2.llm.input_tokens") or 0) + (cost.get("ag2.llm.output_tokens") or 0)
        price = self._price(span, model, cost)
        with _lock:
            for scope in (("run", None), ("agent", agent), ("model", model)):
                used = self._used.setdefault(scope, {"cost": 0, "tokens": 0, "calls": 0})
                used["cost"] += price
                used["tokens"] += tokens
                used["calls"] += 1

    def _price(self, span: SpanContext, model: str | None, cost: dict[str, Any]) -> int:
        if span.manager is None or all(budget.max_cost_usd is None for budget in self._budgets):
            return 0
        price = span.manager._price_of(cost)
        if price is None and model not in self._told:
            self._told.add(model)
            _warn(f"nobody has a price for {model!r}: a budget of cost does not see its calls")
        return price or 0

    def _exceeded(self, budget: Budget, agent: str | None, model: str | None) -> BudgetExceeded | None:
        of = {"run": None, "agent": agent, "model": model}[budget.per]
        used = self._used.get((budget.per, of), {"cost": 0, "tokens": 0, "calls": 0})
        reached = {
            "max_cost_usd": used["cost"] / PICODOLLARS,
            "max_tokens": used["tokens"],
            "max_llm_calls": used["calls"],
            "max_seconds": time.monotonic() - self._began,
        }
        for name, limit in budget.limits().items():
            if reached[name] >= limit:
                return BudgetExceeded(budget, name, reached[name], of)
        return None

    def _record(self, span: SpanContext, exceeded: BudgetExceeded) -> None:
        span.record_event(
            _EXCEEDED,
            {
                "callboard.budget.limit": exceeded.limit,
                "callboard.budget.most": getattr(exceeded.budget, exceeded.limit),
                "callboard.budget.used": exceeded.used,
                "callboard.budget.per": exceeded.budget.per,
                "callboard.budget.of": exceeded.of,
                "callboard.budget.action": exceeded.budget.action,
            },
        )


def checked(budget: object) -> tuple[Budget, ...]:
    """Make what a manager is given as its budget a tuple of budgets.

    Raises:
        TypeError: it is none, and no list of them.

    """
    budgets = tuple(budget) if isinstance(budget, (list, tuple)) else (budget,)
    for one in budgets:
        if not isinstance(one, Budget):
            raise TypeError(
                f"budget takes a Budget or a list of them, not {type(one).__name__}: Budget(max_cost_usd=0.5)"
            )
    return budgets


def ledger_of(span: SpanContext) -> Ledger | None:
    """Return the ledger of the run that a span belongs to; None where its manager has no budget."""
    manager = span.manager
    if manager is None or not manager.budgets:
        return None
    run = span.trace_id
    with _lock:
        ledger = _ledgers.pop(run, None) or Ledger(manager.budgets)
        _ledgers[run] = ledger
        while len(_ledgers) > MOST_RUNS:
            del _ledgers[next(iter(_ledgers))]
    return ledger


_lock = RLock()
_ledgers: dict[str, Ledger] = {}


def _renew_lock() -> None:
    """In a forked child: whoever held the lock at the fork is not there."""
    global _lock
    _lock = RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _warn(message: str) -> None:
    import logging  # here, as it takes longer to import than the whole package

    logging.getLogger("callboard").warning(message)
