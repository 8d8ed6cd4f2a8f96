// The details of a resize or a site: figures, and the stack.

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
        make("p", { class: "hint" }, `Click ${this.page.events.site.length === 0 ? "" : "a resize, a lane or "}a row of the table of sites: its stack and its figures appear here.`),
        this.worst(),
      );
    }
    this.panel.classList.add("open");
    const parts = shown.event === undefined ? this.ofSite(shown) : this.ofEvent(shown.event, shown.site);
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
        const site = this.page.siteById.get(events.site[i]);
        return make("li", {}, make("button", { type: "button", on: { click: () => this.view.selectEvent(i) } },
          make("b", {}, show(now)), ` ${site === undefined ? "" : site.what} `, make("span", {}, site === undefined ? "" : site.place)));
      })));
    };
    return make("div", {}, list("Longest pauses", (i) => events.pause[i], time), list("Most side by side", overlap, bytes));
  }

  ofEvent(i, site) {
    const { events } = this.page;
    const kind = events.kind[i];
    const [before, after] = [events.oldBytes[i], events.newBytes[i]];
    const moved = kind === "grow" || kind === "shrink" || kind === "rehash";
    const facts = make("dl", { class: "facts" });
    const known = (value, show) => (value === NONE ? null : show(value));
    pairs(facts, [
      ["when", events.timed ? moment(events.t[i], Math.max(events.pause[i], this.view.span / 1000)) : null, "when it ended, since recording began"],
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
      ...(site === undefined ? [] : [make("h4", {}, "Site"), ...this.siteParts(site)]),
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

  ofSite({ site, lane }) {
    return [make("p", { class: "kind" }, "site"), ...(lane === undefined ? [] : [this.history(lane)]), ...this.siteParts(site)];
  }

  siteParts(site) {
    const facts = make("dl", { class: "facts" });
    const pause = site.pause_ns;
    const bound = site.peak_live_error_bytes > 0 ? "at most " : "";
    const samples = onlySamples(site) ? site.sampled : null;
    const about = (value) => (value === null ? null : `about ${thousands(Number(Math.max(value, 0).toPrecision(2)))}`);
    pairs(facts, [
      ["in", site.caller === null ? null : site.caller.function],
      ["family", site.family === null ? null : `${site.family}${site.known_by === null ? "" : `, known by ${site.known_by}`}`],
      ["resizes", samples !== null ? about(samples.est_resizes) : site.resizes === null ? null : this.resizes(site)],
      ["live", estimate(liveBytes(site), samples?.est_live_bytes_error ?? null)],
      ["peak", site.peak_live_bytes === null || samples !== null ? null : bound + bytes(site.peak_live_bytes)],
      ["worst overlap", site.overlap_peak_bytes ? bytes(site.overlap_peak_bytes) : null],
      ["pauses", pause && pause.max !== null ? `worst ${time(pause.max)}, median ${time(pause.p50)}, ${time(pause.total)} in all` : null],
      ["copied", site.copied_bytes ? bytes(site.copied_bytes) : null],
      ["allocated", estimate(allocatedBytes(site), samples?.est_allocated_bytes_error ?? null)],
      ["maps", site.maps_created === null ? null : samples !== null ? `${about(samples.est_maps_live)} live` : `${thousands(created(site))} created, ${thousands(site.maps_live)} live`],
      ["entries", site.entries === null ? null : `${site.entries_error ? "about " : ""}${thousands(site.entries)}${site.entries_error ? ` \u00b1 ${thousands(site.entries_error)}` : ""}`],
      ["kept without need", site.retained_bytes ? estimate(site.retained_bytes, site.retained_error_bytes || null) : null],
      ["counts", coverage(site, this.page.report.settings)],
    ]);
    const narrowed = this.view.site === site;
    const narrow = () => {
      this.view.narrow(narrowed ? null : site);
      this.show();
    };
    return [
      make("p", { class: "what" }, make("b", {}, site.what), make("span", {}, site.place)),
      make("div", { class: "buttons" }, make("button", { type: "button", "aria-pressed": String(narrowed), on: { click: narrow } }, "Only this site on the timeline")),
      facts,
      site.advice.length === 0 ? null : make("ul", { class: "advice" }, ...site.advice.map((text) => make("li", {}, text))),
      make("h4", {}, "Stack, innermost first"),
      this.stack(site),
    ];
  }

  resizes(site) {
    const parts = [["grows", "grew"], ["shrinks", "shrank"], ["rehashes", "rehashed"], ["aborted", "given up"], ["rebuilds", "rebuilt"], ["replaces", "replaced"]]
      .filter(([field]) => site[field] > 0)
      .map(([field, word]) => `${word} ${thousands(site[field])}`);
    return `${thousands(site.resizes)}${parts.length > 0 ? ` (${parts.join(", ")})` : ""}`;
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

/** Which blocks the figures of a site count, in words. */
function coverage(site, settings) {
  if (onlySamples(site) && site.coverage !== "sampled") return `samples of tables below ${bytes(settings.floor_bytes)}: the figures are estimates`;
  if (site.coverage === "sampled") return "samples of its nodes: the figures are estimates";
  if (site.coverage === "above_floor") return `every table of ${bytes(settings.floor_bytes)} or more`;
  return site.exact ? "every table" : "every table; see what is uncertain below";
}
