//! `mapgrow look` says whose a map is, or nothing.

use std::collections::HashMap;

use serde_json::Value;

use crate::looking::{Waiting, core_of, rust_program};
use crate::place::{Place, json, printed};

/// What the program says: whose the map is whose header lies at an address.
fn truth(said: &[String]) -> HashMap<u64, String> {
    let told = |line: &String| {
        let (owner, header) = line.split_once(" 0x").expect("two fields");
        let header = u64::from_str_radix(header, 16).expect("hexadecimal");
        (header, owner.to_owned())
    };
    said.iter().map(told).collect()
}

/// Checks the owners of a program built with `flags`, and how many maps have one.
fn owners(flags: &[&str], named: bool) -> (usize, usize) {
    let place = Place::new();
    let program = Waiting::new(&rust_program(&place, "owned", flags), &[]);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    if named {
        let text = printed(&place.run(&["look", "--top", "1000", &program.pid()]));
        assert!(text.contains("static owned::SESSIONS -> map"), "{text}");
        assert!(
            text.contains("maps: static owned::MANY -> block of"),
            "{text}"
        );
    }
    check(&look, &truth(&program.said), named)
}

/// Checks owners, and how many maps have one.
fn check(look: &Value, truth: &HashMap<u64, String>, named: bool) -> (usize, usize) {
    let core = look["process"]["state"] == "core";
    let (mut all, mut known) = (0, 0);
    for map in look["maps"].as_array().expect("a list") {
        let copies = map["header_copies"].as_array().into_iter().flatten();
        let headers = std::iter::once(&map["header_address"]).chain(copies);
        // A `HashMap` may begin with its hasher, which has 16 bytes.
        let own = |header: u64| truth.get(&header).or_else(|| truth.get(&(header - 16)));
        let Some(owner) = headers.filter_map(Value::as_u64).find_map(own) else {
            continue;
        };
        all += 1;
        let told = &map["owner"];
        if told.is_null() {
            continue;
        }
        known += 1;
        let path = told["path"].as_str().expect("text");
        let kind = told["kind"].as_str().expect("text");
        match owner.as_str() {
            // Of a thread's own variables nothing is said.
            "-" => panic!("{map}"),
            // What it was called no core says.
            "worker" if core => {
                assert_eq!(kind, "stack", "{map}");
                let thread = path.strip_prefix("stack of thread ").expect("a stack");
                let id = thread.split(' ').next().expect("an id");
                assert!(id.parse::<u32>().is_ok(), "{map}");
            }
            "worker" | "owned" => {
                assert_eq!(kind, "stack", "{map}");
                assert!(
                    path.starts_with(&format!("stack of thread {owner} ->")),
                    "{map}"
                );
            }
            _ if named => {
                assert_eq!(kind, "static", "{map}");
                assert_eq!(told["symbol"], format!("owned::{owner}"), "{map}");
                assert!(
                    path.starts_with(&format!("static owned::{owner} ->")),
                    "{map}"
                );
            }
            _ => {
                assert_eq!(kind, "static", "{map}");
                assert!(told["symbol"].is_null(), "{map}");
                assert!(path.starts_with("static data of owned ->"), "{map}");
            }
        }
    }
    assert_eq!(all, truth.len());
    (all, known)
}

#[test]
fn maps_have_the_owner_that_leads_to_them() {
    let (all, known) = owners(&["-O"], true);
    assert!(known * 100 >= all * 95, "{known} of {all}");
}

#[test]
fn without_names_the_kind_of_owner_is_known() {
    let (all, known) = owners(&["-O", "-C", "strip=symbols"], false);
    assert!(known * 100 >= all * 95, "{known} of {all}");
}

#[test]
fn a_core_has_the_owners_of_its_process() {
    let place = Place::new();
    let path = rust_program(&place, "owned", &["-O", "-C", "link-arg=-Wl,--build-id"]);
    let program = Waiting::new(&path, &[]);
    let truth = truth(&program.said);
    let Some(core) = core_of(&place, &program) else {
        return;
    };
    let look = || json(&place.run(&["look", "--json", core.to_str().expect("plain")]));
    let (all, known) = check(&look(), &truth, true);
    assert!(known * 100 >= all * 95, "{known} of {all}");
    // Another program of the same name says nothing about this one.
    drop(program);
    std::fs::remove_file(&path).expect("removed");
    for other in [
        &["-O", "-C", "link-arg=-Wl,--build-id=0x1234"][..],
        &["-O", "-g"],
    ] {
        rust_program(&place, "owned", other);
        let (_, known) = check(&look(), &truth, false);
        assert!(known * 100 >= all * 95, "{known} of {all}");
    }
    std::fs::remove_file(&path).expect("removed");
    let (_, known) = check(&look(), &truth, false);
    assert!(known * 100 >= all * 95, "{known} of {all}");
}
