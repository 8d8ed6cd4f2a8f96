//! The page that lists what is served.

use mapgrow_report::text::{Sort, live, live_of_all, sorted, their_peak, title};

use super::targets::Reading;
use crate::markup::escaped;

/// Places listed for each target.
const MOST_SITES: usize = 5;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
padding:0 1rem;color-scheme:light dark}code{font-size:.9em}h2{margin-bottom:.2rem}\
li{margin:.1rem 0}.faint{opacity:.7}";

/// The page.
pub fn index(readings: &[Reading]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>mapgrow</title>\
         <style>{STYLE}</style><h1>mapgrow</h1>\
         <p><a href=\"/metrics\"><code>/metrics</code></a> for Prometheus, of all targets.</p>"
    );
    for (at, reading) in readings.iter().enumerate() {
        page.push_str(&target(at, reading));
    }
    page.push_str("</html>\n");
    page
}

fn target(at: usize, reading: &Reading) -> String {
    let mut text = format!("<h2>{}</h2>", escaped(&reading.name));
    let Some(report) = &reading.report else {
        return text + "<p>It cannot be read.</p>";
    };
    let process = &report.process;
    let program = process.exe.as_deref().unwrap_or("unknown program");
    let state = if reading.up {
        ""
    } else {
        ", gone: these are its last figures"
    };
    let peak = their_peak(&report.totals);
    text.push_str(&format!(
        "<p class=\"faint\">{} (pid {}{state})</p><p>Containers hold {}; {peak}.</p><ul>",
        escaped(program),
        process.pid,
        live_of_all(report),
    ));
    for site in sorted(report, Sort::Harm).into_iter().take(MOST_SITES) {
        text.push_str(&format!(
            "<li>{}: {} live</li>",
            escaped(&title(site)),
            live(site)
        ));
    }
    text.push_str(&format!(
        "</ul><p>Profiles: <a href=\"/debug/pprof/mapgrow?target={at}\">containers</a>, \
         <a href=\"/debug/pprof/heap?target={at}\">whole heap</a>. \
         <code>go tool pprof http://.../debug/pprof/mapgrow?target={at}</code></p>"
    ));
    text
}
