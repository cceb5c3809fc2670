//! The books: each cost is entered once, and shared out by agent, by model and by chat.

use std::collections::{HashMap, VecDeque};

use callboard_core::value::attributes_size_bytes;
use callboard_core::{Attribute, Event, EventKind, Record, Value, keys};

use super::lives::Lives;
use super::messages::{MessageCost, dearest_messages};
use super::money::Money;
use super::places::{Place, Places, SpanKey};
use super::prices::Tokens;
use crate::providers::page::cut;

/// So many shares are kept apart of each sort; what comes beyond is one share, so that hostile names fill no memory.
const MOST_SHARES: usize = 10_000;

/// A name is told up to so many characters.
pub(super) const NAME_CHARACTERS: usize = 200;

/// The history holds so many bytes at the most, however few entries these are.
const MOST_HISTORY_BYTES: usize = 64 << 20;

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

#[derive(Debug)]
pub(super) struct Ledger {
    places: Places,
    total: Money,
    events: u64,
    saved: Money,
    cached_calls: u64,
    agents: Shares<String>,
    models: Shares<String>,
    chats: Shares<Option<SpanKey>>,
    unpriced: Shares<String>,
    lives: Lives,
    history: VecDeque<Box<[Attribute]>>,
    history_bytes: usize,
    history_entries: usize,
    history_dropped: u64,
}

impl Ledger {
    pub(super) fn new(history_entries: usize) -> Self {
        Self {
            places: Places::default(),
            total: Money::ZERO,
            events: 0,
            saved: Money::ZERO,
            cached_calls: 0,
            agents: Shares::default(),
            models: Shares::default(),
            chats: Shares::default(),
            unpriced: Shares::default(),
            lives: Lives::default(),
            history: VecDeque::new(),
            history_bytes: 0,
            history_entries,
            history_dropped: 0,
        }
    }

    pub(super) fn enter(&mut self, record: &Record) {
        if let Record::SpanStarted(span) = record {
            self.places.span_started(span);
        }
        self.lives.enter(record, &self.places);
        match record {
            Record::SpanEnded(ended) => self.places.span_ended(&ended.span),
            Record::Event(event) if event.kind == EventKind::Cost => self.enter_cost(event),
            _ => {}
        }
    }

    fn enter_cost(&mut self, event: &Event) {
        let tokens = Tokens::told(&event.attributes).unwrap_or_default();
        if let Some(cost) = event.attribute(keys::COST).and_then(Money::from_value) {
            self.total += cost;
            self.events += 1;
            self.share_out(event, cost, tokens);
            self.keep(event);
            self.lives.pay(event, cost, tokens);
        } else if is_true(event, keys::COST_UNPRICED) {
            self.unpriced.add(model_name(event), || model_name(event), Money::ZERO, tokens);
            self.lives.pay(event, Money::ZERO, tokens);
        } else if is_true(event, keys::COST_CACHED) {
            self.cached_calls += 1;
            let saved = event.attribute(keys::COST_SAVED).and_then(Money::from_value);
            self.saved += saved.unwrap_or_default();
        }
    }

    fn share_out(&mut self, event: &Event, cost: Money, tokens: Tokens) {
        let Place { chat, agent } = self.places.of(&event.span);
        let agent = text(event, keys::AGENT_NAME).or(agent.as_deref()).unwrap_or(NO_AGENT);
        let agent = cut(agent, NAME_CHARACTERS).into_owned();
        self.agents.add(agent.clone(), || agent, cost, tokens);
        let model = model_name(event);
        self.models.add(model.clone(), || model, cost, tokens);
        let name = || chat.as_ref().map_or(NO_CHAT, |chat| &chat.title).to_owned();
        self.chats.add(chat.as_ref().map(|chat| chat.span), name, cost, tokens);
    }

    fn keep(&mut self, event: &Event) {
        let told = event.attributes.iter().filter(|(key, _)| is_told(key));
        let entry: Box<[Attribute]> = told.cloned().collect();
        self.history_bytes += attributes_size_bytes(&entry);
        self.history.push_back(entry);
        while (self.history.len() > self.history_entries || self.history_bytes > MOST_HISTORY_BYTES)
            && let Some(oldest) = self.history.pop_front()
        {
            self.history_bytes -= attributes_size_bytes(&oldest);
            self.history_dropped += 1;
        }
    }

    pub(super) fn total(&self) -> Money {
        self.total
    }

    pub(super) fn history(&self) -> Vec<Vec<Attribute>> {
        self.history.iter().map(|entry| entry.to_vec()).collect()
    }

    pub(super) fn history_dropped(&self) -> u64 {
        self.history_dropped
    }

    pub(super) fn messages(&self, limit: usize) -> Vec<MessageCost> {
        dearest_messages(&self.lives, limit)
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
#[derive(Debug)]
struct Shares<K> {
    shares: Vec<Share>,
    index: HashMap<K, usize>,
}

impl<K> Default for Shares<K> {
    fn default() -> Self {
        Self { shares: Vec::new(), index: HashMap::new() }
    }
}

impl<K: std::hash::Hash + Eq> Shares<K> {
    fn add(&mut self, key: K, name: impl FnOnce() -> String, cost: Money, tokens: Tokens) {
        let index = match self.index.get(&key) {
            Some(index) => *index,
            None => self.open(key, name),
        };
        let share = &mut self.shares[index];
        share.cost += cost;
        share.events += 1;
        share.input_tokens = share.input_tokens.saturating_add(tokens.input);
        share.output_tokens = share.output_tokens.saturating_add(tokens.output);
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

/// What the history tells: the draft's keys and the program's own, and of callboard's own where the price is from.
fn is_told(key: &str) -> bool {
    !key.starts_with("callboard.") || key == keys::COST_SOURCE
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

fn is_true(event: &Event, key: &str) -> bool {
    event.attribute(key).and_then(Value::as_bool) == Some(true)
}
