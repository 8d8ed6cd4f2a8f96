//! `mapgrow look --html`: the page tells what `--json` tells, and needs nothing but itself.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::looking::{Waiting, rust_program};
use crate::pages::data;
use crate::place::{Place, json, printed, told};

/// What is the same in two looks at a program that waits.
fn lasting(look: &Value) -> Value {
    let mut look = look.clone();
    // The machine's memory is others' too, and reading may bring pages of files in.
    for part in ["memory", "resident"] {
        look[part] = Value::Null;
    }
    for map in look["maps"].as_array_mut().expect("maps") {
        map["next_resize"]["fits"] = Value::Null;
        map["next_resize"]["short_bytes"] = Value::Null;
    }
    look
}

/// The page as a browser has it after its scripts ran; `None` where there is no browser.
fn drawn(page: &Path, window: &str) -> Option<String> {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg(format!("--window-size={window}"))
        .arg(format!("file://{}", page.display()))
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn the_page_of_a_look_tells_what_the_look_tells() {
    let place = Place::new();
    let program = Waiting::new(&rust_program(&place, "owned", &["-O"]), &[]);
    let file = place.path("maps.html");
    let named = file.to_str().expect("plain");
    assert_eq!(
        printed(&place.run(&["look", &program.pid(), "--html", named])),
        ""
    );
    let page = std::fs::read_to_string(&file).expect("written");
    let told_there = data(&page);
    let look = json(&place.run(&["look", "--json", &program.pid()]));
    assert_eq!(lasting(&told_there["report"]), lasting(&look));
    // Each map is in one line, by itself or with those that are alike.
    let lines = told_there["blocks"].as_array().expect("lines");
    let number = |at: &Value| at.as_u64().map(|at| at as usize);
    let maps: u64 = (lines.iter())
        .map(|line| match number(&line["group"]) {
            Some(group) => look["groups"][group]["count"].as_u64().expect("a number"),
            None => u64::from(number(&line["map"]).is_some()),
        })
        .sum();
    assert_eq!(Some(maps), look["totals"]["maps_live"].as_u64());
    let text = printed(&place.run(&["look", "--width", "999", &program.pid()]));
    let lead = told_there["headlines"]["findings"][0]
        .as_str()
        .expect("text");
    assert_eq!(text.lines().next(), Some(lead));
    // Nothing is fetched from anywhere.
    let (frame, _) = page.split_once("<script").expect("a script");
    assert!(frame.contains("default-src 'none'"), "{frame}");
    for outside in ["http:", "https:", "url(", "@import", "src="] {
        assert!(!frame.contains(outside), "{outside}");
    }
    for window in ["390,844", "1920,1080"] {
        let Some(drawn) = drawn(&file, window) else {
            return;
        };
        assert!(drawn.contains("data-ready=\"yes\""), "its scripts ran");
        for words in [
            "static owned::SESSIONS \u{2192} map",
            "at 7,169 entries, needs 528 KiB",
            "Where the memory went",
            "in tables",
        ] {
            assert!(drawn.contains(words), "{words}");
        }
    }
}

#[test]
fn a_page_goes_to_standard_output_or_says_why_not() {
    let place = Place::new();
    let program = Waiting::new(&rust_program(&place, "owned", &["-O"]), &[]);
    let page = printed(&place.run(&["look", &program.pid(), "--html", "-"]));
    assert!(page.starts_with("<!DOCTYPE html>"));
    let nowhere = told(&place.run(&["look", &program.pid(), "--html", "/no/such/place.html"]));
    assert!(nowhere.contains("/no/such/place.html"), "{nowhere}");
    let both = place.run(&["look", &program.pid(), "--json", "--html", "-"]);
    assert_eq!((both.status.code(), both.stdout.len()), (Some(2), 0));
}
