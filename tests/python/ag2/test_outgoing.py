"""Requests to models carry the `traceparent` of the call that they are made in, and no other request does."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import autogen
import callboard
import httpx
import pytest
import requests
from autogen import Cache
from callboard import SpanKind, current_span
from callboard.traces import outgoing
from conftest import AG2_VERSION, llm_config, speaker
from model_server import Answer, Failure, ToolCall
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace import TracerProvider
from test_chat import MODES, chat

QUESTION = [{"role": "user", "content": "Hello?"}]


def parents(server):
    """The `traceparent` of each request that the server got."""
    return [exchange.headers.get("traceparent") for exchange in server.exchanges]


def named(call, trace_id):
    return f"00-{trace_id}-{call.id}-01"


@pytest.mark.parametrize("mode", MODES)
async def test_each_request_names_its_call(recorder, traced, serve, mode):
    server = serve("One.", "Two.")
    with traced():
        trace_id = current_span().trace_id
        jack, emma = speaker("jack", None, default_auto_reply="Go on."), speaker("emma", server)
        await chat(jack, emma, mode, message="Hello?", max_turns=2)
    calls = recorder.root.all("llm_call")
    assert parents(server) == [named(call, trace_id) for call in calls]
    assert len(calls) == 2


def test_a_streamed_one_and_those_that_are_tried_again(recorder, traced, serve):
    server = serve(Failure(500), Failure(500), "Streamed.")
    config = llm_config(server)
    config["config_list"][0].update(stream=AG2_VERSION >= (0, 11), max_retries=2)
    with traced():
        trace_id = current_span().trace_id
        speaker("emma", None, llm_config=config).generate_reply(messages=QUESTION)
    assert parents(server) == [named(recorder.root.only("llm_call"), trace_id)] * 3


def test_it_shows_in_no_parameter_and_in_no_cache_key(recorder, traced, serve, tmp_path):
    def program(server):
        with Cache.disk(cache_path_root=str(tmp_path)) as cache:
            emma = speaker("emma", None, llm_config=llm_config(server, cache_seed=1))
            return emma.generate_oai_reply(QUESTION, config=emma.client), cache

    server = serve("Hi.", "Not from the cache.")
    wrapper = autogen.OpenAIWrapper(**llm_config(server))
    with Cache.disk(cache_path_root=str(tmp_path)) as cache:
        without = wrapper.create(messages=QUESTION, cache=cache)
        with traced():
            within = wrapper.create(messages=QUESTION, cache=cache)
    assert without.choices[0].message.content == within.choices[0].message.content == "Hi."
    created = recorder.root.event("llm_create")
    assert created["ag2.llm.is_cached"] is True
    assert "traceparent" not in json.dumps(created, default=str)
    assert parents(server) == [None]


def test_one_of_the_programs_own_stays(traced, serve):
    server = serve("Hi.")
    own = f"00-{'a' * 32}-{'b' * 16}-00"
    with traced():
        autogen.OpenAIWrapper(**llm_config(server)).create(messages=QUESTION, extra_headers={"traceparent": own})
    assert parents(server) == [own]


def test_what_an_instrumentation_of_the_client_sets_is_within_the_call(recorder, traced, serve, monkeypatch):
    """It sets its own further down, as OpenTelemetry's for httpx does: a span of its own, the call's child."""
    tracer = TracerProvider().get_tracer("an instrumentation")
    handle, made = httpx.HTTPTransport.handle_request, []

    def traced_handle(transport, request):
        with tracer.start_as_current_span("POST", kind=trace.SpanKind.CLIENT) as span:
            propagate.inject(request.headers)
            made.append(span)
            return handle(transport, request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", traced_handle)
    server = serve("Hi.")
    with traced():
        speaker("emma", server).generate_reply(messages=QUESTION)
    [span] = made
    assert format(span.parent.span_id, "016x") == recorder.root.only("llm_call").id
    context = span.get_span_context()
    assert parents(server) == [f"00-{context.trace_id:032x}-{context.span_id:016x}-01"]


def get(server):
    """Requests of the program's own, by each client; the server answers that there is no such place."""
    url = server.base_url + "/elsewhere"
    with httpx.Client() as client:
        sent = [client.get(url).request, requests.get(url, timeout=10).request]

    async def a_get():
        async with httpx.AsyncClient() as client, aiohttp.ClientSession() as session, session.get(url) as answer:
            return (await client.get(url)).request, answer.request_info

    return [*sent, *asyncio.run(a_get())]


def test_requests_that_ask_no_model_say_nothing(traced, serve):
    server = serve(Answer(tool_calls=[ToolCall("fetch", {})]), "Done.")
    fetched = []

    def fetch() -> str:
        fetched.extend(get(server))
        return "nothing"

    with traced():
        jack, emma = speaker("jack", None), speaker("emma", server)
        autogen.register_function(fetch, caller=emma, executor=jack, description="Fetch.")
        jack.initiate_chat(emma, message="Fetch!", max_turns=2)
        sent = get(server)
    assert len(fetched) == len(sent) == 4
    assert ["traceparent" in request.headers for request in fetched + sent] == [False] * 8


def test_every_client_that_is_watched_says_it_within_a_call(manager, traced, serve):
    server = serve()
    with traced(), manager.start_span(SpanKind.LLM_CALL) as call:
        sent = get(server)
        expected = f"00-{call.trace_id}-{call.core_span_id}-01"
    assert [request.headers.get("traceparent") for request in sent] == [expected] * 4
    assert ["traceparent" in request.headers for request in get(server)] == [False] * 4


@pytest.mark.parametrize(
    ("of_the_session", "of_the_request", "found"),
    [
        (None, [("x-a", "1"), ("x-a", "2")], ["1", "2"]),
        ({"Traceparent": "mine"}, None, "mine"),
        (None, {"Traceparent": "mine"}, "mine"),
    ],
)
async def test_headers_given_to_aiohttp(of_the_session, of_the_request, found, manager, traced, serve):
    """They stay, and one of the program's own is the one that is sent."""
    with traced(), manager.start_span(SpanKind.LLM_CALL):
        async with (
            aiohttp.ClientSession(headers=of_the_session) as session,
            session.get(serve().base_url, headers=of_the_request) as answer,
        ):
            sent = answer.request_info.headers
    assert (sent.getall("x-a") if found != "mine" else sent["traceparent"]) == found
    assert len(sent.getall("traceparent")) == 1


def test_nothing_is_sent_where_the_environment_says_so(traced, serve, monkeypatch):
    monkeypatch.setenv("OTEL_PROPAGATORS", "none")
    server, send = serve("Hi."), httpx.Client.send
    with traced():
        assert httpx.Client.send is send
        speaker("emma", server).generate_reply(messages=QUESTION)
    assert parents(server) == [None]


def test_clients_are_as_they_were_once_the_last_run_is_over(traced):
    def functions():
        return httpx.Client.send, httpx.AsyncClient.send, requests.Session.send

    before = functions()
    with traced():
        within = functions()
        callboard.instrument_ag2()
    assert functions() == within
    assert not set(before) & set(within)
    callboard.uninstrument_ag2()
    assert functions() == before


def test_a_failure_of_ours_harms_no_request(traced, serve, monkeypatch, caplog):
    monkeypatch.setattr(outgoing, "asking", lambda: 1 / 0)
    server = serve("Hi.")
    with traced():
        assert speaker("emma", server).generate_reply(messages=QUESTION) == "Hi."
    assert "could not record a request's traceparent" in caplog.text
