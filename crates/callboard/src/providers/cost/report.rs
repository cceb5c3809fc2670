//! The summary for people: a table in plain text, and the same in HTML.

use std::fmt::Write as _;

use super::books::{CostSummary, Share, Unpriced};
use super::messages::MessageCost;
use crate::providers::page::{cut, escape_html, one_line};

/// A name in the text table is cut to so many characters.
const NAME_CHARACTERS: usize = 48;

/// A table shows so many rows, and says how many more there are.
const MOST_ROWS: usize = 50;

/// So many of the dearest messages are shown.
pub(super) const MOST_MESSAGES: usize = 10;

/// The dearest message is told of in a line where it was sent so often, and is such a part of its run.
const WORTH_TELLING: (u64, f64) = (3, 0.2);

/// How much of a message is shown.
const MESSAGE_CHARACTERS: usize = 80;

type Table<'a> = (&'static str, &'a [Share]);

pub(super) fn to_text(summary: &CostSummary, messages: &[MessageCost]) -> String {
    let mut text = headline(summary);
    text.push('\n');
    for line in notes(summary).into_iter().chain(dearest_note(messages)) {
        let _ = writeln!(text, "{}", one_line(&line));
    }
    for (title, shares) in tables(summary) {
        text.push('\n');
        write_table(&mut text, title, shares);
    }
    text
}

fn write_table(text: &mut String, title: &str, shares: &[Share]) {
    let names: Vec<_> =
        shares.iter().take(MOST_ROWS).map(|share| shown_name(&share.name)).collect();
    let lengths = names.iter().map(|name| name.chars().count());
    let width = lengths.max().unwrap_or(0).max(title.len());
    let _ = writeln!(
        text,
        "{title:<width$}  {:>14}  {:>8}  {:>12}  {:>12}",
        "cost", "events", "tokens in", "tokens out"
    );
    for (name, share) in names.iter().zip(shares) {
        let _ = writeln!(
            text,
            "{name:<width$}  {:>14}  {:>8}  {:>12}  {:>12}",
            share.cost.to_string(),
            grouped(share.events),
            grouped(share.input_tokens),
            grouped(share.output_tokens),
        );
    }
    if shares.len() > MOST_ROWS {
        let _ = writeln!(text, "and {} more", shares.len() - MOST_ROWS);
    }
}

pub(super) fn to_html(summary: &CostSummary, messages: &[MessageCost]) -> String {
    let mut html = String::from("<div class=\"callboard-costs\">");
    let _ = write!(html, "<p><b>{}</b></p>", escape_html(&headline(summary)));
    for note in notes(summary) {
        let _ = write!(html, "<p>{}</p>", escape_html(&one_line(&note)));
    }
    for (title, shares) in tables(summary) {
        write_html_table(&mut html, title, shares);
    }
    write_html_messages(&mut html, messages);
    html.push_str("</div>");
    html
}

fn write_html_messages(html: &mut String, messages: &[MessageCost]) {
    if messages.is_empty() {
        return;
    }
    html.push_str(
        "<table><thead><tr><th>message (estimates)</th><th>text</th><th>sent</th><th>tokens in</th>\
         <th>cost</th><th>of the run</th></tr></thead><tbody>",
    );
    for message in messages {
        let what = one_line(&message.what()).into_owned();
        let text = cut(message.text.as_deref().unwrap_or_default(), MESSAGE_CHARACTERS);
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.0} %</td></tr>",
            escape_html(&what),
            escape_html(&one_line(&text)),
            grouped(message.calls),
            grouped(message.input_tokens),
            message.cost(),
            message.share * 100.0,
        );
    }
    html.push_str("</tbody></table>");
}

fn dearest_note(messages: &[MessageCost]) -> Option<String> {
    let (calls, share) = WORTH_TELLING;
    let dearest = messages.first()?;
    let is_worth_telling = dearest.calls >= calls && dearest.share >= share;
    is_worth_telling.then(|| format!("Dearest message: {dearest}"))
}

fn write_html_table(html: &mut String, title: &str, shares: &[Share]) {
    let _ = write!(
        html,
        "<table><thead><tr><th>{title}</th><th>cost</th><th>events</th><th>tokens in</th>\
         <th>tokens out</th></tr></thead><tbody>"
    );
    for share in shares.iter().take(MOST_ROWS) {
        let name = one_line(&share.name);
        let _ = write!(
            html,
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape_html(&name),
            share.cost,
            grouped(share.events),
            grouped(share.input_tokens),
            grouped(share.output_tokens),
        );
    }
    html.push_str("</tbody></table>");
    if shares.len() > MOST_ROWS {
        let _ = write!(html, "<p>and {} more</p>", shares.len() - MOST_ROWS);
    }
}

fn tables(summary: &CostSummary) -> impl Iterator<Item = Table<'_>> {
    let tables: [Table<'_>; 3] =
        [("agent", &summary.by_agent), ("model", &summary.by_model), ("chat", &summary.by_chat)];
    tables.into_iter().filter(|(_, shares)| !shares.is_empty())
}

fn headline(summary: &CostSummary) -> String {
    format!("Cost: {} ({})", summary.total, counted(summary.events, "cost event"))
}

fn notes(summary: &CostSummary) -> Vec<String> {
    let mut notes = Vec::new();
    if summary.cached_calls > 0 {
        let calls = counted(summary.cached_calls, "cached answer");
        notes.push(format!("Saved: {} ({calls})", summary.saved));
    }
    notes.extend(summary.unpriced.iter().take(MOST_ROWS).map(unpriced_note));
    if summary.unpriced.len() > MOST_ROWS {
        notes.push(format!("Unpriced: {} more models", summary.unpriced.len() - MOST_ROWS));
    }
    notes
}

fn unpriced_note(unpriced: &Unpriced) -> String {
    format!(
        "Unpriced: {} of {} ({} tokens in, {} out)",
        counted(unpriced.calls, "call"),
        cut(&unpriced.model, NAME_CHARACTERS),
        grouped(unpriced.input_tokens),
        grouped(unpriced.output_tokens),
    )
}

fn shown_name(name: &str) -> String {
    one_line(&cut(name, NAME_CHARACTERS)).into_owned()
}

fn counted(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number))
}

/// A whole number with a comma between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::cost::Money;

    fn summary() -> CostSummary {
        let share = |name: &str, usd, events, input_tokens| Share {
            name: name.into(),
            cost: Money::from_usd(usd).unwrap(),
            events,
            input_tokens,
            output_tokens: 12,
        };
        CostSummary {
            total: Money::from_usd(1.25).unwrap(),
            events: 1_234,
            saved: Money::from_usd(0.5).unwrap(),
            cached_calls: 1,
            by_agent: vec![share("jack", 1.0, 1_233, 1_000_000), share("<b>\n&", 0.25, 1, 999)],
            by_model: vec![share("gpt-4o", 1.25, 1_234, 1_000_999)],
            by_chat: vec![share("jack → emma", 1.25, 1_234, 1_000_999)],
            unpriced: vec![Unpriced {
                model: "my<model>\u{1b}[2J".into(),
                calls: 3,
                input_tokens: 1200,
                output_tokens: 300,
            }],
        }
    }

    #[test]
    fn as_text() {
        insta::assert_snapshot!(to_text(&summary(), &[]), @"
        Cost: $1.250000 (1,234 cost events)
        Saved: $0.500000 (1 cached answer)
        Unpriced: 3 calls of my<model>␛[2J (1,200 tokens in, 300 out)

        agent            cost    events     tokens in    tokens out
        jack        $1.000000     1,233     1,000,000            12
        <b>␊&       $0.250000         1           999            12

        model             cost    events     tokens in    tokens out
        gpt-4o       $1.250000     1,234     1,000,999            12

        chat                   cost    events     tokens in    tokens out
        jack → emma       $1.250000     1,234     1,000,999            12
        ");
        insta::assert_snapshot!(to_text(&CostSummary::default(), &[]), @"Cost: $0.000000 (0 cost events)");
    }

    #[test]
    fn as_html() {
        let one_table = CostSummary { by_model: vec![], by_chat: vec![], ..summary() };
        let html = to_html(&one_table, &[]).replace("<tr", "\n<tr").replace("<p", "\n<p");
        insta::assert_snapshot!(html, @r#"
        <div class="callboard-costs">
        <p><b>Cost: $1.250000 (1,234 cost events)</b></p>
        <p>Saved: $0.500000 (1 cached answer)</p>
        <p>Unpriced: 3 calls of my&lt;model&gt;␛[2J (1,200 tokens in, 300 out)</p><table><thead>
        <tr><th>agent</th><th>cost</th><th>events</th><th>tokens in</th><th>tokens out</th></tr></thead><tbody>
        <tr><td>jack</td><td>$1.000000</td><td>1,233</td><td>1,000,000</td><td>12</td></tr>
        <tr><td>&lt;b&gt;␊&amp;</td><td>$0.250000</td><td>1</td><td>999</td><td>12</td></tr></tbody></table></div>
        "#);
    }

    #[test]
    fn numbers_in_groups_of_three() {
        let grouped = [0, 999, 1_000, 123_456, 1_234_567].map(grouped);
        assert_eq!(grouped.join(" "), "0 999 1,000 123,456 1,234,567");
    }
}
