"""What a model call asks and what it answers, read off the client of AG2 that makes it and the response."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from callboard.ag2.model import base_url_of, is_secret, request_attributes

from . import keys
from .history import of_response

CONFIG = "__ag2_model_config__"
"""Where a turn's context has the configuration of its model."""

# AG2's names of services to OpenTelemetry's, where the two differ.
_PROVIDERS = {
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertexai": "gcp.vertex_ai",
    "xai": "x_ai",
}


class Client:
    """What can be said of a client once for many calls."""

    __slots__ = ("attributes", "base_url", "id", "name", "parameters")

    def __init__(self, client: Any) -> None:
        options = getattr(client, "_create_options", None)
        self.id = str(id(client))
        self.parameters = _sent(options) if isinstance(options, dict) else {}
        self.name = self.parameters.get("model") or _text(client, "_model")
        self.base_url = base_url_of(getattr(client, "_client", None))
        self.attributes = request_attributes(self.parameters)
        if not self.attributes.get(keys.GEN_AI_REQUEST_STREAM, True):
            del self.attributes[keys.GEN_AI_REQUEST_STREAM]  # The conventions say it of streams alone.


_clients: WeakKeyDictionary[Any, Client] = WeakKeyDictionary()


def _client(client: Any) -> Client:
    try:
        return _clients.get(client) or _clients.setdefault(client, Client(client))
    except TypeError:  # One of the program's own that cannot be a weak key.
        return Client(client)


class Request:
    """A call of a client, as far as the client and the turn's context tell of it."""

    __slots__ = ("client", "name", "provider", "tools")

    def __init__(self, client: Any, context: Any, tools: Any) -> None:
        config = getattr(context, "dependencies", {}).get(CONFIG)
        self.client = _client(client)
        self.name = self.client.name or _text(config, "model")
        self.provider = provider_name(_text(config, "provider"))
        has_tools = isinstance(tools, (list, tuple)) and tools
        self.tools = [_definition(tool) for tool in tools] if has_tools else None

    def attributes(self) -> dict[str, Any]:
        """Describe the request in the GenAI conventions' words."""
        attributes = {**self.client.attributes, keys.GEN_AI_REQUEST_MODEL: self.name}
        attributes[keys.GEN_AI_PROVIDER] = self.provider
        if self.tools:
            attributes[keys.GEN_AI_TOOL_DEFINITIONS] = self.tools
        return attributes

    def parameters(self, messages: Any) -> dict[str, Any]:
        """Collect what is sent to the service: all but what looks like a secret."""
        parameters = {**self.client.parameters, "messages": messages}
        if self.tools:
            parameters["tools"] = self.tools
        return parameters


def provider_name(name: Any) -> str | None:
    """Give a service's name as the GenAI conventions have it."""
    return _PROVIDERS.get(name, name) if isinstance(name, str) else None


def answer_of(response: Any) -> Any:
    """Put the answer as plain data, in the shape that the classic hooks give it."""
    return {
        "id": response.response_id,
        "model": response.model,
        "choices": [{"finish_reason": response.finish_reason, "message": of_response(response)}],
    }


def output_messages(response: Any) -> list[dict[str, Any]]:
    """Put the answer as a message made of parts, as in the GenAI conventions."""
    parts: list[dict[str, Any]] = []
    if response.content is not None:
        parts.append({"type": "text", "content": response.content})
    for call in response.tool_calls.calls:
        parts.append({"type": "tool_call", "id": call.id, "name": call.name, "arguments": call.arguments})
    return [{"role": "assistant", "parts": parts, "finish_reason": response.finish_reason}]


def _sent(options: dict[str, Any]) -> dict[str, Any]:
    """Pick what is sent to the service: what is set and does not look like a secret."""
    unset = ("Omit", "NotGiven")
    return {
        name: value
        for name, value in options.items()
        if value is not None and type(value).__name__ not in unset and not is_secret(name)
    }


def _definition(tool: Any) -> dict[str, Any]:
    function = getattr(tool, "function", None)
    if function is None:
        return {"type": getattr(tool, "type", None)}
    described = {"name": function.name, "description": function.description, "parameters": function.parameters}
    return {"type": "function", "function": described}


def _text(owner: Any, name: str) -> str | None:
    """Read an attribute that some configurations do not have, and others raise an error for."""
    try:
        value = getattr(owner, name, None)
    except NotImplementedError:
        return None
    value = getattr(value, "value", value)
    return value if isinstance(value, str) else None
