//! A message as one short line.

use callboard_core::{Text, Value};

use crate::providers::page::cut;
use crate::said::{media_of, text_of as entry_of};

/// A text longer than this is cut.
const CHARACTERS: usize = 50;

/// So many tool calls, or answers to them, are named in one line.
const MOST_TOOLS: usize = 20;

/// The most images, sounds and files that are shown of a message.
const MOST_MEDIA: usize = 20;

/// What stands for the name of a tool that is not known.
const UNKNOWN_TOOL: &str = "...";

/// The line for a message: a text, or a map with `tool_calls`, `tool_responses` or `content`. `tool_name` knows the tool of a
/// call id.
pub(super) fn of_message(message: &Value, tool_name: impl Fn(&str) -> Option<Text>) -> String {
    if let Some(calls) = filled_list(message, "tool_calls") {
        let names =
            calls.iter().map(|call| shown(call_name(call).as_deref().unwrap_or(UNKNOWN_TOOL)));
        return format!("Tool Call(s) -> {}", listed(names));
    }
    if let Some(responses) = filled_list(message, "tool_responses") {
        let lines = responses.iter().map(|response| {
            let call_id = response.get("tool_call_id").and_then(Value::as_str);
            let name = call_id.and_then(&tool_name);
            let name = shown(name.as_deref().unwrap_or(UNKNOWN_TOOL));
            format!("{name} -> {}", content_of(response))
        });
        return format!("Tool Response(s): {}", listed(lines));
    }
    match message {
        Value::Map(_) => content_of(message),
        other => label_of(other),
    }
}

/// The ids of the tool calls in a message, and the tools' names as they are shown.
pub(super) fn tool_calls(message: &Value) -> impl Iterator<Item = (Text, Text)> {
    let calls = message.get("tool_calls").and_then(Value::as_list).unwrap_or_default();
    calls.iter().filter_map(|call| match call.get("id") {
        Some(Value::Text(id)) => Some((id.clone(), shown(&call_name(call)?).into())),
        _ => None,
    })
}

fn call_name(call: &Value) -> Option<Text> {
    match call.get("function")?.get("name")? {
        Value::Text(name) => Some(name.clone()),
        _ => None,
    }
}

fn filled_list<'a>(message: &'a Value, key: &str) -> Option<&'a [Value]> {
    message.get(key)?.as_list().filter(|list| !list.is_empty())
}

fn content_of(message: &Value) -> String {
    message.get("content").map(label_of).unwrap_or_default()
}

fn label_of(content: &Value) -> String {
    match content {
        Value::Text(text) => shown(text),
        Value::Null => String::new(),
        Value::List(parts) => parts_label(parts).unwrap_or_else(|| shown(&content.to_json())),
        other => shown(&other.to_json()),
    }
}

/// The label of a message that consists of parts: its text, cut, and `[image]` and the like for parts that are not text. None
/// where a part is something else.
fn parts_label(parts: &[Value]) -> Option<String> {
    let (mut texts, mut media) = (Vec::new(), Vec::new());
    for part in parts {
        match (part, media_of(part)) {
            (Value::Text(text), _) => texts.push(text.as_str()),
            (_, Some(shown)) => media.push(shown),
            (other, None) => texts.push(entry_of(other, "text").or(entry_of(other, "content"))?),
        }
    }
    let left_out = media.len().saturating_sub(MOST_MEDIA);
    media.truncate(MOST_MEDIA);
    let more = (left_out > 0).then(|| format!("and {left_out} more"));
    let text = shown(&texts.join(" "));
    let words = [text.as_str()].into_iter().filter(|text| !text.is_empty());
    let words: Vec<_> = words.chain(media).chain(more.as_deref()).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn shown(text: &str) -> String {
    cut(text, CHARACTERS).into_owned()
}

fn listed(items: impl ExactSizeIterator<Item = String>) -> String {
    let left_out = items.len().saturating_sub(MOST_TOOLS);
    let mut list = items.take(MOST_TOOLS).collect::<Vec<_>>().join(", ");
    if left_out > 0 {
        list.push_str(&format!(", and {left_out} more"));
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: Value, expected: &str) {
        let tool_name = |id: &str| (id == "c1").then(|| "add".into());
        assert_eq!(of_message(&message, tool_name), expected);
    }

    fn map(entries: &[(&'static str, Value)]) -> Value {
        entries.iter().map(|(key, value)| ((*key).into(), value.clone())).collect::<Vec<_>>().into()
    }

    fn call(name: &'static str) -> Value {
        map(&[("id", "c1".into()), ("function", map(&[("name", name.into())]))])
    }

    #[test]
    fn a_text_is_cut_after_fifty_characters() {
        check("Hi".into(), "Hi");
        check("x".repeat(50).into(), &"x".repeat(50));
        check("x".repeat(51).into(), &format!("{}...", "x".repeat(50)));
        check(
            "Emma, tell me a joke about goldfish and peanut butter.".into(),
            "Emma, tell me a joke about goldfish and peanut but...",
        );
        let with_blank = format!("{} rest", "x".repeat(49));
        check(with_blank.into(), &format!("{} ...", "x".repeat(49)));
    }

    #[test]
    fn a_map_shows_its_content() {
        check(map(&[("content", "y".repeat(60).into())]), &format!("{}...", "y".repeat(50)));
        check(map(&[("content", Value::Null)]), "");
        check(map(&[("role", "user".into())]), "");
        let rows = vec![map(&[("row", "a".into())])];
        check(map(&[("content", rows.into())]), r#"[{"row":"a"}]"#);
        check(map(&[("content", 7_i64.into())]), "7");
        check(Value::Null, "");
    }

    #[test]
    fn a_message_of_parts_shows_its_text_and_what_else_it_holds() {
        let part = |kind: &'static str, key: &'static str, value: &str| {
            map(&[("type", kind.into()), (key, value.to_owned().into())])
        };
        let content = |parts: Vec<Value>| map(&[("content", parts.into())]);
        let question = || part("text", "text", "What is this?");
        let image = || part("image_url", "image_url", "callboard:image/png;bytes=9;sha256=6b86");
        check(content(vec![question(), image()]), "What is this? [image]");
        check(content(vec![image(), question()]), "What is this? [image]");
        check(vec![question(), image()].into(), "What is this? [image]");
        let audio = part("input_audio", "input_audio", "callboard:audio/wav;bytes=9;sha256=6b86");
        let file = part("file", "file", "callboard:application/pdf;bytes=9;sha256=6b86");
        let video = part("video", "url", "https://example.com/cat.mp4");
        let document = part("document", "url", "https://example.com/a.pdf");
        check(content(vec![audio, file, video, document]), "[audio] [file] [video] [file]");
        let blob = map(&[("type", "blob".into()), ("mime_type", "image/png".into())]);
        check(content(vec![blob, "Plain.".into()]), "Plain. [image]");
        let long = content(vec![part("text", "text", &"z".repeat(60)), image()]);
        check(long, &format!("{}... [image]", "z".repeat(50)));
        let many = content((0..22).map(|_| image()).collect());
        check(many, &format!("{} and 2 more", ["[image]"; 20].join(" ")));
        check(content(vec![]), "[]");
    }

    #[test]
    fn tool_calls_show_their_names() {
        let calls = vec![call("add"), call("multiply"), Value::Null];
        check(
            map(&[("content", "sum".into()), ("tool_calls", calls.into())]),
            "Tool Call(s) -> add, multiply, ...",
        );
        let none = Value::from(Vec::<Value>::new());
        check(map(&[("content", "sum".into()), ("tool_calls", none)]), "sum");
        let many = vec![call("f"); 23];
        let named = ["f"; 20].join(", ");
        check(map(&[("tool_calls", many.into())]), &format!("Tool Call(s) -> {named}, and 3 more"));
    }

    #[test]
    fn tool_responses_show_the_tool_and_what_it_said() {
        let response = |id: &'static str, content: String| {
            map(&[("tool_call_id", id.into()), ("content", content.into())])
        };
        let responses = vec![response("c1", "5".into()), response("c9", "z".repeat(51))];
        let expected = format!("Tool Response(s): add -> 5, ... -> {}...", "z".repeat(50));
        check(map(&[("tool_responses", responses.into()), ("content", "both".into())]), &expected);
    }
}
