"""What a model call asks: the client, its options, and the tools that the model may ask for."""

from __future__ import annotations

from typing import Any, NamedTuple

from callboard._interrupts import pass_on
from callboard.ag2.model import base_url_of, is_secret, request_attributes

from . import keys

MODEL_CONFIG = "__ag2_model_config__"
"""The key under which a turn's context has the configuration of its model."""

_PROVIDERS = {
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}
"""AG2's name of a service to the GenAI conventions', where the two differ."""


class Request(NamedTuple):
    """What a client is asked, apart from the messages."""

    model: str | None
    """The model's name; None where neither the client nor the configuration has it."""
    provider: str | None
    """The service's name in the GenAI conventions."""
    parameters: dict[str, Any]
    """What is sent to the service and may be recorded."""
    attributes: dict[str, Any]
    """Of the call's span."""
    about: dict[str, Any]
    """Of LLM_CREATE: the client."""


def request_of(client: Any, context: Any, tools: Any) -> Request:
    """Read what a client is asked."""
    options = getattr(client, "_create_options", None)
    parameters = _sent(options) if isinstance(options, dict) else {}
    attributes = request_attributes(parameters)
    if not attributes.get(keys.GEN_AI_REQUEST_STREAM, True):
        del attributes[keys.GEN_AI_REQUEST_STREAM]  # The conventions have it for streams alone.
    config = (getattr(context, "dependencies", None) or {}).get(MODEL_CONFIG)
    model = parameters.get("model") or _text(client, "_model") or _text(config, "model")
    provider = provider_name(_text(config, "provider"))
    if definitions := _definitions(tools):
        parameters["tools"] = definitions
        attributes[keys.GEN_AI_TOOL_DEFINITIONS] = definitions
    attributes[keys.GEN_AI_REQUEST_MODEL] = model
    attributes[keys.GEN_AI_PROVIDER] = provider
    about = {
        keys.CLIENT_ID: str(id(client)),
        keys.CLIENT_BASE_URL: base_url_of(getattr(client, "_client", None)),
        keys.CLIENT_API_TYPE: provider,
        keys.CLIENT_MODEL: model,
    }
    return Request(model, provider, parameters, attributes, about)


def provider_name(service: Any) -> str | None:
    """Return the name that the GenAI conventions have for a service; None where it is not a text."""
    return _PROVIDERS.get(service, service) if isinstance(service, str) else None


def _sent(options: dict[str, Any]) -> dict[str, Any]:
    """Pick what is sent to the service: what is set and does not look like a secret."""
    unset = ("Omit", "NotGiven")
    return {
        name: value
        for name, value in options.items()
        if value is not None and type(value).__name__ not in unset and not is_secret(name)
    }


def _text(owner: Any, name: str) -> str | None:
    """Read an attribute that some clients and configurations lack, and others raise an error for."""
    try:
        value = getattr(owner, name, None)
    except NotImplementedError as error:
        pass_on(error)
        return None
    value = getattr(value, "value", value)
    return str(value) if isinstance(value, str) else None


def _definitions(tools: Any) -> list[dict[str, Any]]:
    """Describe the tools that a model may ask for. An iterator of them is the client's to read."""
    return [_definition(tool) for tool in tools] if isinstance(tools, (list, tuple)) else []


def _definition(tool: Any) -> dict[str, Any]:
    function = getattr(tool, "function", None)
    if function is None:
        return {"type": getattr(tool, "type", None)}
    names = ("name", "description", "parameters")
    return {"type": "function", "function": {name: getattr(function, name, None) for name in names}}
