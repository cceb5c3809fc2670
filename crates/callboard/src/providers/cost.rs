//! What a run cost: how a price is found, and the provider that adds prices up.
//!
//! ```text
//! COST event ─▶ Pricing (in the pipeline, before every provider) ─▶ CostTrackerProvider ─▶ total, history, shares
//!                  │                                            └─▶ every other provider, with the same price
//!                  └─ configured ▸ framework ▸ the user's price file ▸ genai-prices ▸ unpriced
//! ```
//!
//! Money is counted in whole picodollars, so that sums are equal in whatever order and however they are grouped;
//! floats stand at the edges alone. A call whose price nobody knows is *unpriced*, never free.
//!
//! # What a message costs over its life
//!
//! ```text
//! llm_call ─▶ its history, as a node of a tree ─┐
//! COST     ─▶ the input's cost, at that node    ├─▶ when it is read: sums along the tree, and shares of them by length
//! llm_call ends ─▶ the output's cost, at what it said ─┘
//! ```
//!
//! A message is paid for when it is made, and each time that it is sent. Services bill a call as a whole, so what a message of
//! it costs is an estimate: the input's tokens and its cost are shared out among the call's messages, and the definitions of
//! its tools, by their lengths. What they have adds up to what was billed, exactly. The discount of a prompt cache is shared like
//! the rest, since services do not tell which messages had it.
//!
//! # A price file of one's own
//!
//! [`Prices::load`] reads JSON: prices by model, in US dollars per million tokens.
//!
//! ```json
//! {
//!   "version": "2026-11-01",
//!   "usd_per_million_tokens": {
//!     "gpt-4o-mini": { "input": 0.15, "output": 0.60, "cache_read": 0.075 },
//!     "azure/gpt-4o*": { "input": 2.75, "output": 11.0 },
//!     "my-own-model-*": { "input": 0, "output": 0 }
//!   }
//! }
//! ```
//!
//! A name is compared with the model's, and with `provider/model`, in lower case; `*` stands for any characters. An exact
//! name goes before a pattern, and of two patterns the one with more characters of its own. `cache_read` and `cache_write`
//! are the prices of the input tokens read from and written to the prompt cache; without them those cost what other
//! input tokens do. `version` is told with each price.

mod books;
mod ledger;
mod lives;
mod messages;
mod money;
mod places;
mod prices;
mod pricing;
mod report;
mod tracker;
mod tree;
mod user_prices;

pub use self::books::{CostSummary, Share, Unpriced};
pub use self::messages::MessageCost;
pub use self::money::Money;
pub use self::prices::{Prices, Tokens};
pub use self::pricing::Pricing;
pub use self::tracker::{CostTrackerConfig, CostTrackerProvider};
pub use self::user_prices::PricesError;
