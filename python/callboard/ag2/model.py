"""What a model call asks, read off AG2's wrapper and its configuration; see `HOOKS.llm_call`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, NamedTuple

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


class Described(NamedTuple):
    """What can be said of an entry of a wrapper's configuration list, once for many calls."""

    as_read: dict[str, Any]
    """The entry as it was then."""
    provider: str
    parameters: dict[str, Any]
    """What is sent to the service and may be recorded."""
    attributes: dict[str, Any]
    """Of a request's span."""
    about: dict[str, Any]
    """Of LLM_CREATE: the client."""


def described(wrapper: Any, client: Any, config: dict[str, Any]) -> Described:
    """Read an entry of a wrapper's configuration list."""
    api_type = config.get("api_type") or config.get("model_client_cls") or "openai"
    provider = _provider(str(api_type))
    return Described(
        as_read=dict(config),
        provider=provider,
        parameters=sent_parameters(wrapper, config),
        attributes={**request_attributes(config), keys.GEN_AI_PROVIDER: provider},
        about={
            keys.CLIENT_ID: str(id(client)),
            keys.WRAPPER_ID: str(id(wrapper)),
            keys.CLIENT_API_TYPE: api_type,
            keys.CLIENT_BASE_URL: base_url_of(client),
        },
    )


def given(wrapper: Any, config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Read the arguments of a call: what they send to the service, and the attributes of a request; None for none."""
    sent = sent_parameters(wrapper, config)
    return (sent, request_attributes(sent)) if sent else None


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
