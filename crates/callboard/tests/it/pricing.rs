//! What decides a price, and what is told of it: every provider sees the same.

use std::time::Duration;

use callboard::testing::MemoryProvider;
use callboard::{Attribute, EventKind, Prices, Record, Value, json, keys};

use crate::recording::{self, model_call, with};

/// What providers see of a COST event with these attributes, a line each; what every case has is left out.
fn priced(prices: Prices, cases: Vec<Vec<Attribute>>) -> String {
    let manager = recording::manager(prices);
    let memory = MemoryProvider::default();
    manager.register(Box::new(memory.clone()));
    let run = manager.start_run("test", vec![]);
    for attributes in cases {
        run.record_event(EventKind::Cost, attributes);
    }
    assert!(manager.flush(Duration::from_secs(60)));
    let records = memory.records();
    let events = records.iter().filter_map(|record| match record {
        Record::Event(event) => Some(told(&event.attributes)),
        _ => None,
    });
    events.collect::<Vec<_>>().join("\n")
}

fn told(attributes: &[Attribute]) -> String {
    let common = [
        keys::COST_TYPE,
        keys::LLM_PROVIDER,
        keys::LLM_MODEL,
        keys::LLM_INPUT_TOKENS,
        keys::LLM_OUTPUT_TOKENS,
    ];
    let rest = attributes.iter().filter(|(key, _)| !common.contains(&key.as_str()));
    let shown = rest.map(|(key, value)| {
        let mut shown = format!("{key}=");
        json::write_value(&mut shown, value);
        shown
    });
    shown.collect::<Vec<_>>().join(" ")
}

/// A call that the price table has a price for: 0.00075.
fn known() -> Vec<Attribute> {
    model_call("openai", "gpt-4o-mini", 1_000, 1_000)
}

fn unknown() -> Vec<Attribute> {
    model_call("openai", "no-such-model", 1_000, 1_000)
}

#[test]
fn the_first_source_that_knows_a_price_decides() {
    let framework = |attributes, usd: f64| with(attributes, keys::COST_FRAMEWORK, usd);
    let configured = |attributes, usd: f64| with(attributes, keys::COST_CONFIGURED, usd);
    let cases = vec![
        known(),
        unknown(),
        framework(known(), 0.5),
        framework(known(), 0.0),
        framework(unknown(), 0.5),
        framework(unknown(), 0.0),
        configured(known(), 0.25),
        configured(framework(unknown(), 0.5), 0.25),
        configured(framework(unknown(), 0.5), 0.0),
        configured(framework(unknown(), 0.5), f64::NAN),
        with(framework(known(), 0.5), keys::COST, Value::Null),
    ];
    insta::assert_snapshot!(priced(Prices::default(), cases), @r#"
    ag2.cost=0.00075 callboard.cost.source="genai-prices" callboard.cost.input=0.00015 callboard.cost.price_version="genai-prices 0.2.1"
    callboard.cost.unpriced=true
    callboard.cost.framework=0.5 ag2.cost=0.5 callboard.cost.source="framework" callboard.cost.input=0.1
    callboard.cost.framework=0.0 ag2.cost=0.00075 callboard.cost.source="genai-prices" callboard.cost.input=0.00015 callboard.cost.price_version="genai-prices 0.2.1"
    callboard.cost.framework=0.5 ag2.cost=0.5 callboard.cost.source="framework"
    callboard.cost.framework=0.0 callboard.cost.unpriced=true
    callboard.cost.configured=0.25 ag2.cost=0.25 callboard.cost.source="configured" callboard.cost.input=0.05
    callboard.cost.framework=0.5 callboard.cost.configured=0.25 ag2.cost=0.25 callboard.cost.source="configured"
    callboard.cost.framework=0.5 callboard.cost.configured=0.0 ag2.cost=0.0 callboard.cost.source="configured"
    callboard.cost.framework=0.5 callboard.cost.configured="NaN" ag2.cost=0.5 callboard.cost.source="framework"
    callboard.cost.framework=0.5 ag2.cost=0.5 callboard.cost.source="framework" callboard.cost.input=0.1
    "#);
}

#[test]
fn a_users_file_goes_before_the_table_and_tells_its_version() {
    let file = r#"{"version": "mine-3", "usd_per_million_tokens": {
        "no-such-*": {"input": 1, "output": 2}, "gpt-4o-mini": {"input": 0, "output": 0}}}"#;
    let prices = Prices::from_json(file).unwrap();
    let other = model_call("anthropic", "claude-haiku-4-5", 1_000, 1_000);
    let cases = vec![known(), unknown(), other, with(known(), keys::COST_FRAMEWORK, 0.5)];
    insta::assert_snapshot!(priced(prices, cases), @r#"
    ag2.cost=0.0 callboard.cost.source="user-prices" callboard.cost.input=0.0 callboard.cost.price_version="mine-3"
    ag2.cost=0.003 callboard.cost.source="user-prices" callboard.cost.input=0.001 callboard.cost.price_version="mine-3"
    ag2.cost=0.006 callboard.cost.source="genai-prices" callboard.cost.input=0.001 callboard.cost.price_version="genai-prices 0.2.1"
    callboard.cost.framework=0.5 ag2.cost=0.5 callboard.cost.source="framework"
    "#);
}

#[test]
fn an_answer_from_the_cache_costs_nothing_and_saves_its_price() {
    let cached = |attributes| with(attributes, keys::COST_CACHED, true);
    let cases = vec![
        cached(known()),
        cached(with(known(), keys::COST_CONFIGURED, 0.25)),
        cached(with(unknown(), keys::COST_FRAMEWORK, 0.5)),
        cached(unknown()),
    ];
    insta::assert_snapshot!(priced(Prices::default(), cases), @r#"
    callboard.cost.cached=true callboard.cost.saved=0.00075 callboard.cost.source="genai-prices" callboard.cost.price_version="genai-prices 0.2.1"
    callboard.cost.configured=0.25 callboard.cost.cached=true callboard.cost.saved=0.25 callboard.cost.source="configured"
    callboard.cost.framework=0.5 callboard.cost.cached=true callboard.cost.saved=0.5 callboard.cost.source="framework"
    callboard.cost.cached=true
    "#);
}

#[test]
fn an_event_that_has_a_cost_stays_as_it_is() {
    let cases = [0.125.into(), 0_i64.into(), true.into(), "0.5".into(), f64::NAN.into()];
    let cases = cases.map(|cost: Value| with(known(), keys::COST, cost)).to_vec();
    insta::assert_snapshot!(priced(Prices::default(), cases), @r#"
    ag2.cost=0.125
    ag2.cost=0
    ag2.cost=true
    ag2.cost="0.5"
    ag2.cost="NaN"
    "#);
}

#[test]
fn what_is_no_model_call_gets_no_price() {
    let typed = |cost_type: Value| vec![(keys::COST_TYPE.into(), cost_type)];
    let cases = vec![vec![], typed("search".into()), typed(Value::Null), typed(true.into())];
    assert_eq!(priced(Prices::default(), cases), "\n\n\n");
}

#[test]
fn a_call_that_tells_too_little_is_unpriced() {
    let model_only = vec![
        (keys::COST_TYPE.into(), "LLM".into()),
        (keys::LLM_MODEL.into(), "gpt-4o-mini".into()),
    ];
    let odd = |tokens: Value| with(model_only.clone(), keys::LLM_INPUT_TOKENS, tokens);
    let no_model =
        vec![(keys::COST_TYPE.into(), "LLM".into()), (keys::LLM_INPUT_TOKENS.into(), 5_i64.into())];
    let cases = vec![
        model_only.clone(),
        odd((-5_i64).into()),
        odd("5".into()),
        odd(f64::INFINITY.into()),
        no_model,
    ];
    let each = "callboard.cost.unpriced=true";
    assert_eq!(priced(Prices::default(), cases), [each; 5].join("\n"));
}

#[test]
fn cached_tokens_count_within_the_input() {
    let cases = vec![
        with(known(), keys::CACHE_READ_TOKENS, 1_000_i64),
        with(known(), keys::CACHE_READ_TOKENS, i64::MAX),
        with(
            with(
                model_call("anthropic", "claude-haiku-4-5", 1_000, 0),
                keys::CACHE_READ_TOKENS,
                300_i64,
            ),
            keys::CACHE_WRITE_TOKENS,
            200_i64,
        ),
    ];
    insta::assert_snapshot!(priced(Prices::default(), cases), @r#"
    callboard.llm.cache_read_input_tokens=1000 ag2.cost=0.000675 callboard.cost.source="genai-prices" callboard.cost.input=0.000075 callboard.cost.price_version="genai-prices 0.2.1"
    callboard.llm.cache_read_input_tokens=9223372036854775807 ag2.cost=691752902764.1088 callboard.cost.source="genai-prices" callboard.cost.input=691752902764.1082 callboard.cost.price_version="genai-prices 0.2.1"
    callboard.llm.cache_read_input_tokens=300 callboard.llm.cache_write_input_tokens=200 ag2.cost=0.00078 callboard.cost.source="genai-prices" callboard.cost.input=0.00078 callboard.cost.price_version="genai-prices 0.2.1"
    "#);
}
