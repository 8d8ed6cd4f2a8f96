// The embedded report, with the timeline in typed arrays.

const NONE = -1;

/** Sums of differences, as the page carries columns of growing numbers. */
function sums(differences, first) {
  const values = new Float64Array(differences.length);
  let value = first;
  for (let i = 0; i < differences.length; i += 1) {
    value += differences[i];
    values[i] = value;
  }
  return values;
}

/** A column in which `null` becomes `NONE`. */
function numbers(values) {
  const column = new Float64Array(values.length);
  for (let i = 0; i < values.length; i += 1) column[i] = values[i] === null ? NONE : values[i];
  return column;
}

function readEvents(columns) {
  return {
    count: columns.kind.length,
    timed: columns.t_ns !== null,
    t: columns.t_ns === null ? new Float64Array(columns.kind.length) : sums(columns.t_ns, 0),
    kind: columns.kind,
    map: numbers(columns.map),
    oldMap: numbers(columns.old_map),
    site: numbers(columns.site),
    thread: numbers(columns.thread),
    threads: columns.threads,
    oldBytes: numbers(columns.old_bytes),
    newBytes: numbers(columns.new_bytes),
    pause: numbers(columns.pause_ns),
    inPlace: columns.in_place,
    late: columns.late,
    sampled: columns.sampled,
  };
}

function readCurve(columns) {
  if (columns === null) return null;
  return {
    from: columns.complete_from_ns,
    before: columns.before_bytes,
    t: sums(columns.t_ns, 0),
    live: sums(columns.live_bytes, columns.before_bytes),
    overlap: sums(columns.overlap_bytes, 0),
  };
}

/** Kinds in which a table takes over from another: what a person may click on. */
const RESIZES = new Set(["grow", "shrink", "rehash", "rebuild", "replace", "aborted"]);

/**
 * What a map went through, as steps: `at[i]` is when its table became `size[i]`, 0 when it was
 * gone.
 */
class Lane {
  constructor(map, site) {
    this.map = map;
    this.site = site;
    this.at = [];
    this.size = [];
    this.events = [];
    this.peak = 0;
    this.resizes = 0;
  }

  step(at, size) {
    this.at.push(at);
    this.size.push(size);
    if (size > this.peak) this.peak = size;
  }
}

/** The lanes of all maps that the timeline or the list of live maps knows. */
function readLanes(events, maps, start) {
  const lanes = new Map();
  const lane = (map, site) => {
    let found = lanes.get(map);
    if (found === undefined) {
      found = new Lane(map, site);
      lanes.set(map, found);
    }
    return found;
  };
  for (let i = 0; i < events.count; i += 1) {
    const kind = events.kind[i];
    const at = events.t[i];
    if (events.oldMap[i] !== NONE) {
      const old = lane(events.oldMap[i], events.site[i]);
      if (old.at.length === 0) old.step(start, events.oldBytes[i]);
      old.step(at, 0);
    }
    if (events.map[i] === NONE) continue;
    const own = lane(events.map[i], events.site[i]);
    own.events.push(i);
    if (kind === "drop") {
      if (own.at.length === 0) own.step(start, events.oldBytes[i]);
      own.step(at, 0);
    } else if (kind !== "aborted") {
      const inherited = kind === "rebuild" || kind === "replace" || kind === "create";
      if (own.at.length === 0 && !inherited && !events.late[i]) own.step(start, events.oldBytes[i]);
      own.step(at, events.newBytes[i]);
      own.site = events.site[i];
      if (RESIZES.has(kind)) own.resizes += 1;
    }
  }
  for (const map of maps) {
    const own = lane(map.id, map.table_site);
    if (own.at.length === 0) {
      own.step(map.table_at_ns ?? map.born_at_ns ?? start, map.bytes);
    }
    own.live = map;
  }
  return [...lanes.values()];
}

/**
 * The blocks of the report, in the order of its text: what a block is called, the figures that every
 * view shows of it, and its sites. Where a report has no blocks, each site is one.
 */
function readBlocks(data, sites) {
  const rows = data.report.blocks.length > 0 ? data.report.blocks : sites;
  return data.blocks.map(({ row, what, place, summary, sites: parts }) => {
    const block = rows[row];
    block.what = what;
    block.place = place;
    block.figures = summary;
    block.parts = parts.map((i) => sites[i]);
    block.ids = new Set(block.parts.map((site) => site.id));
    // Beside tables, nodes are no maps: they are never resized.
    const tables = block.parts.filter((site) => site.resizes !== null);
    block.tableIds = new Set((tables.length > 0 ? tables : block.parts).map((site) => site.id));
    return block;
  });
}

/** When a resize began, or anything else happened. The timeline has when it ended. */
function startOf(events, i) {
  return events.t[i] - Math.max(events.pause[i], 0);
}

function readPage() {
  const data = embedded();
  const { report } = data;
  const events = readEvents(data.events);
  const curve = readCurve(data.curve);
  const sites = report.sites;
  sites.forEach((site, i) => {
    site.stack = data.stacks[i].map((frame) => data.frames[frame]);
    [site.place, site.resized] = data.places[i];
    site.source = data.sources[i] ?? null;
  });
  const blocks = readBlocks(data, sites);
  const blockOf = new Map(blocks.flatMap((block) => [...block.ids].map((id) => [id, block])));
  const last = events.count > 0 ? events.t[events.count - 1] : 0;
  const end = Math.max(report.process.duration_ns ?? 0, last, 1);
  return {
    report,
    headlines: data.headlines,
    frames: data.frames,
    sites,
    blocks,
    blockOf,
    events,
    curve,
    coarse: data.coarse,
    lanes: readLanes(events, report.maps, 0).filter(({ site }) => blockOf.get(site)?.tableIds.has(site) ?? true),
    start: 0,
    end,
  };
}
