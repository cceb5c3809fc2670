"""The hooks of AG2 1.x's busiest functions, which are written in Rust, and what they take of the package."""

from __future__ import annotations

from callboard._load import native
from callboard.budget import ledger_of

from .delivery import Delivery
from .model import described
from .parts import of_parts

HOOKS = native.TurnHooks(delivery=Delivery, described=described, of_parts=of_parts, ledger_of=ledger_of)
