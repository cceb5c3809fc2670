//! Messages as the GenAI conventions have them: a role and parts (their JSON schemas of input and output messages, v1.41).
//!
//! What comes in is what programs hand to a model: OpenAI's chat messages, AG2's own form of tool responses, or messages
//! of parts already. Message text is not trusted: whatever fits nowhere becomes a part that shows it as it is.

use callboard_core::Value;
use callboard_core::json::{write_text, write_value};

/// Appends the message as JSON.
pub(crate) fn write_message(json: &mut String, body: &Value) {
    if body.get("parts").is_some() {
        write_value(json, body);
        return;
    }
    let role = body.get("role").and_then(Value::as_str).unwrap_or("user");
    json.push_str("{\"role\":");
    write_text(json, role);
    if let Some(name) = body.get("name").filter(|name| **name != Value::Null) {
        json.push_str(",\"name\":");
        write_value(json, name);
    }
    json.push_str(",\"parts\":[");
    Parts { json, count: 0 }.write(role, body);
    json.push_str("]}");
}

struct Parts<'a> {
    json: &'a mut String,
    count: usize,
}

impl Parts<'_> {
    fn write(&mut self, role: &str, body: &Value) {
        let none = Value::Null;
        let Value::Map(_) = body else {
            return self.content(body);
        };
        let content = body.get("content").unwrap_or(&none);
        if let Some(responses) = body.get("tool_responses").and_then(Value::as_list) {
            for response in responses {
                self.tool_response(response.get("tool_call_id"), response.get("content"));
            }
        } else if matches!(role, "tool" | "function") {
            self.tool_response(body.get("tool_call_id"), Some(content));
        } else {
            self.content(content);
        }
        for call in body.get("tool_calls").and_then(Value::as_list).unwrap_or_default() {
            self.tool_call(call.get("id"), call.get("function").unwrap_or(call));
        }
        if let Some(call @ Value::Map(_)) = body.get("function_call") {
            self.tool_call(None, call);
        }
    }

    fn content(&mut self, content: &Value) {
        match content {
            Value::Null => {}
            Value::List(parts) => parts.iter().for_each(|part| self.content_part(part)),
            Value::Text(_) => self.part("text", &[("content", content)]),
            other => self.part("text", &[("content", &other.to_json().into())]),
        }
    }

    /// A part as OpenAI has it.
    fn content_part(&mut self, part: &Value) {
        let image = part.get("image_url");
        let url = image.and_then(|image| image.get("url")).or(image);
        match (part.get("text"), url.and_then(Value::as_str)) {
            (Some(text), _) => self.part("text", &[("content", text)]),
            (None, Some(url)) => self.image(url),
            (None, None) if part.get("type").is_some() => {
                self.separate();
                write_value(self.json, part);
            }
            (None, None) => self.content(&Value::from(part.to_json())),
        }
    }

    fn image(&mut self, url: &str) {
        let modality = Value::from("image");
        let inline = url.strip_prefix("data:").and_then(|data| data.split_once(";base64,"));
        match inline {
            Some((mime_type, data)) => {
                let (mime_type, data) = (mime_type.to_owned().into(), data.to_owned().into());
                let fields =
                    [("modality", &modality), ("mime_type", &mime_type), ("content", &data)];
                self.part("blob", &fields);
            }
            None => {
                let uri = url.to_owned().into();
                self.part("uri", &[("modality", &modality), ("uri", &uri)]);
            }
        }
    }

    fn tool_call(&mut self, id: Option<&Value>, function: &Value) {
        let none = Value::Null;
        let name = function.get("name").unwrap_or(&none);
        let arguments = function.get("arguments").unwrap_or(&none);
        let fields = [("id", id.unwrap_or(&none)), ("name", name), ("arguments", arguments)];
        self.part("tool_call", &fields);
    }

    fn tool_response(&mut self, id: Option<&Value>, response: Option<&Value>) {
        let none = Value::Null;
        let fields = [("id", id.unwrap_or(&none)), ("response", response.unwrap_or(&none))];
        self.part("tool_call_response", &fields);
    }

    fn part(&mut self, kind: &str, fields: &[(&str, &Value)]) {
        self.separate();
        self.json.push_str("{\"type\":");
        write_text(self.json, kind);
        for (key, value) in fields {
            self.json.push(',');
            write_text(self.json, key);
            self.json.push(':');
            write_value(self.json, value);
        }
        self.json.push('}');
    }

    fn separate(&mut self) {
        if self.count > 0 {
            self.json.push(',');
        }
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::arbitrary::any_message;

    fn check(body: Value, expected: &str) {
        let mut json = String::new();
        write_message(&mut json, &body);
        assert_eq!(json, expected);
    }

    proptest! {
        #[test]
        fn whatever_a_program_calls_a_message_is_json_of_parts(body in any_message()) {
            let mut json = String::new();
            write_message(&mut json, &body);
            let message: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert!(message["role"].is_string(), "{json}");
            let parts = message["parts"].as_array().unwrap();
            prop_assert!(parts.iter().all(|part| part.get("type").is_some()), "{json}");
        }
    }

    fn map<const N: usize>(entries: [(&'static str, Value); N]) -> Value {
        entries.into_iter().map(|(key, value)| (key.into(), value)).collect::<Vec<_>>().into()
    }

    #[test]
    fn text() {
        check(
            map([("content", "hi".into()), ("role", "user".into()), ("name", "Emma".into())]),
            r#"{"role":"user","name":"Emma","parts":[{"type":"text","content":"hi"}]}"#,
        );
        check("hi".into(), r#"{"role":"user","parts":[{"type":"text","content":"hi"}]}"#);
        check(map([("role", "assistant".into())]), r#"{"role":"assistant","parts":[]}"#);
    }

    #[test]
    fn a_message_of_parts_stays() {
        let part = map([("type", "text".into()), ("content", "hi".into())]);
        check(
            map([("role", "user".into()), ("parts", vec![part].into())]),
            r#"{"role":"user","parts":[{"type":"text","content":"hi"}]}"#,
        );
    }

    #[test]
    fn tool_calls_and_their_responses() {
        let function = map([("name", "add".into()), ("arguments", "{\"a\":1}".into())]);
        let call = map([("id", "c1".into()), ("type", "function".into()), ("function", function)]);
        check(
            map([
                ("role", "assistant".into()),
                ("content", Value::Null),
                ("tool_calls", vec![call].into()),
            ]),
            r#"{"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"add","arguments":"{\"a\":1}"}]}"#,
        );
        let response = map([("tool_call_id", "c1".into()), ("content", "2".into())]);
        let expected =
            r#"{"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":"2"}]}"#;
        check(
            map([
                ("role", "tool".into()),
                ("content", "2".into()),
                ("tool_responses", vec![response].into()),
            ]),
            expected,
        );
        check(
            map([("role", "tool".into()), ("tool_call_id", "c1".into()), ("content", "2".into())]),
            expected,
        );
    }

    #[test]
    fn images_and_unknown_parts() {
        let image = |url: &'static str| {
            map([("type", "image_url".into()), ("image_url", map([("url", url.into())]))])
        };
        let audio = map([("type", "input_audio".into()), ("format", "wav".into())]);
        check(
            map([(
                "content",
                vec![
                    map([("type", "text".into()), ("text", "see".into())]),
                    image("https://a.test/b.png"),
                    image("data:image/png;base64,aGk="),
                    audio,
                    7_i64.into(),
                ]
                .into(),
            )]),
            concat!(
                r#"{"role":"user","parts":[{"type":"text","content":"see"},"#,
                r#"{"type":"uri","modality":"image","uri":"https://a.test/b.png"},"#,
                r#"{"type":"blob","modality":"image","mime_type":"image/png","content":"aGk="},"#,
                r#"{"type":"input_audio","format":"wav"},{"type":"text","content":"7"}]}"#,
            ),
        );
    }
}
