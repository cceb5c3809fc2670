"""What a model call asks and what it answers, read off AG2's wrapper, its configuration and the response."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from . import keys

# AG2's `api_type` to the provider's name in OpenTelemetry's GenAI conventions, where the two differ.
# `api_type` may carry a version (`anthropic_v2`); without one at all AG2 speaks to OpenAI.
_PROVIDERS = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "responses": "openai",
}

_REQUEST_ATTRIBUTES = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "stop": "gen_ai.request.stop_sequences",
    "n": "gen_ai.request.choice.count",
    "stream": keys.GEN_AI_REQUEST_STREAM,
}

_USER_INFO = re.compile(r"//[^/@]*@")

_SECRET_WORDS = (
    "secret",
    "password",
    "credential",
    "authorization",
    "bearer",
    "header",
    "access_key",
    "api_key",
    "apikey",
)


class Model:
    """One entry of a wrapper's configuration list, and what can be said of it once for many calls."""

    def __init__(self, wrapper: Any, client: Any, config: dict[str, Any]) -> None:
        self.client = client
        self.config = config
        self.config_as_read = dict(config)
        self.api_type = config.get("api_type") or config.get("model_client_cls") or "openai"
        self.provider = _provider(str(self.api_type))
        self.name = config.get("model")
        self.parameters = sent_parameters(wrapper, config)
        self.attributes = request_attributes(config)
        self.attributes[keys.GEN_AI_PROVIDER] = self.provider
        self.about = {
            keys.CLIENT_ID: str(id(client)),
            keys.WRAPPER_ID: str(id(wrapper)),
            keys.CLIENT_API_TYPE: self.api_type,
            keys.CLIENT_BASE_URL: base_url_of(client),
        }


_models: WeakKeyDictionary[Any, dict[int, Model]] = WeakKeyDictionary()


def model_at(wrapper: Any, index: int) -> Model:
    """Look up the model of a configuration; read it anew where AG2 or the program exchanged something."""
    client, config = wrapper._clients[index], wrapper._config_list[index]
    models = _models.get(wrapper)
    if models is None:
        models = _models[wrapper] = {}
    model = models.get(index)
    if model is None or model.client is not client or model.config is not config or model.config_as_read != config:
        model = models[index] = Model(wrapper, client, config)
    return model


# The arguments with which AG2's agents call a model. They are AG2's own, and the messages.
_OF_AGENTS = {"agent", "cache", "context", "messages"}


class Request:
    """A call of `OpenAIWrapper.create`.

    Where both set something, AG2 prefers a configuration over the call's arguments.
    """

    __slots__ = ("config", "given", "model", "wrapper")

    def __init__(self, wrapper: Any, config: dict[str, Any]) -> None:
        self.wrapper = wrapper
        self.config = config
        self.given = {} if config.keys() <= _OF_AGENTS else sent_parameters(wrapper, config)
        """What the call itself sends to the service, besides messages."""
        round_robin = getattr(wrapper, "routing_method", None) == "round_robin"
        self.model = model_at(wrapper, wrapper._round_robin_index if round_robin else 0)
        """The one that is tried first."""

    def model_of(self, client: Any) -> Model:
        """Find the model that a client of the wrapper serves; the first one where it is none of them."""
        at = (index for index, known in enumerate(self.wrapper._clients) if known is client)
        index = next(at, None)
        return self.model if index is None else model_at(self.wrapper, index)

    def answered_by(self, response: Any) -> Model:
        """Find the model whose answer AG2 returned."""
        if len(self.wrapper._clients) == 1:
            return self.model
        index = getattr(response, "config_id", None)
        if index is None:
            known = getattr(self.wrapper, "_response_metadata", {}).get(getattr(response, "id", None), {})
            index = known.get("config_id")
        return model_at(self.wrapper, index) if isinstance(index, int) else self.model

    def name_of(self, model: Model) -> Any:
        """Return a model's name, which the call says where the configuration does not."""
        return model.name or self.config.get("model")

    def has_price(self, model: Model) -> bool:
        """Whether the program configured a price for the model."""
        return self.price_of(model) is not None

    def price_of(self, model: Model) -> Any:
        """Return the price that the program configured for the model, if any."""
        return model.config.get("price", self.config.get("price"))

    def attributes(self) -> dict[str, Any]:
        """Describe the request in the GenAI conventions' words."""
        given = request_attributes(self.given) if self.given else {}
        attributes = {**given, **self.model.attributes, keys.GEN_AI_REQUEST_MODEL: self.name_of(self.model)}
        if not attributes.get(keys.GEN_AI_REQUEST_STREAM, True):
            del attributes[keys.GEN_AI_REQUEST_STREAM]  # The conventions say it of streams alone.
        return attributes

    def parameters(self, model: Model, messages: Any) -> dict[str, Any]:
        """Collect what is sent to the service: all but AG2's own arguments and what looks like a secret."""
        return {**self.given, **model.parameters, "messages": messages}


def sent_parameters(wrapper: Any, config: dict[str, Any]) -> dict[str, Any]:
    """Pick what of a configuration, or of a call's arguments, is sent and may be recorded; no messages."""
    kept_here = {*wrapper.extra_kwargs, "messages"}
    return {name: value for name, value in config.items() if name not in kept_here and not is_secret(name)}


def request_attributes(config: dict[str, Any]) -> dict[str, Any]:
    """Pick what of a configuration, or of a call's arguments, has a name in the GenAI conventions."""
    attributes: dict[str, Any] = {}
    for name in _REQUEST_ATTRIBUTES.keys() & config.keys():
        value = config[name]
        if value is not None:
            is_one_stop = name == "stop" and isinstance(value, str)
            attributes[_REQUEST_ATTRIBUTES[name]] = [value] if is_one_stop else value
    if config.get("tools"):
        attributes[keys.GEN_AI_TOOL_DEFINITIONS] = config["tools"]
    elif config.get("functions"):
        functions = config["functions"]
        attributes[keys.GEN_AI_TOOL_DEFINITIONS] = [{"type": "function", "function": one} for one in functions]
    return attributes


def base_url_of(client: Any) -> str | None:
    """Return where a client of AG2's, or of a service's library, asks; without what may stand before the host."""
    url = getattr(getattr(client, "_oai_client", client), "base_url", None)
    return None if url is None else _USER_INFO.sub("//", str(url))


@lru_cache(maxsize=256)
def is_secret(name: str) -> bool:
    """Whether an argument of this name looks like one that must not be recorded."""
    name = name.lower().replace("-", "_")
    is_token = name.endswith("_token") or name == "token"
    return is_token or any(word in name for word in _SECRET_WORDS)


@lru_cache(maxsize=64)
def _provider(api_type: str) -> str:
    plain = api_type.lower().removesuffix("_v2")
    return _PROVIDERS.get(plain, plain)


def answer_of(response: Any) -> tuple[Any, list[dict[str, Any]]]:
    """Put the answer as plain data, and as messages made of parts, as in the GenAI conventions.

    Where it has no choices it is left as it is, and there are no messages.
    """
    choices = getattr(response, "choices", None)
    if choices is None:
        return response, []
    plain: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []
    for choice in choices:
        reason = getattr(choice, "finish_reason", None)
        message, parts = _message_of(choice)
        plain.append({"finish_reason": reason, "message": message})
        messages.append({"role": "assistant", "parts": parts, "finish_reason": reason})
    said = {"id": getattr(response, "id", None), "model": getattr(response, "model", None), "choices": plain}
    return said, messages


def _message_of(choice: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Read a choice's message: as plain data, and its parts."""
    message = getattr(choice, "message", None)
    # Asked only where it is needed: a field that is not there takes long to be missed.
    content = getattr(choice, "text", None) if message is None else getattr(message, "content", None)
    plain: dict[str, Any] = {"role": "assistant", "content": content}
    parts: list[dict[str, Any]] = [] if content is None else [{"type": "text", "content": content}]
    calls = getattr(message, "tool_calls", None)
    if calls:
        plain["tool_calls"] = []
        for call in calls:
            name, arguments = call.function.name, call.function.arguments
            function = {"name": name, "arguments": arguments}
            plain["tool_calls"].append({"id": call.id, "type": "function", "function": function})
            parts.append({"type": "tool_call", "id": call.id, "name": name, "arguments": arguments})
    call = getattr(message, "function_call", None)
    if call is not None:
        plain["function_call"] = {"name": call.name, "arguments": call.arguments}
        parts.append({"type": "tool_call", "name": call.name, "arguments": call.arguments})
    return plain, parts
