"""W3C's `traceparent` goes out: a request to a model, or to a remote agent, says which span it is made in.

The request is told as it is sent, by the HTTP client that sends it, so that nothing of it shows where AG2 looks: not in
parameters, not in the key of a cache. Only requests that are made within a model's call, or by AG2's remote agents, say
so. One that has a `traceparent` already keeps it; an instrumentation that sets its own further down overrules ours.
`OTEL_PROPAGATORS` without `tracecontext` in it (`none`, for example) switches it off.
"""

from __future__ import annotations

import os
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from callboard import SpanContext, SpanKind, current_span
from callboard.ag2.faults import contain
from callboard.ag2.patching import Patches
from callboard.ag2.scope import current, here

HEADER = "traceparent"
PROPAGATORS = "OTEL_PROPAGATORS"

_CLIENTS = {
    "httpx": ("Client.send", "AsyncClient.send"),
    "httpx2": ("Client.send", "AsyncClient.send"),
    "requests.sessions": ("Session.send",),
    "botocore.httpsession": ("URLLib3Session.send",),
}
"""The HTTP clients by which AG2 and the libraries of models' services ask, and where each sends a request."""


def install(patches: Patches) -> None:
    """Watch the HTTP clients by which services are asked, each once it is loaded."""
    if is_wanted():
        for module, methods in _CLIENTS.items():
            patches.when_loaded(module, partial(_watch, [f"{module}:{method}" for method in methods]))
        patches.when_loaded("aiohttp.client", _watch_aiohttp)


def _watch(targets: list[str], patches: Patches) -> None:
    def make(function: Any) -> Any:
        if iscoroutinefunction(function):

            async def a_send(client: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
                if patches.live:
                    tell(request)
                return await function(client, request, *args, **kwargs)

            return a_send

        def send(client: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            if patches.live:
                tell(request)
            return function(client, request, *args, **kwargs)

        return send

    for target in targets:
        patches.wrap(target, make)


def _watch_aiohttp(patches: Patches) -> None:
    """Its session makes a request of what it is given, and sends it, in one go; so its headers are given."""

    def make(function: Any) -> Any:
        async def _request(session: Any, *args: Any, **kwargs: Any) -> Any:
            if patches.live:
                kwargs = _told(session, kwargs)
            return await function(session, *args, **kwargs)

        return _request

    patches.wrap("aiohttp.client:ClientSession._request", make)


def _told(session: Any, given: dict[str, Any]) -> dict[str, Any]:
    """Return what a request is given, with the header added, if it asks a model or a remote agent."""
    try:
        parent = traceparent()
        if parent is not None and HEADER not in session.headers:
            from multidict import CIMultiDict  # aiohttp's own: it is loaded

            headers = CIMultiDict(given.get("headers") or ())
            headers.setdefault(HEADER, parent)
            return {**given, "headers": headers}
    except Exception as error:
        contain("a request's traceparent", error)
    return given


def is_wanted() -> bool:
    """Whether the environment leaves it on."""
    chosen = os.environ.get(PROPAGATORS, "").strip()
    return not chosen or "tracecontext" in (name.strip() for name in chosen.split(","))


def tell(request: Any) -> None:
    """Say in a request's headers which span it is made in, if it asks a model or a remote agent."""
    try:
        parent = traceparent()
        if parent is not None and HEADER not in request.headers:
            request.headers[HEADER] = parent
    except Exception as error:
        contain("a request's traceparent", error)


def traceparent() -> str | None:
    """Name the span in which a model, or a remote agent, is being asked now."""
    span = asking()
    return None if span is None else f"00-{span.trace_id}-{span.core_span_id}-01"


def asking() -> SpanContext | None:
    """Return the span in which a model, or a remote agent, is being asked now."""
    span = current_span()
    if span is None or span.kind == SpanKind.LLM_CALL:
        return span
    scope = current.get()
    begin = getattr(scope, "span_of_request", None)  # A client of AG2 1.x, whose span may begin with its request.
    if begin is not None:
        asked: SpanContext | None = begin()
        return asked
    if scope is not None and any(cls.__name__ == "A2aRemoteAgent" for cls in type(scope.agent).__mro__):
        return here()
    return None
