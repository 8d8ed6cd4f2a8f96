// A look at maps that nobody recorded: which hold most, and what each holds.

const LIVE = { live: ", running", core: ", from its core" };
/** Classes of what resident memory is divided into, tables first. */
const PARTS = ["tables", "blocks", "stacks", "statics", "files", "shared", "rest"];

/** A way as it is read, and not broken within an arrow. */
function way(path) {
  return path.replaceAll(" -> ", " \u2192 ");
}

/** The figures of a line, which is about one map or about several that are alike. */
function lineOf({ map, group, what, place, advice }, { maps, groups }) {
  const of = group === null ? maps[map] : groups[group];
  const next = group === null ? of.next_resize : null;
  const family = of.family;
  const alike = (other) => other.family === family && other.buckets === of.buckets && other.element_bytes === of.element_bytes;
  return {
    what: of.count > 1 ? `${thousands(of.count)} \u00d7 ${what}` : what,
    place: way(place),
    family,
    advice,
    warning: next?.fits === false ? "its next table does not fit" : null,
    parts: [],
    of,
    next,
    holds: group === null ? (other) => other === of : alike,
  };
}

const LOOK_COLUMNS = [
  { title: "Maps", hint: "what they are, and whose", text: (line) => `${line.what} ${line.place}` },
  { title: "In tables", hint: "bytes of the tables", of: ({ of }) => counted(of.bytes), show: bytes },
  { title: "Nodes", hint: "bytes of the blocks that each entry has, which are not among those of the tables", of: ({ of }) => counted(of.node_bytes), show: bytes },
  { title: "Values", hint: "bytes of blocks that their values lead to and that no other map does", of: ({ of }) => of.deep && { value: of.deep.bytes, error: of.deep.error_bytes, bound: null }, show: bytes },
  { title: "Kept", hint: "bytes of these beyond what the entries need", of: ({ of }) => counted(of.retained_bytes), show: bytes },
  { title: "Entries", of: ({ of }) => counted(of.entries), show: thousands },
  { title: "Full", hint: "entries of those that there is room for", of: ({ of }) => counted(of.capacity ? of.entries / of.capacity : null), show: percent },
  { title: "Tombstones", hint: "places of deleted entries that are not free", of: ({ of }) => counted(of.tombstones), show: thousands },
  { title: "Hash", hint: "1 is as good as chance", of: ({ of }) => counted(of.hash_quality), show: (value) => value.toFixed(2) },
  { title: "Grows at", hint: "entries with which it is resized next", of: ({ next }) => counted(next?.at_entries), show: thousands },
  { title: "Needs", hint: "bytes of the next table, all at once", of: ({ next }) => counted(next?.needs_bytes), show: bytes },
];

/** What is chosen of the lines: the contents below are those of its maps. */
const choice = {
  shown: null,
  listeners: [],
  listen(listener) {
    this.listeners.push(listener);
  },
  selectBlock(block) {
    this.shown = block === null || this.shown?.block === block ? null : { block };
    this.listeners.forEach((listener) => listener("selection"));
  },
  clear() {
    this.selectBlock(null);
  },
};

/** Resident memory as a bar. */
function went(parts) {
  const all = parts.reduce((sum, [, size]) => sum + size, 0);
  byId("went").hidden = all === 0;
  document.querySelector('nav a[href="#went"]').hidden = all === 0;
  if (all === 0) return;
  const told = (what, size) => `${what} ${bytes(size)}, ${percent(size / all)}`;
  const bar = byId("went-bar");
  bar.setAttribute("aria-label", parts.map(([what, size]) => told(what, size)).join("; "));
  parts.forEach(([what, size], i) => {
    if (size === 0) return;
    const part = make("i", { class: PARTS[i], title: told(what, size) });
    part.style.flexGrow = size;
    bar.append(part);
    byId("went-legend").append(make("li", {}, make("span", { class: `swatch went-${PARTS[i]}`, "aria-hidden": "true" }), told(what, size)));
  });
}

function lookFigures({ totals, memory }) {
  const least = totals.maps_of_unknown_bytes > 0 ? "\u2265 " : "";
  const known = totals.maps_of_unknown_bytes < totals.maps_live;
  return [
    ["maps", thousands(totals.maps_live)],
    ["in tables", known ? least + bytes(totals.live_bytes) : "unknown", least ? `of ${count(totals.maps_of_unknown_bytes, "table")} the size is not known` : undefined],
    ["in nodes", totals.node_bytes === null ? null : bytes(totals.node_bytes)],
    ["entries", thousands(totals.entries)],
    ["held by their values", totals.deep === null ? null : bytes(totals.deep.bytes)],
    ["kept without need", totals.retained_bytes === null ? null : bytes(totals.retained_bytes)],
    ["left to grow in", memory === null ? null : bytes(memory.left_bytes)],
  ];
}

function lookFacts({ honesty }) {
  return [
    ["searched", bytes(honesty.bytes_read)],
    ["not readable", bytes(honesty.bytes_unreadable)],
    ["swapped out", bytes(honesty.bytes_swapped)],
    ["changed while read", count(honesty.changed_while_read, "table")],
    ["freed", count(honesty.freed_tables_left_out, "table")],
    ["not listed", count(honesty.maps_omitted, "map")],
    ["without room here", count(honesty.maps_untracked, "map")],
  ];
}

const page = embedded();
page.report.maps.forEach((map) => {
  map.what = page.names[map.family];
  map.place = map.owner === null ? "" : way(map.owner.path);
});
page.blocks = page.blocks.map((block) => lineOf(block, page.report));
page.blockOf = new Map();
theme.start();
page.headlines.findings = page.headlines.findings.map(way);
opening(page, page.program, LIVE[page.report.process.state]);
pairs(byId("figures"), lookFigures(page.report));
went(page.went);
const contents = new Contents(page, choice);
new Sites(page, choice, LOOK_COLUMNS, "line");
choice.listen(() => {
  const { shown } = choice;
  contents.chosen = (map) => shown === null || shown.block.holds(map);
  contents.fill();
});
uncertain(page.notes, lookFacts(page.report));
document.documentElement.dataset.ready = "yes";
