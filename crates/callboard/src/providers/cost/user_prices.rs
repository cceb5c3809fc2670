//! A user's own price file, which overrides the price table. Its format is told in `cost.rs`.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::prices::Tokens;

/// A price file is read up to this many bytes.
const MOST_BYTES: u64 = 16 << 20;

const PRICES_KEY: &str = "usd_per_million_tokens";
const PRICE_KEYS: [&str; 4] = ["input", "output", "cache_read", "cache_write"];
const SHAPE: &str =
    r#"write {"usd_per_million_tokens": {"MODEL": {"input": 0.15, "output": 0.6}}}"#;

/// Why a price file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PricesError {
    /// It cannot be read.
    #[error("price file {} cannot be read: {error}; check the path", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        error: std::io::Error,
    },
    /// It is larger than any price file.
    #[error("price file {} is larger than 16 MiB; check the path", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// It does not say what a price file says.
    #[error("{file} is not understood: {problem}")]
    NotUnderstood {
        /// Which file.
        file: String,
        /// What is wrong, and how to mend it.
        problem: String,
    },
}

/// The prices of a file.
#[derive(Debug)]
pub(super) struct UserPrices {
    pub(super) version: Option<String>,
    /// In the order in which they are tried.
    rates: Vec<Rate>,
}

/// US dollars per million tokens for the models that a name or a pattern covers.
#[derive(Debug)]
struct Rate {
    pattern: String,
    input: f64,
    output: f64,
    cache_read: f64,
    cache_write: f64,
}

impl UserPrices {
    pub(super) fn load(path: &Path) -> Result<Self, PricesError> {
        let read = |path: &Path| -> std::io::Result<Vec<u8>> {
            let mut bytes = Vec::new();
            std::fs::File::open(path)?.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read(path).map_err(|error| PricesError::Read { path: path.into(), error })?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err(PricesError::TooLarge { path: path.into() });
        }
        Self::parse(&bytes, || format!("price file {}", path.display()))
    }

    /// The prices in `json`, which errors call `file`.
    pub(super) fn parse(json: &[u8], file: impl Fn() -> String) -> Result<Self, PricesError> {
        let content =
            serde_json::from_slice(json).map_err(|error| format!("it is no JSON: {error}"));
        let prices = content.and_then(|content| Self::from_json(&content));
        prices.map_err(|problem| PricesError::NotUnderstood { file: file(), problem })
    }

    fn from_json(content: &Json) -> Result<Self, String> {
        let file = content.as_object().ok_or_else(|| format!("it holds no object; {SHAPE}"))?;
        if let Some(unknown) =
            file.keys().find(|key| !["version", PRICES_KEY].contains(&key.as_str()))
        {
            return Err(format!("it may have no entry {unknown:?}; {SHAPE}"));
        }
        let version = match file.get("version") {
            None => None,
            Some(Json::String(version)) => Some(version.clone()),
            Some(other) => return Err(format!("\"version\" is {other}; make it a text")),
        };
        let models = file.get(PRICES_KEY).and_then(Json::as_object);
        let models = models.ok_or_else(|| format!("{PRICES_KEY:?} is missing; {SHAPE}"))?;
        let rates: Result<Vec<_>, _> =
            models.iter().map(|(pattern, price)| Rate::from_json(pattern, price)).collect();
        let mut rates = rates?;
        rates.sort_by_key(|rate| (rate.is_pattern(), std::cmp::Reverse(rate.own_characters())));
        Ok(Self { version, rates })
    }

    /// What the tokens cost in US dollars, and how much of that is for the input; none where the file does not name the model.
    pub(super) fn price(
        &self,
        provider: Option<&str>,
        model: &str,
        tokens: Tokens,
    ) -> Option<(f64, f64)> {
        let model = model.to_lowercase();
        let with_provider = provider.map(|provider| format!("{}/{model}", provider.to_lowercase()));
        let covers = |rate: &&Rate| {
            let provider_and_model = with_provider.as_deref();
            rate.covers(&model) || provider_and_model.is_some_and(|name| rate.covers(name))
        };
        self.rates.iter().find(covers).map(|rate| rate.price(tokens))
    }
}

impl Rate {
    fn from_json(pattern: &str, price: &Json) -> Result<Self, String> {
        let shape = r#"write {"input": 0.15, "output": 0.6}, in US dollars per million tokens"#;
        let entries = price
            .as_object()
            .ok_or_else(|| format!("the price of {pattern:?} is {price}; {shape}"))?;
        if let Some(unknown) = entries.keys().find(|key| !PRICE_KEYS.contains(&key.as_str())) {
            let known = PRICE_KEYS.join(", ");
            return Err(format!("the price of {pattern:?} may have no {unknown:?}, only {known}"));
        }
        let input = Self::usd(pattern, entries, "input")?;
        let output = Self::usd(pattern, entries, "output")?;
        let (Some(input), Some(output)) = (input, output) else {
            return Err(format!(
                "the price of {pattern:?} lacks \"input\" or \"output\"; {shape}, 0 for what is free"
            ));
        };
        Ok(Self {
            pattern: pattern.to_lowercase(),
            input,
            output,
            cache_read: Self::usd(pattern, entries, "cache_read")?.unwrap_or(input),
            cache_write: Self::usd(pattern, entries, "cache_write")?.unwrap_or(input),
        })
    }

    fn usd(pattern: &str, entries: &Map<String, Json>, key: &str) -> Result<Option<f64>, String> {
        let Some(entry) = entries.get(key) else {
            return Ok(None);
        };
        let number = entry.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
        let problem =
            || format!("{key:?} of {pattern:?} is {entry}; make it a number that is not below 0");
        number.map(Some).ok_or_else(problem)
    }

    fn is_pattern(&self) -> bool {
        self.pattern.contains('*')
    }

    fn own_characters(&self) -> usize {
        self.pattern.chars().filter(|character| *character != '*').count()
    }

    fn covers(&self, name: &str) -> bool {
        matches_pattern(&self.pattern, name)
    }

    fn price(&self, tokens: Tokens) -> (f64, f64) {
        let plain = tokens.input - tokens.cache_read - tokens.cache_write;
        let input = plain as f64 * self.input
            + tokens.cache_read as f64 * self.cache_read
            + tokens.cache_write as f64 * self.cache_write;
        ((input + tokens.output as f64 * self.output) / 1e6, input / 1e6)
    }
}

/// Whether `name` is what `pattern` says, where `*` stands for any characters.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut name) = name.strip_prefix(head) else {
        return false;
    };
    let mut parts = rest.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return name.ends_with(part);
        }
        let Some(start) = name.find(part) else {
            return false;
        };
        name = &name[start + part.len()..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price_of(file: &str, provider: Option<&str>, model: &str) -> Option<f64> {
        let million = Tokens { input: 1_000_000, ..Tokens::default() };
        parse(file).unwrap().price(provider, model, million).map(|(usd, _)| usd)
    }

    fn parse(file: &str) -> Result<UserPrices, PricesError> {
        UserPrices::parse(file.as_bytes(), || "price file p.json".to_owned())
    }

    #[test]
    fn an_exact_name_goes_before_a_longer_pattern_before_a_shorter_one() {
        let file = r#"{"usd_per_million_tokens": {
            "*": {"input": 1, "output": 0}, "gpt-4*": {"input": 2, "output": 0},
            "gpt-4o-*": {"input": 3, "output": 0}, "GPT-4o-mini": {"input": 4, "output": 0},
            "azure/gpt-4o*": {"input": 5, "output": 0}}}"#;
        assert_eq!(price_of(file, None, "claude"), Some(1.0));
        assert_eq!(price_of(file, Some("openai"), "gpt-4.1"), Some(2.0));
        assert_eq!(price_of(file, None, "gpt-4o-2024"), Some(3.0));
        assert_eq!(price_of(file, None, "gpt-4o-MINI"), Some(4.0));
        assert_eq!(price_of(file, Some("Azure"), "gpt-4o-2024"), Some(5.0));
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("a*", "a", true),
            ("a*b*c", "axbxc", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("*ab*ab", "abab", true),
            ("*ab*ab", "ab", false),
            ("**", "", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn cached_tokens_have_prices_of_their_own() {
        let file = r#"{"usd_per_million_tokens": {
            "m": {"input": 1, "output": 10, "cache_read": 0.1, "cache_write": 2}}}"#;
        let tokens = Tokens { input: 1_000, output: 100, cache_read: 600, cache_write: 300 };
        let (usd, _) = parse(file).unwrap().price(None, "m", tokens).unwrap();
        assert!((usd - 0.001_76).abs() < 1e-12, "{usd}");
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_mending() {
        let problems = [
            "",
            "[]",
            "{}",
            r#"{"prices": {}}"#,
            r#"{"usd_per_million_tokens": {}, "version": 3}"#,
            r#"{"usd_per_million_tokens": {"m": 3}}"#,
            r#"{"usd_per_million_tokens": {"m": {"input": 3}}}"#,
            r#"{"usd_per_million_tokens": {"m": {"input": 3, "output": "4"}}}"#,
            r#"{"usd_per_million_tokens": {"m": {"input": -3, "output": 4}}}"#,
            r#"{"usd_per_million_tokens": {"m": {"input": 3, "output": 4, "cached": 1}}}"#,
        ]
        .map(|file| parse(file).unwrap_err().to_string());
        let problems =
            problems.map(|problem| problem.replace("price file p.json is not understood: ", ""));
        insta::assert_snapshot!(problems.join("\n"), @r#"
        it is no JSON: EOF while parsing a value at line 1 column 0
        it holds no object; write {"usd_per_million_tokens": {"MODEL": {"input": 0.15, "output": 0.6}}}
        "usd_per_million_tokens" is missing; write {"usd_per_million_tokens": {"MODEL": {"input": 0.15, "output": 0.6}}}
        it may have no entry "prices"; write {"usd_per_million_tokens": {"MODEL": {"input": 0.15, "output": 0.6}}}
        "version" is 3; make it a text
        the price of "m" is 3; write {"input": 0.15, "output": 0.6}, in US dollars per million tokens
        the price of "m" lacks "input" or "output"; write {"input": 0.15, "output": 0.6}, in US dollars per million tokens, 0 for what is free
        "output" of "m" is "4"; make it a number that is not below 0
        "input" of "m" is -3; make it a number that is not below 0
        the price of "m" may have no "cached", only input, output, cache_read, cache_write
        "#);
        let path = Path::new("/no/such/prices.json");
        insta::assert_snapshot!(
            UserPrices::load(path).unwrap_err(),
            @"price file /no/such/prices.json cannot be read: No such file or directory (os error 2); check the path"
        );
    }
}
