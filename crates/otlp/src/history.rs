//! Histories of messages, written out as JSON text.
//!
//! A program sends a history whole at every call, and so does an exporter that is asked to. What a message looks like as
//! JSON is kept with it, so that writing a history out again is copying. What does not fit is left out, the oldest
//! messages first, and counted.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use callboard_core::id::IdMap;
use callboard_core::{Attribute, Context, Message, SpanId, Value};

use crate::config::History;
use crate::{genai, wire};

/// How a message is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As the program had it.
    AsRecorded,
    /// As messages of parts, which the GenAI conventions ask for.
    Parts,
}

/// Whose history it is: a run, by the id of its root, and the attribute's key.
pub(crate) type Owner<'a> = (SpanId, &'a str);

/// Writes histories as the configuration says.
pub(crate) struct Histories {
    mode: History,
    max_bytes: usize,
    parts: PartsCache,
    /// What has been sent of each run, attribute by attribute.
    sent: IdMap<SpanId, HashMap<Box<str>, Vec<Context>>>,
    /// What the span at hand will have sent, once it is encoded.
    sending: Vec<(SpanId, Box<str>, Context)>,
}

/// How many runs, and how many histories of one attribute, are remembered as sent.
const MOST_RUNS: usize = 256;
const MOST_HISTORIES: usize = 64;

impl Histories {
    pub(crate) fn new(mode: History, max_bytes: usize) -> Self {
        let (parts, sent, sending) = (PartsCache::default(), IdMap::default(), Vec::new());
        Self { mode, max_bytes, parts, sent, sending }
    }

    /// Appends the history as a JSON list of at most `max_bytes`, or fewer where the configuration has it so. Says how
    /// many of its messages were left out.
    pub(crate) fn write(
        &mut self,
        json: &mut String,
        context: &Context,
        owner: Owner<'_>,
        form: Form,
        max_bytes: usize,
    ) -> usize {
        let from = match self.mode {
            History::Full => 0,
            History::None => context.len(),
            History::New => self.length_sent(context, owner),
        };
        if self.mode == History::New {
            self.sending.push((owner.0, owner.1.into(), context.clone()));
        }
        self.write_from(json, context, from, form, max_bytes.min(self.max_bytes))
    }

    /// What was written since the last call will be sent; or it will not, as it has to be written again, shorter.
    pub(crate) fn settle(&mut self, is_sent: bool) {
        for (run, key, context) in self.sending.drain(..) {
            if !is_sent || (self.sent.len() >= MOST_RUNS && !self.sent.contains_key(&run)) {
                continue;
            }
            let histories = self.sent.entry(run).or_default().entry(key).or_default();
            // A history that only grew takes the place of what it grew from.
            histories.retain(|known| !context.first(known.len()).is_same(known));
            if histories.len() >= MOST_HISTORIES {
                histories.remove(0);
            }
            histories.push(context);
        }
    }

    /// The run is over: what was sent of it need not be remembered.
    pub(crate) fn forget(&mut self, run: SpanId) {
        self.sent.remove(&run);
    }

    /// How many of the history's first messages have been sent.
    fn length_sent(&self, context: &Context, (run, key): Owner<'_>) -> usize {
        let known =
            self.sent.get(&run).and_then(|keys| keys.get(key)).map_or(&[][..], Vec::as_slice);
        let shared = known.iter().map(|sent| {
            let shorter = sent.len().min(context.len());
            let is_shared = sent.first(shorter).is_same(&context.first(shorter));
            if is_shared { shorter } else { 0 }
        });
        shared.max().unwrap_or(0)
    }

    fn write_from(
        &mut self,
        json: &mut String,
        context: &Context,
        from: usize,
        form: Form,
        max_bytes: usize,
    ) -> usize {
        const BRACKETS: usize = 2;
        let mut chosen = Vec::new();
        let mut bytes = BRACKETS;
        let mut rest = context;
        while let (Some(message), Some(earlier)) = (rest.newest(), rest.earlier())
            && rest.len() > from
        {
            let mut text = self.rendered(message, form);
            let room = max_bytes.saturating_sub(bytes);
            if chosen.is_empty() && text.len() > room {
                let shorter = shortened(message.body(), form, room);
                text = shorter.map_or(text, Rendered::Shortened);
            }
            if text.len() + 1 > room {
                break;
            }
            bytes += text.len() + 1;
            chosen.push(text);
            rest = earlier;
        }
        json.reserve(bytes);
        json.push('[');
        for (index, text) in chosen.iter().rev().enumerate() {
            if index > 0 {
                json.push(',');
            }
            json.push_str(text);
        }
        json.push(']');
        rest.len()
    }

    fn rendered<'a>(&mut self, message: &'a Arc<Message>, form: Form) -> Rendered<'a> {
        match form {
            Form::AsRecorded => Rendered::AsRecorded(message.json()),
            Form::Parts => Rendered::Parts(self.parts.get(message)),
        }
    }
}

/// A message as JSON text.
enum Rendered<'a> {
    AsRecorded(&'a str),
    Parts(Arc<str>),
    Shortened(String),
}

impl std::ops::Deref for Rendered<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::AsRecorded(text) => text,
            Self::Parts(text) => text,
            Self::Shortened(text) => text,
        }
    }
}

/// The message with its texts cut so that it fits, if that can be.
fn shortened(body: &Value, form: Form, max_bytes: usize) -> Option<String> {
    // A text may be as long as all of them may, and its JSON six times as long as itself.
    [2, 8, 64].into_iter().find_map(|part| {
        let cut = with_texts_cut(body, max_bytes / part);
        let mut json = String::new();
        match form {
            Form::AsRecorded => callboard_core::json::write_value(&mut json, &cut),
            Form::Parts => genai::write_message(&mut json, &cut),
        }
        (json.len() < max_bytes).then_some(json)
    })
}

fn with_texts_cut(value: &Value, max_bytes: usize) -> Value {
    match value {
        Value::Text(text) if text.len() > max_bytes => {
            Value::from(format!("{}...", wire::cut_to_bytes(text, max_bytes)))
        }
        Value::List(values) => {
            values.iter().map(|value| with_texts_cut(value, max_bytes)).collect::<Vec<_>>().into()
        }
        Value::Map(entries) => {
            let cut = |(key, value): &Attribute| (key.clone(), with_texts_cut(value, max_bytes));
            entries.iter().map(cut).collect::<Vec<_>>().into()
        }
        other => other.clone(),
    }
}

/// Messages of parts, each rendered once while it is in use.
#[derive(Default)]
struct PartsCache {
    /// By the message's address. The weak reference keeps an address from being used again.
    rendered: HashMap<usize, (Weak<Message>, Arc<str>)>,
    bytes: usize,
}

impl PartsCache {
    const MOST_BYTES: usize = 8 << 20;

    fn get(&mut self, message: &Arc<Message>) -> Arc<str> {
        let address = Arc::as_ptr(message).addr();
        if let Some((_, json)) = self.rendered.get(&address) {
            return json.clone();
        }
        let mut json = String::new();
        genai::write_message(&mut json, message.body());
        let json: Arc<str> = json.into();
        if self.bytes + json.len() > Self::MOST_BYTES {
            self.make_room();
        }
        self.bytes += json.len();
        self.rendered.insert(address, (Arc::downgrade(message), json.clone()));
        json
    }

    /// Lets go of messages that nobody holds; of all, where that is not enough.
    fn make_room(&mut self) {
        self.rendered.retain(|_, (message, _)| message.strong_count() > 0);
        self.bytes = self.rendered.values().map(|(_, json)| json.len()).sum();
        if self.bytes > Self::MOST_BYTES / 2 {
            self.rendered.clear();
            self.bytes = 0;
        }
    }
}
