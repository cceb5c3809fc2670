//! The histories of a run as one tree: what calls of a model cost is noted at the node where each call's history ends, and
//! shared out among the messages on the way there when somebody asks.
//!
//! ```text
//! root ─ system ─ task ─ answer ─ result        a call each: 1 at `task`, 1 at `result`
//!                   └─ other answer             `task` was sent 3 times: the calls at it and below
//! ```
//!
//! A call's weight is what a byte of it cost. The sum of the weights below a node, times its message's bytes, is what it cost to
//! send the message: so a call takes as long as what is new in it, and reading as long as there are nodes.

use std::collections::HashMap;

use callboard_core::{Context, Message, Text};

use crate::providers::page::cut;
use crate::said::{Said, is_instruction, role_of, text_of};

use super::books::NAME_CHARACTERS;

/// Each message has so many bytes beside its words, about four tokens: services mark where one begins, and whose it is.
pub(super) const MARKS_BYTES: u64 = 16;

/// Weights are counted in parts of this many (as a power of two), so that nothing is lost by dividing.
pub(super) const WEIGHT_BITS: u32 = 24;

/// The node of the empty history.
pub(super) const ROOT: u32 = 0;

/// What calls cost by the byte: picodollars, and tokens, each in parts of 2 to the power of [`WEIGHT_BITS`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    pub(super) calls: u64,
    pub(super) cost: i128,
    pub(super) tokens: i128,
}

/// A message at a place in a history.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) parent: u32,
    /// What it says, by its place in [`Tree::words`].
    pub(super) words: u32,
    /// The bytes of the history up to here.
    pub(super) path_bytes: u64,
    /// The calls whose history ends here.
    pub(super) weight: Weight,
}

/// What is known of a message's words, wherever they stand.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) role: Text,
    /// Who said it, where that is known.
    pub(super) agent: Option<Text>,
    /// The call of a tool that it answers.
    pub(super) answers: Option<Text>,
    pub(super) excerpt: Option<Text>,
    pub(super) bytes: u64,
}

/// A step of a walk through the tree.
pub(super) enum Step {
    Enter(u32),
    Leave(u32),
}

/// The tree. A node stands after its parent.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) nodes: Vec<Node>,
    pub(super) words: Vec<Words>,
    /// The names of tools by the ids of their calls.
    pub(super) tools: HashMap<Text, Text>,
    by_digest: HashMap<u64, u32>,
    children: HashMap<(u32, u32), u32>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let root = Node { parent: ROOT, words: 0, path_bytes: 0, weight: Weight::default() };
        let (words, tools) = (Vec::new(), HashMap::new());
        let (by_digest, children) = (HashMap::new(), HashMap::new());
        Self { nodes: vec![root], words, tools, by_digest, children }
    }

    /// The node of a history, which goes on from the one that ends in `from`. `agent` is asked with it.
    pub(super) fn add(&mut self, from: u32, history: &Context, known: usize, agent: &str) -> u32 {
        let mut node = from;
        for message in history.messages_after(known) {
            let words = self.say(&Said::of(message), message, agent);
            node = match self.children.get(&(node, words)) {
                Some(child) => *child,
                None => self.grow(node, words),
            };
        }
        node
    }

    fn grow(&mut self, parent: u32, words: u32) -> u32 {
        let bytes = self.words[words as usize].bytes;
        let path_bytes = self.nodes[parent as usize].path_bytes.saturating_add(bytes);
        let node = self.nodes.len() as u32;
        self.nodes.push(Node { parent, words, path_bytes, weight: Weight::default() });
        self.children.insert((parent, words), node);
        node
    }

    fn say(&mut self, said: &Said, message: &Message, agent: &str) -> u32 {
        let (body, bytes) = (message.body(), said.bytes.saturating_add(MARKS_BYTES));
        let role = short(role_of(body));
        let is_own = role == "assistant" || is_instruction(&role);
        let named = text_of(body, "name").or(is_own.then_some(agent)).map(short);
        let place = self.note(said, role, named.filter(|name| !name.is_empty()));
        let words = &mut self.words[place as usize];
        words.bytes = words.bytes.max(bytes);
        place
    }

    /// What an agent's model answered.
    pub(super) fn answer(&mut self, said: &Said, agent: &str) -> u32 {
        let agent = (!agent.is_empty()).then(|| short(agent));
        self.note(said, "assistant".into(), agent)
    }

    fn note(&mut self, said: &Said, role: Text, agent: Option<Text>) -> u32 {
        for (id, tool) in &said.calls {
            self.name_tool(id, tool);
        }
        if let Some(known) = self.by_digest.get(&said.digest) {
            let words = &mut self.words[*known as usize];
            // Others have in their histories as a user's what an agent said.
            if role == "assistant" && words.role != role {
                words.role = role;
                words.agent = agent.or(words.agent.take());
            }
            return *known;
        }
        let place = self.words.len() as u32;
        self.words.push(Words {
            role,
            agent,
            answers: said.answers.as_deref().map(short),
            excerpt: said.excerpt.as_deref().map(Text::new),
            bytes: 0,
        });
        self.by_digest.insert(said.digest, place);
        place
    }

    /// Keeps which tool a call is of, for its result.
    pub(super) fn name_tool(&mut self, id: &str, tool: &str) {
        if !id.is_empty() && !tool.is_empty() {
            self.tools.insert(short(id), short(tool));
        }
    }

    /// Lets go of what only a tree that grows needs.
    pub(super) fn end(&mut self) {
        (self.by_digest, self.children) = Default::default();
        self.nodes.shrink_to_fit();
    }

    /// The weight of all calls that carried each node's message.
    pub(super) fn weights(&self) -> Vec<Weight> {
        let mut weights: Vec<_> = self.nodes.iter().map(|node| node.weight).collect();
        for (index, node) in self.nodes.iter().enumerate().skip(1).rev() {
            let below = weights[index];
            weights[node.parent as usize].add(below);
        }
        weights
    }

    /// Goes through the nodes, each after its parent, and leaves each when everything below it was gone through.
    pub(super) fn walk(&self, mut step: impl FnMut(Step)) {
        let mut children: Vec<Vec<u32>> = vec![Vec::new(); self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate().skip(1).rev() {
            children[node.parent as usize].push(index as u32);
        }
        let mut way = vec![ROOT];
        step(Step::Enter(ROOT));
        while let Some(node) = way.last().copied() {
            if let Some(child) = children[node as usize].pop() {
                step(Step::Enter(child));
                way.push(child);
            } else {
                step(Step::Leave(node));
                way.pop();
            }
        }
    }
}

impl Weight {
    /// The weight of a call of so many bytes.
    pub(super) fn of_call(bytes: u64, picodollars: i128, tokens: u64) -> Self {
        let by_the_byte = |amount: i128| {
            amount.saturating_mul(1 << WEIGHT_BITS).div_euclid(i128::from(bytes.max(1)))
        };
        Self { calls: 1, cost: by_the_byte(picodollars), tokens: by_the_byte(tokens.into()) }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.cost = self.cost.saturating_add(other.cost);
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}

pub(super) fn short(text: &str) -> Text {
    Text::new(&cut(text, NAME_CHARACTERS))
}
