//! Which frames of a stack a person looks for: the program's own functions, and what the last of
//! them called.

use std::collections::HashMap;

use mapgrow_report::{Report, Site, StackFrame, text};

/// Where a site's stack begins for a person: at the function in whose code the container grows. What
/// lies within it is the container and the allocator.
pub fn begin(site: &Site) -> usize {
    text::caller_at(site, &site.stack).unwrap_or(0)
}

/// For each frame, innermost first, whether it is plumbing: it only leads from one function of the
/// program's own to the next, or to its first one. Executors, frameworks, adapters of the standard
/// library and what starts threads do. What the program's last function called is none; without any
/// function of its own, nothing is.
pub fn plumbing(own: &[bool]) -> Vec<bool> {
    let last = own.iter().position(|&own| own).unwrap_or(own.len());
    let frames = own.iter().enumerate();
    frames.map(|(at, &own)| !own && at > last).collect()
}

/// The stack of a site from its beginning on, without plumbing.
pub fn without_plumbing(site: &Site) -> Vec<StackFrame> {
    let stack = &site.stack[begin(site)..];
    let own: Vec<bool> = stack.iter().map(text::is_own).collect();
    let mut kept: Vec<StackFrame> = Vec::new();
    for (frame, plumbing) in stack.iter().zip(plumbing(&own)) {
        if !plumbing {
            kept.push(frame.clone());
        }
        // Of functions inlined into one another, the outermost that is left ends the call.
        if let Some(last) = kept.last_mut().filter(|_| !frame.inlined) {
            last.inlined = false;
        }
    }
    kept
}

/// What the block of each site is called, as in the text report.
pub fn titles(report: &Report) -> HashMap<u32, String> {
    let mut titles = HashMap::new();
    for block in report.blocks() {
        for site in block.sites().chain([block.id]) {
            titles.entry(site).or_insert_with(|| text::title(block));
        }
    }
    titles
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_to_the_programs_functions_is_plumbing() {
        for (stack, left) in [
            (
                "insert login poll call handle run thread",
                "insert login handle",
            ),
            ("login handle", "login handle"),
            ("insert grow", "insert grow"),
            ("", ""),
        ] {
            let names: Vec<&str> = stack.split_whitespace().collect();
            let own = |name: &&str| ["login", "handle"].contains(name);
            let own: Vec<bool> = names.iter().map(own).collect();
            let kept = names.iter().zip(plumbing(&own));
            let kept: Vec<&str> = kept
                .filter(|(_, plumbing)| !plumbing)
                .map(|(name, _)| *name)
                .collect();
            assert_eq!(kept.join(" "), left);
        }
    }
}
