//! What a check found, as text and as JSON.

use mapgrow_report::gates::{Finding, Outcome};
use mapgrow_report::text::place;
use serde_json::{Value, json};

use super::paint::{Tone, paint, wrap};

/// Renders findings, the broken gates first.
pub fn render(findings: &[Finding], require_sites: bool, width: usize, color: bool) -> String {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| std::cmp::Reverse(finding.outcome));
    let mut text = String::new();
    for finding in &sorted {
        let (word, tone) = match finding.outcome {
            Outcome::Broken => ("FAILED", Tone::Bad),
            Outcome::Unknown => ("unknown", Tone::Bad),
            Outcome::NoSuchSite if require_sites => ("FAILED", Tone::Bad),
            Outcome::NoSuchSite => ("no place", Tone::Faint),
            Outcome::Held => ("held", Tone::Good),
        };
        let line = wrap(&format!("{word:<8}  {}", finding.reason), width, 10);
        text.push_str(&line.replacen(word, &paint(word, tone, color), 1));
        text.push('\n');
        let quiet = finding.outcome == Outcome::Held;
        let gate = format!("          gate: {}", finding.rule);
        text.push_str(&paint(&wrap(&gate, width, 16), Tone::Faint, color));
        text.push('\n');
        if let Some(caller) = finding
            .caller
            .as_ref()
            .filter(|caller| !quiet && caller.line.is_some())
        {
            let at = format!("          in {} ({})", caller.function, place(Some(caller)));
            text.push_str(&wrap(&at, width, 13));
            text.push('\n');
        }
        for advice in &finding.advice {
            text.push_str(&wrap(&format!("          - {advice}"), width, 12));
            text.push('\n');
        }
    }
    let failed = |finding: &&&Finding| {
        finding.outcome == Outcome::Broken
            || require_sites && finding.outcome == Outcome::NoSuchSite
    };
    let count = |of: Outcome| {
        sorted
            .iter()
            .filter(|finding| finding.outcome == of)
            .count()
    };
    let failed = sorted.iter().filter(failed).count();
    let mut tail = match failed {
        0 => format!("All gates held: {} checked", sorted.len()),
        _ => format!("{failed} of {} failed", sorted.len()),
    };
    let unknown = count(Outcome::Unknown);
    if unknown > 0 {
        if failed == 0 {
            tail = format!("{unknown} of {} cannot be judged", sorted.len());
        } else {
            tail.push_str(&format!(", {unknown} cannot be judged"));
        }
    }
    let tone = if failed + unknown > 0 {
        Tone::Bad
    } else {
        Tone::Good
    };
    text.push_str(&paint(&format!("{tail}."), tone, color));
    text.push('\n');
    text
}

/// The findings as a document.
pub fn document(findings: &[Finding], worst: Outcome) -> Value {
    let outcome = match worst {
        Outcome::Held | Outcome::NoSuchSite => "held",
        Outcome::Broken => "failed",
        Outcome::Unknown => "unknown",
    };
    json!({
        "format": "mapgrow-check",
        "version": 1,
        "outcome": outcome,
        "findings": findings,
    })
}
