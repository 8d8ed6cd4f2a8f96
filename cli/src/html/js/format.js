// Figures as the text report writes them.

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** One decimal below 10, none from there on. */
function digits(value) {
  return value < 9.95 ? value.toFixed(1) : value.toFixed(0);
}

/** `1.1 MiB`, `640 B`. */
function bytes(value) {
  if (value === null || value === undefined) return "unknown";
  if (value < 1024) return `${Math.round(value)} B`;
  let unit = -1;
  do {
    value /= 1024;
    unit += 1;
  } while (value >= 1023.5 && unit + 1 < UNITS.length);
  return `${digits(value)} ${UNITS[unit]}`;
}

/** `3.2 ms`, `740 ns`, `2 min 5 s`. */
function time(ns) {
  if (ns === null || ns === undefined) return "unknown";
  if (ns < 1000) return `${Math.round(ns)} ns`;
  if (ns < 999.5e3) return `${digits(ns / 1e3)} us`;
  if (ns < 999.5e6) return `${digits(ns / 1e6)} ms`;
  const seconds = Math.round(ns / 1e9);
  if (seconds < 60) return `${digits(ns / 1e9)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
}

/** A moment, as exact as a window of `span` needs it: `12.34 s`. */
function moment(ns, span) {
  const [unit, name] =
    ns < 1e3 && span < 1e3 ? [1, "ns"]
    : ns < 1e6 && span < 1e6 ? [1e3, "us"]
    : ns < 1e9 && span < 1e9 ? [1e6, "ms"]
    : [1e9, "s"];
  const places = Math.ceil(Math.log10(unit / Math.max(span, 1))) + 2;
  const most = Math.round(Math.log10(unit));
  return `${(ns / unit).toFixed(Math.min(Math.max(places, 0), most))} ${name}`;
}

/** `12,345`. */
function thousands(value) {
  if (value === null || value === undefined) return "unknown";
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1 resize`, `12,345 resizes`. */
function count(value, noun) {
  return value === 1 ? `1 ${noun}` : `${thousands(value)} ${noun}s`;
}

/** `1.1 MiB, 2.2 MiB, ... (9 more), 640 MiB`, with arrows. */
function chain(sizes) {
  const shown = sizes.map(bytes);
  if (shown.length > 8) shown.splice(2, shown.length - 5, `... (${shown.length - 5} more)`);
  return shown.join(" \u2192 ");
}

/** `73 %` of a share between 0 and 1. */
function percent(share) {
  if (share === null || share === undefined) return "unknown";
  const value = share * 100;
  return `${value > 0 && value < 9.95 ? value.toFixed(1) : value.toFixed(0)} %`;
}

/** Live bytes of a site with what samples stand for: their sum is that of the totals. */
function liveBytes(site) {
  return site.sampled === null ? site.live_bytes : Math.max(Math.round(site.sampled.est_live_bytes), 0);
}

/** Bytes allocated at a site, in the same way. */
function allocatedBytes(site) {
  return site.sampled === null ? site.allocated_bytes : Math.max(Math.round(site.sampled.est_allocated_bytes), 0);
}

/** An estimate, with the digits that it deserves. */
function rounded(value) {
  const step = 10 ** Math.max(Math.floor(Math.log10(Math.max(value, 1))) - 1, 0);
  return Math.round(value / step) * step;
}

const BOUNDS = { at_most: ["at most ", "\u2264 "], at_least: ["at least ", "\u2265 "] };

/** Whether a figure is an estimate whose error can be seen: as in the text report. */
function estimated({ value, error }) {
  return error !== null && error > value / 200;
}

/** `about 4.0 MiB \u00b1 200 KiB` of an estimate, `at most 3 MiB` of a bound, else the figure alone. */
function told(figure, show) {
  if (figure === null || figure === undefined) return null;
  const { value, error, bound } = figure;
  if (estimated(figure)) return `about ${show(show === thousands ? rounded(value) : value)} \u00b1 ${show(show === thousands ? rounded(error) : error)}`;
  return `${BOUNDS[bound]?.[0] ?? ""}${show(value)}`;
}
