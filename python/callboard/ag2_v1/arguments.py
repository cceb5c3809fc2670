"""The arguments of a watched call, however the program passes them.

A hook takes whatever AG2's function might be called with. Where an argument is missing the hook records nothing and
lets AG2 raise its own error.
"""

from __future__ import annotations

from typing import Any


def argument(args: tuple[Any, ...], kwargs: dict[str, Any], index: int, name: str) -> Any:
    """Return the argument that is passed by this position or by this name; None where it is missing."""
    return args[index] if index < len(args) else kwargs.get(name)
