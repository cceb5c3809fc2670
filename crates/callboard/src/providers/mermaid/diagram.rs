//! The diagram's text: participants, messages in order of time, repeated rounds folded, long stretches left out.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use callboard_core::Text;

use super::escape::{self, Participant};
use super::transcript::{self, Interaction, Said};

/// The longest round that is recognised when it repeats, in messages.
const LONGEST_ROUND: usize = 32;

/// Where both of these take part they stand last: they are the framework's own.
const STAND_LAST: [&str; 2] = ["checking_agent", "speaker_selection_agent"];

/// How a diagram is shortened. The default draws every message, one line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiagramOptions {
    /// Rounds that repeat (the same agents in the same order, whatever they say) become one
    /// `loop N times … end`; each message in it is the first round's.
    pub fold: bool,
    /// At the most so many messages are drawn: the first ones and the last ones, and a note in their midst tells how
    /// many are left out. With `fold`, a loop's messages count once.
    pub max_messages: Option<usize>,
}

/// What is drawn, in order.
#[derive(Clone, Debug)]
enum Part {
    /// These messages.
    Messages(Range<usize>),
    /// These messages, so many times.
    Loop(Range<usize>, usize),
    /// Nothing of so many messages.
    LeftOut(usize),
}

pub(super) fn draw(said: Said, options: &DiagramOptions) -> String {
    let Said { interactions, dropped } = said;
    let names = participants(&interactions);
    let page = Page {
        participants: escape::participants(&names),
        places: names.into_iter().enumerate().map(|(place, name)| (name, place)).collect(),
        interactions,
    };
    let mut text = String::from("sequenceDiagram");
    for participant in &page.participants {
        let _ = match &participant.alias {
            None => write!(text, "\n    participant {}", participant.id),
            Some(alias) => write!(text, "\n    participant {} as {alias}", participant.id),
        };
    }
    if dropped > 0 {
        let (plural, verb) = if dropped == 1 { ("", "is") } else { ("s", "are") };
        let note = format!("{dropped} earlier message{plural} {verb} no longer kept");
        page.write_note(&mut text, &note);
    }
    for part in parts(&page.pairs(), options) {
        page.write_part(&mut text, &part);
    }
    text
}

/// The participants as they stand in the diagram.
pub(super) fn participants(interactions: &[Interaction]) -> Vec<Text> {
    let mut names = transcript::names(interactions);
    if STAND_LAST.iter().all(|last| names.iter().any(|name| name == last)) {
        names.retain(|name| !STAND_LAST.contains(&name.as_str()));
        names.extend(STAND_LAST.map(Text::from));
    }
    names
}

struct Page {
    participants: Vec<Participant>,
    places: HashMap<Text, usize>,
    interactions: Vec<Interaction>,
}

impl Page {
    /// Each message's sender and recipient, as places among the participants.
    fn pairs(&self) -> Vec<(usize, usize)> {
        let pair = |said: &Interaction| (self.place(&said.from), self.place(&said.to));
        self.interactions.iter().map(pair).collect()
    }

    fn place(&self, name: &Text) -> usize {
        self.places.get(name).copied().expect("whoever speaks or is spoken to takes part")
    }

    fn write_part(&self, text: &mut String, part: &Part) {
        match part {
            Part::Messages(range) => {
                for said in &self.interactions[range.clone()] {
                    self.write_message(text, "    ", said, "");
                }
            }
            Part::Loop(range, times) => {
                let _ = write!(text, "\n    loop {times} times");
                for index in range.clone() {
                    let said = &self.interactions[index];
                    let repeats = (1..*times).map(|time| index + time * range.len());
                    let others =
                        repeats.filter(|other| self.interactions[*other].message != said.message);
                    let hint = match others.count() {
                        0 => String::new(),
                        others => format!(" (and {others} more)"),
                    };
                    self.write_message(text, "        ", said, &hint);
                }
                text.push_str("\n    end");
            }
            Part::LeftOut(count) => {
                let plural = if *count == 1 { "message" } else { "messages" };
                self.write_note(text, &format!("{count} {plural} left out"));
            }
        }
    }

    fn write_message(&self, text: &mut String, indent: &str, said: &Interaction, hint: &str) {
        let [from, to] = [&said.from, &said.to].map(|name| &self.participants[self.place(name)].id);
        let label = escape::label(&said.message);
        let _ = write!(text, "\n{indent}{from}->>{to}: {label}{hint}");
    }

    /// A note across all participants.
    fn write_note(&self, text: &mut String, note: &str) {
        let _ = match self.participants.as_slice() {
            // A note stands over somebody; a comment may stand alone.
            [] => write!(text, "\n    %% {note}"),
            [only] => write!(text, "\n    Note over {}: {note}", only.id),
            [first, .., last] => write!(text, "\n    Note over {},{}: {note}", first.id, last.id),
        };
    }
}

fn parts(pairs: &[(usize, usize)], options: &DiagramOptions) -> Vec<Part> {
    let longest_round = match (options.fold, options.max_messages) {
        (false, _) => 0,
        (true, None) => LONGEST_ROUND,
        // So that a loop at least fits on either side of what is left out.
        (true, Some(most)) => LONGEST_ROUND.min(most / 2),
    };
    let parts = fold(pairs, longest_round);
    match options.max_messages {
        Some(most) => shorten(parts, most),
        None => parts,
    }
}

/// Makes loops of rounds that repeat, where that saves lines.
fn fold(pairs: &[(usize, usize)], longest_round: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut index = 0;
    while index < pairs.len() {
        let Some((length, times)) = best_round(&pairs[index..], longest_round) else {
            index += 1;
            continue;
        };
        if start < index {
            parts.push(Part::Messages(start..index));
        }
        parts.push(Part::Loop(index..index + length, times));
        index += length * times;
        start = index;
    }
    if start < pairs.len() {
        parts.push(Part::Messages(start..pairs.len()));
    }
    parts
}

/// The round with which these messages begin, and how often it comes: the one that saves most lines, if any does.
fn best_round(pairs: &[(usize, usize)], longest: usize) -> Option<(usize, usize)> {
    let rounds = (1..=longest.min(pairs.len() / 2)).map(|length| {
        let again = pairs.iter().zip(&pairs[length..]).take_while(|(one, other)| one == other);
        (length, again.count() / length + 1)
    });
    // A loop has two lines of its own.
    let saved = |&(length, times): &(usize, usize)| (length * (times - 1)).saturating_sub(2);
    let best = rounds.max_by_key(|round| (saved(round), std::cmp::Reverse(round.0)))?;
    (saved(&best) > 0).then_some(best)
}

impl Part {
    /// How many lines its messages take.
    fn lines(&self) -> usize {
        match self {
            Self::Messages(range) | Self::Loop(range, _) => range.len(),
            Self::LeftOut(_) => 0,
        }
    }

    /// How many messages it stands for.
    fn messages(&self) -> usize {
        match self {
            Self::Messages(range) => range.len(),
            Self::Loop(range, times) => range.len() * times,
            Self::LeftOut(count) => *count,
        }
    }
}

/// Leaves out what is in the middle, so that at the most `most` lines of messages remain.
fn shorten(parts: Vec<Part>, most: usize) -> Vec<Part> {
    if parts.iter().map(Part::lines).sum::<usize>() <= most {
        return parts;
    }
    let all: usize = parts.iter().map(Part::messages).sum();
    let last = most / 2;
    let mut shown = take(parts.iter(), most - last, |range, room| range.start..range.start + room);
    let mut tail = take(parts.iter().rev(), last, |range, room| range.end - room..range.end);
    let kept: usize = shown.iter().chain(&tail).map(Part::messages).sum();
    shown.push(Part::LeftOut(all - kept));
    tail.reverse();
    shown.append(&mut tail);
    shown
}

/// As many parts as there is room for. Messages may be `cut` to fit, a loop is taken whole or not at all.
fn take<'a>(
    parts: impl Iterator<Item = &'a Part>,
    mut room: usize,
    cut: impl Fn(&Range<usize>, usize) -> Range<usize>,
) -> Vec<Part> {
    let mut taken = Vec::new();
    for part in parts {
        if part.lines() <= room {
            room -= part.lines();
            taken.push(part.clone());
            continue;
        }
        if let Part::Messages(range) = part
            && room > 0
        {
            taken.push(Part::Messages(cut(range, room)));
        }
        break;
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws the parts of a conversation in which each letter is another pair of agents.
    fn check(conversation: &str, options: &DiagramOptions, expected: &str) {
        let pairs: Vec<_> = conversation.bytes().map(|pair| (usize::from(pair), 0)).collect();
        let letters = |range: Range<usize>| conversation[range].to_owned();
        let shown = parts(&pairs, options).into_iter().map(|part| match part {
            Part::Messages(range) => letters(range),
            Part::Loop(range, times) => format!("{times}({})", letters(range)),
            Part::LeftOut(count) => format!("-{count}-"),
        });
        assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{conversation} {options:?}");
    }

    #[test]
    fn rounds_that_repeat_are_folded_where_that_saves_lines() {
        let fold = DiagramOptions { fold: true, max_messages: None };
        check("", &fold, "");
        check("abab", &fold, "abab");
        check("ababab", &fold, "3(ab)");
        check("aaa", &fold, "aaa");
        check("aaaa", &fold, "4(a)");
        check("xababababy", &fold, "x 4(ab) y");
        check("abcabcabcdedede", &fold, "3(abc) 3(de)");
        check("abababa", &fold, "3(ab) a");
        check("ababab", &DiagramOptions::default(), "ababab");
    }

    #[test]
    fn the_middle_is_left_out() {
        let at_most = |most| DiagramOptions { fold: false, max_messages: Some(most) };
        check("abcdef", &at_most(6), "abcdef");
        check("abcdef", &at_most(5), "abc -1- ef");
        check("abcdef", &at_most(1), "a -5-");
        check("abcdef", &at_most(0), "-6-");
    }

    #[test]
    fn a_loop_is_shown_whole_or_left_out_whole() {
        let both = |most| DiagramOptions { fold: true, max_messages: Some(most) };
        check("ababababxyz", &both(5), "4(ab) xyz");
        check("ababababxyzuvw", &both(4), "4(ab) -4- vw");
        check("xababababyz", &both(4), "x -8- yz");
        check("abcabcabcabc", &both(4), "ab -8- bc");
    }
}
