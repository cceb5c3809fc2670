"""What AG2 is doing at this moment: the hooked call that is innermost, beside the span that stands for it.

A hook that needs to know more of its surroundings than the current span tells (which round of which chat,
answering whom) finds it here. The scope follows the program as the current span does, in a context variable;
`Carried` takes both to where AG2 leaves context variables behind.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from typing import Any, TypeVar

from callboard import SpanContext, current_span

from .faults import guard

S = TypeVar("S", bound="Scope")


class Scope:
    """A hooked call in progress: its span, the agent that acts in it, the scope around it."""

    __slots__ = ("agent", "outer", "span")

    internal_names: frozenset[str] = frozenset()
    """What AG2 calls the agents that it makes for its own use meanwhile."""

    def __init__(self, span: SpanContext | None, agent: Any) -> None:
        self.span = span
        self.agent = agent
        self.outer = current.get()

    def opened(self, span: SpanContext) -> SpanContext:
        """Return where something is recorded while `span` is current; some scopes put off opening that."""
        return span


current: ContextVar[Scope | None] = ContextVar("callboard.ag2.scope", default=None)


def here() -> SpanContext | None:
    """Return the span under which something is recorded now; None where no run is current."""
    span = current_span()
    scope = current.get()
    return span if span is None or scope is None else scope.opened(span)


def innermost(kind: type[S]) -> S | None:
    """Return the innermost scope, if it is of this kind and nothing has opened a span within it since."""
    scope = current.get()
    return scope if isinstance(scope, kind) and scope.span is current_span() else None


def enclosing(kind: type[S]) -> S | None:
    """Return the nearest scope of this kind that what happens now is part of, however deep it is within."""
    scope = current.get()
    while scope is not None and not isinstance(scope, kind):
        scope = scope.outer
    return scope


class Carried:
    """The current span and scope, kept to be made current again in another thread, once or several times.

    It carries these two and no other context variable: AG2's own (its output stream) must stay as AG2 leaves
    them.
    """

    __slots__ = ("scope", "span")

    def __init__(self, span: SpanContext) -> None:
        self.span = span
        self.scope = current.get()

    @classmethod
    def from_here(cls) -> Carried | None:
        """Keep what is current here; None where no run is."""
        if current_span() is None:
            return None
        with guard("what a thread goes on with"):
            span = here()
            return None if span is None else cls(span)
        return None

    def resumed(self) -> AbstractContextManager[None]:
        """Make them current in this context until what this returns is left."""
        return _Resumed(self)


class _Resumed(AbstractContextManager[None]):
    __slots__ = ("active", "carried", "token")

    def __init__(self, carried: Carried) -> None:
        self.carried = carried
        self.active: AbstractContextManager[Any] | None = None
        self.token: Token[Scope | None] | None = None

    def __enter__(self) -> None:
        with guard("a span carried to another thread"):
            active = self.carried.span.activate()
            active.__enter__()
            self.active = active
            self.token = current.set(self.carried.scope)

    def __exit__(self, *_: object) -> None:
        with guard("a span carried to another thread"):
            if self.token is not None:
                current.reset(self.token)
            if self.active is not None:
                self.active.__exit__(None, None, None)
