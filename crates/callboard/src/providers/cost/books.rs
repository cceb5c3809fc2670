//! Books: sums of costs, and their shares by agent, by model and by chat. Each run has its own, and all of them have one.

use std::collections::HashMap;

use callboard_core::{Event, Value, keys};

use super::money::Money;
use super::places::{Place, SpanKey};
use super::prices::Tokens;
use crate::providers::page::cut;

/// So many shares are kept apart of each sort; what comes beyond is one share, so that hostile names fill no memory.
const MOST_SHARES: usize = 10_000;

/// A name is told up to so many characters.
pub(super) const NAME_CHARACTERS: usize = 200;

/// Where no agent, no chat or no model is known, and for what exceeds [`MOST_SHARES`].
const NO_AGENT: &str = "(no agent)";
const NO_CHAT: &str = "(outside any chat)";
const NO_MODEL: &str = "(no model)";
const OTHERS: &str = "(others)";

/// What one agent, one model or one chat cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// The agent's, the model's or the chat's name.
    pub name: String,
    /// What it cost.
    pub cost: Money,
    /// How many cost events that were.
    pub events: u64,
    /// The tokens that went in.
    pub input_tokens: u64,
    /// The tokens that came out.
    pub output_tokens: u64,
}

/// The calls of a model that nobody knows a price for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpriced {
    /// The model.
    pub model: String,
    /// How many calls there were.
    pub calls: u64,
    /// The tokens that went in.
    pub input_tokens: u64,
    /// The tokens that came out.
    pub output_tokens: u64,
}

/// Everything that the books say, read at one moment: the shares of each sort add up to the total, exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CostSummary {
    /// What everything cost.
    pub total: Money,
    /// How many cost events that were.
    pub events: u64,
    /// What answers from response caches would have cost.
    pub saved: Money,
    /// How many answers came from response caches.
    pub cached_calls: u64,
    /// The shares of the agents, the dearest first.
    pub by_agent: Vec<Share>,
    /// The shares of the models, the dearest first. A cost of another sort than a model's stands under that sort.
    pub by_model: Vec<Share>,
    /// The shares of the chats, the dearest first; of chats within chats the inner one has it.
    pub by_chat: Vec<Share>,
    /// Calls that are in no sum, as nobody knows their price.
    pub unpriced: Vec<Unpriced>,
}

/// Sums, and how they are shared out.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    pub(super) total: Money,
    events: u64,
    saved: Money,
    cached_calls: u64,
    agents: Shares<String>,
    models: Shares<String>,
    chats: Shares<Option<SpanKey>>,
    unpriced: Shares<String>,
}

impl Books {
    pub(super) fn enter(&mut self, event: &Event, place: &Place, tokens: Tokens) {
        if let Some(cost) = cost_of(event) {
            self.total += cost;
            self.events += 1;
            self.share_out(event, place, cost, tokens);
        } else if is_true(event, keys::COST_UNPRICED) {
            self.unpriced.add(model_name(event), || model_name(event), Money::ZERO, tokens);
        } else if is_true(event, keys::COST_CACHED) {
            self.cached_calls += 1;
            let saved = event.attribute(keys::COST_SAVED).and_then(Money::from_value);
            self.saved += saved.unwrap_or_default();
        }
    }

    fn share_out(&mut self, event: &Event, place: &Place, cost: Money, tokens: Tokens) {
        let Place { chat, agent } = place;
        let agent = text(event, keys::AGENT_NAME).or(agent.as_deref()).unwrap_or(NO_AGENT);
        let agent = cut(agent, NAME_CHARACTERS).into_owned();
        self.agents.add(agent.clone(), || agent, cost, tokens);
        let model = model_name(event);
        self.models.add(model.clone(), || model, cost, tokens);
        let name = || chat.as_ref().map_or(NO_CHAT, |chat| &chat.title).to_owned();
        self.chats.add(chat.as_ref().map(|chat| chat.span), name, cost, tokens);
    }

    /// How many shares they have.
    pub(super) fn shares(&self) -> usize {
        self.agents.len() + self.models.len() + self.chats.len() + self.unpriced.len()
    }

    /// These books and those of another run in one.
    pub(super) fn with(mut self, other: &Self) -> Self {
        self.total += other.total;
        self.events += other.events;
        self.saved += other.saved;
        self.cached_calls += other.cached_calls;
        self.agents.merge(&other.agents);
        self.models.merge(&other.models);
        self.chats.merge(&other.chats);
        self.unpriced.merge(&other.unpriced);
        self
    }

    pub(super) fn summary(&self) -> CostSummary {
        let unpriced = self.unpriced.shares.iter().map(|share| Unpriced {
            model: share.name.clone(),
            calls: share.events,
            input_tokens: share.input_tokens,
            output_tokens: share.output_tokens,
        });
        CostSummary {
            total: self.total,
            events: self.events,
            saved: self.saved,
            cached_calls: self.cached_calls,
            by_agent: self.agents.dearest_first(),
            by_model: self.models.dearest_first(),
            by_chat: told_apart(self.chats.shares.clone()),
            unpriced: unpriced.collect(),
        }
    }
}

/// Shares in order of appearance, found by a key.
#[derive(Clone, Debug)]
struct Shares<K> {
    shares: Vec<Share>,
    index: HashMap<K, usize>,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { shares: Vec::new(), index: HashMap::new() }
    }
}

impl<K: std::hash::Hash + Eq + Clone> Shares<K> {
    fn add(&mut self, key: K, name: impl FnOnce() -> String, cost: Money, tokens: Tokens) {
        let share = self.of(key, name);
        share.cost += cost;
        share.events += 1;
        share.input_tokens = share.input_tokens.saturating_add(tokens.input);
        share.output_tokens = share.output_tokens.saturating_add(tokens.output);
    }

    fn len(&self) -> usize {
        self.shares.len()
    }

    /// Adds the shares of another run.
    fn merge(&mut self, other: &Self) {
        let mut keys = vec![None; other.shares.len()];
        for (key, index) in &other.index {
            keys[*index] = Some(key.clone());
        }
        for (key, theirs) in keys.into_iter().zip(&other.shares) {
            let name = || theirs.name.clone();
            let share = match key {
                Some(key) => self.of(key, name),
                None => self.others(),
            };
            share.cost += theirs.cost;
            share.events += theirs.events;
            share.input_tokens = share.input_tokens.saturating_add(theirs.input_tokens);
            share.output_tokens = share.output_tokens.saturating_add(theirs.output_tokens);
        }
    }

    fn of(&mut self, key: K, name: impl FnOnce() -> String) -> &mut Share {
        let index = match self.index.get(&key) {
            Some(index) => *index,
            None => self.open(key, name),
        };
        &mut self.shares[index]
    }

    /// The share of what there is no room for: the last one.
    fn others(&mut self) -> &mut Share {
        if self.shares.last().is_none_or(|share| share.name != OTHERS) {
            self.shares.push(Share { name: OTHERS.to_owned(), ..Share::default() });
        }
        self.shares.last_mut().expect("one was pushed if there was none")
    }

    fn open(&mut self, key: K, name: impl FnOnce() -> String) -> usize {
        // The last share that there is room for takes whatever comes beyond.
        if self.shares.len() > MOST_SHARES {
            return MOST_SHARES;
        }
        let index = self.shares.len();
        let name = if index == MOST_SHARES { OTHERS.to_owned() } else { name() };
        self.shares.push(Share { name, ..Share::default() });
        if index < MOST_SHARES {
            self.index.insert(key, index);
        }
        index
    }

    fn dearest_first(&self) -> Vec<Share> {
        dearest_first(self.shares.clone())
    }
}

/// Sorts by cost; what costs the same stays in order of appearance.
fn dearest_first(mut shares: Vec<Share>) -> Vec<Share> {
    shares.sort_by_key(|share| std::cmp::Reverse(share.cost));
    shares
}

/// Numbers those that have one name, in order of appearance: `jack → emma`, `jack → emma (2)`.
fn told_apart(mut shares: Vec<Share>) -> Vec<Share> {
    let mut seen: HashMap<String, usize> = HashMap::new();
    for share in &mut shares {
        let times = seen.entry(share.name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            share.name = format!("{} ({times})", share.name);
        }
    }
    dearest_first(shares)
}

/// What an event cost, where it says so.
pub(super) fn cost_of(event: &Event) -> Option<Money> {
    event.attribute(keys::COST).and_then(Money::from_value)
}

fn model_name(event: &Event) -> String {
    let model = text(event, keys::LLM_MODEL).map(|model| cut(model, NAME_CHARACTERS).into_owned());
    let sort =
        || text(event, keys::COST_TYPE).map(|sort| format!("({})", cut(sort, NAME_CHARACTERS)));
    model.or_else(sort).unwrap_or_else(|| NO_MODEL.to_owned())
}

fn text<'a>(event: &'a Event, key: &str) -> Option<&'a str> {
    event.attribute(key).and_then(Value::as_str)
}

pub(super) fn is_true(event: &Event, key: &str) -> bool {
    event.attribute(key).and_then(Value::as_bool) == Some(true)
}
