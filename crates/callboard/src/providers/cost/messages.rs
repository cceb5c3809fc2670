//! What each message cost over its life, worked out when somebody asks.

use std::collections::HashMap;
use std::fmt;

use callboard_core::Text;

use super::lives::{Run, ToolSet};
use super::money::Money;
use super::tree::{Step, WEIGHT_BITS, Weight};
use crate::providers::page::one_line;

/// The role of what stands for the definitions of tools.
const TOOLS: &str = "tools";

/// What a message cost over its life: it was made, and then sent with each call of a model whose history it stood in.
///
/// All numbers but [`calls`](Self::calls) are estimates. The tokens and the cost of a call's input are shared out among its
/// messages, and the definitions of its tools, by their lengths; an image counts as a page of text. They add up to what was
/// billed for the input of all calls whose history is known, exactly.
///
/// It displays as "a result of look, sent 37 times: about 63 % of the run (an estimate)".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MessageCost {
    /// The name of the run that it belongs to.
    pub run: String,
    /// Who it is from, in the words of the service: `system`, `user`, `assistant`, `tool`; `tools` for the definitions of
    /// an agent's tools, which are sent with each call.
    pub role: String,
    /// The agent that said it, or whose system message or tools it is, where that is known.
    pub agent: Option<String>,
    /// The tool whose result it is.
    pub tool: Option<String>,
    /// Its beginning, on one line, of 100 characters at the most; none where messages are not recorded. It is as
    /// untrusted as the message.
    pub text: Option<String>,
    /// How many calls carried it.
    pub calls: u64,
    /// About how many tokens of input it was, over all these calls.
    pub input_tokens: u64,
    /// How many tokens of output making it took, where a model made it.
    pub output_tokens: u64,
    /// About what it cost to send it, over all these calls.
    pub input_cost: Money,
    /// What it cost to make it.
    pub output_cost: Money,
    /// Its part in the cost of the run, from 0 to 1; 0 where the run cost nothing.
    pub share: f64,
}

impl MessageCost {
    /// What it cost over its life.
    pub fn cost(&self) -> Money {
        self.input_cost + self.output_cost
    }

    /// What it is, in a few words: "a result of look".
    pub fn what(&self) -> String {
        let of = |what: &str, agent: &Option<String>| match agent {
            Some(agent) => format!("{what} of {agent}"),
            None => what.to_owned(),
        };
        match (self.role.as_str(), &self.tool, &self.agent) {
            ("tool" | "function", Some(tool), _) => format!("a result of {tool}"),
            ("tool" | "function", None, _) => "a tool's result".to_owned(),
            ("system" | "developer", _, agent) => of("the system message", agent),
            (TOOLS, _, agent) => of("the tools' definitions", agent),
            (_, _, Some(agent)) => format!("a message of {agent}"),
            (role, ..) => format!("a message ({role})"),
        }
    }
}

impl fmt::Display for MessageCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sent = match self.calls {
            0 => "never sent".to_owned(),
            1 => "sent once".to_owned(),
            times => format!("sent {times} times"),
        };
        let percent = self.share * 100.0;
        write!(f, "{}, {sent}: about {percent:.0} % of the run (an estimate)", self.what())
    }
}

/// The messages of these runs, the dearest first; of those that cost the same, the one of more tokens.
pub(super) fn dearest_messages<'a>(
    runs: impl Iterator<Item = &'a Run>,
    limit: usize,
) -> Vec<MessageCost> {
    let mut messages: Vec<_> = runs.flat_map(sent_in).collect();
    messages.sort_by_key(|message| std::cmp::Reverse(message.rank()));
    messages.truncate(limit);
    messages.iter().map(Sent::told).collect()
}

/// A message, with its part in what was billed.
struct Sent<'a> {
    run: &'a Run,
    what: What<'a>,
    calls: u64,
    input_cost: Money,
    input_tokens: u64,
}

enum What<'a> {
    Message(Life),
    Tools(&'a ToolSet),
}

impl Sent<'_> {
    fn rank(&self) -> (Money, u64) {
        match &self.what {
            What::Message(life) => (
                self.input_cost + life.output,
                self.input_tokens.saturating_add(life.output_tokens),
            ),
            What::Tools(_) => (self.input_cost, self.input_tokens),
        }
    }

    fn told(&self) -> MessageCost {
        let share = self.rank().0.usd() / self.run.cost.usd();
        let told = match &self.what {
            What::Message(life) => told(self.run, life),
            What::Tools(tools) => MessageCost {
                role: TOOLS.to_owned(),
                agent: owned(Some(&tools.agent).filter(|agent| !agent.is_empty())),
                text: Some(one_line(&tools.names).into_owned()),
                ..MessageCost::default()
            },
        };
        MessageCost {
            run: self.run.name.to_string(),
            calls: self.calls,
            input_tokens: self.input_tokens,
            input_cost: self.input_cost,
            share: if share.is_finite() { share } else { 0.0 },
            ..told
        }
    }
}

/// A message: the same words, for the same time in a history. What several agents have in their histories is one message.
#[derive(Clone, Copy, Default)]
struct Life {
    words: u32,
    weight: Weight,
    output: Money,
    output_tokens: u64,
}

fn sent_in(run: &Run) -> Vec<Sent<'_>> {
    let lives = lives_of(run);
    let weighed: Vec<_> = lives
        .iter()
        .map(|life| (life.weight, run.tree.words[life.words as usize].bytes))
        .chain(run.tool_sets.iter().map(|tools| (tools.weight, tools.bytes)))
        .collect();
    let costs = shares(run.input.picodollars(), &weighed, |weight| weight.cost);
    let tokens = shares(run.input_tokens.into(), &weighed, |weight| weight.tokens);
    let messages = lives.into_iter().map(What::Message);
    let all = messages.chain(run.tool_sets.iter().map(What::Tools));
    let billed = weighed.iter().zip(costs.into_iter().zip(tokens));
    all.zip(billed)
        .map(|(what, ((weight, _), (cost, tokens)))| Sent {
            run,
            what,
            calls: weight.calls,
            input_cost: Money::from_picodollars(cost),
            input_tokens: u64::try_from(tokens).unwrap_or(0),
        })
        .collect()
}

/// What is told of a message, without what it cost to send it.
fn told(run: &Run, life: &Life) -> MessageCost {
    let words = &run.tree.words[life.words as usize];
    let is_result = matches!(words.role.as_str(), "tool" | "function");
    let answered = words.answers.as_ref().and_then(|call| run.tree.tools.get(call));
    let tool = answered.or(words.agent.as_ref()).filter(|_| is_result);
    MessageCost {
        role: words.role.to_string(),
        agent: owned(words.agent.as_ref().filter(|_| !is_result)),
        tool: owned(tool),
        text: owned(words.excerpt.as_ref()),
        output_cost: life.output,
        output_tokens: life.output_tokens,
        ..MessageCost::default()
    }
}

fn owned(text: Option<&Text>) -> Option<String> {
    text.map(Text::to_string)
}

/// Goes along every history, and counts how often each message's words stood in it before.
fn lives_of(run: &Run) -> Vec<Life> {
    let (tree, weights) = (&run.tree, run.tree.weights());
    let mut answers: HashMap<u32, Vec<usize>> = HashMap::new();
    for (index, answer) in run.answers.iter().enumerate() {
        answers.entry(answer.node).or_default().push(index);
    }
    let mut times = vec![0_u32; tree.words.len()];
    let mut lives = Lifetimes::default();
    tree.walk(|step| match step {
        Step::Enter(node) => {
            if node > 0 {
                let words = tree.nodes[node as usize].words;
                times[words as usize] += 1;
                lives.of(words, times[words as usize]).weight.add(weights[node as usize]);
            }
            for answer in answers.get(&node).into_iter().flatten().map(|index| &run.answers[*index])
            {
                let life = lives.of(answer.words, times[answer.words as usize] + 1);
                life.output += answer.cost;
                life.output_tokens = life.output_tokens.saturating_add(answer.tokens);
            }
        }
        Step::Leave(node) if node > 0 => times[tree.nodes[node as usize].words as usize] -= 1,
        Step::Leave(_) => {}
    });
    lives.lives
}

#[derive(Default)]
struct Lifetimes {
    lives: Vec<Life>,
    places: HashMap<(u32, u32), usize>,
}

impl Lifetimes {
    fn of(&mut self, words: u32, time: u32) -> &mut Life {
        let place = *self.places.entry((words, time)).or_insert(self.lives.len());
        if place == self.lives.len() {
            self.lives.push(Life { words, ..Life::default() });
        }
        &mut self.lives[place]
    }
}

/// The whole, shared out by what each has of it: rounded down, and what is left by the largest remainders. They add up to the
/// whole, exactly.
fn shares(whole: i128, weighed: &[(Weight, u64)], of: impl Fn(&Weight) -> i128) -> Vec<i128> {
    let exact: Vec<_> = weighed
        .iter()
        .map(|(weight, bytes)| of(weight).saturating_mul(i128::from(*bytes)))
        .collect();
    let mut shares: Vec<_> = exact.iter().map(|share| share >> WEIGHT_BITS).collect();
    let mut carrying: Vec<_> =
        (0..shares.len()).filter(|index| weighed[*index].0.calls > 0).collect();
    if carrying.is_empty() {
        return shares;
    }
    let left = whole - shares.iter().fold(0_i128, |sum, share| sum.saturating_add(*share));
    let each = left.div_euclid(carrying.len() as i128);
    let more = left.rem_euclid(carrying.len() as i128) as usize;
    carrying.sort_by_key(|index| std::cmp::Reverse(exact[*index] & ((1 << WEIGHT_BITS) - 1)));
    for (rank, index) in carrying.into_iter().enumerate() {
        shares[index] += each + i128::from(rank < more);
    }
    shares
}
