"""Patterns of what should not be told: keys and tokens, e-mail addresses, card numbers.

    InstrumentationManager(redact=redaction.READY)                              all of these
    InstrumentationManager(redact=[redaction.EMAIL_ADDRESSES, r"ACME-[0-9]+"])  some, and one of your own
    InstrumentationManager(redact=lambda text: text.replace("ACME", "[us]"))    anything else

A pattern finds what looks like a secret. It cannot find one that does not, and may take out what only looks so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["CARD_NUMBERS", "EMAIL_ADDRESSES", "KEYS_AND_TOKENS", "READY", "Pattern", "redactor"]

REMOVED = "[redacted]"
"""What stands in place of what a pattern without a name finds."""


class Pattern:
    """What is taken out, and what stands in its place.

    Args:
        regex: a regular expression, as text or compiled.
        instead: stands in its place.
        fits: asked of what was found; what it declines is left.

    """

    __slots__ = ("fits", "instead", "regex")

    def __init__(
        self, regex: str | re.Pattern[str], instead: str = REMOVED, fits: Callable[[str], bool] | None = None
    ) -> None:
        self.regex = re.compile(regex)
        self.instead = instead
        self.fits = fits

    def redact(self, text: str) -> str:
        """Take out what the pattern finds."""
        return self.regex.sub(self._in_place_of, text)

    def _in_place_of(self, found: re.Match[str]) -> str:
        return self.instead if self.fits is None or self.fits(found[0]) else found[0]

    def __repr__(self) -> str:
        return f"Pattern({self.regex.pattern!r}, {self.instead!r})"


def redactor(patterns: Iterable[Pattern | re.Pattern[str] | str]) -> Callable[[str], str]:
    """Make one function of patterns, which are applied in order.

    Raises:
        TypeError: one of them is no pattern.
        ValueError: one of them is text, but no regular expression.

    """
    made = [_pattern(pattern) for pattern in patterns]

    def redact(text: str) -> str:
        for pattern in made:
            text = pattern.redact(text)
        return text

    return redact


def _pattern(given: Any) -> Pattern:
    if isinstance(given, Pattern):
        return given
    if not isinstance(given, (str, re.Pattern)) or (isinstance(given, re.Pattern) and isinstance(given.pattern, bytes)):
        raise TypeError(
            "redact takes a function of a text, or patterns: text, compiled ones or callboard.redaction.READY, "
            f"not {type(given).__name__}"
        )
    try:
        return Pattern(given)
    except re.error as error:
        raise ValueError(f"{given!r} is no regular expression: {error}") from None


def _is_card_number(found: str) -> bool:
    """Whether the digits end in the check digit that a card's do (ISO/IEC 7812, Luhn)."""
    digits = [int(character) for character in found if character.isdigit()]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return 13 <= len(digits) <= 19 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


KEYS_AND_TOKENS = (
    Pattern(r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", "[key]"),
    Pattern(r"\b(?:sk|pk|rk)[-_](?:[A-Za-z0-9]+[-_])*[A-Za-z0-9]{16,}\b", "[key]"),
    Pattern(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20,})", "[token]"),
    Pattern(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}", "[token]"),
    Pattern(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "[key]"),
    Pattern(r"\bAIza[A-Za-z0-9_-]{35}", "[key]"),
    Pattern(r"\bhf_[A-Za-z0-9]{30,}\b", "[token]"),
    Pattern(r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "[token]"),
    Pattern(r"(?i)(?<=\bbearer )[A-Za-z0-9._~+/-]{8,}=*", "[token]"),
    Pattern(
        r"""(?ix)(?<![A-Za-z0-9])
        (?:api[-_ ]?key|access[-_ ]?token|auth[-_ ]?token|secret|password|passwd)
        ["']?\s*[:=]\s*["']?(?!\[)[^\s"',;]{6,}""",
        "[secret]",
    ),
)
"""Keys of services by their looks, bearer and JSON web tokens, private keys, and `api_key=…` of any kind."""

EMAIL_ADDRESSES = Pattern(r"\b[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}\b", "[e-mail address]")
"""E-mail addresses."""

CARD_NUMBERS = Pattern(r"(?<![0-9])[0-9](?:[ -]?[0-9]){12,18}(?![0-9])", "[card number]", _is_card_number)
"""Numbers of payment cards: 13 to 19 digits that end in the right check digit, with blanks or dashes or without."""

READY = (*KEYS_AND_TOKENS, EMAIL_ADDRESSES, CARD_NUMBERS)
"""All of these."""
