//! Mermaid's own parser, under node, reads every diagram back: the same agents and as many messages, whatever they hold.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use callboard::{DiagramOptions, MermaidConfig, MermaidDiagramProvider, Prices, SpanKind};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::Value as Json;

use crate::recording::{self, say, text};

/// Set it to any value on a machine without node.
const SKIP: &str = "CALLBOARD_SKIP_MERMAID";

/// Sender, recipient, message.
type Said = (String, String, String);

/// What Mermaid's parser makes of each of the diagrams; none where the tests are told to do without it.
fn read_back(diagrams: &[String]) -> Option<Vec<Json>> {
    if std::env::var_os(SKIP).is_some() {
        // Past the test runner, which keeps what a test that passes prints to itself.
        let _ = writeln!(std::io::stderr(), "skipped, as {SKIP} is set: Mermaid was not asked");
        return None;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/mermaid");
    assert!(
        folder.join("node_modules/mermaid").exists(),
        "Mermaid's parser is not installed: run `npm ci` in tests/mermaid, or set {SKIP}=1"
    );
    let mut node = Command::new("node")
        .arg("read.mjs")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("node: {error}; install Node.js 20.19 or newer, or set {SKIP}=1")
        });
    let lines: String =
        diagrams.iter().map(|diagram| Json::from(diagram.as_str()).to_string() + "\n").collect();
    let mut stdin = node.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = node.wait_with_output().expect("node ends when its input does");
    writer.join().expect("writing does not panic").expect("node reads its input");
    let answers = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let answers: Vec<_> =
        answers.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    assert_eq!(answers.len(), diagrams.len(), "an answer for each diagram");
    Some(answers)
}

fn provider(conversation: &[Said]) -> MermaidDiagramProvider {
    let manager = recording::manager(Prices::default());
    let diagram = MermaidDiagramProvider::default();
    manager.register(Box::new(diagram.clone()));
    let run = manager.start_run("test", vec![]);
    for (from, to, message) in conversation {
        say(&run, from, to, text(message));
    }
    diagram
}

/// Compares what Mermaid reads with what was said.
fn check(conversations: &[Vec<Said>]) {
    let providers: Vec<_> = conversations.iter().map(|said| provider(said)).collect();
    let diagrams: Vec<_> =
        providers.iter().map(MermaidDiagramProvider::generate_sequence_diagram).collect();
    let Some(answers) = read_back(&diagrams) else { return };
    for ((conversation, diagram), answer) in conversations.iter().zip(&diagrams).zip(&answers) {
        compare(conversation, answer)
            .unwrap_or_else(|what| panic!("{what}\n{conversation:?}\n{diagram}\n{answer}"));
    }
}

fn compare(conversation: &[Said], answer: &Json) -> Result<(), String> {
    if let Some(error) = answer.get("error") {
        return Err(error.to_string());
    }
    if answer["configured"] == true || answer["others"] != 0 {
        return Err("something was taken for Mermaid's own".to_owned());
    }
    let actors = pairs(&answer["actors"]);
    let names = names(conversation);
    if actors.len() != names.len() {
        return Err(format!("{} actors, not {}", actors.len(), names.len()));
    }
    for (name, (_, shown)) in names.iter().zip(&actors) {
        if is_shown_whole(name) && name != shown {
            return Err(format!("{name:?} became {shown:?}"));
        }
    }
    let messages = answer["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    if messages.len() != conversation.len() {
        return Err(format!("{} messages, not {}", messages.len(), conversation.len()));
    }
    for ((from, to, said), message) in conversation.iter().zip(messages) {
        let id = |name| names.iter().position(|other| *other == name).map_or("", |at| actors[at].0);
        let expected = [id(from), id(to), &shown(said)];
        if *message != Json::from(expected.as_slice()) {
            return Err(format!("{expected:?} became {message}"));
        }
    }
    Ok(())
}

fn pairs(json: &Json) -> Vec<(&str, &str)> {
    let pairs = json.as_array().into_iter().flatten();
    pairs.filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?))).collect()
}

/// Everybody's name, by appearance.
fn names(conversation: &[Said]) -> Vec<&String> {
    let mut names: Vec<&String> = vec![];
    for name in conversation.iter().flat_map(|(from, to, _)| [from, to]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether the name is neither empty nor too long, and has nothing that only a stand-in can show.
fn is_shown_whole(name: &str) -> bool {
    let hidden = |character: char| {
        character.is_control() || matches!(u32::from(character), 0x2028..=0x202e | 0x2066..=0x2069)
    };
    !name.is_empty() && name.chars().count() <= 100 && !name.contains(hidden)
}

/// What the diagram shows of a text: at most fifty characters on a line, and Mermaid trims them.
fn shown(text: &str) -> String {
    let mut shown: String = text.chars().take(50).collect();
    if text.chars().count() > 50 {
        shown.push_str("...");
    }
    let breaks_line =
        |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    let shown = shown.replace(breaks_line, " ");
    let is_trimmed = |character: char| character.is_whitespace() || character == '\u{feff}';
    shown.trim_matches(is_trimmed).to_owned()
}

/// What means something to Mermaid, to HTML or to a terminal, and what is merely odd.
const ODDITIES: [&str; 84] = [
    "",
    " ",
    "end",
    "End",
    "participant",
    "actor",
    "as",
    "loop",
    "alt",
    "else",
    "opt",
    "par",
    "par_over",
    "and",
    "critical",
    "option",
    "break",
    "rect",
    "box",
    "note",
    "over",
    "left of",
    "right of",
    "left",
    "right",
    "link",
    "links",
    "properties",
    "details",
    "create",
    "destroy",
    "activate",
    "deactivate",
    "autonumber",
    "off",
    "title",
    "accTitle",
    "accDescr",
    "wrap:",
    "nowrap:",
    ":wrap: x",
    "sequenceDiagram",
    "style",
    "classDef",
    "style a:#fff;",
    "constructor",
    "__proto__",
    "toString",
    "A1",
    "A2",
    "->>",
    "-->>",
    "-x",
    "--)",
    "<<->>",
    "()",
    "+",
    "-",
    ":",
    ";",
    ",",
    "#",
    "#35;",
    "&lt;",
    "%%",
    "%% note",
    "%%{init: {\"theme\":\"dark\"}}%%",
    "@{ }",
    "{",
    "}",
    "<script>alert(1)</script>",
    "<br/>",
    "$$x^2$$",
    "ﬂ°°59¶ß",
    "\n",
    "\r\n",
    "\0",
    "\u{2028}%% x",
    "\u{202e}abc",
    "مرحبا",
    "👩‍👩‍👧",
    "\u{feff}",
    "---\ntitle: x\n---\n",
    "\\",
];

#[test]
fn every_oddity_as_a_name_and_as_a_text() {
    let conversations: Vec<_> = ODDITIES
        .iter()
        .map(|odd| {
            let said = |from: &str, to: &str, text: &str| (from.into(), to.into(), text.into());
            vec![said(odd, "emma", odd), said("emma", odd, "x"), said(odd, odd, "y")]
        })
        .collect();
    check(&conversations);
}

#[test]
fn words_that_begin_like_mermaids_own() {
    let said = |from: String| vec![(from, "emma".to_owned(), "x".to_owned())];
    let words = |odd: &&str| ["s", "_x", "1", "é", "-x", " x"].map(|end| format!("{odd}{end}"));
    check(&ODDITIES.iter().flat_map(words).map(said).collect::<Vec<_>>());
}

#[test]
fn all_oddities_at_once() {
    let names = ODDITIES.iter().zip(ODDITIES.iter().cycle().skip(1));
    let said = |((from, to), text): ((&&str, &&str), &&str)| {
        (from.to_string(), to.to_string(), format!("{text} {from}"))
    };
    check(&[names.zip(ODDITIES.iter().rev()).map(said).collect()]);
}

#[test]
fn a_text_of_a_hundred_kilobytes_is_one_short_line() {
    let long = "#;\n%%{".repeat(20_000);
    check(&[vec![(long.clone(), "emma".into(), long)]]);
}

#[test]
fn anything_at_all() {
    let piece = prop_oneof![
        3 => prop::sample::select(ODDITIES.as_slice()).prop_map(str::to_owned),
        2 => "[a-z]{1,6}",
        2 => any::<String>(),
    ];
    let string = prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat());
    let said = (string.clone(), string.clone(), string);
    let conversation = prop::collection::vec(said, 1..6);
    let mut runner = TestRunner::deterministic();
    let sample = |_| conversation.new_tree(&mut runner).expect("nothing is filtered").current();
    check(&(0..250).map(sample).collect::<Vec<_>>());
}

#[test]
fn folded_and_shortened_diagrams_are_read_too() {
    let said = |number: usize| {
        let (from, to) = [("end", "emma"), ("emma", "end")][number % 2];
        (from.to_owned(), to.to_owned(), format!("{number}; {}", ODDITIES[number % 84]))
    };
    let provider = provider(&(0..60).map(said).collect::<Vec<_>>());
    let folded = provider.draw(&DiagramOptions { fold: true, max_messages: None });
    let shortened = provider.draw(&DiagramOptions { fold: false, max_messages: Some(7) });
    let Some(answers) = read_back(&[folded, shortened]) else { return };
    assert_eq!(answers[0]["loops"], Json::from(vec!["30 times"]), "{}", answers[0]);
    assert_eq!(answers[0]["messages"].as_array().unwrap().len(), 2);
    assert_eq!(answers[1]["notes"], Json::from(vec!["53 messages left out"]), "{}", answers[1]);
    assert_eq!(answers[1]["messages"].as_array().unwrap().len(), 7);
}

#[test]
fn agents_that_are_asked_by_a_tool_are_read_too() {
    let manager = recording::manager(Prices::default());
    let config = MermaidConfig { kept_messages: 0, ..MermaidConfig::default() };
    let (diagram, keeps_nothing) =
        (MermaidDiagramProvider::default(), MermaidDiagramProvider::new(config));
    manager.register(Box::new(diagram.clone()));
    manager.register(Box::new(keeps_nothing.clone()));
    let run = manager.start_run("test", vec![]);
    for oddity in ODDITIES.iter().filter(|oddity| !oddity.trim().is_empty()) {
        let attributes = vec![
            (callboard::keys::AGENT_SENDER.into(), text("ann")),
            (callboard::keys::AGENT_RECIPIENT.into(), text(&format!("x{oddity}"))),
            ("ag2.chat.initial_message".into(), text(oddity)),
        ];
        let task = run.start_child(SpanKind::NestedChat, attributes);
        task.set_attribute("ag2.chat_result.summary", text(oddity));
        task.end();
    }
    let diagrams = [diagram.generate_sequence_diagram(), keeps_nothing.generate_sequence_diagram()];
    let expected = diagram.interactions().len();
    assert!(expected > 100 && diagrams[1].contains("no longer kept"), "{}", diagrams[1]);
    let Some(answers) = read_back(&diagrams) else { return };
    for (answer, messages) in answers.iter().zip([expected, 0]) {
        assert_eq!(answer["others"], 0, "{answer}");
        assert_eq!(answer["messages"].as_array().map(Vec::len), Some(messages), "{answer}");
    }
}
