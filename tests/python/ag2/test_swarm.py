"""The swarm of older versions: its hand-offs, told as a group's are."""

import pytest
from conftest import began_with_its_evaluation, served, speaker
from model_server import Answer, ToolCall
from test_chat import MODES, tree
from test_handoffs import HIDDEN, transitions

swarm = pytest.importorskip(
    "autogen.agentchat.contrib.swarm_agent", reason="this version of AG2 has no swarm any more", exc_type=ImportError
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def calling(tool):
    return Answer(tool_calls=[ToolCall(tool)])


def a_swarm_of_five(servers):
    """Each hands off to the next in another way."""

    def promote(context_variables: swarm.ContextVariables) -> swarm.SwarmResult:
        """Make the customer important."""
        context_variables["important"] = True
        return swarm.SwarmResult(values="promoted", agent=cal, context_variables=context_variables)

    ana, bea = speaker("ana", servers[0]), speaker("bea", servers[1], functions=[promote])
    cal, dan = speaker("cal", None), speaker("dan", servers[2])
    eve = speaker("eve", None, default_auto_reply="Bye.")
    swarm.register_hand_off(ana, swarm.OnCondition(bea, "When it is hard"))
    swarm.register_hand_off(cal, swarm.OnContextCondition(dan, "important"))
    swarm.register_hand_off(dan, swarm.AfterWork(eve))
    return [ana, bea, cal, dan, eve]


@pytest.mark.parametrize("mode", MODES)
async def test_each_of_the_four_ways(mode, recorder, traced, serve):
    servers = [serve(calling("transfer_ana_to_bea")), serve(calling("promote")), serve("Done.")]
    with traced():
        agents = a_swarm_of_five(servers)
        variables = swarm.ContextVariables(data={"important": False})
        if mode == "sync":
            swarm.initiate_swarm_chat(agents[0], "Go.", agents, context_variables=variables)
        else:
            await swarm.a_initiate_swarm_chat(agents[0], "Go.", agents, context_variables=variables)

    a = "" if mode == "sync" else "a_"
    assert recorder.tree(*HIDDEN, "tool_execution") == tree(f"""
        workflow
          chat {a}initiate_chat _User -> chat_manager
            reply chat_manager {a}generate_reply: None
              reply_function {a}run_chat
                group_chat {a}run_chat chat_manager: No eligible speaker
                  round 1 of 20
                    * agent_transition _User -> ana
                    groupchat_select_speaker _User -> ana (Initial agent)
                    reply ana {a}generate_reply: transfer_ana_to_bea()
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 2 of 20
                    groupchat_select_speaker ana -> _Swarm_Tool_Executor (Tool calls)
                    reply _Swarm_Tool_Executor {a}generate_reply: Swarm agent --> bea [internal]
                      reply_function _generate_swarm_tool_reply
                        tool_call transfer_ana_to_bea by _Swarm_Tool_Executor
                  swarm_on_condition ana -> bea: ON_CONDITION When it is hard
                    * swarm_transition ana -> bea
                  round 3 of 20
                    * agent_transition ana -> bea
                    groupchat_select_speaker _Swarm_Tool_Executor -> bea (ON_CONDITION)
                    reply bea {a}generate_reply: promote()
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of bea
                  round 4 of 20
                    groupchat_select_speaker bea -> _Swarm_Tool_Executor (Tool calls)
                    reply _Swarm_Tool_Executor {a}generate_reply: promoted [internal]
                      reply_function _generate_swarm_tool_reply
                        tool_call promote by _Swarm_Tool_Executor
                  round 5 of 20
                    * swarm_transition bea -> cal
                    * agent_transition bea -> cal
                    groupchat_select_speaker _Swarm_Tool_Executor -> cal (REPLY_RESULT)
                    reply cal {a}generate_reply: [Handing off to dan]
                      reply_function _run_oncontextconditions
                  swarm_on_condition cal -> dan: ON_CONTEXT_CONDITION important
                    * swarm_transition cal -> dan
                  round 6 of 20
                    * agent_transition cal -> dan
                    groupchat_select_speaker cal -> dan (ON_CONTEXT_CONDITION)
                    reply dan {a}generate_reply: Done.
                      reply_function {a}generate_oai_reply
                        llm_call gpt-4o-mini of dan
                  round 7 of 20
                    * swarm_transition dan -> eve
                    * agent_transition dan -> eve
                    groupchat_select_speaker dan -> eve (AFTER_WORK)
                    reply eve {a}generate_reply: Bye.
                  round 8 of 20
                    * swarm_transition eve -> nobody
                    groupchat_select_speaker eve -> - (-)
    """)
    assert recorder.spent() == served(*servers)
    assert began_with_its_evaluation(recorder.root)


def test_to_a_nested_chat_and_back(recorder, traced, serve):
    servers = [serve(calling("transfer_ana_to_nested_chat_ana_1"), "Thanks."), serve("Fine.")]
    with traced():
        ana, pam = speaker("ana", servers[0]), speaker("pam", servers[1])
        checks = [{"recipient": pam, "message": "Check it.", "max_turns": 1, "summary_method": "last_msg"}]
        swarm.register_hand_off(ana, swarm.OnCondition({"chat_queue": checks}, "To check"))
        swarm.initiate_swarm_chat(ana, "Go.", [ana])
    assert transitions(recorder) == [
        ("ana", "nested_chat_ana_1", "ON_CONDITION", "To check"),
        ("nested_chat_ana_1", "ana", "AFTER_WORK", None),
        ("ana", "TERMINATE", "AFTER_WORK", None),
    ]
    assert recorder.root.only("nested_chat").only("llm_call")["gen_ai.agent.name"] == "pam"
    assert recorder.spent() == served(*servers)


def test_the_whole_tree_of_a_nested_chat(traced, serve, check):
    servers = [serve(calling("transfer_ana_to_nested_chat_ana_1"), "Thanks."), serve("Fine.")]
    with traced():
        ana, pam = speaker("ana", servers[0]), speaker("pam", servers[1])
        checks = [{"recipient": pam, "message": "Check it.", "max_turns": 1, "summary_method": "last_msg"}]
        swarm.register_hand_off(ana, swarm.OnCondition({"chat_queue": checks}, "To check"))
        swarm.initiate_swarm_chat(ana, "Go.", [ana])
    check(
        """
        workflow
          chat initiate_chat _User -> chat_manager
            reply chat_manager generate_reply: None
              reply_function run_chat
                group_chat run_chat chat_manager: No eligible speaker
                  round 1 of 20
                    * agent_transition _User -> ana
                    groupchat_select_speaker _User -> ana (Initial agent)
                    reply ana generate_reply: transfer_ana_to_nested_chat_ana_1()
                      reply_function generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 2 of 20
                    groupchat_select_speaker ana -> _Swarm_Tool_Executor (Tool calls)
                    reply _Swarm_Tool_Executor generate_reply: Swarm agent --> nested_chat_ana_1 [internal]
                      reply_function _generate_swarm_tool_reply
                        tool_call transfer_ana_to_nested_chat_ana_1 by _Swarm_Tool_Executor
                          * tool_execution transfer_ana_to_nested_chat_ana_1: Swarm agent --> nested_chat_ana_1
                  swarm_on_condition ana -> nested_chat_ana_1: ON_CONDITION To check
                    * swarm_transition ana -> nested_chat_ana_1
                  round 3 of 20
                    groupchat_select_speaker _Swarm_Tool_Executor -> nested_chat_ana_1 (ON_CONDITION)
                    reply nested_chat_ana_1 generate_reply: Fine. [internal]
                      reply_function _summary_from_nested_chats
                        nested_chat _summary_from_nested_chats of 1 for nested_chat_ana_1: Fine.
                          chats initiate_chats of 1
                            chat initiate_chat nested_chat_ana_1 -> pam [internal]
                              round 1 of 1
                                reply pam generate_reply: Fine.
                                  reply_function generate_oai_reply
                                    llm_call gpt-4o-mini of pam
                              summary last_msg: Fine.
                  round 4 of 20
                    * swarm_transition nested_chat_ana_1 -> ana
                    groupchat_select_speaker nested_chat_ana_1 -> ana (AFTER_WORK)
                    reply ana generate_reply: Thanks.
                      reply_function generate_oai_reply
                        llm_call gpt-4o-mini of ana
                  round 5 of 20
                    * swarm_transition ana -> nobody
                    groupchat_select_speaker ana -> - (-)
            summary last_msg: Thanks.
        """,
        *servers,
    )


def test_the_agents_around_nested_chats_are_ag2s_own(recorder, traced, serve):
    """They are known by who makes them: one of the program's that has such a name stays the program's."""
    servers = [serve(calling("transfer_ana_to_nested_chat_ana_1"), "Thanks."), serve("Fine.")]
    with traced():
        ana, pam, mine = speaker("ana", servers[0]), speaker("pam", servers[1]), speaker("nested_chat_mine_1", None)
        checks = [{"recipient": pam, "message": "Check it.", "max_turns": 1, "summary_method": "last_msg"}]
        swarm.register_hand_off(ana, swarm.OnCondition({"chat_queue": checks}, "To check"))
        swarm.register_hand_off(mine, swarm.OnContextCondition({"chat_queue": checks}, "never"))
        variables = swarm.ContextVariables(data={"never": False})
        swarm.initiate_swarm_chat(ana, "Go.", [ana, mine], context_variables=variables)
    made = [
        (one["ag2.agent.name"], one.get("callboard.agent.internal", False))
        for one in recorder.root.found("agent_creation")
        if one["ag2.agent.name"].startswith("nested_chat")
    ]
    assert made == [
        ("nested_chat_mine_1", False),
        ("nested_chat_ana_1", True),
        ("nested_chat_nested_chat_mine_1_1", True),
    ]
    [reply] = [one for one in recorder.root.all("reply") if one["ag2.agent.recipient"] == "nested_chat_ana_1"]
    assert reply["callboard.agent.internal"] is True
    assert [
        (one["ag2.agent.last_speaker"], one["ag2.agent.next_speaker"])
        for one in recorder.root.found("agent_transition")
    ] == [("_User", "ana")]
