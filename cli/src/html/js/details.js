// The details of a resize or a block: figures, and the stacks.

const DONE = {
  grow: "grew",
  shrink: "shrank",
  rehash: "was rehashed",
  rebuild: "was rebuilt",
  replace: "was replaced",
  aborted: "gave up a growth",
};

/** `grew from 34 MiB to 68 MiB in 209 ms`. */
function headOf(events, i) {
  const kind = events.kind[i];
  const sizes = kind === "aborted"
    ? ` to ${bytes(events.newBytes[i])}`
    : kind === "rehash" ? ` at ${bytes(events.newBytes[i])}`
    : ` from ${bytes(events.oldBytes[i])} to ${bytes(events.newBytes[i])}`;
  const pause = events.pause[i] === NONE ? "" : ` in ${time(events.pause[i])}`;
  return `${DONE[kind] ?? kind}${sizes}${pause}`;
}

class Details {
  constructor(page, view) {
    this.page = page;
    this.view = view;
    this.panel = byId("details");
    view.listen((what) => what === "selection" && this.show());
    this.panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      view.clear();
      byId("chart").focus();
    });
    this.show();
  }

  show() {
    const { shown } = this.view;
    if (shown === undefined || shown === null) {
      this.panel.classList.remove("open");
      return this.panel.replaceChildren(
        make("p", { class: "hint" }, `Click ${this.page.events.site.length === 0 ? "" : "a resize, a lane or "}a row of the table of places: its stack and its figures appear here.`),
        this.worst(),
      );
    }
    this.panel.classList.add("open");
    const parts = shown.event === undefined ? this.ofBlock(shown) : this.ofEvent(shown.event, shown.block);
    const close = make("button", { type: "button", class: "close", "aria-label": "Close the details", on: { click: () => this.view.clear() } }, "\u00d7");
    this.panel.replaceChildren(close, ...parts.filter((part) => part !== null));
    this.panel.scrollTop = 0;
  }

  /** The longest pauses and largest overlaps, as a place to begin. */
  worst() {
    const { events } = this.page;
    const overlap = (i) => (events.inPlace[i] ? 0 : events.oldBytes[i] + events.newBytes[i]);
    const top = (weight) => {
      const best = [];
      for (const i of this.view.resizes) {
        const now = weight(i);
        if (best.length < 5 || now > best[best.length - 1].now) {
          best.push({ i, now });
          best.sort((a, b) => b.now - a.now);
          best.length = Math.min(best.length, 5);
        }
      }
      return best.filter(({ now }) => now > 0);
    };
    const list = (title, weight, show) => {
      const best = top(weight);
      if (best.length === 0) return null;
      return make("div", {}, make("h4", {}, title), make("ol", { class: "jumps" }, ...best.map(({ i, now }) => {
        const block = this.page.blockOf.get(events.site[i]);
        return make("li", {}, make("button", { type: "button", on: { click: () => this.view.selectEvent(i) } },
          make("b", {}, show(now)), ` ${block?.what ?? ""} `, make("span", {}, block?.place ?? "")));
      })));
    };
    return make("div", {}, list("Longest pauses", (i) => events.pause[i], time), list("Most side by side", overlap, bytes));
  }

  ofEvent(i, block) {
    const { events } = this.page;
    const kind = events.kind[i];
    const [before, after] = [events.oldBytes[i], events.newBytes[i]];
    const moved = kind === "grow" || kind === "shrink" || kind === "rehash";
    const facts = make("dl", { class: "facts" });
    const known = (value, show) => (value === NONE ? null : show(value));
    pairs(facts, [
      ["when", events.timed ? moment(startOf(events, i), Math.max(events.pause[i], this.view.span / 1000)) : null, "when it began, since recording did"],
      ["old table", known(before, bytes), known(before, (v) => `${thousands(v)} bytes`)],
      ["new table", known(after, bytes), known(after, (v) => `${thousands(v)} bytes`)],
      ["overlap", moved && !events.inPlace[i] ? bytes(before + after) : null, "old and new table side by side"],
      ["pause", known(events.pause[i], time), known(events.pause[i], (v) => `${thousands(v)} ns`)],
      ["thread", events.thread[i] === NONE ? null : events.threads[events.thread[i]]],
      ["map", known(events.map[i], (v) => `#${v}`)],
      ["how", events.inPlace[i] ? "in place: the table stayed at its address" : null],
      ["counted", events.sampled[i] ? "a sample of the tables below the floor" : null],
    ]);
    const lane = this.page.lanes.find((one) => one.map === events.map[i]);
    return [
      make("p", { class: "kind" }, make("span", { class: `swatch sign ${kind}`, "aria-hidden": "true" }), kind),
      make("h3", {}, headOf(events, i)),
      facts,
      this.walk(i, lane),
      lane === undefined ? null : this.history(lane),
      ...(block === undefined ? [] : [make("h4", {}, "Container"), ...this.blockParts(block, events.site[i])]),
    ];
  }

  /** Buttons to the map's resize before and after, and to a window around this one. */
  walk(i, lane) {
    const { events } = this.page;
    const own = lane === undefined ? [] : lane.events.filter((one) => RESIZES.has(events.kind[one]));
    const at = own.indexOf(i);
    const button = (text, target) => make("button", { type: "button", disabled: target === undefined, on: { click: () => this.view.selectEvent(target) } }, text);
    const span = Math.max(events.pause[i] * 8, LEAST_WINDOW * 10);
    const closer = () => {
      const middle = events.t[i] - Math.max(events.pause[i], 0) / 2;
      this.view.show(middle - span / 2, middle + span / 2);
    };
    return make("div", { class: "buttons" }, button("Earlier", own[at - 1]), button("Later", own[at + 1]),
      make("button", { type: "button", on: { click: closer } }, "Zoom to it"));
  }

  history(lane) {
    const sizes = lane.size.filter((size) => size > 0);
    return make("p", { class: "chain" }, make("span", {}, "tables "), chain(sizes), lane.size[lane.size.length - 1] === 0 ? ", then dropped" : "");
  }

  ofBlock({ block, site, lane }) {
    return [make("p", { class: "kind" }, "container"), ...(lane === undefined ? [] : [this.history(lane)]), ...this.blockParts(block, site?.id ?? lane?.site)];
  }

  /** All of a block, with the stack of one of its sites in view. */
  blockParts(block, site) {
    const facts = make("dl", { class: "facts" });
    const { figures, pause_ns: pause } = block;
    const about = figures.resizes !== null && figures.resizes.error !== null;
    const made = block.maps_created === null ? null : `${thousands(created(block))} created, `;
    pairs(facts, [
      ["in", block.caller === null ? null : block.caller.function],
      ["family", block.family === null ? null : `${block.family}${block.known_by === null ? "" : `, known by ${block.known_by}`}`],
      ["live", told(figures.live_bytes, bytes)],
      ["kept without need", figures.retained_bytes?.value ? told(figures.retained_bytes, bytes) : null],
      ["entries", told(figures.entries, thousands)],
      ["peak", told(figures.peak_bytes, bytes)],
      ["maps", figures.maps_live === null ? null : `${figures.maps_live.error === null ? made ?? "" : ""}${told(figures.maps_live, thousands)} live`],
      ["resizes", about ? told(figures.resizes, thousands) : block.resizes === null ? null : this.resizes(block)],
      ["worst overlap", block.overlap_peak_bytes ? bytes(block.overlap_peak_bytes) : null],
      ["pauses", pause && pause.max !== null ? `worst ${time(pause.max)}, median ${time(pause.p50)}, ${told(figures.pause_ns, time)} in all` : null],
      ["copied", figures.copied_bytes?.value ? told(figures.copied_bytes, bytes) : null],
      ["allocated", told(figures.allocated_bytes, bytes)],
      ["counts", coverage(block, this.page.report)],
    ]);
    const narrowed = this.view.block === block;
    const narrow = () => {
      this.view.narrow(narrowed ? null : block);
      this.show();
    };
    return [
      make("p", { class: "what" }, make("b", {}, block.what), make("span", {}, block.place)),
      make("div", { class: "buttons" }, make("button", { type: "button", "aria-pressed": String(narrowed), on: { click: narrow } }, "Only this on the timeline")),
      facts,
      block.advice.length === 0 ? null : make("ul", { class: "advice" }, ...block.advice.map((text) => make("li", {}, text))),
      ...this.sites(block, site),
    ];
  }

  /** The sites of a block, each with its lines of source and its stack, one of them in view. */
  sites(block, shown) {
    if (block.parts.length === 1) {
      const [site] = block.parts;
      return [excerpt(site), make("h4", {}, "Stack, innermost first"), this.stack(site)];
    }
    const first = block.parts.find((site) => site.id === shown) ?? block.parts[0];
    const parts = block.parts.map((site) => make("details", { class: "site", open: site === first }, make("summary", {}, partOf(site)),
      excerpt(site), this.stack(site)));
    return [make("h4", {}, `${block.parts.length} stacks, innermost first`), ...parts];
  }

  resizes(block) {
    const parts = [["grows", "grew"], ["shrinks", "shrank"], ["rehashes", "rehashed"], ["aborted", "given up"], ["rebuilds", "rebuilt"], ["replaces", "replaced"]]
      .filter(([field]) => block[field] > 0)
      .map(([field, word]) => `${word} ${thousands(block[field])}`);
    return `${thousands(block.resizes)}${parts.length > 0 ? ` (${parts.join(", ")})` : ""}`;
  }

  stack(site) {
    const item = ([name, place, whole, inlined, own]) =>
      make("li", { class: own ? "own" : "", title: whole },
        make("span", { class: "function" }, name), make("span", { class: "place" }, place ?? "", inlined ? " (inlined)" : ""));
    const list = make("ol", { class: "stack" });
    const any = site.stack.some((frame) => frame[4]);
    for (let i = 0; i < site.stack.length; ) {
      let end = i;
      while (end < site.stack.length && !site.stack[end][4]) end += 1;
      const library = site.stack.slice(i, end);
      if (any && library.length > 2) {
        const inner = make("ol", { class: "stack" }, ...library.map(item));
        list.append(make("li", {}, make("details", {}, make("summary", {}, `${library.length} library functions`), inner)));
      } else list.append(...library.map(item));
      if (end < site.stack.length) list.append(item(site.stack[end]));
      i = end + 1;
    }
    if (site.stack_truncated) list.append(make("li", {}, "the recorder cut the stack here"));
    return list;
  }
}

/** `moved::serve, src/moved.rs:6: 2 resizes, holds 8.5 MiB now`. */
function partOf(site) {
  const live = liveBytes(site) > 0 ? `, holds ${bytes(liveBytes(site))} now` : "";
  const resizes = site.resizes === null ? ": its nodes" : `: ${count(site.resized, "resize")}`;
  const within = site.caller?.line ? `${site.caller.function}, ` : "";
  return `${within}${site.place}${resizes}${live}`;
}

/** The lines of source around the place of a site. */
function excerpt({ source, caller }) {
  if (source === null) return null;
  const lines = source.lines.map((text, i) => make("li", { value: source.first + i, class: source.first + i === caller.line ? "here" : "" }, text));
  const changed = source.changed ? make("p", { class: "note" }, "The file was changed after the program was built: these may be other lines.") : null;
  return make("div", {}, make("ol", { class: "source" }, ...lines), changed);
}

/** Which tables the figures of a block count, in words. */
function coverage(block, { settings, profile }) {
  if (profile) return "samples of a heap profile: the figures are estimates";
  if (block.coverage === "sampled") return "samples of its nodes: the figures are estimates";
  if (block.allocs === 0 && block.sampled !== null) return `samples of tables below ${bytes(settings.floor_bytes)}: the figures are estimates`;
  if (block.figures.live_bytes.error !== null) return "each table that was recorded, and an estimate of the others from samples";
  if (block.coverage === "above_floor") return `every table of ${bytes(settings.floor_bytes)} or more`;
  return block.exact ? "every table" : "every table; see what is uncertain below";
}

/** Maps that began here, also those that were first seen when they were large enough. */
function created(block) {
  return block.maps_created + (block.maps_late ?? 0);
}
