//! Which laws a recording keeps, as text and as JSON.

use mapgrow_report::laws::{Finding, Outcome, Scope, Spot};
use mapgrow_report::text::place;
use serde_json::{Value, json};

use super::paint::{Tone, paint, wrap};

/// Renders findings in the order in which the laws were judged; the last line names the first that
/// is broken.
pub fn render(findings: &[Finding], width: usize, color: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        let (word, tone) = match finding.outcome {
            Outcome::Broken => ("BROKEN", Tone::Bad),
            Outcome::NotApplicable => ("n/a", Tone::Faint),
            Outcome::Holds => ("holds", Tone::Good),
        };
        let mut line = format!("{word:<8}  {}", finding.says);
        match (&finding.reason, finding.outcome) {
            (Some(reason), _) => line.push_str(&format!(": {reason}")),
            (None, Outcome::Holds) => line.push_str(&format!(" ({} judged)", finding.judged)),
            (None, _) => line.push_str(&format!(" ({} of {} off)", finding.off, finding.judged)),
        }
        let line = wrap(&line, width, 10);
        text.push_str(&line.replacen(word, &paint(word, tone, color), 1));
        text.push('\n');
        if let Some(spot) = &finding.spot {
            let first = format!("          {}: {}", where_of(spot), spot.figures);
            text.push_str(&wrap(&first, width, 12));
            text.push('\n');
        }
    }
    let count = |outcome: Outcome| {
        let of = findings.iter().filter(|finding| finding.outcome == outcome);
        of.count()
    };
    let unknown = match count(Outcome::NotApplicable) {
        0 => String::new(),
        unknown => format!(", {unknown} not applicable"),
    };
    let broken = findings
        .iter()
        .find(|finding| finding.outcome == Outcome::Broken);
    let (tail, tone) = match broken {
        Some(first) => (
            format!(
                "{} of {} laws broken{unknown}. The first: {}.",
                count(Outcome::Broken),
                findings.len(),
                first.says
            ),
            Tone::Bad,
        ),
        None => (
            format!("No law is broken: {} hold{unknown}.", count(Outcome::Holds)),
            Tone::Good,
        ),
    };
    text.push_str(&paint(&wrap(&tail, width, 0), tone, color));
    text.push('\n');
    text
}

/// What a spot is called.
fn where_of(spot: &Spot) -> String {
    let id = spot.id.map_or(String::new(), |id| format!(" {id}"));
    let kind = match spot.scope {
        Scope::Site => "site",
        Scope::Place => "place",
        Scope::Family => "family",
        Scope::Map => "map at site",
        Scope::Edge => "succession",
        Scope::Total => return "in total".to_owned(),
    };
    let family = spot.family.unwrap_or("no container");
    match &spot.caller {
        Some(caller) => format!(
            "{kind}{id} ({family} in {}, {})",
            caller.function,
            place(Some(caller))
        ),
        None if spot.scope == Scope::Family => format!("{kind} {family}"),
        None => format!("{kind}{id} ({family})"),
    }
}

/// The findings as a document.
pub fn document(findings: &[Finding]) -> Value {
    let broken = findings
        .iter()
        .find(|finding| finding.outcome == Outcome::Broken);
    json!({
        "format": "mapgrow-verify",
        "version": 1,
        "outcome": if broken.is_some() { "broken" } else { "held" },
        "first_broken": broken.map(|finding| finding.law),
        "laws": findings,
    })
}
