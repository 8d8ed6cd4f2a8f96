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

/** Whether samples are all that is known of a site: its counted bytes are none then. */
function onlySamples(site) {
  return site.sampled !== null && (site.coverage === "sampled" || site.allocs === 0);
}

/** Live bytes of a site: the estimate where samples are all that is known. */
function liveBytes(site) {
  return onlySamples(site) ? Math.max(site.sampled.est_live_bytes, 0) : site.live_bytes;
}

/** Bytes allocated at a site, in the same way. */
function allocatedBytes(site) {
  return onlySamples(site) ? site.sampled.est_allocated_bytes : site.allocated_bytes;
}

/** `about 4.0 MiB \u00b1 200 KiB` of an estimate, the figure alone without an error. */
function estimate(value, error) {
  return error === null ? bytes(value) : `about ${bytes(value)} \u00b1 ${bytes(error)}`;
}
