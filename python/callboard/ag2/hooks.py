"""The hooks of AG2's busiest functions, which are written in Rust, and what they take of the package."""

from __future__ import annotations

from callboard._load import native
from callboard.budget import ledger_of

from . import images, model, tally
from .agents import INTERNAL
from .chat import Chat

HOOKS = native.Hooks(
    chat=Chat,
    internal=INTERNAL,
    rewrite=images.by_reference,
    described=model.described,
    given=model.given,
    tally=tally.Tally,
    most_waiting=tally.MOST_WAITING,
    ledger_of=ledger_of,
)
