//! The step of the pipeline that decides what a model call costs, before any provider sees it.

use callboard_core::value::find;
use callboard_core::{
    Attribute, Event, EventKind, Record, RecordProcessor, UnixNanos, Value, keys,
};

use super::money::Money;
use super::prices::{Price, Prices, Tokens};

/// Puts a price on each COST event of a model call (`ag2.cost_type` = `LLM`) that has none (`ag2.cost`).
///
/// The first of these that knows a price decides; `callboard.cost.source` tells which it was:
///
/// 1. `configured`: what the program's own price makes it (`callboard.cost.configured`);
/// 2. `framework`: what the agent framework says, where that is above 0 (`callboard.cost.framework`);
/// 3. `user-prices`: the user's price file; 4. `genai-prices`: the price table. Both tell their version.
///
/// `callboard.cost.input` tells how much of the cost is for the input, unless the event tells it already. The sums of 1 and 2
/// are shared out as 3 or 4 would share theirs, where these know the model.
///
/// Where none knows a price, the event is marked with `callboard.cost.unpriced`. An answer from a response cache
/// (`callboard.cost.cached`) costs nothing: `callboard.cost.saved` tells what it would have cost, and there is no `ag2.cost`.
/// An event that has an `ag2.cost` stays as it is.
pub struct Pricing {
    prices: Prices,
}

/// A price, and what is told of where it is from.
struct Decision {
    cost: Money,
    /// How much of it is for the input, where the source tells.
    input: Option<Money>,
    source: &'static str,
    version: Option<String>,
}

impl Pricing {
    /// Prices calls at these prices.
    pub fn new(prices: Prices) -> Self {
        Self { prices }
    }

    /// What a COST event with these attributes will say that it cost; none where nobody knows.
    pub fn cost_of(&self, attributes: &[Attribute], time_unix_ns: UnixNanos) -> Option<Money> {
        let amount = find(attributes, keys::COST).and_then(Money::from_value);
        if find(attributes, keys::COST_CACHED).and_then(Value::as_bool) == Some(true) {
            return Some(Money::default());
        }
        amount.or_else(|| Some(self.decide(attributes, time_unix_ns)?.cost))
    }

    fn price(&self, event: &mut Event) {
        let decision = self.decide(&event.attributes, event.time_unix_ns);
        let is_cached = event.attribute(keys::COST_CACHED).and_then(Value::as_bool) == Some(true);
        let attributes = &mut event.attributes;
        attributes.retain(|(key, _)| key != keys::COST);
        match decision {
            Some(decision) => {
                let key = if is_cached { keys::COST_SAVED } else { keys::COST };
                attributes.push((key.into(), decision.cost.usd().into()));
                attributes.push((keys::COST_SOURCE.into(), decision.source.into()));
                if !is_cached && find(attributes, keys::COST_INPUT).is_none() {
                    let input = decision.input.or_else(|| self.input_of(decision.cost, event));
                    let input = input.map(|input| (keys::COST_INPUT.into(), input.usd().into()));
                    event.attributes.extend(input);
                }
                let attributes = &mut event.attributes;
                let version = decision
                    .version
                    .map(|version| (keys::COST_PRICE_VERSION.into(), version.into()));
                attributes.extend(version);
            }
            None if !is_cached => attributes.push((keys::COST_UNPRICED.into(), true.into())),
            None => {}
        }
    }

    fn decide(&self, attributes: &[Attribute], time_unix_ns: UnixNanos) -> Option<Decision> {
        let amount = |key| find(attributes, key).and_then(Money::from_value);
        if let Some(cost) = amount(keys::COST_CONFIGURED) {
            return Some(Decision { cost, input: None, source: "configured", version: None });
        }
        if let Some(cost) = amount(keys::COST_FRAMEWORK).filter(|cost| cost.is_positive()) {
            return Some(Decision { cost, input: None, source: "framework", version: None });
        }
        let price = self.look_up(attributes, Tokens::told(attributes)?, time_unix_ns)?;
        let (cost, input) = (Money::from_usd(price.usd)?, Money::from_usd(price.input_usd));
        Some(Decision { cost, input, source: price.source, version: price.version })
    }

    /// The input's part of a cost that is told as a sum alone. Whoever tells it so has one price for all input.
    fn input_of(&self, cost: Money, event: &Event) -> Option<Money> {
        let told = Tokens::told(&event.attributes)?;
        let tokens = Tokens { cache_read: 0, cache_write: 0, ..told };
        let price = self.look_up(&event.attributes, tokens, event.time_unix_ns)?;
        Money::from_usd(cost.usd() * price.input_usd / price.usd)
    }

    fn look_up(
        &self,
        attributes: &[Attribute],
        tokens: Tokens,
        time_unix_ns: UnixNanos,
    ) -> Option<Price> {
        let model = find(attributes, keys::LLM_MODEL)?.as_str()?;
        let provider = find(attributes, keys::LLM_PROVIDER).and_then(Value::as_str);
        self.prices.find(provider, model, tokens, time_unix_ns)
    }
}

impl RecordProcessor for Pricing {
    fn process(&mut self, batch: &mut Vec<Record>) {
        for record in batch {
            if let Record::Event(event) = record
                && wants_price(event)
            {
                self.price(event);
            }
        }
    }
}

fn wants_price(event: &Event) -> bool {
    event.kind == EventKind::Cost
        && matches!(event.attribute(keys::COST), None | Some(Value::Null))
        && event.attribute(keys::COST_TYPE).and_then(Value::as_str) == Some("LLM")
}

impl Tokens {
    /// What an event tells; none where it tells nothing of input or output.
    pub(super) fn told(attributes: &[Attribute]) -> Option<Self> {
        let count = |key| {
            let number = find(attributes, key).and_then(Value::as_i64)?;
            u64::try_from(number).ok()
        };
        let (input, output) = (count(keys::LLM_INPUT_TOKENS), count(keys::LLM_OUTPUT_TOKENS));
        (input.is_some() || output.is_some()).then(|| Self {
            input: input.unwrap_or(0),
            output: output.unwrap_or(0),
            cache_read: count(keys::CACHE_READ_TOKENS).unwrap_or(0),
            cache_write: count(keys::CACHE_WRITE_TOKENS).unwrap_or(0),
        })
    }
}
