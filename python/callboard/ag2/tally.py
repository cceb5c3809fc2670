"""What was spent within a chat or a selection: summed where it ends, from the COST of each call within.

A call adds its COST to the nearest tally, which is one append; the price is asked for when the tally ends, once a
call. What ends adds its sum to the tally around it, so that every sum has everything that happened within.
"""

from __future__ import annotations

from typing import Any

from callboard import SpanContext
from callboard._interrupts import pass_on
from callboard._load import native
from callboard.budget import PICODOLLARS

from . import keys
from .scope import Scope

MOST_WAITING = 256
"""How many calls wait to be summed at the most."""


class Spent:
    """A sum of calls that a service answered."""

    __slots__ = ("calls", "input_tokens", "output_tokens", "picodollars", "unpriced")

    def __init__(self) -> None:
        self.calls = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.picodollars = 0
        self.unpriced = 0
        """How many of the calls nobody has a price for."""

    @property
    def cost_usd(self) -> float | None:
        """What it cost, in US dollars; None where that is not known of each call."""
        return None if self.unpriced else self.picodollars / PICODOLLARS

    def add(self, other: Spent) -> None:
        """Add another sum."""
        for name in Spent.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def add_call(self, cost: native.Cost, price: int | None) -> None:
        """Add a call: its COST, and its price in picodollars."""
        self.calls += 1
        self.input_tokens += cost.input_tokens or 0
        self.output_tokens += cost.output_tokens or 0
        self.picodollars += price or 0
        self.unpriced += price is None

    def attributes(self, of: str) -> dict[str, Any]:
        """Tell it in attributes, `of` what; nothing where there was no call."""
        if not self.calls:
            return {}
        told: dict[str, Any] = {
            of + keys.SPENT_CALLS: self.calls,
            of + keys.SPENT_INPUT_TOKENS: self.input_tokens,
            of + keys.SPENT_OUTPUT_TOKENS: self.output_tokens,
        }
        if self.unpriced:
            told[of + keys.SPENT_UNPRICED_CALLS] = self.unpriced
        else:
            told[of + keys.SPENT_COST] = self.cost_usd
        return told


class Tally(Scope):
    """A scope that knows what is spent within it."""

    __slots__ = ("is_over", "waiting")

    def __init__(self, span: SpanContext, agent: Any) -> None:
        super().__init__(span, agent)
        self.waiting: list[native.Cost | Spent] = []
        """What calls cost, and sums of what ended within."""
        self.is_over = False

    def close(self) -> Spent:
        """Sum up. What a thread that outlives this spends counts for what is around it."""
        self.is_over = True
        spent = self._sum()
        around = nearest(self.outer)
        if spent.calls and around is not None:
            around.waiting.append(spent)
        return spent

    def shorten(self) -> None:
        """Put a sum in the place of what waits. Other threads may add meanwhile, or do the same."""
        self.waiting.append(self._sum())

    def _sum(self) -> Spent:
        manager = self.span.manager if self.span is not None else None
        spent, waiting = Spent(), self.waiting
        while waiting:
            try:
                one = waiting.pop()
            except IndexError as error:  # Another thread was faster.
                pass_on(error)
                break
            if isinstance(one, Spent):
                spent.add(one)
            else:
                spent.add_call(one, None if manager is None else one.price(manager))
        return spent


def nearest(scope: Scope | None) -> Tally | None:
    """Find the tally that counts what happens in a scope."""
    while scope is not None:
        if isinstance(scope, Tally) and not scope.is_over:
            return scope
        scope = scope.outer
    return None
