// What live maps hold: entries, tombstones and free slots of each, where it is known.

const MAPS = 25;

class Contents {
  constructor(page, view) {
    this.page = page;
    this.view = view;
    this.body = byId("contents-body");
    this.order = byId("contents-order");
    this.known = page.report.maps.filter((map) => map.entries !== null && map.buckets);
    const section = byId("contents");
    if (page.report.maps.length === 0) {
      section.hidden = true;
      document.querySelector('nav a[href="#contents"]').hidden = true;
      return;
    }
    this.order.addEventListener("change", () => this.fill());
    /** Which of them are shown. */
    this.chosen = () => true;
    this.shown = MAPS;
    this.fill();
  }

  fill() {
    const { maps } = this.page.report;
    const known = this.known.filter((map) => this.chosen(map));
    byId("contents-count").textContent = known.length < this.known.length ? `${thousands(known.length)} of ${count(maps.length, "live map")}` : this.known.length === maps.length
      ? count(maps.length, "live map")
      : `known for ${thousands(this.known.length)} of ${count(maps.length, "live map")}`;
    if (this.known.length === 0) {
      this.body.replaceChildren(make("p", { class: "note" }, "The contents of the live maps are not known: they are read at exit, through the API, and from outside with the right to do so."));
      return;
    }
    const by = {
      bytes: (map) => map.bytes ?? -1,
      retained: (map) => map.retained_bytes ?? -1,
      tombstones: (map) => (map.tombstones ?? -1) / map.buckets,
      load: (map) => map.load ?? -1,
    }[this.order.value];
    const sorted = known.sort((a, b) => by(b) - by(a));
    const key = make("ul", { class: "legend" }, ...[["full", "slots in use"], ["tombstone", "tombstones"], ["empty", "free slots"]].map(([kind, text]) =>
      make("li", {}, make("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), text)));
    const head = make("tr", {}, ...["Map", "Table", "Slots", "Entries", "Tombstones", "Kept", "Hash", "Next resize"].map((title, i) =>
      make("th", { scope: "col", class: i === 0 || i === 2 || i > 5 ? "" : "number" }, title)));
    const rows = sorted.slice(0, this.shown).map((map) => this.row(map));
    const left = sorted.length - rows.length;
    const more = left > 0
      ? make("p", { class: "more" }, make("button", { type: "button", on: { click: () => {
        this.shown += 100;
        this.fill();
      } } }, `Show ${thousands(Math.min(left, 100))} more of ${thousands(left)}`))
      : null;
    this.body.replaceChildren(key, make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...rows))));
    if (more !== null) this.body.append(more);
  }

  row(map) {
    const block = this.page.blockOf.get(map.table_site) ?? this.page.blockOf.get(map.site);
    const number = (value, show) => make("td", { class: value ? "number" : "number nothing" }, value === null ? "\u2013" : show(value));
    const about = map.entries_error ? ` \u00b1 ${thousands(map.entries_error)}` : "";
    const name = make("th", { scope: "row" },
      make("span", { class: "type" }, map.type_name ?? block?.what ?? map.what ?? map.family ?? `map ${map.id}`), make("span", { class: "place" }, block?.place ?? map.place ?? ""));
    return make("tr", {}, name, number(map.bytes, bytes), make("td", {}, this.bar(map), map.heat ? heatMap(map.heat) : null), number(map.entries, (n) => thousands(n) + about),
      number(map.tombstones, thousands), number(map.retained_bytes, bytes), make("td", {}, this.hash(map)), make("td", {}, this.next(map)));
  }

  /** The slots of a table as a bar; the tick is where it grows. */
  bar(map) {
    // Where entries hang in chains, slots in use are what can be full. A slot with a tombstone is in
    // use and holds no entry.
    const inUse = map.buckets_used ?? null;
    const used = inUse === null ? map.entries : inUse - (map.tombstones ?? 0);
    const share = (value) => `${Math.min(((value ?? 0) / map.buckets) * 100, 100)}%`;
    const limit = map.capacity !== null && map.capacity < map.buckets ? make("i", { class: "limit", "data-left": share(map.capacity) }) : null;
    const bar = make("div", { class: "bar", role: "img", "aria-label": `${percent(used / map.buckets)} in use, ${percent((map.tombstones ?? 0) / map.buckets)} tombstones of ${count(map.buckets, "slot")}` },
      make("i", { class: "full", "data-width": share(used) }), make("i", { class: "tombstone", "data-width": share(map.tombstones) }), limit);
    // Inline styles in markup are forbidden by the page's own policy; set by script they are not.
    for (const part of bar.children) {
      if (part.dataset.width) part.style.width = part.dataset.width;
      if (part.dataset.left) part.style.left = part.dataset.left;
    }
    return bar;
  }

  hash(map) {
    if (map.hash_verdict === null || map.hash_verdict === undefined) return "\u2013";
    return map.hash_quality === null ? map.hash_verdict : `${map.hash_verdict} (${map.hash_quality.toFixed(2)})`;
  }

  next(map) {
    const { next_resize: next } = map;
    if (!next) return "\u2013";
    const when = next.eta_ns === null ? "" : `in ${time(next.eta_ns)}, `;
    const needs = next.needs_bytes === null ? "" : `, needs ${bytes(next.needs_bytes)}`;
    const short = next.short_bytes ? `, ${bytes(next.short_bytes)} more than are left` : "";
    return `${when}at ${count(next.at_entries, "entry").replace("entrys", "entries")}${needs}${short}`;
  }
}
