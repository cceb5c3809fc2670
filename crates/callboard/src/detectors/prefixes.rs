//! A prompt cache that was broken: an agent's call sends again what its former call had sent, but no longer at the same place,
//! so that the service cannot take it from its cache.
//!
//! ```text
//! former call   system  task  answer  result
//! this call     system' task  answer  result  …       from `system` on nothing is shared
//!               changed └─── sent before ───┘
//! ```
//!
//! Only calls of one agent and one model in one chat are compared. A call that shares nothing with the former one beyond
//! where they part is no broken cache but another conversation; so is a last message that gives way to others.

use std::collections::{HashMap, HashSet};

use callboard_core::id::IdMap;
use callboard_core::{Context, EventKind, Message, Record, SpanEnded, SpanHead, SpanId, SpanKind};
use callboard_core::{Status, Value, keys};
use similar::DiffOp;

use super::places::Places;
use super::{
    Detector, FINDING_CHANGE, FINDING_INDEX, FINDING_ROLE, FINDING_TOKENS, Finding, MOST_KEPT,
};
use crate::said::{ASKING_AGENT, INPUT_MESSAGES, Said, TOOL_DEFINITIONS, is_instruction, role_of};

/// So many bytes of text are about a token, where the service tells no number.
const BYTES_A_TOKEN: u64 = 4;

/// Comparing what two calls sent takes so long at the most; then nothing is told.
const COMPARE_AT_MOST: std::time::Duration = std::time::Duration::from_millis(50);

/// Whose call, of which model, in which chat.
type Conversation = (String, String, Option<SpanId>);

/// What each agent's model was last asked in each chat.
#[derive(Default)]
pub(super) struct BrokenPrefixes {
    chats: Places<SpanId>,
    open: IdMap<SpanId, (Conversation, Asked)>,
    last: HashMap<Conversation, Asked>,
    told: HashSet<(String, &'static str)>,
}

/// A call.
struct Asked {
    span: SpanId,
    history: Context,
    tools: Option<Value>,
    input_tokens: u64,
    /// Its answer came from a cache of the framework's, and the service never saw it.
    is_cached: bool,
}

/// Where a call stops sharing what the former one sent, and why.
struct Break {
    change: &'static str,
    index: usize,
    role: String,
    /// What was changed, in words.
    what: String,
    /// The bytes that had been sent before and were sent again, and those of all messages.
    again_bytes: u64,
    all_bytes: u64,
}

impl Detector for BrokenPrefixes {
    fn see(&mut self, record: &Record, found: &mut Vec<Finding>) {
        match record {
            Record::SpanStarted(span) => self.start(span),
            Record::Event(event) if event.kind == EventKind::Cost => {
                if let Some((_, asked)) = self.open.get_mut(&event.span.span_id) {
                    let tokens = event.attribute(keys::LLM_INPUT_TOKENS).and_then(Value::as_i64);
                    asked.input_tokens = u64::try_from(tokens.unwrap_or(0)).unwrap_or(0);
                    let cached = event.attribute(keys::COST_CACHED).and_then(Value::as_bool);
                    asked.is_cached = cached == Some(true);
                }
            }
            Record::SpanEnded(ended) => found.extend(self.end(ended)),
            _ => {}
        }
    }
}

impl BrokenPrefixes {
    fn start(&mut self, span: &SpanHead) {
        if self.chats.is_full() {
            return;
        }
        let opens = is_conversation(&span.kind).then_some(span.span_id);
        let chat = self.chats.start(span, |around| opens.or(around));
        let is_internal = span.attribute(keys::AGENT_INTERNAL).and_then(Value::as_bool);
        let (SpanKind::LlmCall, Some(Value::Messages(history)), None | Some(false)) =
            (&span.kind, span.attribute(INPUT_MESSAGES), is_internal)
        else {
            return;
        };
        let text = |key| span.attribute(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let asked = Asked {
            span: span.span_id,
            history: history.clone(),
            tools: span.attribute(TOOL_DEFINITIONS).cloned(),
            input_tokens: 0,
            is_cached: false,
        };
        let conversation = (text(ASKING_AGENT), text("gen_ai.request.model"), chat);
        self.open.insert(span.span_id, (conversation, asked));
    }

    fn end(&mut self, ended: &SpanEnded) -> Option<Finding> {
        let id = ended.span.span_id;
        self.chats.end(&ended.span);
        if is_conversation(&ended.span.kind) {
            self.last.retain(|(_, _, chat), _| *chat != Some(id));
        }
        let (conversation, asked) = self.open.remove(&id)?;
        if asked.is_cached || matches!(ended.status, Status::Error { .. }) {
            return None;
        }
        let finding = self.last.get(&conversation).and_then(|former| {
            let broken = asked.breaks_with(former, conversation.2.is_some())?;
            let is_new = self.told.len() < MOST_KEPT
                && self.told.insert((conversation.0.clone(), broken.change));
            is_new.then(|| broken.finding(&conversation.0, former, &asked, ended))
        });
        if self.last.len() < MOST_KEPT || self.last.contains_key(&conversation) {
            self.last.insert(conversation, asked);
        }
        finding
    }
}

/// Whether model calls within it are a conversation of their own.
fn is_conversation(kind: &SpanKind) -> bool {
    use SpanKind::{
        Chat, GroupChat, GroupchatSelectSpeaker, NestedChat, Reasoning, Summary, ToolCall,
    };
    matches!(
        kind,
        Chat | NestedChat | GroupChat | Summary | GroupchatSelectSpeaker | Reasoning | ToolCall
    )
}

impl Asked {
    /// Where this call stops sharing what the former one sent; none where it goes on from it, or where it is another conversation.
    /// Calls within a chat are known to be of one conversation, if anything of the former one is sent again.
    fn breaks_with(&self, former: &Self, is_in_chat: bool) -> Option<Break> {
        let (before, now) = (former.history.len(), self.history.len());
        let goes_on = now >= before && self.history.first(before).is_same(&former.history);
        if goes_on && self.tools == former.tools {
            return None;
        }
        let (old, new) = (former.history.messages(), self.history.messages());
        let shared = old.iter().zip(&new).take_while(|(old, new)| is_equal(old, new)).count();
        let lengths = Lengths::of(&new);
        if self.tools != former.tools {
            let goes_on = shared == before.min(now) && (is_in_chat || shared > 1);
            let parts = || Parts::of(&old, &new, shared).is_one_conversation(is_in_chat);
            return (shared > 0 && (goes_on || parts())).then(|| Break {
                change: "tools",
                index: 0,
                role: "tools".to_owned(),
                what: tools_that_changed(former.tools.as_ref(), self.tools.as_ref()),
                again_bytes: lengths.of_first(shared),
                all_bytes: lengths.all(),
            });
        }
        // All but the last message is shared: that one gave way to others, as a passing instruction does.
        if shared + 1 >= before || shared == now {
            return None;
        }
        let parts = Parts::of(&old, &new, shared);
        parts.is_one_conversation(is_in_chat).then(|| parts.told(&old, &new, shared, &lengths))
    }
}

fn is_equal(one: &Message, other: &Message) -> bool {
    std::ptr::eq(one, other) || one == other
}

/// How long the messages of a call are.
struct Lengths(Vec<u64>);

impl Lengths {
    fn of(messages: &[&Message]) -> Self {
        Self(messages.iter().map(|message| Said::of(message).bytes).collect())
    }

    fn of_first(&self, count: usize) -> u64 {
        self.0[..count].iter().sum()
    }

    fn all(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// What became of the former call's messages, from the place where the two calls part.
struct Parts {
    /// So many of the former call's are not there any more, at that place, and so many others are in theirs.
    removed: usize,
    inserted: usize,
    /// The places in the new call of those that are there again.
    again: Vec<usize>,
    /// How many messages the shorter of the two has from there on.
    shorter: usize,
}

impl Parts {
    fn of(old: &[&Message], new: &[&Message], shared: usize) -> Self {
        let digests = |messages: &[&Message]| messages.iter().map(|one| digest(one)).collect();
        let (before, now): (Vec<u64>, Vec<u64>) =
            (digests(&old[shared..]), digests(&new[shared..]));
        let deadline = Some(std::time::Instant::now() + COMPARE_AT_MOST);
        let algorithm = similar::Algorithm::Patience;
        let steps = similar::capture_diff_slices_deadline(algorithm, &before, &now, deadline);
        let (mut removed, mut inserted, mut again) = (0, 0, Vec::new());
        for step in steps {
            let (_, old, new) = step.as_tag_tuple();
            if let DiffOp::Equal { .. } = step {
                again.extend(new.map(|index| shared + index));
            } else if again.is_empty() {
                removed += old.len();
                inserted += new.len();
            }
        }
        Self { removed, inserted, again, shorter: before.len().min(now.len()) }
    }

    /// In a chat, whatever is there again shows it. Elsewhere half of it must be, as some words come in any conversation.
    fn is_one_conversation(&self, is_in_chat: bool) -> bool {
        let again = self.again.len();
        let parts = self.removed + self.inserted > 0;
        parts && again > 0 && (is_in_chat || 2 * again >= self.shorter)
    }

    fn told(&self, old: &[&Message], new: &[&Message], shared: usize, lengths: &Lengths) -> Break {
        let (change, at, count) = match (self.removed, self.inserted) {
            (0, inserted) => ("inserted", new[shared], inserted),
            (removed, 0) => ("removed", old[shared], removed),
            (removed, _) => ("changed", old[shared], removed),
        };
        let role = role_of(at.body()).to_owned();
        let done = if change == "inserted" { "added" } else { change };
        let what = match count {
            _ if shared == 0 && is_instruction(&role) => format!("the system message was {done}"),
            1 => format!("message {} ({role}) was {change}", shared + 1),
            _ => format!("{count} messages from message {} ({role}) on were {change}", shared + 1),
        };
        let is_system = shared == 0 && is_instruction(&role);
        Break {
            change: if is_system { "system_message" } else { change },
            index: shared,
            role,
            what,
            again_bytes: self.again.iter().map(|index| lengths.0[*index]).sum(),
            all_bytes: lengths.all(),
        }
    }
}

/// The same for messages that are the same to the letter.
fn digest(message: &Message) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};

    let mut hasher = DefaultHasher::new();
    (message.body().to_json(), message.said_bytes()).hash(&mut hasher);
    hasher.finish()
}

impl Break {
    fn finding(self, agent: &str, former: &Asked, asked: &Asked, ended: &SpanEnded) -> Finding {
        let whose = if agent.is_empty() { String::new() } else { format!(" of {agent}") };
        let tokens = self.tokens(asked.input_tokens);
        let (plural, verb) = if tokens == 1 { ("", "was") } else { ("s", "were") };
        Finding {
            kind: "broken_prompt_cache",
            text: format!(
                "between two calls{whose}, {}: about {tokens} token{plural} that the first had sent {verb} sent \
                 again past the prompt cache",
                self.what
            ),
            spans: vec![former.span, asked.span],
            more: vec![
                (FINDING_CHANGE.into(), self.change.into()),
                (FINDING_INDEX.into(), self.index.into()),
                (FINDING_ROLE.into(), self.role.into()),
                (FINDING_TOKENS.into(), tokens.into()),
            ],
            at: ended.span.clone(),
            time_unix_ns: ended.end_unix_ns,
        }
    }

    /// About how many tokens were sent again: their part of what the service counted.
    fn tokens(&self, counted: u64) -> u64 {
        if counted == 0 {
            return self.again_bytes.div_ceil(BYTES_A_TOKEN);
        }
        let whole = u128::from(self.all_bytes.max(1));
        (u128::from(counted) * u128::from(self.again_bytes) / whole) as u64
    }
}

fn tools_that_changed(before: Option<&Value>, now: Option<&Value>) -> String {
    let names = |tools: Option<&Value>| -> Vec<String> {
        let tools = tools.and_then(Value::as_list).unwrap_or_default();
        let name = |tool: &Value| {
            Some(tool.get("function").unwrap_or(tool).get("name")?.as_str()?.to_owned())
        };
        tools.iter().filter_map(name).collect()
    };
    let (before, now) = (names(before), names(now));
    let missing = |from: &[String], others: &[String]| -> Vec<String> {
        from.iter().filter(|name| !others.contains(name)).cloned().collect()
    };
    let (added, removed) = (missing(&now, &before), missing(&before, &now));
    let mut told = Vec::new();
    if !added.is_empty() {
        told.push(format!("added {}", added.join(", ")));
    }
    if !removed.is_empty() {
        told.push(format!("removed {}", removed.join(", ")));
    }
    if told.is_empty() {
        told.push(if before == now { "their definitions" } else { "their order" }.to_owned());
    }
    format!("the tools were changed ({})", told.join("; "))
}
