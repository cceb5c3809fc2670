"""What a model call asks, read off the client of AG2 that makes it; see `HOOKS.llm_call`."""

from __future__ import annotations

from typing import Any, NamedTuple

from callboard.ag2.model import base_url_of, is_secret, request_attributes

from . import keys


class Described(NamedTuple):
    """What can be said of a client once for many calls."""

    name: str | None
    """The model that it asks, where it says so."""
    parameters: dict[str, Any]
    """What is sent to the service and may be recorded."""
    attributes: dict[str, Any]
    """Of a request's span."""
    about: dict[str, Any]
    """Of LLM_CREATE: the client."""


def described(client: Any) -> Described:
    """Read a client."""
    options = getattr(client, "_create_options", None)
    parameters = _sent(options) if isinstance(options, dict) else {}
    attributes = request_attributes(parameters)
    if not attributes.get(keys.GEN_AI_REQUEST_STREAM, True):
        del attributes[keys.GEN_AI_REQUEST_STREAM]  # The conventions say it of streams alone.
    about = {keys.CLIENT_ID: str(id(client)), keys.CLIENT_BASE_URL: base_url_of(getattr(client, "_client", None))}
    return Described(parameters.get("model") or _model_of(client), parameters, attributes, about)


def _sent(options: dict[str, Any]) -> dict[str, Any]:
    """Pick what is sent to the service: what is set and does not look like a secret."""
    unset = ("Omit", "NotGiven")
    return {
        name: value
        for name, value in options.items()
        if value is not None and type(value).__name__ not in unset and not is_secret(name)
    }


def _model_of(client: Any) -> str | None:
    """Read the attribute that some clients do not have, and others raise an error for."""
    try:
        name = getattr(client, "_model", None)
    except NotImplementedError:
        return None
    name = getattr(name, "value", name)
    return name if isinstance(name, str) else None
