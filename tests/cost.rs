//! What a block costs that needs no record, counted in instructions: the same on every run.

mod support;

use support::{example, run};

#[cfg(target_arch = "x86_64")]
#[test]
fn a_pair_that_needs_no_record_costs_a_handful_of_instructions() {
    let program = example("victim_pairs", "release");
    for mode in ["on", "off"] {
        let mut command = std::process::Command::new(&program);
        let output = run(command.env("MAPGROW", mode).env("MAPGROW_AT_EXIT", "none"));
        let text = String::from_utf8(output.stdout).expect("digits");
        let mut kinds = 0;
        for line in text.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let [kind, bare, recorded] = fields[..] else {
                panic!("{line}")
            };
            // In a loop the compiler keeps two addresses at hand that it must find here.
            let most = match kind {
                "known" => 11,
                _ => 17,
            };
            let count = |field: &str| field.parse::<u64>().expect("a number");
            let above = count(recorded) - count(bare);
            assert!(above <= most, "MAPGROW={mode}: {line}");
            kinds += 1;
        }
        assert_eq!(kinds, 2, "{text}");
    }
}
