//! The report to look at: the HTML page and flame graphs of a real program, against
//! `report --json` of the same recording.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mapgrow_cli::pprof::proto::Profile;
use prost::Message;
use serde_json::Value;

use crate::place::{Place, json, printed};
use crate::recorded::victim;

/// A dump of the program.
fn dump(place: &Place) -> PathBuf {
    let mut command = place.command_of(victim());
    let dump = place.path("victim.mapgrow");
    command
        .env("MAPGROW", "exact")
        .env("MAPGROW_OUT", &dump)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    assert!(command.status().expect("it runs").success());
    dump
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a name")
}

/// What a page has embedded.
pub fn data(page: &str) -> Value {
    let (_, rest) = page
        .split_once("<script type=\"application/json\" id=\"data\">")
        .expect("data");
    let (data, _) = rest.split_once("</script>").expect("its end");
    for markup in ['<', '>', '&'] {
        assert!(!data.contains(markup), "{markup} in the data");
    }
    serde_json::from_str(data).expect("JSON")
}

/// A column of differences as the values themselves.
fn summed(column: &Value, first: i64) -> Vec<i64> {
    let differences = column.as_array().expect("a column").iter();
    differences
        .scan(first, |sum, difference| {
            *sum += difference.as_i64().expect("a number");
            Some(*sum)
        })
        .collect()
}

#[test]
fn the_page_has_the_figures_of_the_report() {
    let place = Place::new();
    let dump = dump(&place);
    let report = json(&place.run(&["report", "--json", text(&dump)]));
    let page = printed(&place.run(&["html", text(&dump)]));
    let data = data(&page);
    for part in ["process", "settings", "totals", "maps", "marks", "honesty"] {
        assert_eq!(data["report"][part], report[part], "{part}");
    }
    let frames = data["frames"].as_array().expect("frames");
    let sites = report["sites"].as_array().expect("sites");
    for (index, site) in sites.iter().enumerate() {
        let mut bare = site.clone();
        bare["stack"] = Value::Array(Vec::new());
        assert_eq!(data["report"]["sites"][index], bare);
        let numbers = data["stacks"][index].as_array().expect("a stack");
        let names: Vec<&Value> = numbers
            .iter()
            .map(|number| &frames[number.as_u64().expect("a number") as usize][0])
            .collect();
        let stack = site["stack"].as_array().expect("a stack").iter();
        assert_eq!(
            names,
            stack.map(|frame| &frame["function"]).collect::<Vec<_>>()
        );
    }
    the_blocks(&place, &dump, &report, &data);
    let events = report["timeline"].as_array().expect("a timeline");
    for field in ["kind", "map", "site", "old_bytes", "new_bytes", "pause_ns"] {
        let column: Vec<&Value> = events.iter().map(|event| &event[field]).collect();
        let own = data["events"][field].as_array().expect("a column");
        assert_eq!(own.iter().collect::<Vec<_>>(), column, "{field}");
    }
    let times: Vec<i64> = events
        .iter()
        .map(|event| event["t_ns"].as_i64().expect("a time"))
        .collect();
    assert_eq!(summed(&data["events"]["t_ns"], 0), times);
}

/// The page lists the blocks of the report in the order of the text, with the same figures.
fn the_blocks(place: &Place, dump: &Path, report: &Value, data: &Value) {
    let all = printed(&place.run(&["report", "--all", "--width", "9999", text(dump)]));
    let heads = all
        .lines()
        .filter_map(|line| line.trim_start().split_once(". "));
    let heads = heads.filter(|(number, _)| number.parse::<usize>().is_ok());
    let blocks = data["blocks"].as_array().expect("blocks");
    let titles: Vec<String> = blocks
        .iter()
        .map(|block| format!("{} at {}", word(&block["what"]), word(&block["place"])))
        .collect();
    assert_eq!(titles, heads.map(|(_, head)| head).collect::<Vec<_>>());
    let rows = match report["blocks"].as_array().expect("blocks") {
        none if none.is_empty() => report["sites"].as_array().expect("sites"),
        rows => rows,
    };
    assert_eq!(blocks.len(), rows.len());
    let mut seen = 0;
    for block in blocks {
        let row = &rows[block["row"].as_u64().expect("a row") as usize];
        let figures = &block["summary"];
        let estimated = !figures["live_bytes"]["error"].is_null() || row["allocs"] == 0;
        for (field, figure) in [
            ("live_bytes", "live_bytes"),
            ("peak_bytes", "peak_live_bytes"),
            ("resizes", "resizes"),
            ("retained_bytes", "retained_bytes"),
            ("entries", "entries"),
        ]
        .into_iter()
        .skip(if estimated { 3 } else { 0 })
        {
            assert_eq!(figures[field]["value"], row[figure], "{field}");
        }
        let sites = block["sites"].as_array().expect("sites").iter();
        let sites = sites.map(|at| &report["sites"][at.as_u64().expect("a site") as usize]["id"]);
        let sites: Vec<&Value> = sites.collect();
        let none = Vec::new();
        let places = row["places"].as_array().unwrap_or(&none).iter();
        let places: Vec<&Value> = places.map(|place| &place["site"]).collect();
        assert_eq!(sites[..places.len()], places);
        // Those of nodes come last.
        let own = row["recorded_sites"].as_array().expect("sites");
        assert!(sites.iter().all(|site| own.contains(site)), "{row}");
        seen += sites.len();
    }
    assert_eq!(seen, report["sites"].as_array().expect("sites").len());
}

/// The same of recordings and profiles that were found to be odd.
#[test]
fn views_of_odd_recordings_agree() {
    let place = Place::new();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz/corpus");
    let mut seen = 0;
    for kind in ["dump", "profile"] {
        for file in std::fs::read_dir(corpus.join(kind)).expect("the corpus") {
            let file = file.expect("a file").path();
            let report = place.run(&["report", "--json", text(&file)]);
            if !report.status.success() {
                continue;
            }
            let page = data(&printed(&place.run(&["html", text(&file)])));
            the_blocks(&place, &file, &json(&report), &page);
            seen += 1;
        }
    }
    assert!(seen > 4, "{seen}");
}

fn word(value: &Value) -> &str {
    value.as_str().expect("text")
}

#[test]
fn the_page_shows_the_lines_of_source() {
    let place = Place::new();
    let dump = dump(&place);
    let page = data(&printed(&place.run(&["html", text(&dump)])));
    let sites = page["report"]["sites"].as_array().expect("sites").iter();
    let at = |site: &Value| site["caller"]["function"] == "cli_victim::fill";
    let (at, site) = sites.enumerate().find(|(_, site)| at(site)).expect("fill");
    let source = &page["sources"][at];
    let line = site["caller"]["line"].as_u64().expect("a line");
    let first = source["first"].as_u64().expect("a number");
    let own = include_str!("../fixtures/victim.rs");
    let lines: Vec<&str> = own.lines().skip(first as usize - 1).take(7).collect();
    assert_eq!(source["lines"], serde_json::json!(lines));
    assert!((first..first + 7).contains(&line), "{source}");
    let page = data(&printed(&place.run(&["html", "--no-source", text(&dump)])));
    assert_eq!(page["sources"], serde_json::json!([]));
}

#[test]
fn the_curve_of_a_real_program_has_its_peak() {
    let place = Place::new();
    let dump = dump(&place);
    let page = printed(&place.run(&["html", text(&dump)]));
    let data = data(&page);
    let totals = &data["report"]["totals"];
    assert_eq!(data["curve"]["before_bytes"], 0);
    let live = summed(&data["curve"]["live_bytes"], 0);
    assert_eq!(live.last().copied(), totals["live_bytes"].as_i64());
    let (peak, error) = (&totals["peak_bytes"], &totals["peak_error_bytes"]);
    let peak = peak.as_i64().expect("a peak");
    let least = peak - error.as_i64().expect("its error");
    let highest = live.into_iter().max().expect("steps");
    assert!(
        (least..=peak).contains(&highest),
        "{least} {highest} {peak}"
    );
}

/// The figures of folded lines by their last frame, in all, and the lines.
fn folded(place: &Place, dump: &Path, by: &str) -> (u64, Vec<String>) {
    let output = printed(&place.run(&["flame", text(dump), "--folded", "--by", by]));
    let lines: Vec<String> = output.lines().map(str::to_owned).collect();
    let sum = lines.iter().map(|line| {
        let (_, figure) = line.rsplit_once(' ').expect("a figure");
        figure.parse::<u64>().expect("a number")
    });
    (sum.sum(), lines)
}

#[test]
fn flame_graphs_add_up_to_the_report() {
    let place = Place::new();
    let dump = dump(&place);
    let report = json(&place.run(&["report", "--json", text(&dump)]));
    let sites = report["sites"].as_array().expect("sites");
    let fields = BTreeMap::from([
        ("live", "/live_bytes"),
        ("allocated", "/allocated_bytes"),
        ("resizes", "/resizes"),
        ("overlap", "/overlap_peak_bytes"),
        ("pause", "/pause_ns/total"),
    ]);
    for (by, field) in fields {
        let figure = |site: &Value| site.pointer(field).and_then(Value::as_u64).unwrap_or(0);
        let (sum, lines) = folded(&place, &dump, by);
        assert_eq!(sum, sites.iter().map(figure).sum::<u64>(), "{by}");
        assert!(sum > 0, "{by}");
        let grown = lines.iter().any(|line| {
            line.contains("cli_victim::main;cli_victim::fill;HashMap<u64, Session> at ")
        });
        // At its end the program has dropped its map.
        assert_eq!(grown, by != "live", "{by}: {lines:?}");
    }
    let svg = place.path("flame.svg");
    printed(&place.run(&["flame", text(&dump), "--own", "-o", text(&svg)]));
    let svg = std::fs::read_to_string(svg).expect("written");
    assert!(svg.trim_end().ends_with("</svg>"));
    assert!(
        svg.contains("HashMap&lt;u64, Session&gt; at "),
        "the container"
    );
    assert!(svg.contains("cli_victim::fill ("), "the function");
    assert!(!svg.contains("reserve_rehash"), "own functions alone");
    let (_, root) = svg
        .split_once("<title>all")
        .expect("what is under everything");
    let (root, _) = root.split_once("/>").expect("its rectangle");
    assert!(root.contains("fill=\"rgb(225,225,225)\""), "{root}");
}

#[test]
fn a_profile_begins_with_the_functions_of_the_program() {
    let place = Place::new();
    let dump = dump(&place);
    let report = json(&place.run(&["report", "--json", text(&dump)]));
    let profile = profile(&place, &dump, &[]);
    let string = |at: i64| String::from_utf8_lossy(&profile.string_table[at as usize]);
    let mut leaves: BTreeMap<String, i64> = BTreeMap::new();
    let mut containers: BTreeMap<String, i64> = BTreeMap::new();
    for sample in &profile.sample {
        let location = &profile.location[sample.location_id[0] as usize - 1];
        let function = &profile.function[location.line[0].function_id as usize - 1];
        // What pprof takes for the system's name it may shorten.
        assert_eq!(function.system_name, 0);
        let leaf = leaves.entry(string(function.name).into_owned());
        *leaf.or_default() += sample.value[1];
        let container = sample
            .label
            .iter()
            .find(|label| string(label.key) == "container");
        let container = string(container.expect("a container").str).into_owned();
        *containers.entry(container).or_default() += sample.value[1];
        let of_a_map = sample.label.iter().any(|label| string(label.key) == "map");
        assert!(!of_a_map || sample.value[0] > 0, "nothing is in it");
    }
    let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
    for site in report["sites"].as_array().expect("sites") {
        let function = site["caller"]["function"].as_str().expect("a caller");
        let allocated = site["allocated_bytes"].as_i64().expect("bytes");
        *wanted.entry(function.to_owned()).or_default() += allocated;
    }
    leaves.retain(|_, bytes| *bytes > 0);
    wanted.retain(|_, bytes| *bytes > 0);
    assert_eq!(leaves, wanted);
    let page = data(&printed(&place.run(&["html", text(&dump)])));
    let mut blocks: BTreeMap<String, i64> = BTreeMap::new();
    for block in page["blocks"].as_array().expect("blocks") {
        let row = &report["blocks"][block["row"].as_u64().expect("a row") as usize];
        let title = format!("{} at {}", word(&block["what"]), word(&block["place"]));
        *blocks.entry(title).or_default() += row["allocated_bytes"].as_i64().expect("bytes");
    }
    containers.retain(|_, bytes| *bytes > 0);
    blocks.retain(|_, bytes| *bytes > 0);
    assert_eq!(containers, blocks);
}

/// What `mapgrow pprof` writes.
fn profile(place: &Place, dump: &Path, more: &[&str]) -> Profile {
    let written = place.path("maps.pb.gz");
    let arguments = ["pprof", text(dump), "-o", text(&written)];
    printed(&place.run(&[&arguments, more].concat()));
    let written = std::fs::File::open(written).expect("written");
    let mut bytes = Vec::new();
    let mut gzip = flate2::read::GzDecoder::new(written);
    gzip.read_to_end(&mut bytes).expect("gzip");
    Profile::decode(&*bytes).expect("a profile")
}

#[test]
fn plumbing_is_left_out_of_profiles_and_flame_graphs() {
    let place = Place::new();
    let dump = dump(&place);
    let profiled = |more: &[&str]| {
        let profile = profile(&place, &dump, more);
        let name = |function: u64| {
            let name = profile.function[function as usize - 1].name;
            String::from_utf8_lossy(&profile.string_table[name as usize])
        };
        let stack = |ids: &[u64]| {
            let at = ids.iter().map(|&id| &profile.location[id as usize - 1]);
            let functions = at.flat_map(|at| at.line.iter().map(|line| name(line.function_id)));
            functions.collect::<Vec<_>>().join(";")
        };
        let stacks = profile
            .sample
            .iter()
            .map(|sample| stack(&sample.location_id));
        stacks.collect::<Vec<_>>()
    };
    let drawn = |more: &[&str]| {
        let arguments = ["flame", text(&dump), "--folded"];
        let lines = printed(&place.run(&[&arguments, more].concat()));
        lines.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    // What starts a program, and what inserts into a map.
    for plumbing in ["lang_start", "reserve_rehash"] {
        let has = |stacks: Vec<String>| {
            let mut own = stacks
                .iter()
                .filter(|stack| stack.contains("cli_victim::main"))
                .peekable();
            assert!(own.peek().is_some(), "{stacks:?}");
            own.any(|stack| stack.contains(plumbing))
        };
        assert!(!has(profiled(&[])) && !has(drawn(&[])), "{plumbing}");
        let all = &["--all"];
        assert!(has(profiled(all)) && has(drawn(all)), "{plumbing}");
    }
}

#[test]
fn a_recording_is_not_written_over() {
    let place = Place::new();
    let dump = dump(&place);
    let before = std::fs::read(&dump).expect("read");
    for verb in ["html", "flame"] {
        let output = place.run(&[verb, text(&dump), "-o", text(&dump)]);
        assert_eq!(output.status.code(), Some(2));
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains("is a recording"), "{error}");
    }
    assert_eq!(std::fs::read(&dump).expect("read"), before);
    let nowhere = place.path("no/such/page.html");
    let output = place.run(&["html", text(&dump), "-o", text(&nowhere)]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(error.contains("make its directory first"), "{error}");
}

/// The page in a browser, where there is one: `tests/browser/look.py`, its quick part.
#[test]
fn the_page_works_in_a_browser() {
    let found = |name: &str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|directory| directory.join(name).is_file())
    };
    if !["chromium", "chromedriver", "python3"]
        .into_iter()
        .all(found)
    {
        eprintln!("skipped: needs chromium, chromedriver and python3");
        return;
    }
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser/look.py");
    let output = Command::new("python3")
        .arg(script)
        .args(["--quick", "--mapgrow", env!("CARGO_BIN_EXE_mapgrow")])
        .args(["--recording", text(&dump(&place))])
        .output()
        .expect("python runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{error}");
}

#[test]
fn a_table_has_the_blocks_of_the_report() {
    let place = Place::new();
    let dump = dump(&place);
    let report = json(&place.run(&["report", "--json", text(&dump)]));
    let table = printed(&place.run(&["report", "--table", text(&dump)]));
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][..2], ["bytes", "peak"], "{table}");
    let blocks = report["blocks"].as_array().expect("blocks");
    assert_eq!(rows.len(), blocks.len() + 1, "{table}");
    for (row, block) in rows[1..].iter().zip(blocks) {
        for (column, field) in [(0, "live_bytes"), (4, "maps_live"), (5, "resizes")] {
            let figure = block[field].as_u64();
            let figure = figure.map_or("-".to_owned(), |figure| figure.to_string());
            assert_eq!(row[column], figure, "{field}: {table}");
        }
        assert_eq!(row[7], block["family"].as_str().expect("a family"));
    }
    let short = place.run(&["report", "--table", "--top", "1", text(&dump)]);
    assert_eq!(printed(&short).lines().count(), 2);
    let both = place.run(&["report", "--table", "--json", text(&dump)]);
    assert_eq!(both.status.code(), Some(2));
}
