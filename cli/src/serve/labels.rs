//! The labels of metrics: escaped, and bounded.

use mapgrow_report::Site;
use mapgrow_report::text::place;

use super::targets::Reading;

/// Characters of a label's value.
const MOST_LABEL: usize = 200;

/// The labels that say which place a figure is of.
pub fn labels(site: &Site) -> String {
    let caller = site.caller.as_ref();
    format!(
        "site=\"{}\",function=\"{}\",type=\"{}\",family=\"{}\"",
        label(&place(caller)),
        label(caller.map_or("", |caller| &caller.function)),
        label(site.type_name.as_deref().unwrap_or_default()),
        label(site.family.unwrap_or_default()),
    )
}

/// The labels that say whose figure it is.
pub fn owner(at: usize, reading: &Reading) -> String {
    let process = reading.report.as_ref().map(|report| &report.process);
    let program = process.and_then(|process| process.name());
    format!(
        "target=\"{at}\",source=\"{}\",program=\"{}\",pid=\"{}\"",
        label(&reading.name),
        label(program.unwrap_or_default()),
        process.map_or(String::new(), |process| process.pid.to_string()),
    )
}

/// A label's value, escaped and bounded.
fn label(text: &str) -> String {
    let mut value = String::new();
    for next in text.chars().take(MOST_LABEL) {
        match next {
            '\\' => value.push_str("\\\\"),
            '"' => value.push_str("\\\""),
            '\n' => value.push_str("\\n"),
            next if next.is_control() => value.push('?'),
            next => value.push(next),
        }
    }
    value
}
