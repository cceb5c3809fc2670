"""Clients of the program's own: each call that is served is one model call, however the client is made."""

from __future__ import annotations

import asyncio
import functools

import aiohttp
import pytest
from ag2 import Agent
from ag2.config.client import LLMClient as BaseClient
from ag2.config.openai.openai_client import OpenAIClient
from ag2.events import ModelMessage, ModelResponse, Usage
from conftest import config, served


class Config:
    """A configuration whose client is made by the program."""

    provider = model = "own"

    def __init__(self, create):
        self.create = create

    def copy(self):
        return self


async def answer(messages, context, **options):
    return ModelResponse(ModelMessage("own"), usage=Usage(3, 2, 5), model="own", provider="own")


class LLMClient:
    """It has the name of AG2's class and derives from nothing."""

    async def __call__(self, messages, context, *, tools, response_schema, serializer):
        return await answer(messages, context)


class Static:
    @staticmethod
    async def __call__(messages, context, **options):
        return await answer(messages, context)


class Plain:
    def __call__(self, messages, context, **options):
        return answer(messages, context)


class PlainDerived(BaseClient):
    def __call__(self, messages, context, **options):
        return answer(messages, context)


class Starting:
    def __call__(self, messages, context, **options):
        return asyncio.ensure_future(answer(messages, context))


class Later(BaseClient):
    pass


async def later(self, messages, context, **options):
    return await answer(messages, context)


Later.__call__ = later


SHAPES = [LLMClient, Static, Plain, PlainDerived, Starting, Later, lambda: answer, lambda: functools.partial(answer)]


@pytest.mark.parametrize("create", SHAPES)
async def test_a_client_of_any_shape(create, recorder, traced):
    with traced():
        reply = await Agent("emma", config=Config(create)).ask("?")
        reply = await reply.ask("And?")
    assert reply.body == "own"
    assert len(recorder.root.all("llm_call")) == 2
    assert recorder.spent() == (6, 4)


async def test_a_method_that_is_assigned_in_the_run(recorder, traced):
    class Bare(BaseClient):
        pass

    with traced():
        Bare.__call__ = later
        await Agent("emma", config=Config(Bare)).ask("?")
    assert len(recorder.root.all("llm_call")) == 1


class Passing:
    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, messages, context, **options):
        return await self.inner(messages, context, **options)


class PassingPlainly(BaseClient):
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, messages, context, **options):
        return self.inner(messages, context, **options)


class PassingByKeyword(BaseClient):
    def __init__(self, inner):
        self.inner = Passing(inner)

    async def __call__(self, messages, context, **options):
        return await self.inner(context=context, messages=messages, **options)


class Both(BaseClient):
    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, messages, context, **options):
        calls = (self.inner(messages, context, **options) for _ in range(2))
        return (await asyncio.gather(*calls))[0]


class InATask(BaseClient):
    def __init__(self, inner):
        self.inner = inner

    async def __call__(self, messages, context, **options):
        return await asyncio.create_task(self.inner(messages, context, **options))


class Derived(OpenAIClient):
    def __init__(self, inner):
        self.__dict__ = inner.__dict__

    async def __call__(self, messages, context, **options):
        return await super().__call__(messages, context, **options)


WRAPPERS = {Passing: 1, PassingPlainly: 1, PassingByKeyword: 1, Both: 2, InATask: 1, Derived: 1}


@pytest.mark.parametrize("wrapper", WRAPPERS)
async def test_a_client_that_asks_others(wrapper, recorder, traced, serve):
    server = serve(*["Hi."] * 4)
    with traced():
        reply = await Agent("emma", config=Config(lambda: wrapper(config(server).create()))).ask("?")
        await reply.ask("And?")
    calls = recorder.root.all("llm_call")
    assert len(calls) == len(server.exchanges) == 2 * WRAPPERS[wrapper]
    assert all(call.parent.kind == "reply" for call in calls)
    assert all(len(call.found("cost")) == 1 for call in calls)
    assert recorder.spent() == served(server)


async def test_a_client_that_asks_an_agent(recorder, traced, serve):
    server = serve("Hi.")
    with traced():
        inner = Agent("inner", config=config(server))

        async def delegate(messages, context, **options):
            return (await inner.ask("?")).response

        await Agent("emma", config=Config(lambda: delegate)).ask("?")
    assert recorder.root.only("llm_call")["gen_ai.agent.name"] == "inner"
    assert recorder.spent() == served(server)


async def test_a_request_of_the_programs_own_client_names_its_call(recorder, traced, serve):
    server = serve("Hi.")

    class Asking:
        async def __call__(self, messages, context, **options):
            async with aiohttp.ClientSession() as session:
                await session.post(f"{server.base_url}/chat/completions", json={"model": "m", "messages": []})
            return await answer(messages, context)

    with traced():
        await Agent("emma", config=Config(Asking)).ask("?")
    call = recorder.root.only("llm_call")
    assert server.exchanges[0].headers["traceparent"].split("-")[2] == call.id
    assert call["gen_ai.input.messages"] == [{"role": "user", "content": "?"}]


async def test_a_client_that_fails(recorder, traced):
    class Failing(BaseClient):
        async def __call__(self, messages, context, **options):
            raise LookupError("no")

    with traced(), pytest.raises(LookupError):
        await Agent("emma", config=Config(Failing)).ask("?")
    call = recorder.root.only("llm_call")
    assert call.error == "LookupError: no"
    assert call.event("llm_create")["ag2.llm.is_error"] is True
