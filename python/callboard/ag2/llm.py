"""Calls of a model: `llm_call`, with LLM_CREATE and the COST of each answer.

`OpenAIWrapper.create` is one call of ours, though it may try several configurations: it goes on to the next
when one fails, or when a filter of the program's rejects the answer. What failed on the way has an LLM_CREATE too.
streams.py records when a streamed answer began.

AG2 counts what an answer used by `OpenAIWrapper._update_usage`, once an answer, also for one that a filter then
rejects.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from callboard._load import native
from callboard.budget import ledger_of

from .faults import guard
from .hooks import HOOKS
from .patching import Patches
from .scope import current

WRAPPER = "autogen.oai.client:OpenAIWrapper"
CLIENT = "autogen.oai.client:OpenAIClient"

ModelCall: TypeAlias = native.ModelCall
"""A model being called: a scope. `streamed` is what of its answers was streamed to the console."""


def install(patches: Patches) -> None:
    """Watch model calls, and AG2's bookkeeping of what they use."""
    patches.watch(f"{WRAPPER}.create", HOOKS.llm_call())
    patches.note(f"{WRAPPER}._construct_create_params", fallback)
    patches.wrap(f"{CLIENT}.create", attempt)
    patches.note(f"{WRAPPER}._update_usage", usage)


def fallback(wrapper: Any, /, create_config: Any, *args: Any, **kwargs: Any) -> None:
    """A configuration is about to be tried. The budget was asked for the first; it is asked for each one after it."""
    call = current.get()
    if isinstance(call, ModelCall) and (agent_name := call.try_next()) is not None:
        ledger = ledger_of(call.span)
        if ledger is not None:
            ledger.ask(call.span, agent_name, create_config.get("model") or None)


def attempt(function: Any) -> Any:
    """Make the function that notes when a configuration's service is asked, and that it failed."""

    def create(client: Any, /, *args: Any, **kwargs: Any) -> Any:
        call = current.get()
        if not isinstance(call, ModelCall):
            return function(client, *args, **kwargs)
        call.ask()
        try:
            return function(client, *args, **kwargs)
        except BaseException as error:
            with guard("a service that failed"):
                call.fail(client, error)
            raise

    return create


def usage(wrapper: Any, /, actual_usage: Any = None, total_usage: Any = None, *args: Any, **kwargs: Any) -> None:
    """AG2 counts what an answer used."""
    call = current.get()
    if isinstance(call, ModelCall):
        call.count(actual_usage, total_usage)
