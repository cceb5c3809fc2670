"""A scripted model server: as much of OpenAI's HTTP API as agents need, on this machine, without a key.

    with ModelServer(["Knock knock.", "Who's there?"]) as server:
        llm_config = {"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}

A script is a list of answers, given in order, or a list of `Rule`s, of which the first that fits a request
gives its next answer. Nothing is drawn by chance: the same requests get the same bytes.

The server counts what it serves, so that a test can hold a bill against it. Its usage rule: a run of letters
and digits is a token, and so is every other character that is not white space. A message costs its text (and
its tool calls' names and arguments) plus 3; a tool's definition costs its JSON text. An `Answer` may state
other numbers.

As a program it answers in turn with the `--reply` texts until it is stopped:

    python examples/model_server.py --port 8000 --reply "Hello" --reply "FINISH"
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]

MODELS = ("gpt-4o", "gpt-4o-mini")
CREATED = 1735689600  # every answer bears the first second of 2025, so that two runs are the same bytes
TOKENS_PER_MESSAGE = 3
MAX_REQUEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class ToolCall:
    """A call that the model asks for; `arguments` are sent as JSON, a `str` as it is (also when broken)."""

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)

    @property
    def arguments_text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else json.dumps(self.arguments)


@dataclass(frozen=True)
class Answer:
    """What the model says. `None` token counts follow the server's rule."""

    content: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    delay_s: float = 0.0
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True)
class Failure:
    """An HTTP error instead of an answer; status 0 closes the connection without a word."""

    status: int = 500
    body: Json | str | None = None
    retry_after_s: int | None = None
    delay_s: float = 0.0


Step = Answer | Failure | str  # a str is short for Answer(content=…)


@dataclass
class Rule:
    """Answers for requests whose system message contains `system` and whose last message contains `last`."""

    answers: Iterable[Step]
    system: str = ""
    last: str = ""

    def fits(self, messages: Sequence[Json]) -> bool:
        system = " ".join(text_of(message) for message in messages if message.get("role") == "system")
        last = text_of(messages[-1]) if messages else ""
        return self.system in system and self.last in last


@dataclass(frozen=True)
class Exchange:
    """One request that was served. A failure's tokens are 0: nobody pays for it."""

    path: str
    headers: Mapping[str, str]
    request: Json
    status: int
    response: Json
    input_tokens: int = 0
    output_tokens: int = 0


class ModelServer:
    """Serves `script` on 127.0.0.1 between `start` and `stop`, or within a `with` block.

    Port 0 takes a free one. `exchanges` is the log, in the order in which the requests came in.
    """

    def __init__(self, script: Sequence[Step | Rule], port: int = 0) -> None:
        rules = [entry for entry in script if isinstance(entry, Rule)]
        steps = [entry for entry in script if not isinstance(entry, Rule)]
        if rules and steps:
            raise TypeError("a script is a list of answers or a list of rules, not both")
        self._steps = [(rule, iter(rule.answers)) for rule in rules or [Rule(steps)]]
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._listener = _Listener(port, self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), daemon=True)
        self.exchanges: list[Exchange] = []

    @property
    def base_url(self) -> str:
        """What OpenAI's clients call `base_url`."""
        return f"http://127.0.0.1:{self._listener.server_address[1]}/v1"

    @property
    def input_tokens(self) -> int:
        return sum(exchange.input_tokens for exchange in self.exchanges)

    @property
    def output_tokens(self) -> int:
        return sum(exchange.output_tokens for exchange in self.exchanges)

    def start(self) -> ModelServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._listener.shutdown()
        self._listener.server_close()
        self._thread.join()

    def __enter__(self) -> ModelServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def next_step(self, messages: Sequence[Json]) -> tuple[int, Answer | Failure]:
        """The request's number, and the script's word on it. A script at its end refuses with a status that
        clients don't try again."""
        with self._lock:
            number = next(self._numbers)
            steps = next((steps for rule, steps in self._steps if rule.fits(messages)), iter(()))
            step = next(steps, Failure(400, "the script has no answer for this request"))
        return number, Answer(step) if isinstance(step, str) else step


# ---- what an answer looks like on the wire


def completion(number: int, request: Json, answer: Answer) -> Json:
    """The `chat.completion` object for an answer."""
    message: Json = {"role": "assistant", "content": answer.content}
    if answer.tool_calls:
        message["tool_calls"] = [
            {
                "id": f"call_{number}_{position}",
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments_text},
            }
            for position, call in enumerate(answer.tool_calls, start=1)
        ]
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": CREATED,
        "model": request.get("model", MODELS[-1]),
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if answer.tool_calls else "stop",
                "logprobs": None,
            }
        ],
        "usage": usage(request, answer),
    }


def chunks(whole: Json, include_usage: bool) -> Iterator[Json]:
    """The same completion as the `chat.completion.chunk` objects of a stream: a word at a time."""
    [choice] = whole["choices"]
    head = {"id": whole["id"], "object": "chat.completion.chunk", "created": CREATED, "model": whole["model"]}

    def chunk(delta: Json, finish_reason: str | None = None) -> Json:
        return {
            **head,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}],
        }

    yield chunk({"role": "assistant", "content": ""})
    for word in re.findall(r"\s*\S+|\s+$", choice["message"]["content"] or ""):
        yield chunk({"content": word})
    for position, call in enumerate(choice["message"].get("tool_calls", ())):
        named = {**call, "index": position, "function": {"name": call["function"]["name"], "arguments": ""}}
        yield chunk({"tool_calls": [named]})
        yield chunk({"tool_calls": [{"index": position, "function": {"arguments": call["function"]["arguments"]}}]})
    yield chunk({}, choice["finish_reason"])
    if include_usage:
        yield {**head, "choices": [], "usage": whole["usage"]}


def usage(request: Json, answer: Answer) -> Json:
    """The `usage` object: what the answer states, else what the server's rule counts."""
    prompt = answer.input_tokens
    if prompt is None:
        prompt = sum(TOKENS_PER_MESSAGE + count_tokens(text_of(message)) for message in request.get("messages", ()))
        prompt += sum(count_tokens(json.dumps(tool)) for tool in request.get("tools") or ())
    output = answer.output_tokens
    if output is None:
        output = count_tokens(answer.content or "") + answer.reasoning_tokens
        output += sum(count_tokens(f"{call.name} {call.arguments_text}") for call in answer.tool_calls)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": output,
        "total_tokens": prompt + output,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
    }


def count_tokens(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]", text))


def text_of(message: Json) -> str:
    """All words of a message: its text, the texts among its parts, and the tool calls that it carries."""
    content = message.get("content") or ""
    if not isinstance(content, str):
        content = " ".join(str(part.get("text", "")) for part in content)
    calls = (call["function"] for call in message.get("tool_calls") or ())
    return " ".join([content, *(f"{call['name']} {call['arguments']}" for call in calls)]).strip()


# ---- HTTP


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int, model: ModelServer) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.model = model


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Listener

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            return self._send_json(404, _error(f"no such address: {self.path}"))
        listed = [{"id": name, "object": "model", "created": CREATED, "owned_by": "script"} for name in MODELS]
        self._send_json(200, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        request = self._read_json()
        if self.path != "/v1/chat/completions":
            return self._send_json(404, _error(f"no such address: {self.path}"))
        if request is None:
            return self._send_json(400, _error("the body is no JSON object of at most 64 MiB"))
        number, step = self.server.model.next_step(request.get("messages", ()))
        time.sleep(step.delay_s)
        if isinstance(step, Failure):
            self._fail(request, step)
        else:
            self._answer(request, completion(number, request, step))

    def _answer(self, request: Json, whole: Json) -> None:
        self._log(request, 200, whole, whole["usage"]["prompt_tokens"], whole["usage"]["completion_tokens"])
        if request.get("stream"):
            options = request.get("stream_options") or {}
            self._send_events(chunks(whole, include_usage=bool(options.get("include_usage"))))
        else:
            self._send_json(200, whole)

    def _fail(self, request: Json, failure: Failure) -> None:
        body = failure.body if isinstance(failure.body, dict) else _error(failure.body or "scripted failure")
        self._log(request, failure.status, body)
        if failure.status == 0:
            self.close_connection = True
        elif failure.retry_after_s is None:
            self._send_json(failure.status, body)
        else:
            self._send_json(failure.status, body, {"Retry-After": str(failure.retry_after_s)})

    def _log(self, request: Json, status: int, response: Json, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Before the first byte goes out, so that a client that has its answer finds it in the log."""
        self.server.model.exchanges.append(
            Exchange(self.path, dict(self.headers), request, status, response, input_tokens, output_tokens)
        )

    def _read_json(self) -> Json | None:
        length = int(self.headers.get("Content-Length", 0))
        if length > MAX_REQUEST_BYTES:
            self.close_connection = True
            return None
        try:
            body = json.loads(self.rfile.read(length))
        except ValueError:
            return None
        return body if isinstance(body, dict) else None

    def _send_json(self, status: int, body: Json, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/json",
            "Content-Length": len(data),
            **(headers or {}),
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def _send_events(self, events: Iterable[Json]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")  # the end of the stream, since its length is not told
        self.end_headers()
        for text in itertools.chain(map(json.dumps, events), ["[DONE]"]):
            self.wfile.write(f"data: {text}\n\n".encode())

    def log_message(self, format: str, *arguments: object) -> None:
        """Silent: the agents' conversation has the terminal."""


def _error(message: str) -> Json:
    return {"error": {"message": message, "type": "scripted_error", "param": None, "code": None}}


def main() -> None:
    parser = argparse.ArgumentParser(description="A scripted model server with OpenAI's HTTP API.")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--reply", action="append", help="an answer, given in turn; may be repeated")
    options = parser.parse_args()
    server = ModelServer([Rule(itertools.cycle(options.reply or ["Hello from the script."]))], options.port)
    with server:
        print(f"base_url: {server.base_url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(server.exchanges)} requests, {server.input_tokens} + {server.output_tokens} tokens")


if __name__ == "__main__":
    main()
