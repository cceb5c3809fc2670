"""What an answer used, counted the same way for every service.

The tokens are those of the answer itself, which AG2 also puts into its `UsageEvent`. An event of the kind `subtask`
sums up calls that are counted already, so these events are not read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from callboard._interrupts import pass_on

from . import keys

_CACHE_APART = ("anthropic", "bedrock")
"""Services whose input tokens leave out those of the prompt cache. The GenAI conventions include them."""
_REASONING_APART = ("google",)
"""Services whose output tokens leave out those of reasoning."""


class Tokens(NamedTuple):
    """The tokens of one answer."""

    input: int
    output: int
    cache_read: int | None
    cache_write: int | None
    reasoning: int | None

    def of_span(self) -> dict[str, int]:
        """Return them as attributes of the call's span."""
        counts = {
            keys.GEN_AI_INPUT_TOKENS: self.input,
            keys.GEN_AI_OUTPUT_TOKENS: self.output,
            keys.GEN_AI_CACHE_READ_TOKENS: self.cache_read,
            keys.GEN_AI_REASONING_TOKENS: self.reasoning,
        }
        return {key: count for key, count in counts.items() if count is not None}

    def of_cost(self) -> dict[str, int]:
        """Return them as attributes of COST."""
        counts = {
            keys.LLM_INPUT_TOKENS: self.input,
            keys.LLM_OUTPUT_TOKENS: self.output,
            keys.CACHE_READ_TOKENS: self.cache_read,
            keys.CACHE_WRITE_TOKENS: self.cache_write,
            keys.REASONING_TOKENS: self.reasoning,
        }
        return {key: count for key, count in counts.items() if count is not None}


def tokens_of(response: Any) -> Tokens | None:
    """Return what an answer used; None where the service did not report it."""
    usage, service = getattr(response, "usage", None), getattr(response, "provider", None)
    cache_read = _count(usage, "cache_read_input_tokens")
    cache_write = _count(usage, "cache_creation_input_tokens")
    reasoning = _count(usage, "thinking_tokens")
    input_tokens = _count(usage, "prompt_tokens") or 0
    output_tokens = _count(usage, "completion_tokens") or 0
    counts = (input_tokens, output_tokens, _count(usage, "total_tokens"), cache_read, cache_write, reasoning)
    if not any(counts):
        return None
    if service in _CACHE_APART:
        input_tokens += (cache_read or 0) + (cache_write or 0)
    if service in _REASONING_APART:
        output_tokens += reasoning or 0
    return Tokens(input_tokens, output_tokens, cache_read, cache_write, reasoning)


def _count(usage: Any, name: str) -> int | None:
    """Return a number of tokens; None where it is not a number, as a service's may be."""
    count = getattr(usage, name, None)
    try:
        return None if count is None else int(count)
    except (TypeError, ValueError, OverflowError) as error:
        pass_on(error)
        return None
