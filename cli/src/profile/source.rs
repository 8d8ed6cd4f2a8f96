//! What the line of source says that grew something, where the program itself cannot be asked:
//! `go run` and `go test` leave no binary behind, but the sources are still there.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use mapgrow_report::profile::SourceHint;

use crate::load;

/// Larger files are not the work of people.
const MOST_BYTES: u64 = 4 << 20;
/// Files looked at.
const MOST_FILES: usize = 1_000;

/// Source files that were read.
#[derive(Default)]
pub struct Sources {
    files: HashMap<String, Option<String>>,
}

impl Sources {
    /// What a line does that may grow something.
    pub fn hint(&mut self, path: &str, line: u32) -> Option<SourceHint> {
        if !self.files.contains_key(path) {
            if self.files.len() == MOST_FILES || !path.ends_with(".go") {
                return None;
            }
            self.files.insert(path.to_owned(), read(Path::new(path)));
        }
        let text = self.files.get(path)?.as_deref()?;
        let line = text
            .lines()
            .nth(usize::try_from(line).ok()?.checked_sub(1)?)?;
        hint(line)
    }
}

fn read(path: &Path) -> Option<String> {
    // The path is a profile's word: whatever lies there, this does not block.
    let file = load::open(path, false, true).ok()?;
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

fn hint(line: &str) -> Option<SourceHint> {
    let code = line.split("//").next().unwrap_or(line);
    if code.contains("append(") {
        return Some(SourceHint::Append);
    }
    // `m[k] = v`, `m[k]++`, `m[k] += v`: what stands before the operator ends an index.
    let assigned = ["++", "--"]
        .iter()
        .find_map(|operator| code.trim_end().strip_suffix(operator))
        .or_else(|| Some(assignment(code)?.0));
    assigned
        .is_some_and(|target| target.trim_end().ends_with(']'))
        .then_some(SourceHint::IndexAssign)
}

/// What stands before and behind an assignment that declares nothing.
fn assignment(code: &str) -> Option<(&str, &str)> {
    let at = code.match_indices('=').map(|(at, _)| at).find(|&at| {
        let (before, after) = (&code[..at], &code[at + 1..]);
        !after.starts_with('=') && !before.ends_with(['=', '!', '<', '>', ':'])
    });
    // `<<=` and `>>=` are left out above: nobody counts with shifts in a map.
    let at = at?;
    let target = code[..at].trim_end_matches(['+', '-', '*', '/', '%', '&', '|', '^']);
    Some((target, &code[at + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_may_grow_a_map_or_a_slice_are_known() {
        for line in [
            "\ts.sessions[user] = &session{user: user} // grows sessions",
            "counts[word]++",
            "    totals[key] += 1",
            "for k, v := range a { b[k] = v }",
            "m[a[0]][b] = c == d",
        ] {
            assert_eq!(hint(line), Some(SourceHint::IndexAssign), "{line}");
        }
        assert_eq!(hint("list = append(list, 1)"), Some(SourceHint::Append));
        assert_eq!(hint("m[k] = append(m[k], v)"), Some(SourceHint::Append));
        for line in [
            "if m[k] == v {",
            "x := m[k]",
            "s := &session{}",
            "return fmt.Sprintf(a)",
            "// m[k] = v",
            "i++",
            "",
        ] {
            assert_eq!(hint(line), None, "{line}");
        }
    }
}
