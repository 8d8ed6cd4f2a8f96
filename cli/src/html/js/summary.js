// The top of the page and its end: whose recording, the main figures, what is uncertain.

const STATES = {
  ended: "ended",
  killed: "was killed",
  live: "running",
  snapshot: "copied while running",
  unfinished: "running or killed",
};

function summary(page) {
  const { process, honesty } = page.report;
  const members = page.report.members?.length ?? 0;
  const program = members > 1 ? count(members, "process").replace("processs", "processes") : document.title.replace(/( \(\d+\))?, mapgrow$/, "");
  const lasted = process.duration_ns === null ? "" : `, ${time(process.duration_ns)}`;
  const { profile } = page.report;
  const state = profile ? count(profile.profiles, "heap profile") : STATES[process.state] ?? process.state;
  opening(page, program, `, ${state}${lasted}`);
  pairs(byId("figures"), profile ? profiled(page) : recorded(page));
  uncertain(honesty.notes, profile ? profileFacts(page.report) : recordingFacts(page.report));
}

/** Whose it is, and the sentences that a page begins with. */
function opening({ report: { process }, headlines: { findings, sums } }, program, state) {
  byId("whose").append(make("b", {}, program), `${process.pid ? ` pid ${process.pid}` : ""}${state}`);
  const lines = [...findings.map((line) => make("p", { class: "lead" }, line)), ...sums.map((line) => make("p", { class: "sums" }, line))];
  const command = process.command.join(" ");
  byId("headlines").append(...lines);
  if (command !== "") byId("headlines").append(make("p", { class: "command" }, make("span", {}, "command "), make("code", {}, command)));
}

/** The end of a page: what it cannot say. */
function uncertain(notes, facts) {
  const all = notes.length > 0 ? notes : ["Nothing: every figure is exact."];
  byId("notes").append(...all.map((note) => make("li", {}, note)));
  pairs(byId("honesty-facts"), facts);
}

/** What a recording tells. */
function recorded(page) {
  const { process, totals } = page.report;
  const bound = totals.peak_error_bytes > 0 ? "\u2264 " : "";
  const about = totals.est_live_bytes > totals.live_bytes;
  const each = page.blocks.map(({ figures }) => figures.resizes).filter((figure) => figure !== null);
  const sampled = each.some((figure) => figure.error !== null);
  const resizes = each.reduce((sum, figure) => sum + figure.value, 0);
  const least = totals.peak_at_least ? "\u2265 " : bound;
  // What was counted, at the least, and what is there now.
  const peak = totals.peak_at_least ? Math.max(totals.peak_bytes - totals.peak_error_bytes, totals.overlap_peak_bytes, totals.est_live_bytes) : totals.peak_bytes;
  const at = (ns) => (ns === null ? undefined : `${moment(ns, page.end / 100)} after the start`);
  return [
    ["resizes", sampled ? `\u2248 ${thousands(rounded(resizes))}` : thousands(totals.resizes), sampled ? `with samples; ${thousands(totals.resizes)} were counted` : undefined],
    ["peak in containers", least + bytes(peak), at(totals.peak_at_ns)],
    [process.state === "ended" || process.state === "killed" ? "live at the end" : "live now", about ? `\u2248 ${bytes(totals.est_live_bytes)}` : bytes(totals.live_bytes), about
      ? `about ${bytes(totals.est_live_bytes)} \u00b1 ${bytes(totals.est_live_error_bytes)}, with samples; ${bytes(totals.live_bytes)} were counted`
      : "bytes of live tables"],
    ["worst overlap", bytes(totals.overlap_peak_bytes), at(totals.overlap_peak_at_ns)],
    ["longest pause", totals.pause_max_ns === null ? null : time(totals.pause_max_ns)],
    ["pauses in all", totals.pause_total_ns === null ? null : time(totals.pause_total_ns)],
    ["copied", totals.copied_bytes === null ? null : bytes(totals.copied_bytes)],
    ["share of the heap", totals.map_share === null ? null : percent(totals.map_share), totals.heap_live_bytes === null ? undefined : `of ${bytes(totals.heap_live_bytes)}`],
  ];
}

/** What a heap profile tells: what is there, not what was resized when. */
function profiled(page) {
  const { totals, profile } = page.report;
  return [
    ["in use", bytes(totals.live_bytes), "maps and slices that grew, as of the last garbage collection"],
    ["allocated for it", bytes(totals.allocated_bytes)],
    ["tables by growth", thousands(totals.resizes), "estimated"],
    ["share of the heap", totals.map_share === null ? null : percent(totals.map_share), totals.heap_live_bytes === null ? undefined : `of ${bytes(totals.heap_live_bytes)}`],
    ["allocated in all", bytes(profile.allocated_bytes)],
  ];
}

const date = (ns) => new Date(ns / 1e6).toISOString().replace("T", " ").replace(/\..*/, " UTC");

/** How a recording came about and what it left out. */
function recordingFacts({ process, settings, honesty }) {
  return [
    ["events dropped", thousands(honesty.events_dropped), "from the timeline; the counts of sites include them"],
    ["sites folded", thousands(honesty.sites_folded)],
    ["stacks truncated", thousands(honesty.stacks_truncated)],
    ["maps untracked", thousands(honesty.maps_untracked)],
    ["memo mismatches", `${thousands(honesty.memo_mismatches)} in ${thousands(honesty.memo_checks)} checks`],
    ["the recorder's own memory", bytes(honesty.self_bytes)],
    ["mode", settings.mode],
    ["floor", bytes(settings.floor_bytes), "smallest table recorded with certainty"],
    ["allocator", settings.backend],
    ["recorded", date(process.start_unix_ns)],
    ["recording", process.recording_id],
  ];
}

/** The same of a heap profile. */
function profileFacts({ profile }) {
  return [
    ["samples", thousands(profile.samples)],
    ["one sample in about", profile.period_bytes === null ? null : bytes(profile.period_bytes)],
    ["language", profile.language],
    ["taken", profile.taken_unix_ns === null ? null : date(profile.taken_unix_ns)],
  ];
}
