//! Estimates against the truth: how far off, measured by the error that they state.

use super::books::{Books, Table};
use crate::support::number;
use serde_json::Value;

/// How far an estimate lies from the truth, in standard errors.
pub struct Deviation {
    pub shape: String,
    pub sigmas: f64,
}

impl Books<'_> {
    /// Estimates of bytes allocated and of resizes, for shapes with enough bytes below the floor
    /// for a sample to say something: some ten times the sampling interval.
    pub fn estimates(&self, seed: u32, deviations: &mut Vec<Deviation>, table: &mut Table) {
        for (shape, family, truth) in self.shapes() {
            let below = number(truth, "allocated_bytes") - number(truth, "floor_bytes");
            let interval = match family {
                "hashbrown" => "sample_tables_bytes",
                _ => "sample_heap_bytes",
            };
            let enough = 10 * number(&self.report["settings"], interval);
            if below < enough {
                continue;
            }
            let bytes = number(truth, "allocated_bytes");
            let Some(sigmas) = self.deviation(shape, family, "allocated_bytes", bytes) else {
                table.add(
                    shape,
                    &format!("{family}: sampled, run {seed}"),
                    below,
                    "nothing",
                );
                continue;
            };
            deviations.push(Deviation {
                shape: format!("{shape}, {family}: allocated_bytes"),
                sigmas,
            });
            // Only some of the tables are there by a resize: it takes more of them to judge.
            let resizes = number(truth, "grows") + number(truth, "shrinks");
            if family == "hashbrown"
                && below >= 10 * enough
                && let Some(sigmas) = self.deviation(shape, family, "resizes", resizes)
            {
                deviations.push(Deviation {
                    shape: format!("{shape}, {family}: resizes"),
                    sigmas,
                });
            }
        }
    }

    /// How far the estimate of a figure lies from the truth; `None` if nothing is estimated.
    fn deviation(&self, shape: &str, family: &str, figure: &str, truth: u64) -> Option<f64> {
        let (mut estimate, mut variance) = (0.0, 0.0);
        for site in self.sites_of(shape, family) {
            match &site["sampled"] {
                Value::Null => estimate += site[figure].as_u64().unwrap_or(0) as f64,
                sampled => {
                    let of = |name: String| sampled[name.as_str()].as_f64().unwrap_or(0.0);
                    estimate += of(format!("est_{figure}"));
                    variance += of(format!("est_{figure}_error")).powi(2);
                }
            }
        }
        (variance > 0.0).then(|| (estimate - truth as f64) / variance.sqrt())
    }
}

/// Deviations that a normal law would show: most within one standard error, nearly all within
/// two, none absurd, and no lean to one side.
pub fn assert_calibrated(deviations: &[Deviation]) {
    let n = deviations.len();
    assert!(n >= 20, "only {n} estimates to judge");
    let within = |sigmas: f64| -> f64 {
        let inside = deviations.iter().filter(|d| d.sigmas.abs() <= sigmas);
        inside.count() as f64 / n as f64
    };
    let worst = deviations
        .iter()
        .max_by(|a, b| a.sigmas.abs().total_cmp(&b.sigmas.abs()))
        .expect("there are some");
    let mean = deviations.iter().map(|d| d.sigmas).sum::<f64>() / n as f64;
    let summary = format!(
        "{n} estimates: {:.0} % within one standard error, {:.0} % within two; mean {mean:+.2}; \
         worst {:+.1} ({})",
        within(1.0) * 100.0,
        within(2.0) * 100.0,
        worst.sigmas,
        worst.shape
    );
    println!("{summary}");
    assert!(within(1.0) >= 0.5, "{summary}");
    assert!(within(2.0) >= 0.85, "{summary}");
    assert!(worst.sigmas.abs() < 6.0, "{summary}");
    assert!(mean.abs() * (n as f64).sqrt() < 5.0, "{summary}");
}
