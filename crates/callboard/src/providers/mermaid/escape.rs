//! Text that Mermaid reads back as it was. The rules are those of Mermaid 11's own lexer, which the tests run.
//!
//! A character that would end a statement, begin a comment, a directive, an entity, a tag or a formula stands as an entity:
//! `#59;` for `;`. Everything else stays, so that plain text reads as plain text.

use std::collections::HashSet;

use callboard_core::Text;

use crate::providers::page::{cut, stand_in};

/// A participant's name is shown up to so many characters.
const NAME_CHARACTERS: usize = 100;

/// What is shown for an agent without a name.
const NO_NAME: &str = "(no name)";

/// Words that Mermaid takes for its own where a participant's name is expected, in lower case.
const KEYWORDS: [&str; 31] = [
    "accdescr",
    "acctitle",
    "activate",
    "actor",
    "alt",
    "and",
    "autonumber",
    "box",
    "break",
    "create",
    "critical",
    "deactivate",
    "destroy",
    "details",
    "else",
    "end",
    "link",
    "links",
    "loop",
    "note",
    "off",
    "opt",
    "option",
    "over",
    "par",
    "par_over",
    "participant",
    "properties",
    "rect",
    "sequencediagram",
    "title",
];

/// How a participant is called in the diagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Participant {
    /// What its messages call it.
    pub(super) id: String,
    /// Its name, escaped, where that cannot be its id.
    pub(super) alias: Option<String>,
}

/// How each of the names is called: a plain word as it is, anything else by an id that no other has, and an alias.
pub(super) fn participants(names: &[Text]) -> Vec<Participant> {
    let taken: HashSet<&str> = names.iter().map(Text::as_str).collect();
    let mut free_ids =
        (1..).map(|number| format!("A{number}")).filter(|id| !taken.contains(id.as_str()));
    let mut participant = |name: &Text| {
        if is_plain_word(name) {
            return Participant { id: name.to_string(), alias: None };
        }
        let id = free_ids.next().expect("there are more numbers than names");
        Participant { id, alias: Some(alias(name)) }
    };
    names.iter().map(&mut participant).collect()
}

/// Whether Mermaid takes the name for a name, whatever stands around it.
fn is_plain_word(name: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || character == '_';
    // Mermaid's words end where the first character that is not ASCII begins.
    let ascii = name.split(|character: char| !character.is_ascii()).next().unwrap_or_default();
    let lower = ascii.to_ascii_lowercase();
    !name.is_empty()
        && name.len() <= NAME_CHARACTERS
        && name.chars().all(is_word)
        && !KEYWORDS.contains(&lower.as_str())
        && !(name.contains("style") || name.contains("classDef"))
}

fn alias(name: &str) -> String {
    if name.is_empty() {
        return NO_NAME.to_owned();
    }
    let shown: String = cut(name, NAME_CHARACTERS)
        .chars()
        .map(|character| stand_in(character).unwrap_or(character))
        .collect();
    let escaped = label(&shown);
    // Mermaid trims what stands at either end.
    let start = escaped.len() - escaped.trim_start_matches(is_trimmed).len();
    let end = escaped.trim_end_matches(is_trimmed).len().max(start);
    let mut alias = String::with_capacity(escaped.len());
    escaped[..start].chars().for_each(|blank| push_entity(&mut alias, blank));
    alias.push_str(&escaped[start..end]);
    escaped[end..].chars().for_each(|blank| push_entity(&mut alias, blank));
    alias
}

/// What ECMAScript's `trim` takes away.
fn is_trimmed(character: char) -> bool {
    character.is_whitespace() || character == '\u{feff}'
}

/// A text for where a message, a note or an alias stands.
pub(super) fn label(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + 8);
    // Mermaid takes the last `;` from a line in which `:` and `#` follow one of these words.
    let colons_too = text.contains("style") || text.contains("classDef") || is_wrap(text);
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match character {
            '#' | ';' | '<' | '\u{fb02}' | '\u{b6}' => push_entity(&mut escaped, character),
            ':' if colons_too => push_entity(&mut escaped, character),
            '{' if before == '%' => push_entity(&mut escaped, character),
            '$' if before == '$' || next == Some('$') => push_entity(&mut escaped, character),
            // What would break the line becomes a blank, as in the draft.
            other if breaks_line(other) => escaped.push(' '),
            other => escaped.push(other),
        }
        before = character;
    }
    escaped
}

/// Whether Mermaid would take the beginning for an instruction to wrap the text, or not to.
fn is_wrap(text: &str) -> bool {
    let start = text.trim_start_matches(is_trimmed).trim_start_matches(':');
    let lower: String = start.chars().take("nowrap".len()).collect::<String>().to_lowercase();
    lower.starts_with("wrap") || lower.starts_with("nowrap")
}

fn breaks_line(character: char) -> bool {
    character.is_control() || matches!(character, '\u{2028}' | '\u{2029}')
}

fn push_entity(text: &mut String, character: char) {
    text.push_str(&format!("#{};", u32::from(character)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &'static str, id: &str, alias: Option<&str>) {
        let expected = Participant { id: id.into(), alias: alias.map(Into::into) };
        assert_eq!(participants(&[name.into()]), [expected], "{name:?}");
    }

    #[test]
    fn a_plain_word_stays() {
        for name in ["jack", "user_proxy", "Agent007", "Émile", "小明", "ending", "Andy"] {
            check(name, name, None);
        }
    }

    #[test]
    fn any_other_name_is_an_alias() {
        check("end", "A1", Some("end"));
        check("Note", "A1", Some("Note"));
        check("endé", "A1", Some("endé"));
        check("user-proxy", "A1", Some("user-proxy"));
        check("Dr. Smith", "A1", Some("Dr. Smith"));
        check("", "A1", Some("(no name)"));
        check("a;b#c\nd", "A1", Some("a#59;b#35;c␊d"));
        check("  x ", "A1", Some("#32;#32;x#32;"));
        check(" ", "A1", Some("#32;"));
        check("<script>", "A1", Some("#60;script>"));
        check("stylesheet", "A1", Some("stylesheet"));
    }

    #[test]
    fn an_id_is_nobody_elses_name() {
        let ids: Vec<_> = participants(&["A1".into(), "x y".into(), "A2".into(), "z!".into()])
            .into_iter()
            .map(|participant| participant.id)
            .collect();
        assert_eq!(ids, ["A1", "A3", "A2", "A4"]);
    }

    #[test]
    fn plain_text_stays_and_syntax_does_not() {
        for plain in ["Why did he? Because: it's 50% off {now}!", "a -> b ->> c & d <", "R&D $5"] {
            assert_eq!(label(plain), plain.replace('<', "#60;"));
        }
        assert_eq!(label("a;b #35;\r\nc"), "a#59;b #35;35#59;  c");
        assert_eq!(label("%%{init: {}}%%"), "%%#123;init: {}}%%");
        assert_eq!(label("$$x$$ $1"), "#36;#36;x#36;#36; $1");
        assert_eq!(label("style:#fff;"), "style#58;#35;fff#59;");
        assert_eq!(label(" wrap: x"), " wrap#58; x");
        assert_eq!(label("a\0b\u{2028}c\u{85}"), "a b c ");
    }
}
