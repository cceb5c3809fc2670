"""Group chats: the tree they give, by every way of selecting, plain and async; how they end; what they cost."""

from __future__ import annotations

import autogen
import pytest
from autogen import GroupChat, GroupChatManager
from conftest import llm_config, served, speaker, untraced
from test_chat import MODES, chat, ends, tree


def group(agents, *, server=None, cls=GroupChat, is_termination_msg=ends, **options):
    """A manager of these agents, who selects by `server` where one is given."""
    options.setdefault("max_round", 4)
    options.setdefault("speaker_selection_method", "round_robin")
    config = llm_config(server) if server else False
    return GroupChatManager(
        cls(agents, messages=[], **options), llm_config=config, is_termination_msg=is_termination_msg
    )


@pytest.mark.parametrize("mode", MODES)
async def test_round_robin(mode, recorder, traced, serve):
    with traced():
        ana, bea = speaker("ana", serve("three")), speaker("bea", serve("two"))
        cal = speaker("cal", None, default_auto_reply="dull")
        await chat(ana, group([ana, bea, cal], max_round=3), mode, message="one")

    a = "" if mode == "sync" else "a_"
    assert recorder.tree("console_print") == tree(f"""
        workflow
          * agent_creation ana
          * agent_creation bea
          * agent_creation cal
          * groupchat_creation ana, bea, cal by round_robin
          * agent_creation chat_manager
          chat {a}initiate_chat ana -> chat_manager
            * agent_send_msg ana -> chat_manager: one
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: Max rounds reached
                  round 1 of 3
                    * agent_send_msg chat_manager -> bea: one (silent)
                    * agent_send_msg chat_manager -> cal: one (silent)
                    * agent_transition ana -> bea
                    * agent_send_msg bea -> chat_manager: two
                    groupchat_select_speaker ana -> bea (Round robin selection)
                    reply bea {a}generate_reply: two
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of bea
                          * cost
                          * llm_create answered
                  round 2 of 3
                    * agent_send_msg chat_manager -> ana: two (silent)
                    * agent_send_msg chat_manager -> cal: two (silent)
                    * agent_transition bea -> cal
                    * agent_send_msg cal -> chat_manager: dull
                    groupchat_select_speaker bea -> cal (Round robin selection)
                    reply cal {a}generate_reply: dull
                  round 3 of 3
                    * agent_send_msg chat_manager -> ana: dull (silent)
                    * agent_send_msg chat_manager -> bea: dull (silent)
            summary last_msg: dull
    """)


@pytest.mark.parametrize("mode", MODES)
async def test_selection_by_a_model(mode, recorder, traced, serve):
    servers = [serve("ben"), serve("ben", "cal"), serve("two FINISH")]
    with traced():
        ana, ben, cal = speaker("ana", None), speaker("ben", servers[0]), speaker("cal", servers[2])
        manager = group([ana, ben, cal], server=servers[1], speaker_selection_method="auto", max_round=9)
        await chat(ana, manager, mode, message="one")

    a = "" if mode == "sync" else "a_"
    assert recorder.tree("console_print", "agent_send_msg", "summary") == tree(f"""
        workflow
          * agent_creation ana
          * agent_creation ben
          * agent_creation cal
          * groupchat_creation ana, ben, cal by auto
          * agent_creation chat_manager
          chat {a}initiate_chat ana -> chat_manager
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: Termination message
                  * finding costly_selection
                  round 1 of 9
                    * agent_transition ana -> ben
                    groupchat_select_speaker ana -> ben (Auto speaker selection)
                      * agent_creation checking_agent [internal]
                      * agent_creation speaker_selection_agent [internal]
                      chat {a}initiate_chat checking_agent -> speaker_selection_agent [internal]
                        round 1 of 6
                          reply speaker_selection_agent {a}generate_reply: ben [internal]
                            reply_function {a}generate_oai_reply
                              llm_call gpt-4o-mini of speaker_selection_agent
                                * cost
                                * llm_create answered
                        round 2 of 6
                          reply checking_agent {a}generate_reply: None [internal]
                            reply_function validate_speaker_name
                    reply ben {a}generate_reply: ben
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ben
                          * cost
                          * llm_create answered
                  round 2 of 9
                    * agent_transition ben -> cal
                    groupchat_select_speaker ben -> cal (Auto speaker selection)
                      * agent_creation checking_agent [internal]
                      * agent_creation speaker_selection_agent [internal]
                      chat {a}initiate_chat checking_agent -> speaker_selection_agent [internal]
                        round 1 of 6
                          reply speaker_selection_agent {a}generate_reply: cal [internal]
                            reply_function {a}generate_oai_reply
                              llm_call gpt-4o-mini of speaker_selection_agent
                                * cost
                                * llm_create answered
                        round 2 of 6
                          reply checking_agent {a}generate_reply: None [internal]
                            reply_function validate_speaker_name
                    reply cal {a}generate_reply: two FINISH
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of cal
                          * cost
                          * llm_create answered
                  round 3 of 9
    """)
    assert recorder.spent() == served(*servers)
    first = recorder.root.all("groupchat_select_speaker")[0]
    assert first["callboard.selection.method"] == "auto"
    assert first["callboard.selection.candidates"] == ["ana", "ben", "cal"]
    [usage] = first.found("cost")
    assert first["callboard.selection.llm_calls"] == 1
    assert first["callboard.selection.input_tokens"] == usage["ag2.llm.input_tokens"]
    assert first["callboard.selection.output_tokens"] == usage["ag2.llm.output_tokens"]


def test_how_a_group_chat_ends(recorder, traced, serve):
    def ending(*agents, **options):
        with traced():
            agents[0].initiate_chat(group(agents, **options), message=options.pop("message", "one"))
        assert recorder.manager.flush(10)
        return recorder.roots.pop().only("group_chat")["ag2.groupchat.termination"]

    ana, bea = speaker("ana", None, default_auto_reply="dull"), speaker("bea", None, default_auto_reply="FINISH")
    mute = speaker("mute", None, default_auto_reply=None)
    mute.register_reply([autogen.Agent, None], lambda *_, **__: (True, None), position=0)
    stuck = {"allowed_or_disallowed_speaker_transitions": {ana: [bea]}, "speaker_transitions_type": "allowed"}
    assert ending(ana, speaker("cal", None, default_auto_reply="x"), max_round=2) == "Max rounds reached"
    assert ending(ana, bea) == "Termination message"
    assert ending(ana, mute) == "No reply"
    assert ending(ana, bea, max_round=9, is_termination_msg=None, **stuck) == "No eligible speaker"


def test_nobody_eligible_is_no_failure(recorder, traced):
    ana, bea = speaker("ana", None, default_auto_reply="a"), speaker("bea", None, default_auto_reply="b")
    with traced():
        ana.initiate_chat(group([ana, bea], speaker_selection_method=lambda last, group: None), message="one")
    selection = recorder.root.only("groupchat_select_speaker")
    assert selection.error is None
    assert "ag2.agent.selected" not in selection.attributes
    assert recorder.root.only("group_chat")["ag2.groupchat.termination"] == "No eligible speaker"


@pytest.mark.parametrize("mode", MODES)
async def test_an_agent_that_fails(mode, recorder, traced):
    def fail(*args, **kwargs):
        raise RuntimeError("no idea")

    ana, bea = speaker("ana", None), speaker("bea", None)
    bea.register_reply([autogen.Agent, None], fail, position=0)
    with traced(), pytest.raises(RuntimeError, match="no idea"):
        await chat(ana, group([ana, bea]), mode, message="one")
    failed = [span.kind for span in recorder.spans.values() if span.error == "RuntimeError: no idea"]
    assert failed == ["chat", "reply", "reply_function", "group_chat", "round", "reply", "reply_function"]


@pytest.mark.parametrize("mode", MODES)
async def test_a_group_chat_of_the_programs_own_class(mode, recorder, traced):
    class Careful(GroupChat):
        def append(self, message, speaker):
            return super().append(message, speaker)

        def select_speaker(self, last_speaker, selector):
            return super().select_speaker(last_speaker, selector)

        async def a_select_speaker(self, last_speaker, selector):
            return await super().a_select_speaker(last_speaker, selector)

    with traced():
        ana, bea = speaker("ana", None, default_auto_reply="a"), speaker("bea", None, default_auto_reply="b")
        await chat(ana, group([ana, bea], cls=Careful, max_round=3), mode, message="one")
    chats = recorder.root.only("group_chat")
    assert [one["ag2.round"] for one in chats.all("round")] == [1, 2, 3]
    assert [one["ag2.agent.selected"] for one in chats.all("groupchat_select_speaker")] == ["bea", "ana"]


@pytest.mark.parametrize("mode", MODES)
async def test_the_program_sees_no_difference(mode, recorder, traced, serve, capsys):
    async def program(around):
        with around():
            ana, ben = speaker("ana", serve("three")), speaker("ben", serve("two"))
            manager = group([ana, ben], max_round=3, server=serve("ben", "ana"), speaker_selection_method="auto")
            result = await chat(ana, manager, mode, message="one", silent=True)
        reply_functions = [entry["reply_func"].__qualname__ for entry in manager._reply_func_list]
        return result.chat_history, manager.groupchat.messages, reply_functions

    assert await program(untraced) == await program(traced)


def test_a_manager_made_in_the_run_is_the_programs_after_it(recorder, traced):
    with traced():
        manager = group([speaker("ana", None), speaker("bea", None)])
    functions = [entry["reply_func"] for entry in manager._reply_func_list]
    assert GroupChatManager.run_chat in functions
    assert GroupChatManager.a_run_chat in functions


class Calling(GroupChatManager):
    """A manager whose reply functions call AG2's, by `super()`."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.replace_reply_func(GroupChatManager.run_chat, type(self).run_chat)
        self.replace_reply_func(GroupChatManager.a_run_chat, type(self).a_run_chat)

    def run_chat(self, messages=None, sender=None, config=None):
        return super().run_chat(messages, sender, config)

    async def a_run_chat(self, messages=None, sender=None, config=None):
        return await super().a_run_chat(messages, sender, config)


class CallingTheClass(Calling):
    """As above, by the class, under the names that the caller likes."""

    def run_chat(self, messages=None, sender=None, config=None):
        return GroupChatManager.run_chat(self, messages=messages, sender=sender, config=config)

    async def a_run_chat(self, messages=None, sender=None, config=None):
        return await GroupChatManager.a_run_chat(self, messages=messages, sender=sender, config=config)


class Resuming(Calling):
    """As above, twice in one reply."""

    def run_chat(self, messages=None, sender=None, config=None):
        super().run_chat(messages, sender, config)
        return super().run_chat(messages, sender, config)

    async def a_run_chat(self, messages=None, sender=None, config=None):
        await super().a_run_chat(messages, sender, config)
        return await super().a_run_chat(messages, sender, config)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", [Calling, CallingTheClass, Resuming])
async def test_a_manager_with_reply_functions_of_its_own(mode, kind, recorder, traced):
    def managed(context):
        ana, bea = (speaker(name, None, default_auto_reply=name) for name in ("ana", "bea"))
        return ana, kind(
            GroupChat([ana, bea], [], max_round=3, speaker_selection_method="round_robin"), llm_config=False
        )

    ana, manager = managed(untraced)
    result = await chat(ana, manager, mode, message="one")
    with traced():
        ana, manager = managed(traced)
        own = list(manager._reply_func_list)
        watched = await chat(ana, manager, mode, message="one")
        assert manager._reply_func_list == own
    assert watched.chat_history == result.chat_history
    assert all(not span.error for span in recorder.spans.values())
    group_chat = recorder.root.only("group_chat")
    a = "" if mode == "sync" else "a_"
    assert group_chat["ag2.chat_function"] == f"{a}run_chat"
    assert group_chat["ag2.agent.sender"] == "chat_manager"
    assert group_chat["callboard.groupchat.opened_by"] == "ana"
    assert group_chat["ag2.groupchat.termination"] == "Max rounds reached"
    assert len(group_chat.all("round")) == (6 if kind is Resuming else 3)
    assert group_chat.parent.kind == "reply_function"
    assert [span.kind for span in recorder.root.all("summary")] == ["summary"]
    assert recorder.root.only("summary").parent.kind == "chat"


def test_a_function_that_runs_somebody_elses_group_chat(recorder, traced):
    """The manager of the group chat is the one whose `run_chat` is called, not the one that replies."""
    with traced():
        ana, bea, cal = (speaker(name, None, default_auto_reply=name) for name in ("ana", "bea", "cal"))
        manager = group([ana, bea], max_round=2)

        def runs(recipient, messages=None, sender=None, config=None):
            return manager.run_chat(messages, sender, manager.groupchat)

        cal.register_reply([autogen.Agent, None], runs)
        ana.initiate_chat(cal, message="one", max_turns=1)
    group_chat = recorder.root.only("group_chat")
    assert group_chat["ag2.agent.sender"] == "chat_manager"
    assert group_chat.parent["ag2.reply_function"] == "runs"
    assert len(group_chat.all("round")) == 2


def test_a_group_that_a_program_fills_is_no_group_chat(recorder, traced):
    with traced():
        ana, bea = speaker("ana", None), speaker("bea", None)
        group_chat = GroupChat([ana, bea], [])

        def fills(recipient, messages=None, sender=None, config=None):
            group_chat.append({"role": "user", "content": "one"}, ana)
            return True, "filled"

        bea.register_reply([autogen.Agent, None], fills)
        ana.initiate_chat(bea, message="one", max_turns=1)
    assert recorder.root.all("group_chat") == []


def test_a_failure_in_a_managers_own_function(recorder, traced):
    class Failing(Calling):
        def run_chat(self, messages=None, sender=None, config=None):
            super().run_chat(messages, sender, config)
            raise KeyError("mine")

    with traced():
        ana, bea = (speaker(name, None, default_auto_reply=name) for name in ("ana", "bea"))
        manager = Failing(
            GroupChat([ana, bea], [], max_round=2, speaker_selection_method="round_robin"), llm_config=False
        )
        with pytest.raises(KeyError, match="mine"):
            ana.initiate_chat(manager, message="one")
    assert recorder.root.only("group_chat").error
