"""What a model's answers used: COST, once an answer. The pipeline's cost module prices it, nobody here does.

AG2 tells it by `OpenAIWrapper._update_usage`, once an answer, also for one that a filter then rejects:

    actual usage and total usage    the service answered
    only total usage                a cache of AG2's answered, which cost nothing
    neither                         the service answered and did not say what it used
"""

from __future__ import annotations

from typing import Any

from callboard import EventKind, SpanContext
from callboard.budget import ledger_of

from . import keys
from .model import Model, Request
from .tally import count


class Usage:
    """What one answer used, as AG2 tells it."""

    __slots__ = ("is_cached", "tokens")

    def __init__(self, actual: Any, total: Any) -> None:
        self.tokens: dict[str, Any] = actual or total or {}
        """`prompt_tokens`, `completion_tokens`, `cost`, `model`; empty where nothing is known."""
        self.is_cached = actual is None and total is not None
        """Whether a cache of AG2's answered, not the service."""


def record_costs(
    span: SpanContext, usages: list[Usage], agent_name: Any, model: Model, request: Request, response: Any
) -> None:
    """Record a COST for each answer of a call. The last is `response`, None where the call failed."""
    ledger = ledger_of(span)
    if response is not None and not usages:
        usages = [Usage(None, None)]
    for number, usage in enumerate(usages, start=1):
        attributes: dict[str, Any] = {
            keys.COST_TYPE: "LLM",
            keys.AGENT_NAME: agent_name,
            keys.LLM_PROVIDER: model.provider,
            keys.LLM_MODEL: usage.tokens.get("model") or getattr(response, "model", None) or request.name_of(model),
        }
        last = response if number == len(usages) else None
        if _is_unknown(usage, last):
            attributes[keys.COST_UNPRICED] = True
        else:
            _add_what_was_used(attributes, usage, last)
            if request.has_price(model):
                attributes[keys.COST_CONFIGURED] = usage.tokens.get("cost")
                attributes.update(_of_the_input(usage, request.price_of(model)))
                attributes[keys.INVOCATION_ID] = span.core_span_id
            else:
                attributes[keys.COST_FRAMEWORK] = usage.tokens.get("cost")
        span.record_event(EventKind.COST, attributes)
        count(attributes)
        if ledger is not None:
            ledger.count(span, agent_name, request.name_of(model), attributes)


def tokens_used(usages: list[Usage], response: Any) -> dict[str, Any]:
    """Sum what the call took from the service, in the GenAI conventions' words.

    A cached answer took nothing.
    """
    live = [usage.tokens for usage in usages if not usage.is_cached]
    if not live or _is_unknown(usages[-1], response):
        return {}
    attributes = {
        keys.GEN_AI_INPUT_TOKENS: live[0].get("prompt_tokens") or 0,
        keys.GEN_AI_OUTPUT_TOKENS: live[0].get("completion_tokens") or 0,
    }
    for tokens in live[1:]:
        attributes[keys.GEN_AI_INPUT_TOKENS] += tokens.get("prompt_tokens") or 0
        attributes[keys.GEN_AI_OUTPUT_TOKENS] += tokens.get("completion_tokens") or 0
    _add_details(attributes, response, keys.GEN_AI_CACHE_READ_TOKENS, None, keys.GEN_AI_REASONING_TOKENS)
    return attributes


def _add_what_was_used(attributes: dict[str, Any], usage: Usage, response: Any) -> None:
    attributes[keys.LLM_INPUT_TOKENS] = usage.tokens.get("prompt_tokens") or 0
    attributes[keys.LLM_OUTPUT_TOKENS] = usage.tokens.get("completion_tokens") or 0
    _add_details(attributes, response, keys.CACHE_READ_TOKENS, keys.CACHE_WRITE_TOKENS, keys.REASONING_TOKENS)
    if usage.is_cached:
        attributes[keys.COST_CACHED] = True


def _of_the_input(usage: Usage, price: Any) -> dict[str, float]:
    """Tell the input's part of a cost by a configured price: US dollars for 1,000 tokens of input, and of output."""
    try:
        return {keys.COST_INPUT: (usage.tokens.get("prompt_tokens") or 0) * float(price[0]) / 1000}
    except (IndexError, KeyError, TypeError, ValueError):
        return {}  # AG2 takes what it can use, and warns of the rest.


def _add_details(
    attributes: dict[str, Any], response: Any, read_key: str, write_key: str | None, reasoning_key: str
) -> None:
    """Tell tokens read from the service's prompt cache, written to it, spent on reasoning, where it does."""
    usage = getattr(response, "usage", None)
    prompt = getattr(usage, "prompt_tokens_details", None)
    if prompt is not None:
        if (read := getattr(prompt, "cached_tokens", None)) is not None:
            attributes[read_key] = read
        if write_key and (written := getattr(prompt, "cache_write_tokens", None)) is not None:
            attributes[write_key] = written
    completion = getattr(usage, "completion_tokens_details", None)
    if completion is not None and (reasoning := getattr(completion, "reasoning_tokens", None)) is not None:
        attributes[reasoning_key] = reasoning


def _is_unknown(usage: Usage, response: Any) -> bool:
    """Whether the service kept to itself what it used. AG2's client for OpenAI then counts 0 tokens."""
    tokens = usage.tokens
    if tokens.get("prompt_tokens") or tokens.get("completion_tokens"):
        return False
    return not tokens or (response is not None and getattr(response, "usage", None) is None)
