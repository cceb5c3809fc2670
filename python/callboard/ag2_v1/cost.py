"""What a model's answers used: COST, once an answer. The pipeline's cost module prices it, nobody here does.

The tokens are those of the answer itself, which AG2 also puts into its `UsageEvent`. Its other kind, `subtask`,
sums up calls that have been counted already, so nothing here listens to it.
"""

from __future__ import annotations

from typing import Any

from callboard import EventKind, SpanContext

from . import keys

# Whose input tokens leave out those of the prompt cache, and whose output tokens those of reasoning. Everywhere else
# the counts include them, as they do in the GenAI conventions.
_CACHE_APART = frozenset({"anthropic", "bedrock"})
_REASONING_APART = frozenset({"google"})


class Tokens:
    """The tokens of one answer, counted the same way for every service."""

    __slots__ = ("cache_read", "cache_write", "input", "output", "reasoning")

    def __init__(self, usage: Any, provider: str | None) -> None:
        self.cache_read = _count(usage.cache_read_input_tokens)
        self.cache_write = _count(usage.cache_creation_input_tokens)
        self.reasoning = _count(usage.thinking_tokens)
        self.input = _count(usage.prompt_tokens) or 0
        self.output = _count(usage.completion_tokens) or 0
        if provider in _CACHE_APART:
            self.input += (self.cache_read or 0) + (self.cache_write or 0)
        if provider in _REASONING_APART:
            self.output += self.reasoning or 0

    @classmethod
    def of(cls, response: Any) -> Tokens | None:
        """Return what an answer used; None where the service kept that to itself."""
        usage = getattr(response, "usage", None)
        return cls(usage, getattr(response, "provider", None)) if usage else None


def record_cost(
    span: SpanContext, agent_name: Any, provider: str | None, model: str | None, tokens: Tokens | None
) -> dict[str, Any]:
    """Record the COST of an answer; return its attributes."""
    attributes: dict[str, Any] = {
        keys.COST_TYPE: "LLM",
        keys.AGENT_NAME: agent_name,
        keys.LLM_PROVIDER: provider,
        keys.LLM_MODEL: model,
    }
    if tokens is None:
        attributes[keys.COST_UNPRICED] = True
    else:
        attributes[keys.LLM_INPUT_TOKENS] = tokens.input
        attributes[keys.LLM_OUTPUT_TOKENS] = tokens.output
        details = (keys.CACHE_READ_TOKENS, keys.CACHE_WRITE_TOKENS, keys.REASONING_TOKENS)
        attributes.update(_known(details, (tokens.cache_read, tokens.cache_write, tokens.reasoning)))
    span.record_event(EventKind.COST, attributes)
    return attributes


def tokens_used(tokens: Tokens | None) -> dict[str, Any]:
    """Say what an answer used in the GenAI conventions' words."""
    if tokens is None:
        return {}
    details = (keys.GEN_AI_CACHE_READ_TOKENS, keys.GEN_AI_REASONING_TOKENS)
    return {
        keys.GEN_AI_INPUT_TOKENS: tokens.input,
        keys.GEN_AI_OUTPUT_TOKENS: tokens.output,
        **_known(details, (tokens.cache_read, tokens.reasoning)),
    }


def _known(names: tuple[str, ...], counts: tuple[int | None, ...]) -> dict[str, int]:
    return {name: count for name, count in zip(names, counts, strict=True) if count is not None}


def _count(tokens: float | None) -> int | None:
    return None if tokens is None else int(tokens)
