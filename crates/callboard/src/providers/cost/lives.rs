//! What is kept of model calls, so that it can be told what each message cost: the histories of each run as a tree, with what
//! was paid for them at its nodes.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use callboard_core::{
    Context, Event, Record, SpanChanged, SpanHead, SpanId, SpanKind, Text, Value, keys, value,
};

use super::money::Money;
use super::places::{Place, Places, SpanKey, chat_title};
use super::prices::Tokens;
use super::tree::{ROOT, Tree, Weight, short};
use crate::providers::page::cut;
use crate::providers::runs::{RunFilter, key_of};
use crate::said::{ASKING_AGENT, INPUT_MESSAGES, OUTPUT_MESSAGES, Said, TOOL_DEFINITIONS, text_of};

/// So many messages of histories are kept, about 100 bytes and an excerpt each. The oldest runs that ended are forgotten first;
/// what does not fit costs what it costs, and is no message's.
const MOST_NODES: usize = 200_000;

/// So many runs are kept.
const MOST_RUNS: usize = 1_000;

/// The last histories of so many agents in chats in progress are kept; others are found message by message.
const MOST_ASKED: usize = 10_000;

/// Where nobody tells how much of a cost is for the input, a token of output counts as so many of input.
const OUTPUT_WEIGHT: u64 = 4;

/// The names of tools are told up to so many characters.
const TOOLS_CHARACTERS: usize = 100;

/// The runs, each with what its messages cost.
#[derive(Debug, Default)]
pub(super) struct Lives {
    runs: HashMap<SpanKey, Run>,
    /// In the order in which they came.
    order: VecDeque<SpanKey>,
    nodes: usize,
}

/// The model calls of a run.
#[derive(Debug)]
pub(super) struct Run {
    /// The workflow's name.
    pub(super) name: Text,
    /// What everything in it cost.
    pub(super) cost: Money,
    /// What the input of the calls cost whose history is known, and its tokens.
    pub(super) input: Money,
    pub(super) input_tokens: u64,
    pub(super) tree: Tree,
    pub(super) tool_sets: Vec<ToolSet>,
    pub(super) answers: Vec<Answer>,
    tool_sets_by_digest: HashMap<u64, usize>,
    calls: HashMap<SpanId, Call>,
    /// The last history of each agent in each chat, and its node.
    asked: HashMap<(Text, Option<SpanKey>), (Context, u32)>,
    has_ended: bool,
}

/// The tools that an agent's model is told of with each call.
#[derive(Debug)]
pub(super) struct ToolSet {
    pub(super) agent: Text,
    pub(super) names: Text,
    pub(super) bytes: u64,
    pub(super) weight: Weight,
}

/// What a model answered to the history that ends in a node.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) node: u32,
    pub(super) words: u32,
    pub(super) cost: Money,
    pub(super) tokens: u64,
}

/// A call that is in progress.
#[derive(Debug)]
struct Call {
    node: u32,
    tools: Option<usize>,
    agent: Text,
    bytes: u64,
    output: Money,
    output_tokens: u64,
    said: Option<Said>,
}

impl Lives {
    /// The runs that are kept, the oldest first.
    pub(super) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.order.iter().filter_map(|run| self.runs.get(run))
    }

    /// Those of them that are asked for.
    pub(super) fn runs_of(&self, filter: RunFilter) -> impl Iterator<Item = &Run> {
        let asked_for = self.order.iter().filter(move |run| filter.matches(run));
        asked_for.filter_map(|run| self.runs.get(run))
    }

    pub(super) fn enter(&mut self, record: &Record, places: &Places) {
        match record {
            Record::SpanStarted(span) if span.kind == SpanKind::LlmCall => {
                self.start_call(span, &places.of(span));
            }
            Record::SpanStarted(span) if span.kind == SpanKind::ToolCall => {
                self.run(span).name_tool(span);
            }
            Record::SpanChanged(changed) => {
                if let Some(run) = self.runs.get_mut(&run_of(&changed.span)) {
                    run.hear(changed);
                }
            }
            Record::SpanEnded(ended) => self.end(&ended.span),
            _ => {}
        }
    }

    /// Notes what was paid: nothing where nobody has a price.
    pub(super) fn pay(&mut self, event: &Event, cost: Money, tokens: Tokens) {
        let run = self.run(&event.span);
        run.cost += cost;
        run.pay(event.span.span_id, cost, input_of(event, cost, tokens), tokens);
    }

    fn start_call(&mut self, span: &SpanHead, place: &Place) {
        let Some(Value::Messages(history)) = span.attribute(INPUT_MESSAGES) else { return };
        let agent = span.attribute(ASKING_AGENT).and_then(Value::as_str).map(short);
        let agent = agent.or_else(|| place.agent.clone()).unwrap_or_default();
        let asker = (agent, place.chat.as_ref().map(|chat| chat.span));
        let (from, known) = self.run(span).known(&asker, history);
        if !self.has_room(history.len() - known) {
            return;
        }
        let run = self.run(span);
        let before = run.tree.nodes.len();
        run.start_call(span, history, (from, known), asker);
        self.nodes += self.runs.get(&run_of(span)).map_or(0, |run| run.tree.nodes.len() - before);
    }

    fn run(&mut self, span: &SpanHead) -> &mut Run {
        let key = run_of(span);
        if !self.runs.contains_key(&key) {
            self.order.push_back(key);
            if self.order.len() > MOST_RUNS {
                let oldest = self.oldest_ended().unwrap_or(0);
                self.forget(oldest);
            }
        }
        self.runs.entry(key).or_insert_with(|| Run::new(short(&span.run.name)))
    }

    /// Whether so many messages more may be kept, where need be without those of runs that ended.
    fn has_room(&mut self, messages: usize) -> bool {
        if self.nodes + messages <= MOST_NODES {
            return true;
        }
        let ended = self.runs.values().filter(|run| run.has_ended);
        let forgettable: usize = ended.map(|run| run.tree.nodes.len() - 1).sum();
        if self.nodes - forgettable + messages > MOST_NODES {
            return false;
        }
        while self.nodes + messages > MOST_NODES
            && let Some(oldest) = self.oldest_ended()
        {
            self.forget(oldest);
        }
        true
    }

    fn oldest_ended(&self) -> Option<usize> {
        let has_ended = |key: &SpanKey| self.runs.get(key).is_some_and(|run| run.has_ended);
        self.order.iter().position(has_ended)
    }

    fn forget(&mut self, index: usize) {
        let run = self.order.remove(index).and_then(|key| self.runs.remove(&key));
        self.nodes -= run.map_or(0, |run| run.tree.nodes.len() - 1);
    }

    fn end(&mut self, span: &SpanHead) {
        let key = run_of(span);
        let Some(run) = self.runs.get_mut(&key) else { return };
        run.end_call(span.span_id);
        if chat_title(span).is_some() {
            run.asked.retain(|(_, chat), _| *chat != Some((span.run.trace_id, span.span_id)));
        }
        if span.is_root() {
            run.end();
            if run.tree.nodes.len() == 1 {
                self.runs.remove(&key);
                self.order.retain(|run| *run != key);
            }
        }
    }
}

impl Run {
    fn new(name: Text) -> Self {
        Self {
            name,
            cost: Money::ZERO,
            input: Money::ZERO,
            input_tokens: 0,
            tree: Tree::new(),
            tool_sets: Vec::new(),
            answers: Vec::new(),
            tool_sets_by_digest: HashMap::new(),
            calls: HashMap::new(),
            asked: HashMap::new(),
            has_ended: false,
        }
    }

    /// The node from which the history goes on, and how many of its messages that is.
    fn known(&self, asker: &(Text, Option<SpanKey>), history: &Context) -> (u32, usize) {
        match self.asked.get(asker) {
            Some((last, node)) if history.first(last.len()).is_same(last) => (*node, last.len()),
            _ => (ROOT, 0),
        }
    }

    fn start_call(
        &mut self,
        span: &SpanHead,
        history: &Context,
        (from, known): (u32, usize),
        asker: (Text, Option<SpanKey>),
    ) {
        let agent = asker.0.clone();
        let node = self.tree.add(from, history, known, &agent);
        let tools = span.attribute(TOOL_DEFINITIONS).and_then(|tools| self.tool_set(&agent, tools));
        let bytes = self.tree.nodes[node as usize].path_bytes
            + tools.map_or(0, |set| self.tool_sets[set].bytes);
        if bytes > 0 {
            let (output, output_tokens, said) = (Money::ZERO, 0, None);
            let call = Call { node, tools, agent, bytes, output, output_tokens, said };
            self.calls.insert(span.span_id, call);
        }
        if self.asked.len() < MOST_ASKED || self.asked.contains_key(&asker) {
            self.asked.insert(asker, (history.clone(), node));
        }
    }

    fn tool_set(&mut self, agent: &Text, tools: &Value) -> Option<usize> {
        let definitions = tools.as_list().filter(|tools| !tools.is_empty())?;
        let json = tools.to_json();
        let mut hasher = DefaultHasher::new();
        (agent, &json).hash(&mut hasher);
        let digest = hasher.finish();
        if let Some(set) = self.tool_sets_by_digest.get(&digest) {
            return Some(*set);
        }
        let names: Vec<_> = definitions.iter().filter_map(tool_name).collect();
        let (agent, bytes) = (agent.clone(), json.len() as u64);
        let names = Text::new(&cut(&names.join(", "), TOOLS_CHARACTERS));
        self.tool_sets.push(ToolSet { agent, names, bytes, weight: Weight::default() });
        let set = self.tool_sets.len() - 1;
        self.tool_sets_by_digest.insert(digest, set);
        Some(set)
    }

    /// What a call's answer cost, in sum and for the input.
    fn pay(&mut self, call: SpanId, cost: Money, input: Money, tokens: Tokens) {
        let Some(call) = self.calls.get_mut(&call) else { return };
        let weight = Weight::of_call(call.bytes, input.picodollars(), tokens.input);
        self.tree.nodes[call.node as usize].weight.add(weight);
        if let Some(set) = call.tools {
            self.tool_sets[set].weight.add(weight);
        }
        self.input += input;
        self.input_tokens = self.input_tokens.saturating_add(tokens.input);
        call.output += cost - input;
        call.output_tokens = call.output_tokens.saturating_add(tokens.output);
    }

    /// Keeps what a call's model answered: of several answers the first, with which the framework goes on.
    fn hear(&mut self, changed: &SpanChanged) {
        let Some(call) = self.calls.get_mut(&changed.span.span_id) else { return };
        let answers = value::find(&changed.attributes, OUTPUT_MESSAGES).and_then(Value::as_list);
        if let Some(answer) = answers.and_then(<[Value]>::first) {
            call.said = Some(Said::of_body(answer));
        }
    }

    fn end_call(&mut self, span: SpanId) {
        let Some(call) = self.calls.remove(&span) else { return };
        if call.output == Money::ZERO && call.output_tokens == 0 {
            return;
        }
        // What was not recorded is told of each agent in one.
        let said = call.said.unwrap_or_else(|| Said::unknown(&call.agent));
        let words = self.tree.answer(&said, &call.agent);
        let (node, cost, tokens) = (call.node, call.output, call.output_tokens);
        self.answers.push(Answer { node, words, cost, tokens });
    }

    fn name_tool(&mut self, span: &SpanHead) {
        let text = |key| span.attribute(key).and_then(Value::as_str).unwrap_or_default();
        if self.tree.tools.len() < MOST_NODES {
            self.tree.name_tool(text("gen_ai.tool.call.id"), text("gen_ai.tool.name"));
        }
    }

    /// Lets go of what only a run in progress needs, the histories first of all.
    fn end(&mut self) {
        self.has_ended = true;
        (self.calls, self.asked) = Default::default();
        self.tool_sets_by_digest = HashMap::new();
        self.tree.end();
    }
}

/// How much of a cost is for the input.
fn input_of(event: &Event, cost: Money, tokens: Tokens) -> Money {
    if let Some(told) = event.attribute(keys::COST_INPUT).and_then(Money::from_value) {
        return told.max(Money::ZERO).min(cost);
    }
    let output = tokens.output.saturating_mul(OUTPUT_WEIGHT) as f64;
    let share = tokens.input as f64 / (tokens.input as f64 + output);
    match share.is_finite() {
        true => Money::from_picodollars((cost.picodollars() as f64 * share).round() as i128),
        false => cost,
    }
}

fn tool_name(definition: &Value) -> Option<&str> {
    text_of(definition.get("function").unwrap_or(definition), "name")
}

fn run_of(span: &SpanHead) -> SpanKey {
    key_of(&span.run)
}
