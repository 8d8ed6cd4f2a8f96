//! What the report foretells of a map that grows, against what then happens: when it is resized,
//! how many bytes that takes, and whether there is room for it.

mod support;

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{Scratch, array, command, example, number, report, run, text};

/// The report on a running program; `None` before it has a recording, or after its end.
fn look(child: &Child, scratch: &Scratch) -> Option<Value> {
    let output = cli(child, scratch)
        .arg("--json")
        .output()
        .expect("the command starts");
    serde_json::from_slice(&output.stdout)
        .ok()
        .filter(|_| output.status.success())
}

fn cli(child: &Child, scratch: &Scratch) -> Command {
    let mut command = Command::new(support::cli());
    command
        .env("MAPGROW_DIR", scratch.recordings())
        .args(["report", &child.id().to_string()]);
    command
}

fn foretold(map: &Value) -> Vec<&Value> {
    array(map, "upcoming").iter().collect()
}

/// What a steady map was told to do, against what it did.
#[derive(Default)]
struct Told {
    /// Resizes foretold and come.
    resizes: usize,
    /// The largest difference, as a share of the time ahead.
    worst: f64,
}

/// A run of a program whose map grows at a steady rate, looked at all the time.
fn grow_steadily(scratch: &Scratch, told: &mut Told) {
    let program = example("victim_growing", "release");
    // Built before the program starts: it does not wait.
    support::cli();
    let mut child = command(&program, scratch)
        .args([STEADY_PER_S.to_string().as_str(), "7"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    std::thread::sleep(Duration::from_millis(900));
    let mut seen: Vec<Value> = Vec::new();
    while child.try_wait().expect("it can be waited for").is_none() {
        let map = look(&child, scratch).and_then(|report| array(&report, "maps").first().cloned());
        // One that is just being moved is not read.
        seen.extend(map.filter(|map| !map["entries"].is_null()));
        std::thread::sleep(Duration::from_millis(150));
    }
    let output = child.wait_with_output().expect("it ended");
    let words = String::from_utf8_lossy(&output.stdout);
    let behind: u64 = words
        .split_whitespace()
        .nth(1)
        .and_then(|ns| ns.parse().ok())
        .expect("told");
    let report = report(&scratch.path("out.mapgrow"));
    assert!(
        number(&report["memory"], "left_bytes") > 0,
        "{}",
        report["memory"]
    );
    for map in &seen {
        // A rate is taken over a quarter of a table at least. What the program was behind its
        // schedule meanwhile is an error of the rate, and so counts for all the time ahead.
        let window = number(map, "capacity") / 4 * 1_000_000_000 / STEADY_PER_S;
        for (ahead, next) in foretold(map).into_iter().enumerate() {
            let bytes = number(next, "needs_bytes");
            let resize = array(&report, "timeline")
                .iter()
                .find(|event| text(event, "kind") == "grow" && number(event, "new_bytes") == bytes);
            let (Some(resize), Some(eta)) = (resize, next["eta_ns"].as_u64()) else {
                continue;
            };
            // Before the first tenth of a second nobody can foretell to a tenth.
            let happened = number(resize, "t_ns") - number(resize, "pause_ns");
            let took = happened.saturating_sub(number(map, "measured_at_ns"));
            if took < 100_000_000 {
                continue;
            }
            let off = took.abs_diff(eta);
            told.worst = told.worst.max(off as f64 / took as f64);
            told.resizes += 1;
            let late = behind as f64 * (1.0 + took as f64 / window as f64);
            assert!(
                off <= took / 10 + late as u64 + 3_000_000,
                "resize {ahead} from now foretold in {eta} ns, came in {took}; {behind} ns behind: {map}"
            );
        }
    }
    println!(
        "{} looks; the program was {behind} ns behind at worst",
        seen.len()
    );
    let ahead = |map: &Value| foretold(map).len();
    assert!(seen.iter().all(|map| ahead(map) == 3), "{seen:?}");
}

/// Entries that the steady map gets in a second.
const STEADY_PER_S: u64 = 40_000;

#[test]
fn a_steady_map_grows_when_foretold() {
    let mut told = Told::default();
    // The last resizes foretold are beyond the program's end, and on a loaded machine there are
    // few looks.
    for run in 0..4 {
        grow_steadily(&Scratch::new(&format!("forecast-steady-{run}")), &mut told);
        if told.resizes >= 12 {
            break;
        }
    }
    println!(
        "{} resizes foretold, up to three ahead, at worst {:.1} % off",
        told.resizes,
        told.worst * 100.0
    );
    assert!(told.resizes >= 12, "{}", told.resizes);
}

/// A look that falls into a resize sees two tables, none of which is the map: nothing is said of
/// what they hold, nor foretold. Whatever a look does say is of a whole map.
#[test]
fn a_look_into_the_middle_of_a_resize_tells_no_half_of_a_map() {
    let program = example("victim_growing", "release");
    // Built before the program starts: it does not wait.
    support::cli();
    let (mut told, mut untold) = (0, 0);
    // On a loaded machine there are few looks.
    for run in 0..6 {
        let scratch = Scratch::new(&format!("forecast-middle-{run}"));
        let mut child = command(&program, &scratch)
            .args(["300000", "6"])
            .stdout(Stdio::null())
            .spawn()
            .expect("the program starts");
        while child.try_wait().expect("it can be waited for").is_none() {
            let Some(report) = look(&child, &scratch) else {
                continue;
            };
            for map in array(&report, "maps") {
                // Before that it is hardly ever seen, and small enough for other things to be like
                // it.
                let buckets = map["buckets"]
                    .as_u64()
                    .filter(|&buckets| buckets >= 1 << 14);
                let Some((entries, buckets)) = map["entries"].as_u64().zip(buckets) else {
                    untold += 1;
                    continue;
                };
                // Its chain was written to after it was copied, and says that it is not whole.
                if array(map, "tables").len() == 1 && map["history_complete"] == false {
                    untold += 1;
                    continue;
                }
                told += 1;
                let sizes = (2..=buckets.ilog2()).count();
                assert_eq!(array(map, "tables").len(), sizes, "{map}");
                // Nothing is ever deleted: what was outgrown was full.
                let most = entries + 4 * number(map, "entries_error");
                assert!(most > buckets / 2 / 8 * 7, "{map}");
            }
        }
        if told >= 5 {
            break;
        }
    }
    println!("{told} maps told, {untold} not");
    assert!(told >= 5, "{told} told, {untold} not");
}

/// Watches a program that runs out of memory: the warnings it got, and how it ended.
fn watch(mut child: Child, scratch: &Scratch, under: &str, words: &str) {
    let (mut looks, mut warned, mut failed, mut screens) = (0, 0, 0, Vec::new());
    let ended = loop {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            break status;
        }
        let report = look(&child, scratch);
        looks += usize::from(report.is_some());
        let warning = report.as_ref().and_then(|report| {
            let map = array(report, "maps").first()?;
            let next = foretold(map)
                .into_iter()
                .find(|next| next["fits"] == false)?;
            (text(&report["memory"], "left_under") == under && !next["eta_ns"].is_null())
                .then_some(())
        });
        if warning.is_some() {
            warned += 1;
            let mut check = Command::new(support::cli());
            check.env("MAPGROW_DIR", scratch.recordings());
            check.args(["check", &child.id().to_string(), "--forecast=1min"]);
            // The program goes on: it may have grown by then, or have ended.
            let status = check.output().expect("the command starts").status.code();
            failed += usize::from(status == Some(1));
            assert!(matches!(status, Some(0..=2)), "{status:?}");
            let output = cli(&child, scratch).output().expect("the command starts");
            screens.push(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    println!(
        "{looks} looks, {warned} of them warned, {failed} checks failed; it ended with {ended}"
    );
    assert!(failed > 0, "no check failed");
    let screen = screens.iter().find(|screen| screen.contains(words));
    let screen = screen.unwrap_or_else(|| panic!("no first screen says {words:?}: {screens:?}"));
    let first: Vec<&str> = screen.lines().take(12).collect();
    println!("{}", first.join("\n"));
    let first = first.join(" ");
    assert!(
        first.contains("tests/victims/growing.rs") && first.contains(words),
        "{first}"
    );
    assert!(!ended.success(), "it was to run out of memory");
}

#[test]
fn the_warning_comes_before_the_address_space_ends() {
    let scratch = Scratch::new("forecast-address-space");
    let program = example("victim_growing", "release");
    // Built before the program starts: it does not wait.
    support::cli();
    let mut limited = command(Path::new("sh"), &scratch);
    limited
        .args(["-c", "ulimit -v 700000; exec \"$0\" 150000 60"])
        .arg(program)
        .stderr(Stdio::null());
    let child = limited.spawn().expect("the program starts");
    watch(child, &scratch, "address_space", "the allocation will fail");
}

/// A control group of our own, removed at the end.
struct Group(PathBuf);

impl Group {
    /// `None` where we are not allowed to make one.
    fn new(limit: u64) -> Option<Group> {
        let name = format!("mapgrow-test-{}", std::process::id());
        let versions = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        versions.iter().find_map(|(root, file)| {
            // Elsewhere it would be a plain directory.
            Path::new(root)
                .join("cgroup.procs")
                .exists()
                .then_some(())?;
            let group = Group(Path::new(root).join(&name));
            std::fs::create_dir(&group.0).ok()?;
            std::fs::write(group.0.join(file), limit.to_string()).ok()?;
            Some(group)
        })
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // The kernel may still be busy with the last process.
        for _ in 0..50 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[test]
fn the_warning_comes_before_the_oom_killer() {
    let scratch = Scratch::new("forecast-cgroup");
    let program = example("victim_growing", "release");
    // Built before the program starts: it does not wait.
    support::cli();
    let Some(group) = Group::new(320 << 20) else {
        println!("not allowed to make a control group here: nothing shown");
        return;
    };
    let mut limited = command(Path::new("sh"), &scratch);
    limited
        .args([
            "-c",
            "echo $$ > \"$1/cgroup.procs\" && exec \"$0\" 150000 60",
        ])
        .arg(program)
        .arg(&group.0);
    let child = limited.spawn().expect("the program starts");
    watch(child, &scratch, "control_group", "will be OOM-killed");
}

/// The largest map of a program that inserted 1.5 million entries within a second, and then went
/// on at another rate, as soon as it is told to have changed; with what a check of its forecast
/// said then. The table is full at 1,835,008.
fn after_a_burst(
    scratch: &Scratch,
    rate: &str,
    changed: impl Fn(&Value, &str) -> bool,
) -> (Value, String) {
    let program = example("victim_growing", "release");
    // Built before the program starts: it does not wait.
    support::cli();
    let mut limited = command(Path::new("sh"), scratch);
    // Room for the map, and none for its next table.
    limited
        .args(["-c", "ulimit -v 700000; exec \"$0\" 1500000 1 \"$1\" 60"])
        .arg(program)
        .arg(rate);
    let mut start = || limited.spawn().expect("the program starts");
    let mut child = start();
    let begun = Instant::now();
    // On a loaded machine the burst takes longer, and so does each look: the program may have run
    // out of room before it was looked at.
    let seen = loop {
        std::thread::sleep(Duration::from_millis(500));
        if child.try_wait().expect("our own").is_some() {
            child = start();
        }
        let late = begun.elapsed() > Duration::from_secs(120);
        let Some(report) = look(&child, scratch) else {
            assert!(!late, "nothing was seen of it");
            continue;
        };
        let mut check = Command::new(support::cli());
        check.env("MAPGROW_DIR", scratch.recordings());
        check.args(["check", &child.id().to_string(), "--forecast=1h"]);
        let check = check.output().expect("the command starts");
        let check = String::from_utf8_lossy(&check.stdout).into_owned();
        let map = array(&report, "maps")[0].clone();
        if changed(&map, &check) || late {
            break (map, check);
        }
    };
    child.kill().expect("our own");
    child.wait().expect("it ended");
    seen
}

#[test]
fn a_map_that_stopped_is_not_foretold_to_grow() {
    let scratch = Scratch::new("forecast-stopped");
    let (map, check) = after_a_burst(&scratch, "0", |map, check| {
        map["activity"] == "slowed" && check.contains("slowed down")
    });
    assert_eq!(map["entries"], 1_500_000, "{map}");
    assert_eq!(map["activity"], "slowed", "{map}");
    assert!(map["entries_per_s"].is_null(), "{map}");
    for next in foretold(&map) {
        assert_eq!(next["fits"], false, "{map}");
        assert!(next["eta_ns"].is_null(), "{map}");
    }
    // It got 582,495 in the stretch after its last resize, and 1.5 million in a second before.
    let slowed = |name: &str| map["slowed"][name].as_f64().expect("a rate");
    assert!(slowed("entries_per_s") < slowed("before_entries_per_s") / 2.0);
    assert!(check.starts_with("held"), "{check}");
    assert!(check.contains("1 map that slowed down"), "{check}");
}

#[test]
fn a_map_that_slowed_down_is_foretold_by_its_present_rate() {
    let scratch = Scratch::new("forecast-slowed");
    // In ns, at 20,000 a second.
    let due = |map: &Value| 1_835_009_u64.saturating_sub(number(map, "entries")) * 50_000;
    // Seen over a tenth of a second alone.
    let foretold = |map: &Value| {
        let eta = map["next_resize"]["eta_ns"].as_u64();
        eta.is_some_and(|eta| (due(map) / 2..due(map) * 2).contains(&eta))
    };
    let (map, check) = after_a_burst(&scratch, "20000", |map, check| {
        number(map, "entries") > 1_500_000 && foretold(map) && check.starts_with("FAILED")
    });
    assert!(foretold(&map), "due in {} ns: {map}", due(&map));
    assert!(check.starts_with("FAILED"), "{check}");
}

#[test]
fn no_time_is_foretold_after_the_end() {
    let scratch = Scratch::new("forecast-ended");
    let program = example("victim_growing", "release");
    run(command(&program, &scratch).args(["1000000", "1"]));
    let map = report(&scratch.path("out.mapgrow"))["maps"][0].clone();
    assert!(map["entries_per_s"].as_f64() > Some(0.0), "{map}");
    assert_eq!(foretold(&map).len(), 3);
    for next in foretold(&map) {
        assert!(next["eta_ns"].is_null(), "{map}");
    }
}

/// Without a limit of its own a process still has the machine's.
#[test]
fn what_the_machine_has_left_is_in_every_dump() {
    let scratch = Scratch::new("forecast-machine");
    let program = example("victim_growing", "release");
    // Built before the program starts: it does not wait.
    support::cli();
    run(command(&program, &scratch).args(["1000000", "1"]));
    let report = report(&scratch.path("out.mapgrow"));
    let memory = &report["memory"];
    assert!(
        number(memory, "machine_left_bytes") >= number(memory, "left_bytes"),
        "{memory}"
    );
    assert_eq!(report["maps"][0]["next_resize"]["fits"], true, "{memory}");
}
