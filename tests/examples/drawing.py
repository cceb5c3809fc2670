"""What tests compare of a drawn trace."""

import re


def shape(drawn: str) -> str:
    """A drawing without its durations, which differ from run to run."""
    return re.sub(r" +[\d.]+ ms", "", drawn)
