"""An attribute of agents that AG2's own readers get a view of. The value itself stays where AG2 put it."""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import CodeType
from typing import Any

_MISSING = object()


class ViewedAttribute:
    """The attribute `name` of agents: functions that run the code in `readers` get what `view` makes of its value.

    Everybody else gets the value, which is in the agent's `__dict__`.
    """

    def __init__(self, name: str, readers: Collection[CodeType]) -> None:
        self.name = name
        self.readers = readers

    def view(self, agent: Any, value: Any) -> Any:
        """Return what a reader gets."""
        raise NotImplementedError

    def __get__(self, agent: Any, owner: type[Any] | None = None) -> Any:
        # No exception is caught here: a signal handler may raise one of the same class meanwhile.
        value = _MISSING if agent is None else vars(agent).get(self.name, _MISSING)
        if value is _MISSING:
            name = f"type object {owner.__name__!r}" if agent is None and owner else f"{type(agent).__name__!r} object"
            raise AttributeError(f"{name} has no attribute {self.name!r}")
        return self.view(agent, value) if sys._getframe(1).f_code in self.readers else value

    def __set__(self, agent: Any, value: Any) -> None:
        vars(agent)[self.name] = value

    def __delete__(self, agent: Any) -> None:
        if vars(agent).pop(self.name, _MISSING) is _MISSING:
            raise AttributeError(self.name)
