"""A hub's channels: CHAT where two take part, GROUP_CHAT where more do; and the way into the hub's tasks.

    program or tool -> Hub.create_channel          a channel's span begins, within what is current there
    an agent posts  -> Hub.post_envelope           envelopes.py: who said what to whom, who is next
    hub's task      -> AgentClient.receive         the channel's span is made current: the turn lies within it
    Hub.close_channel, the channel's own rules     the span ends, once nothing is handled in it any more

A hub reports all that to its listeners by `_fan_out`, in the task of whoever caused it. A channel that was created
before telemetry began has its span from the first message on. One that is closed while a message is being handled has
its span until that is done.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

from callboard import EventKind, SpanContext, SpanKind, current_span
from callboard.ag2.faults import guard
from callboard.ag2.patching import Maker, Patches, Steps
from callboard.ag2.scope import Carried, Scope, current

from . import envelopes, keys
from .arguments import argument
from .delivery import Delivery

MOST_CHANNELS = 4096
"""How many channels in progress are known; beyond, the oldest goes, and its span ends with the run."""

HUB = "ag2.network.hub.core:Hub"
CLIENT = "ag2.network.client"


def install(patches: Patches) -> None:
    """Watch hubs, once the program has imported AG2's networks."""
    patches.when_loaded("ag2.network", _install)


def _install(patches: Patches) -> None:
    channels = Channels()

    def hub_closed(function: str, /, *args: Any, **kwargs: Any) -> Steps:
        """Whatever is still open in a hub ends with it."""
        yield None
        channels.end_all(args[0])

    patches.note(f"{HUB}._fan_out", channels.fanned_out)
    patches.watch(f"{HUB}.close", hub_closed)
    patches.note(f"{CLIENT}.agent_client:AgentClient.__init__", channels.registered)
    for client in ("agent_client:AgentClient", "human_client:HumanClient"):
        patches.wrap(f"{CLIENT}.{client}.receive", _within_channel(channels, patches))


class Channel:
    """A channel in progress: its span, and what surrounds that."""

    __slots__ = ("handled", "hub", "is_closed", "is_group", "outer", "span", "spoken")

    def __init__(self, span: SpanContext, hub: Any, is_group: bool, outer: Scope | None) -> None:
        self.span = span
        self.hub = hub
        self.is_group = is_group
        self.outer = outer
        self.spoken = False
        """Whether there has been a message."""
        self.handled = 0
        """How many messages are being handled."""
        self.is_closed = False

    def begin_handling(self) -> None:
        """Note that a message is being handled."""
        self.handled += 1

    def end_handling(self) -> None:
        """Note that a message has been handled."""
        self.handled -= 1
        self._end_if_over()

    def close(self) -> None:
        """Note that no more messages come."""
        self.is_closed = True
        self._end_if_over()

    def _end_if_over(self) -> None:
        if self.is_closed and self.handled == 0:
            self.span.end()


class Handling:
    """A message of a channel being handled: `with` it, the channel's span is current, and open."""

    __slots__ = ("channel", "resumed")

    def __init__(self, channel: Channel, carried: Carried) -> None:
        self.channel = channel
        self.resumed = carried.resumed()

    def __enter__(self) -> None:
        self.channel.begin_handling()
        self.resumed.__enter__()

    def __exit__(self, *error: Any) -> None:
        self.resumed.__exit__(*error)
        with guard("the end of a channel"):
            self.channel.end_handling()


class Channels:
    """The channels in progress, and who takes part in them."""

    def __init__(self) -> None:
        self.by_id: dict[str, Channel] = {}
        self.agents: WeakValueDictionary[str, Any] = WeakValueDictionary()

    def fanned_out(self, *args: Any, **kwargs: Any) -> None:
        """Take up what a hub reports to its listeners."""
        event, about = argument(args, kwargs, 1, "method_name"), args[2:]
        if event == "on_envelope_posted":
            self._posted(args[0], *about)
        elif event == "on_channel_event":
            self._changed(args[0], *about)
        elif event == "on_agent_event":
            _agent_event(*about)

    def registered(self, *args: Any, **kwargs: Any) -> None:
        """Keep which agent a hub's id stands for."""
        agent, agent_id = kwargs.get("agent"), getattr(kwargs.get("passport"), "agent_id", None)
        if agent is not None and agent_id is not None:
            self.agents[agent_id] = agent

    def name(self, hub: Any, agent_id: str, key: str, id_key: str) -> dict[str, Any]:
        """Give the two attributes that name a participant. One whose agent is not here has the hub's id."""
        agent = self.agents.get(agent_id)
        return {key: hub.name_for(agent_id), id_key: agent_id if agent is None else str(id(agent))}

    def delivery(self, client: Any, envelope: Any) -> Delivery | None:
        """Return the scope of an envelope being handed over; None where its channel has no span."""
        channel = self.by_id.get(envelope.channel_id)
        if channel is None or channel.span.ended:
            return None
        agent = getattr(client, "agent", None)
        if agent is not None:
            self.agents[client.agent_id] = agent
        sender = self.name(channel.hub, envelope.sender_id, keys.SENDER, keys.SENDER_ID)
        return Delivery(channel.span, envelope.channel_id, sender, channel.outer)

    def handling(self, client: Any, envelope: Any) -> Handling | None:
        """Return what surrounds an envelope's handling; None where its channel has no span."""
        channel = self.by_id.get(envelope.channel_id)
        delivery = self.delivery(client, envelope)
        return None if channel is None or delivery is None else Handling(channel, delivery.carried())

    def end_all(self, hub: Any) -> None:
        """End the channels of a hub that is closed."""
        for channel_id, channel in list(self.by_id.items()):
            if channel.hub is hub:
                del self.by_id[channel_id]
                channel.span.end()

    def _changed(self, hub: Any, channel_id: str, kind: str, about: dict[str, Any], /) -> None:
        if kind == "created":
            self._begin(hub, about["metadata"])
        elif kind in ("closed", "expired"):
            channel = self.by_id.pop(channel_id, None)
            if channel is not None:
                reason = about.get("reason")
                key = keys.GROUP_TERMINATION if channel.is_group else keys.CHANNEL_CLOSE_REASON
                channel.span.set_attribute(key, reason)
                channel.close()

    def _posted(self, hub: Any, envelope: Any, metadata: Any, /) -> None:
        if envelopes.is_of_the_hubs(envelope):
            return
        channel = self.by_id.get(envelope.channel_id)
        if channel is None or channel.span.ended:
            channel = self._begin(hub, metadata)
        if channel is not None:
            envelopes.posted(self, channel, envelope, metadata)

    def _begin(self, hub: Any, metadata: Any) -> Channel | None:
        parent = current_span()
        if parent is None:
            return None
        creator = metadata.creator_id
        others = [one for one in metadata.participant_ids() if one != creator]
        names = [hub.name_for(one) for one in (creator, *others)]
        is_group = len(others) > 1
        attributes = {
            keys.CHAT_FUNCTION: "create_channel",
            **self.name(hub, creator, keys.SENDER, keys.SENDER_ID),
            keys.CHANNEL_ID: metadata.channel_id,
            keys.CHANNEL_TYPE: metadata.manifest.type,
        }
        if is_group:
            attributes[keys.AGENTS] = names
            parent.record_event(EventKind.GROUPCHAT_CREATION, _creation(metadata, names))
        elif others:
            attributes.update(self.name(hub, others[0], keys.RECIPIENT, keys.RECIPIENT_ID))
        span = parent.start_child(SpanKind.GROUP_CHAT if is_group else SpanKind.CHAT, attributes, current=False)
        if len(self.by_id) >= MOST_CHANNELS:
            del self.by_id[next(iter(self.by_id))]
        channel = self.by_id[metadata.channel_id] = Channel(span, hub, is_group, current.get())
        return channel


def _creation(metadata: Any, names: list[str]) -> dict[str, Any]:
    graph = metadata.knobs.get("graph")
    return {
        keys.GROUP_MESSAGES: 0,
        keys.GROUP_MAX_ROUND: graph.get("max_turns") if isinstance(graph, dict) else None,
        keys.GROUP_SELECTION_METHOD: metadata.manifest.type,
        keys.GROUP_AGENTS: names,
    }


def _agent_event(agent_id: str, kind: str, about: dict[str, Any], /) -> None:
    """AGENT_CREATION of a human who takes part: unlike an agent, one comes into being by being registered."""
    passport, span = about.get("passport"), current_span()
    if kind == "registered" and span is not None and getattr(passport, "kind", None) == "human":
        span.record_event(
            EventKind.AGENT_CREATION,
            {
                keys.AGENT_ID: agent_id,
                keys.AGENT_TYPE: "HumanClient",
                keys.AGENT_NAME: getattr(passport, "name", None),
                keys.AGENT_HAS_LLM_CONFIG: False,
                keys.AGENT_HUMAN_INPUT_MODE: "ALWAYS",
            },
        )


def _within_channel(channels: Channels, patches: Patches) -> Maker:
    def make(function: Any) -> Any:
        async def receive(*args: Any, **kwargs: Any) -> Any:
            handling, envelope = None, argument(args, kwargs, 1, "envelope")
            if patches.live and envelope is not None:
                with guard("a message that a hub hands over"):
                    handling = channels.handling(args[0], envelope)
            if handling is None:
                return await function(*args, **kwargs)
            with handling:
                return await function(*args, **kwargs)

        return receive

    return make
