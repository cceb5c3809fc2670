"""Calls of a model: `llm_call`, with LLM_CREATE and the COST of each answer.

`OpenAIWrapper.create` is one call of ours, though it may try several configurations: it goes on to the next
when one fails, or when a filter of the program's rejects the answer. What failed on the way has an LLM_CREATE too.
streams.py tells when a streamed answer began.

AG2 tells what an answer used by `OpenAIWrapper._update_usage`, once an answer, also for one that a filter then
rejects.
"""

from __future__ import annotations

from typing import TypeAlias

from callboard._load import native

from .hooks import HOOKS
from .patching import Patches

WRAPPER = "autogen.oai.client:OpenAIWrapper"
CLIENT = "autogen.oai.client:OpenAIClient"

ModelCall: TypeAlias = native.ModelCall
"""A model being called: a scope. `streamed` is what of its answers was streamed to the console."""


def install(patches: Patches) -> None:
    """Watch model calls, and AG2's bookkeeping of what they use."""
    patches.watch(f"{WRAPPER}.create", HOOKS.llm_call())
    patches.watch(f"{WRAPPER}._construct_create_params", HOOKS.fallback())
    patches.watch(f"{CLIENT}.create", HOOKS.attempt())
    patches.watch(f"{WRAPPER}._update_usage", HOOKS.usage())
