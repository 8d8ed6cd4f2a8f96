//! A running Go service: its heap profile, and the functions that it leaves out.
//!
//! `net/http/pprof` serves the profile at `/debug/pprof/heap`, the same with every address of
//! each stack as text at `?debug=1`, and names for addresses at `/debug/pprof/symbol`.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use mapgrow_report::profile::HeapProfile;
use ureq::Agent;

use crate::failure::Failure;
use crate::pprof::MOST_PROFILE_BYTES;

/// A service that answers no sooner is not waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Stacks of the text that are looked at.
const MOST_STACKS: usize = 200_000;
/// Addresses of one stack.
const MOST_FRAMES: usize = 256;
/// Addresses whose names are asked for.
const MOST_ADDRESSES: usize = 50_000;
/// Of these, in one request: servers bound the length of a URL.
const ADDRESSES_AT_ONCE: usize = 400;

/// A service, by the URL of its heap profile.
pub struct Service {
    url: String,
    agent: Agent,
}

impl Service {
    /// The service that the user named; `None` when it is no URL.
    pub fn named(source: &Path) -> Result<Option<Service>, Failure> {
        let Some(url) = source.to_str().filter(|text| text.contains("://")) else {
            return Ok(None);
        };
        if !url.starts_with("http://") {
            return Err(Failure::new(format!(
                "{url} cannot be read: mapgrow speaks http:// alone; fetch it with \
                 `curl -o heap.pb.gz {url}` and give the file"
            )));
        }
        let config = Agent::config_builder().timeout_global(Some(PATIENCE));
        let agent = config.build().new_agent();
        let url = url.to_owned();
        Ok(Some(Service { url, agent }))
    }

    /// Takes a heap profile.
    pub fn profile(&self) -> Result<HeapProfile, Failure> {
        let bytes = self.get(&self.url).map_err(|reason| {
            Failure::new(format!(
                "cannot fetch {}: {reason}; is it the URL of a heap profile, such as \
                 http://localhost:6060/debug/pprof/heap, and does the service run?",
                self.url
            ))
        })?;
        super::parse(&bytes, &self.url)
    }

    fn get(&self, url: &str) -> Result<Vec<u8>, String> {
        let mut answer = self.agent.get(url).call().map_err(|e| e.to_string())?;
        let body = answer.body_mut().with_config().limit(MOST_PROFILE_BYTES);
        body.read_to_vec().map_err(|error| error.to_string())
    }

    /// The functions of the run-time library that led from a call in the program to the
    /// allocation, innermost first, by the return address of the call.
    pub fn called(&self) -> Result<HashMap<u64, Vec<String>>, String> {
        let separator = if self.url.contains('?') { '&' } else { '?' };
        let text = self.get(&format!("{}{separator}debug=1", self.url))?;
        let stacks = stacks(&String::from_utf8_lossy(&text));
        let mut addresses: Vec<u64> = stacks.iter().flatten().copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(MOST_ADDRESSES);
        let names = self.names(&addresses)?;
        Ok(called(&stacks, &names))
    }

    fn names(&self, addresses: &[u64]) -> Result<HashMap<u64, String>, String> {
        let path = self.url.split('?').next().unwrap_or_default();
        let Some((directory, _)) = path.rsplit_once('/') else {
            return Err("the URL has no path".to_owned());
        };
        let mut text = String::new();
        // By GET: newer versions of `net/http/pprof` take nothing else.
        for some in addresses.chunks(ADDRESSES_AT_ONCE) {
            let asked: Vec<String> = some.iter().map(|a| format!("{a:#x}")).collect();
            let answer = self.get(&format!("{directory}/symbol?{}", asked.join("+")))?;
            text.push_str(&String::from_utf8_lossy(&answer));
            text.push('\n');
        }
        let line = |line: &str| {
            let (address, name) = line.split_once(' ')?;
            Some((hexadecimal(address)?, name.trim().to_owned()))
        };
        Ok(text.lines().filter_map(line).collect())
    }
}

/// The stacks of a profile as text: return addresses, innermost first.
fn stacks(text: &str) -> Vec<Vec<u64>> {
    let stack = |line: &str| {
        let (_, addresses) = line.split_once(" @ 0x")?;
        let first = std::iter::once(addresses.split(' ').next()?);
        let first = first.filter_map(|digits| u64::from_str_radix(digits, 16).ok());
        let rest = addresses.split(' ').skip(1).filter_map(hexadecimal);
        Some(first.chain(rest).take(MOST_FRAMES).collect())
    };
    text.lines().filter_map(stack).take(MOST_STACKS).collect()
}

fn hexadecimal(text: &str) -> Option<u64> {
    u64::from_str_radix(text.strip_prefix("0x")?, 16).ok()
}

/// For each first address outside the run-time library: the functions inside of it.
fn called(stacks: &[Vec<u64>], names: &HashMap<u64, String>) -> HashMap<u64, Vec<String>> {
    use mapgrow_containers::classify::go;
    let runtime: HashSet<u64> = names
        .iter()
        .filter(|(_, name)| go::is_runtime(&go::name(name)))
        .map(|(&address, _)| address)
        .collect();
    let mut called: HashMap<u64, Vec<String>> = HashMap::new();
    for stack in stacks {
        let inner = stack.iter().take_while(|address| runtime.contains(address));
        let functions: Vec<String> = inner
            .filter_map(|address| names.get(address).cloned())
            .collect();
        let Some(&from) = stack.get(functions.len()) else {
            continue;
        };
        let known = called.entry(from).or_default();
        // One call leads to an allocation in several ways; the longest tells most.
        if functions.len() > known.len() {
            *known = functions;
        }
    }
    called
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_tells_what_the_profile_leaves_out() {
        let text = "heap profile: 1: 2 [3: 4] @ heap/1048576\n\
                    1: 24 [2: 48] @ 0x10 0x20 0x30 0x40\n\
                    #\t0x2f\tmain.fill+0x54\t/src/main.go:19\n\n\
                    0: 0 [1: 8] @ 0x11 0x30\n\
                    0: 0 [1: 8] @ 0x10 0x20 0x21 0x30 0x40\n";
        let stacks = stacks(text);
        assert_eq!(stacks.len(), 3);
        let names = [
            (0x10, "runtime.mallocgc"),
            (0x20, "internal/runtime/maps.(*table).grow"),
            (0x21, "runtime.mapassign"),
            (0x11, "runtime.growslice"),
            (0x30, "main.fill"),
            (0x40, "runtime.main"),
        ];
        let names = names
            .map(|(address, name)| (address, name.to_owned()))
            .into();
        let called = called(&stacks, &names);
        assert_eq!(called.len(), 1);
        assert_eq!(
            called[&0x30],
            [
                "runtime.mallocgc",
                "internal/runtime/maps.(*table).grow",
                "runtime.mapassign"
            ]
        );
    }
}
