"""The scripted model server, spoken to by the real `openai` client."""

from __future__ import annotations

import itertools
import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from model_server import Answer, Failure, ModelServer, Rule, ToolCall

HELLO = [{"role": "user", "content": "Hello, you!"}]  # 4 tokens and 3 for the message


def client(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)


def ask(server: ModelServer, messages: list[Any] = HELLO, **options: Any) -> Any:
    """An answer, or all chunks of a streamed one."""
    with client(server) as openai_client:
        answer = openai_client.chat.completions.create(model="gpt-4o-mini", messages=messages, **options)
        return list(answer) if options.get("stream") else answer


def test_answers_come_in_the_order_of_the_script():
    with ModelServer(["one", Answer("two")]) as server:
        assert [ask(server).choices[0].message.content for _ in range(2)] == ["one", "two"]


def test_usage_follows_the_documented_rule_and_adds_up():
    with ModelServer(["It's me."]) as server:
        usage = ask(server).usage
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (7, 5, 12)
        assert (server.input_tokens, server.output_tokens) == (7, 5)


def test_an_answer_may_state_its_usage():
    with ModelServer(
        [Answer("x", input_tokens=1000, output_tokens=50, cached_tokens=900, reasoning_tokens=40)]
    ) as server:
        usage = ask(server).usage
        assert (usage.prompt_tokens, usage.completion_tokens) == (1000, 50)
        assert usage.prompt_tokens_details.cached_tokens == 900
        assert usage.completion_tokens_details.reasoning_tokens == 40


def test_rules_choose_by_system_message_and_by_last_message():
    script = [
        Rule(["for the planner"], system="planner"),
        Rule(["about rain"], last="rain"),
        Rule(itertools.repeat("anything else")),
    ]
    with ModelServer(script) as server:

        def reply(system: str, last: str) -> str:
            messages = [{"role": "system", "content": system}, {"role": "user", "content": last}]
            return ask(server, messages).choices[0].message.content

        assert reply("You are the planner.", "Will there be rain?") == "for the planner"
        assert reply("You are a poet.", "Will there be rain?") == "about rain"
        assert [reply("You are a poet.", "Well?") for _ in range(3)] == ["anything else"] * 3


def test_tool_calls_carry_their_ids_and_arguments():
    calls = [ToolCall("weather", {"city": "Oslo"}), ToolCall("clock", "{broken")]
    with ModelServer([Answer(tool_calls=calls)]) as server:
        choice = ask(server).choices[0]
        assert choice.finish_reason == "tool_calls"
        assert [(call.id, call.function.name, call.function.arguments) for call in choice.message.tool_calls] == [
            ("call_1_1", "weather", '{"city": "Oslo"}'),
            ("call_1_2", "clock", "{broken"),
        ]


def test_a_stream_says_the_same_as_a_whole_answer():
    answer = Answer("Two words,\n  then more. ", tool_calls=[ToolCall("weather", {"city": "Oslo"})])
    with ModelServer([answer, answer]) as server:
        whole = ask(server)
        streamed = ask(server, stream=True, stream_options={"include_usage": True})

    deltas = [chunk.choices[0].delta for chunk in streamed if chunk.choices]
    calls = [call for delta in deltas for call in delta.tool_calls or ()]
    assert len(deltas) > 5
    assert "".join(delta.content or "" for delta in deltas) == whole.choices[0].message.content
    assert [call.function.name for call in calls if call.id] == ["weather"]
    assert json.loads("".join(call.function.arguments for call in calls)) == {"city": "Oslo"}
    assert streamed[-2].choices[0].finish_reason == "tool_calls"
    assert streamed[-1].usage == whole.usage


def test_a_stream_tells_its_usage_only_when_asked():
    with ModelServer(["Hi."]) as server:
        assert all(chunk.usage is None for chunk in ask(server, stream=True))
        assert server.output_tokens == 2


def test_failures_come_with_status_body_and_retry_after_and_cost_nothing():
    failure = Failure(429, {"error": {"message": "slow down"}}, retry_after_s=7)
    with ModelServer([failure, "at last"]) as server:
        with pytest.raises(openai.RateLimitError, match="slow down") as caught:
            ask(server)
        assert caught.value.response.headers["Retry-After"] == "7"
        assert (server.input_tokens, server.output_tokens) == (0, 0)
        assert ask(server).choices[0].message.content == "at last"
        assert [exchange.status for exchange in server.exchanges] == [429, 200]


def test_status_0_drops_the_connection():
    with ModelServer([Failure(0)]) as server, pytest.raises(openai.APIConnectionError):
        ask(server)


def test_a_script_at_its_end_says_so():
    with ModelServer(["only one"]) as server:
        ask(server)
        with pytest.raises(openai.BadRequestError, match="no answer for this request"):
            ask(server)


def test_a_script_is_of_one_sort():
    with pytest.raises(TypeError, match="not both"):
        ModelServer(["text", Rule(["text"])])


def test_an_answer_waits_for_its_delay():
    with ModelServer([Answer("late", delay_s=30)]) as server, pytest.raises(openai.APITimeoutError):
        ask(server, timeout=0.2)


def test_the_log_keeps_what_was_asked():
    with ModelServer(["yes"]) as server:
        ask(server, temperature=0.5, extra_headers={"traceparent": "00-ab-cd-01"})
        [exchange] = server.exchanges
        assert exchange.request["messages"] == HELLO
        assert exchange.request["temperature"] == 0.5
        assert exchange.headers["traceparent"] == "00-ab-cd-01"
        assert exchange.response["choices"][0]["message"]["content"] == "yes"


def test_many_at_once_are_all_counted():
    ready = threading.Barrier(8)

    def one(_: int) -> str:
        ready.wait()
        return ask(server).choices[0].message.content

    with ModelServer([f"answer {n}" for n in range(8)]) as server, ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(one, range(8))) == [f"answer {n}" for n in range(8)]
        assert server.input_tokens == 8 * 7


def test_models_are_listed():
    with ModelServer([]) as server, client(server) as openai_client:
        assert "gpt-4o-mini" in [model.id for model in openai_client.models.list()]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [("/v1/chat/completions", b"[]", 400), ("/v1/chat/completions", b"{", 400), ("/v1/nothing", b"{}", 404)],
)
def test_what_it_does_not_understand_is_refused(path: str, body: bytes, status: int):
    with ModelServer([]) as server, pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(server.base_url.removesuffix("/v1") + path, data=body)
    assert caught.value.code == status
    caught.value.close()
