// The top of the page and its end: whose recording, the main figures, what is uncertain.

const STATES = {
  ended: "ended",
  killed: "was killed",
  live: "running",
  snapshot: "copied while running",
  unfinished: "running or killed",
};

function summary(page) {
  const { process, totals, settings, honesty } = page.report;
  const members = page.report.members?.length ?? 0;
  const program = members > 1 ? count(members, "process").replace("processs", "processes") : (process.exe ?? "unknown program").split("/").pop();
  const lasted = process.duration_ns === null ? "" : `, ${time(process.duration_ns)}`;
  byId("whose").append(make("b", {}, program), `${process.pid === 0 ? "" : ` pid ${process.pid}`}, ${STATES[process.state] ?? process.state}${lasted}`);
  const { findings, sums } = page.headlines;
  const lines = [...findings.map((line) => make("p", { class: "lead" }, line)), ...sums.map((line) => make("p", { class: "sums" }, line))];
  const command = process.command.join(" ");
  byId("headlines").append(...lines);
  if (command !== "") byId("headlines").append(make("p", { class: "command" }, make("span", {}, "command "), make("code", {}, command)));
  const bound = totals.peak_error_bytes > 0 ? "\u2264 " : "";
  const at = (ns) => (ns === null ? undefined : `${moment(ns, page.end / 100)} after the start`);
  // A heap profile knows what is there, not what was resized.
  const resized = page.sites.length === 0 || page.sites.some((site) => site.resizes !== null);
  pairs(byId("figures"), [
    ["resizes", resized ? thousands(totals.resizes) : null],
    ["peak in containers", bound + bytes(totals.peak_bytes), at(totals.peak_at_ns)],
    ["live at the end", bytes(totals.live_bytes), "bytes of live tables"],
    ["worst overlap", resized ? bytes(totals.overlap_peak_bytes) : null, at(totals.overlap_peak_at_ns)],
    ["longest pause", totals.pause_max_ns === null ? null : time(totals.pause_max_ns)],
    ["pauses in all", totals.pause_total_ns === null ? null : time(totals.pause_total_ns)],
    ["copied", totals.copied_bytes === null ? null : bytes(totals.copied_bytes)],
    ["share of the heap", totals.map_share === null ? null : percent(totals.map_share), totals.heap_live_bytes === null ? undefined : `of ${bytes(totals.heap_live_bytes)}`],
  ]);
  const notes = honesty.notes.length > 0 ? honesty.notes : ["Nothing: every figure is exact."];
  byId("notes").append(...notes.map((note) => make("li", {}, note)));
  pairs(byId("honesty-facts"), [
    ["events dropped", thousands(honesty.events_dropped), "from the timeline; the counts of sites include them"],
    ["sites folded", thousands(honesty.sites_folded)],
    ["stacks truncated", thousands(honesty.stacks_truncated)],
    ["maps untracked", thousands(honesty.maps_untracked)],
    ["memo mismatches", `${thousands(honesty.memo_mismatches)} in ${thousands(honesty.memo_checks)} checks`],
    ["the recorder's own memory", bytes(honesty.self_bytes)],
    ["mode", settings.mode],
    ["floor", bytes(settings.floor_bytes), "smallest table recorded with certainty"],
    ["allocator", settings.backend],
    ["recorded", new Date(process.start_unix_ns / 1e6).toISOString().replace("T", " ").replace(/\..*/, " UTC")],
    ["recording", process.recording_id],
  ]);
}
