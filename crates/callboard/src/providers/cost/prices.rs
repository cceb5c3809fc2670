//! Where a model's price is looked up: the user's price file, then the table of the genai-prices project.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use callboard_core::UnixNanos;
use genai_prices::{Calculator, ErrorKind, PriceCalculation, PriceRequest, Usage, UsageKey};

use super::user_prices::{PricesError, UserPrices};

/// The table's version, told with each price. A test compares it with the version that was built.
const TABLE_VERSION: &str = "genai-prices 0.2.1";

/// Programs that serve models on the user's own machine. Another provider's price for a model of that name is no price
/// for running it there.
const LOCAL_PROVIDERS: [&str; 4] = ["ollama", "lmstudio", "llamacpp", "vllm"];

/// A longer name is no model's and no provider's, and is not worth the time of comparing it with thousands of patterns.
const MOST_NAME_BYTES: usize = 512;

/// The prices that model calls are charged at. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Prices {
    user: Option<Arc<UserPrices>>,
}

/// The tokens of a model call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Those that went in, cached ones included.
    pub input: u64,
    /// Those that came out, reasoning included.
    pub output: u64,
    /// Of the input, those read from the prompt cache.
    pub cache_read: u64,
    /// Of the input, those written to the prompt cache.
    pub cache_write: u64,
}

/// A price that was found.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Price {
    pub(super) usd: f64,
    /// How much of it is for the input.
    pub(super) input_usd: f64,
    /// `user-prices` or `genai-prices`.
    pub(super) source: &'static str,
    pub(super) version: Option<String>,
}

impl Prices {
    /// The prices of a user's file, and of the price table for models that the file does not name.
    ///
    /// # Errors
    /// When the file cannot be read, or is not [a price file](crate::providers::cost#a-price-file-of-ones-own).
    pub fn load(path: impl AsRef<Path>) -> Result<Self, PricesError> {
        Ok(Self { user: Some(Arc::new(UserPrices::load(path.as_ref())?)) })
    }

    /// [`load`](Self::load) for a file's content.
    ///
    /// # Errors
    /// When it is not [a price file](crate::providers::cost#a-price-file-of-ones-own).
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, PricesError> {
        Ok(Self {
            user: Some(Arc::new(UserPrices::parse(json.as_ref(), || "the price file".to_owned())?)),
        })
    }

    /// What a call at this time costs; none where neither source has a price for all of its tokens.
    pub(super) fn find(
        &self,
        provider: Option<&str>,
        model: &str,
        tokens: Tokens,
        time_unix_ns: UnixNanos,
    ) -> Option<Price> {
        if model.len() > MOST_NAME_BYTES
            || provider.is_some_and(|name| name.len() > MOST_NAME_BYTES)
        {
            return None;
        }
        let tokens = tokens.consistent();
        if let Some(user) = &self.user
            && let Some((usd, input_usd)) = user.price(provider, model, tokens)
        {
            let version = user.version.clone();
            return Some(Price { usd, input_usd, source: "user-prices", version });
        }
        let (usd, input_usd) = table_price(provider, model, tokens, time_unix_ns)?;
        let version = Some(TABLE_VERSION.to_owned());
        Some(Price { usd, input_usd, source: "genai-prices", version })
    }
}

impl Tokens {
    /// The same, with an input that covers its cached parts: some emitters leave those out of the sum.
    fn consistent(self) -> Self {
        Self { input: self.input.max(self.cache_read.saturating_add(self.cache_write)), ..self }
    }

    fn usage(self) -> Usage {
        let counts = [
            (UsageKey::INPUT_TOKENS, self.input),
            (UsageKey::OUTPUT_TOKENS, self.output),
            (UsageKey::CACHE_READ_TOKENS, self.cache_read),
            (UsageKey::CACHE_WRITE_TOKENS, self.cache_write),
        ];
        counts.into_iter().map(|(key, count)| (key, count as f64)).collect()
    }
}

/// The table's price in US dollars, and how much of that is for the input. Its data is decoded at the first call (tens of milliseconds), once in a process.
fn table_price(
    provider: Option<&str>,
    model: &str,
    tokens: Tokens,
    time_unix_ns: UnixNanos,
) -> Option<(f64, f64)> {
    let provider = provider.map(str::trim).filter(|provider| !provider.is_empty());
    let local =
        |provider: &str| LOCAL_PROVIDERS.iter().any(|name| provider.eq_ignore_ascii_case(name));
    if provider.is_some_and(local) {
        return None;
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(time_unix_ns);
    names(provider, model).into_iter().find_map(|(provider, model)| {
        let usage = tokens.usage();
        let found = calculate(provider, model, &usage, time)?;
        covers_all(&found, provider, model, tokens, time)
            .then_some((found.total_price, found.total_price - found.output_price))
    })
}

/// As what the table may know the model. A provider's name often tells the protocol alone (`openai` for anything
/// that speaks OpenAI's), so the model's own name is tried without it too, and `provider/model` taken apart.
fn names<'a>(provider: Option<&'a str>, model: &'a str) -> Vec<(Option<&'a str>, &'a str)> {
    let mut names = Vec::with_capacity(4);
    names.extend(provider.map(|provider| (Some(provider), model)));
    if let Some((prefix, tail)) = model.split_once('/') {
        names.push((Some(prefix), tail));
    }
    names.push((None, model));
    names.extend(model.rsplit_once('/').map(|(_, tail)| (None, tail)));
    names
}

fn calculate(
    provider: Option<&str>,
    model: &str,
    usage: &Usage,
    time: SystemTime,
) -> Option<PriceCalculation> {
    let mut request = PriceRequest::new(model, usage).with_timestamp(time);
    if let Some(provider) = provider {
        request = request.with_provider_id(provider);
    }
    match Calculator::bundled().calculate(&request) {
        Ok(found) => Some(found),
        Err(error) => {
            let unknown = [ErrorKind::ProviderNotFound, ErrorKind::ModelNotFound];
            if !unknown.contains(&error.kind()) {
                log::debug!("no price for {model:?}: {error}");
            }
            None
        }
    }
}

/// Whether the table has a price for each side that has tokens: it lists models without one, which would come out free.
/// Only a model that is called free is.
fn covers_all(
    found: &PriceCalculation,
    provider: Option<&str>,
    model: &str,
    tokens: Tokens,
    time: SystemTime,
) -> bool {
    let unpriced_input = tokens.input > 0 && found.input_price == 0.0;
    let unpriced_output = tokens.output > 0 && found.output_price == 0.0;
    if !(unpriced_input || unpriced_output) || found.model_id.ends_with(":free") {
        return true;
    }
    // Cached tokens may be free where others are not.
    let plain = Tokens { input: 1_000, output: 1_000, ..Tokens::default() };
    calculate(provider, model, &plain.usage(), time).is_some_and(|plain| {
        (plain.input_price > 0.0 || !unpriced_input)
            && (plain.output_price > 0.0 || !unpriced_output)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-01T00:00:00Z.
    const TIME: UnixNanos = 1_793_491_200_000_000_000;
    const TOKENS: Tokens =
        Tokens { input: 1_000_000, output: 100_000, cache_read: 0, cache_write: 0 };

    fn check(provider: Option<&str>, model: &str, usd: Option<f64>) {
        let found = Prices::default().find(provider, model, TOKENS, TIME).map(|price| price.usd);
        let near = |(found, usd): (f64, f64)| (found - usd).abs() < 1e-9;
        let equal = found.zip(usd).map_or(found == usd, near);
        assert!(equal, "{provider:?} {model:?}: {found:?}, not {usd:?}");
    }

    #[test]
    fn a_model_is_found_by_whatever_name_it_is_called() {
        let mini = Some(0.15 + 0.06);
        check(Some("openai"), "gpt-4o-mini", mini);
        check(Some("openai"), "gpt-4o-mini-2024-07-18", mini);
        check(Some("OpenAI"), "GPT-4o-mini", mini);
        check(None, "gpt-4o-mini", mini);
        check(None, "openai/gpt-4o-mini-2024-07-18", mini);
        check(Some("openai"), "openai/gpt-4o-mini", mini);
        check(Some("some-proxy"), "gpt-4o-mini", mini);
        check(Some("some-proxy"), "team/openai/gpt-4o-mini", mini);
        check(Some(""), "gpt-4o-mini", mini);
        // The protocol is OpenAI's, the model is not.
        check(Some("openai"), "claude-haiku-4-5", Some(1.0 + 0.5));
    }

    #[test]
    fn what_has_no_price_is_not_free() {
        check(Some("openai"), "no-such-model", None);
        check(None, "", None);
        check(Some("openai"), &"gpt-4o-mini ".repeat(5_000_000), None);
        check(Some("ollama"), "gpt-4o-mini", None);
        check(Some("github-copilot"), "o1-none", None);
        // Listed, without a price.
        check(Some("google"), "gemma-3", None);
        // Listed, with a price for its input alone.
        check(Some("openai"), "text-embedding-3-small", None);
        let embedding = Tokens { input: 1_000_000, ..Tokens::default() };
        let price =
            Prices::default().find(Some("openai"), "text-embedding-3-small", embedding, TIME);
        assert_eq!(price.unwrap().usd, 0.02);
        check(Some("openrouter"), "arliai/qwq-32b-arliai-rpr-v1:free", Some(0.0));
    }

    #[test]
    fn cached_tokens_cost_what_the_table_says_for_them() {
        let tokens = Tokens { input: 1_000_000, output: 0, cache_read: 400_000, cache_write: 0 };
        let price = Prices::default().find(Some("openai"), "gpt-4o-mini", tokens, TIME).unwrap();
        assert!((price.usd - (0.6 * 0.15 + 0.4 * 0.075)).abs() < 1e-12);
        // Cached tokens that were left out of the input.
        let left_out = Tokens { input: 10, output: 0, cache_read: 1_000_000, cache_write: 0 };
        let price = Prices::default().find(Some("openai"), "gpt-4o-mini", left_out, TIME).unwrap();
        assert_eq!(price.usd, 0.075);
    }

    #[test]
    fn the_told_version_is_the_one_that_is_built() {
        let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock"));
        let (name, version) = TABLE_VERSION.split_once(' ').unwrap();
        assert!(lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n")));
    }
}
