// What is known of the time before the oldest event that was kept.

/**
 * For columns of pixels before the timeline is complete: the most that can have been live, and of
 * that, old tables beside new ones in the resizes that were kept all the same. Null when the
 * window has none; `most` is null where there is no bound, as in a merged report.
 */
function beforeOldest(page, from, to, width) {
  const { coarse, curve, events } = page;
  if (curve === null || curve.from <= from) return null;
  const known = Math.min(width, Math.ceil(((curve.from - from) / (to - from)) * width));
  const scale = width / (to - from);
  if (coarse === null) return { known, most: null, overlap: null };
  const most = new Float64Array(known);
  for (let x = 0; x < known; x += 1) {
    const slot = Math.floor((from + (x + 0.5) / scale) / coarse.interval_ns);
    most[x] = coarse.max_live_bytes[Math.min(slot, coarse.max_live_bytes.length - 1)] ?? 0;
  }
  const overlap = new Float64Array(known);
  const last = lowerBound(events.t, Math.min(to, curve.from));
  for (let i = lowerBound(events.t, from); i < last; i += 1) {
    const moved = events.kind[i] === "grow" || events.kind[i] === "shrink" || events.kind[i] === "rehash";
    if (!moved || events.inPlace[i] || events.sampled[i] || events.oldBytes[i] === NONE) continue;
    const begin = Math.max(0, Math.floor((events.t[i] - Math.max(events.pause[i], 0) - from) * scale));
    const end = Math.min(known - 1, Math.floor((events.t[i] - from) * scale));
    for (let x = begin; x <= end; x += 1) {
      overlap[x] = Math.min(most[x], Math.max(overlap[x], events.oldBytes[i]));
    }
  }
  return { known, most, overlap };
}
