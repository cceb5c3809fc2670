//! What a message says, in whoever's history it stands and however the framework writes it down.
//!
//! The same words are `assistant` in one agent's history and `user` in another's, and an answer comes as parts before it stands
//! in a history as text: what is said is compared here, not how it is put.

use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};

use callboard_core::{Message, Value};

use crate::providers::page::{cut, one_line};

/// The history that a model is given.
pub(crate) const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// What a model answered.
pub(crate) const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// The tools that a model is told of.
pub(crate) const TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";
/// The agent for which a model is called.
pub(crate) const ASKING_AGENT: &str = "gen_ai.agent.name";

/// An excerpt has so many characters.
const EXCERPT_CHARACTERS: usize = 100;

/// What a part of a message may hold beside text, and the words for it in the part's media type or its `type`.
const MEDIA: [(&str, &[&str]); 4] = [
    ("[image]", &["image"]),
    ("[audio]", &["audio"]),
    ("[video]", &["video"]),
    ("[file]", &["file", "document", "binary", "blob"]),
];

/// An image counts as so many bytes of text, about a thousand tokens: its own bytes say nothing of what it costs.
const IMAGE_BYTES: u64 = 4_000;

/// A piece of what a message says.
enum Piece<'a> {
    Text(&'a str),
    Other(&'a Value),
    Image(&'a Value),
    Call { id: &'a str, name: &'a str, arguments: &'a Value },
    Answer { id: &'a str },
}

/// What a message says.
#[derive(Debug)]
pub(crate) struct Said {
    /// The same for the same words, in whatever shape.
    pub(crate) digest: u64,
    /// How many bytes of text it is; an image counts as a page of it.
    pub(crate) bytes: u64,
    /// Its beginning, on one line; none where it was not recorded.
    pub(crate) excerpt: Option<String>,
    /// The tools that it calls: the call's id and the tool's name.
    pub(crate) calls: Vec<(String, String)>,
    /// The call of a tool that it answers.
    pub(crate) answers: Option<String>,
}

/// How many bytes of text a message says: texts, and the names and arguments of tools that it calls. An image counts as
/// 4,000.
pub fn said_bytes(message: &Value) -> u64 {
    let mut bytes = 0;
    pieces(message, &mut |piece| bytes += piece.bytes());
    bytes
}

/// Whether a message gives instructions, as no agent's answer does.
pub(crate) fn is_instruction(role: &str) -> bool {
    matches!(role, "system" | "developer")
}

/// An entry of a message that is text.
pub(crate) fn text_of<'a>(body: &'a Value, key: &str) -> Option<&'a str> {
    body.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Who a message is from, in the words of the service.
pub(crate) fn role_of(body: &Value) -> &str {
    text_of(body, "role").unwrap_or("user")
}

/// What stands for a part of a message that is not text: `[image]`, `[audio]`, `[video]` or `[file]`. None for other parts.
pub(crate) fn media_of(part: &Value) -> Option<&'static str> {
    let kind = text_of(part, "type")?;
    let media_type =
        ["media_type", "mime_type", "modality"].into_iter().find_map(|key| text_of(part, key));
    let said = media_type.into_iter().chain([kind]);
    said.flat_map(|text| text.split(|c: char| !c.is_alphanumeric())).find_map(|word| {
        let medium = MEDIA.iter().find(|(_, names)| names.contains(&word));
        medium.map(|(shown, _)| *shown)
    })
}

impl Said {
    /// What a message of a history says.
    pub(crate) fn of(message: &Message) -> Self {
        let mut said = Self::of_body(message.body());
        if let Some(bytes) = message.said_bytes() {
            said.bytes = bytes;
            if said.excerpt.is_none() {
                // Its length is all that tells it from others.
                let mut hasher = DefaultHasher::new();
                (said.digest, bytes).hash(&mut hasher);
                said.digest = hasher.finish();
            }
        }
        said
    }

    /// Whatever an agent's model answered that was not recorded.
    pub(crate) fn unknown(agent: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        ("not recorded", agent).hash(&mut hasher);
        let digest = hasher.finish();
        Self { digest, bytes: 0, excerpt: None, calls: Vec::new(), answers: None }
    }

    /// What a message of this body says.
    pub(crate) fn of_body(body: &Value) -> Self {
        let mut hasher = DefaultHasher::new();
        is_instruction(role_of(body)).hash(&mut hasher);
        let mut said =
            Self { digest: 0, bytes: 0, excerpt: None, calls: Vec::new(), answers: None };
        let mut excerpt = String::new();
        let mut says_something = false;
        pieces(body, &mut |piece| {
            says_something |= !matches!(piece, Piece::Answer { .. });
            said.bytes += piece.bytes();
            piece.hash(&mut hasher);
            if excerpt.len() <= 4 * EXCERPT_CHARACTERS {
                piece.write(&mut excerpt);
            }
            match piece {
                Piece::Call { id, name, .. } => said.calls.push((id.to_owned(), name.to_owned())),
                Piece::Answer { id } => said.answers = Some(id.to_owned()),
                _ => {}
            }
        });
        said.digest = hasher.finish();
        said.excerpt = says_something.then(|| short(&excerpt));
        said
    }
}

fn short(text: &str) -> String {
    cut(&one_line(text.trim()), EXCERPT_CHARACTERS).into_owned()
}

/// Shows each piece of a message, in order.
fn pieces<'a>(body: &'a Value, see: &mut dyn FnMut(Piece<'a>)) {
    let Value::Map(_) = body else { return content(body, see) };
    let responses = body.get("tool_responses").and_then(Value::as_list).unwrap_or_default();
    for response in responses {
        answer(response, see);
        content(response.get("content").unwrap_or(&Value::Null), see);
    }
    answer(body, see);
    if responses.is_empty() {
        content(body.get("content").or_else(|| body.get("parts")).unwrap_or(&Value::Null), see);
    }
    for one in body.get("tool_calls").and_then(Value::as_list).unwrap_or_default() {
        call(one.get("id"), one.get("function").unwrap_or(one), see);
    }
    if let Some(function @ Value::Map(_)) = body.get("function_call") {
        call(None, function, see);
    }
}

fn answer<'a>(body: &'a Value, see: &mut dyn FnMut(Piece<'a>)) {
    if let Some(id) = text_of(body, "tool_call_id") {
        see(Piece::Answer { id });
    }
}

fn content<'a>(content: &'a Value, see: &mut dyn FnMut(Piece<'a>)) {
    match content {
        Value::Null => {}
        Value::Text(text) if text.is_empty() => {}
        Value::Text(text) => see(Piece::Text(text)),
        Value::List(parts) => parts.iter().for_each(|one| part(one, see)),
        other => see(Piece::Other(other)),
    }
}

/// A part as OpenAI has it, or as the GenAI conventions do.
fn part<'a>(part: &'a Value, see: &mut dyn FnMut(Piece<'a>)) {
    let kind = text_of(part, "type").unwrap_or_default();
    match part.get("text").or_else(|| part.get("content")) {
        _ if kind.contains("image") || kind == "blob" => see(Piece::Image(part)),
        _ if kind == "tool_call" => call(part.get("id"), part, see),
        Some(Value::Text(text)) if text.is_empty() => {}
        Some(Value::Text(text)) => see(Piece::Text(text)),
        _ => see(Piece::Other(part)),
    }
}

fn call<'a>(id: Option<&'a Value>, function: &'a Value, see: &mut dyn FnMut(Piece<'a>)) {
    let id = id.and_then(Value::as_str).unwrap_or_default();
    let name = text_of(function, "name").unwrap_or_default();
    see(Piece::Call { id, name, arguments: function.get("arguments").unwrap_or(&Value::Null) });
}

impl Piece<'_> {
    fn bytes(&self) -> u64 {
        let bytes = match self {
            Self::Text(text) => text.len(),
            Self::Other(value) => value.to_json().len(),
            Self::Image(_) => return IMAGE_BYTES,
            Self::Call { name, arguments: Value::Text(arguments), .. } => {
                name.len() + arguments.len()
            }
            Self::Call { name, arguments, .. } => name.len() + arguments.to_json().len(),
            Self::Answer { .. } => 0,
        };
        bytes as u64
    }

    fn hash(&self, hasher: &mut DefaultHasher) {
        match self {
            // Text is the same in one part as in several.
            Self::Text(text) => hasher.write(text.as_bytes()),
            Self::Other(value) | Self::Image(value) => (1_u8, value.to_json()).hash(hasher),
            Self::Call { id, name, arguments } => {
                let arguments =
                    arguments.as_str().map_or_else(|| arguments.to_json(), str::to_owned);
                (2_u8, id, name, arguments).hash(hasher);
            }
            Self::Answer { id } => (3_u8, id).hash(hasher),
        }
    }

    fn write(&self, excerpt: &mut String) {
        if !excerpt.is_empty() && !matches!(self, Self::Answer { .. }) {
            excerpt.push(' ');
        }
        match self {
            Self::Text(text) => excerpt.push_str(&cut(text, 2 * EXCERPT_CHARACTERS)),
            Self::Other(value) => match media_of(value) {
                Some(media) => excerpt.push_str(media),
                None => excerpt.push_str(&cut(&value.to_json(), EXCERPT_CHARACTERS)),
            },
            Self::Image(_) => excerpt.push_str("[image]"),
            Self::Call { name, arguments, .. } => {
                let arguments =
                    arguments.as_str().map_or_else(|| arguments.to_json(), str::to_owned);
                let _ = write!(excerpt, "{name}({})", cut(&arguments, EXCERPT_CHARACTERS));
            }
            Self::Answer { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(entries: &[(&'static str, Value)]) -> Value {
        let entry = |(key, value): &(&'static str, Value)| ((*key).into(), value.clone());
        entries.iter().map(entry).collect::<Vec<_>>().into()
    }

    #[test]
    fn the_same_words_are_one_message_in_whatever_shape() {
        let function = map(&[("name", "look".into()), ("arguments", "{}".into())]);
        let call = map(&[("id", "call-1".into()), ("function", function)]);
        let stored = map(&[
            ("role", "user".into()),
            ("name", "emma".into()),
            ("content", "Let me see.".into()),
            ("tool_calls", vec![call].into()),
        ]);
        let text = map(&[("type", "text".into()), ("content", "Let me see.".into())]);
        let call = map(&[
            ("type", "tool_call".into()),
            ("id", "call-1".into()),
            ("name", "look".into()),
            ("arguments", "{}".into()),
        ]);
        let answered =
            map(&[("role", "assistant".into()), ("parts", vec![text, call.clone()].into())]);
        let (stored, answered) = (Said::of_body(&stored), Said::of_body(&answered));
        assert_eq!(stored.digest, answered.digest);
        assert_eq!((stored.bytes, answered.bytes), (17, 17));
        assert_eq!(stored.excerpt.as_deref(), Some("Let me see. look({})"));
        assert_eq!(answered.calls, [("call-1".to_owned(), "look".to_owned())]);
        let other = map(&[("role", "assistant".into()), ("parts", vec![call].into())]);
        assert_ne!(Said::of_body(&other).digest, answered.digest);
    }

    #[test]
    fn a_message_that_is_not_recorded_has_a_length_and_no_text() {
        let body = map(&[("role", "tool".into()), ("tool_call_id", "call-1".into())]);
        let said = Said::of(&Message::shortened(body.clone(), 4_321));
        assert_eq!(
            (said.bytes, said.excerpt, said.answers.as_deref()),
            (4_321, None, Some("call-1"))
        );
        assert_ne!(said.digest, Said::of(&Message::shortened(body, 4_322)).digest);
    }

    #[test]
    fn an_image_counts_as_text_of_some_length() {
        let url = format!("data:image/png;base64,{}", "A".repeat(1_000_000));
        let image = map(&[("type", "image_url".into()), ("image_url", url.into())]);
        let text = map(&[("type", "text".into()), ("text", "What is this?\n".into())]);
        let said = Said::of_body(&map(&[("content", vec![text, image].into())]));
        assert_eq!(said.bytes, 14 + IMAGE_BYTES);
        assert_eq!(said.excerpt.as_deref(), Some("What is this?␊ [image]"));
    }
}
