// The table of sites: sorted, filtered, and filled as far as one has scrolled.

const ROWS = 60;
/** Rows that are printed: as the style has it. */
const ROWS_ON_PAPER = 40;

/** Columns: title, figure to sort by, how it is shown. */
const COLUMNS = [
  { title: "Site", hint: "type and place", text: (site) => `${site.what} ${site.place}` },
  { title: "Resizes", of: (site) => site.resizes, show: thousands },
  { title: "Worst overlap", hint: "old and new table side by side", of: (site) => site.overlap_peak_bytes, show: bytes },
  { title: "Worst pause", of: (site) => site.pause_ns?.max ?? null, show: time },
  { title: "Pauses in all", of: (site) => site.pause_ns?.total ?? null, show: time },
  { title: "Peak", hint: "largest number of live bytes", of: (site) => (onlySamples(site) ? null : site.peak_live_bytes), show: bytes, bound: (site) => site.peak_live_error_bytes > 0 },
  { title: "Live", hint: "bytes of live tables", of: liveBytes, show: bytes, about: onlySamples },
  { title: "Kept", hint: "bytes beyond what the entries need", of: (site) => site.retained_bytes, show: bytes },
  { title: "Copied", of: (site) => site.copied_bytes, show: bytes },
  { title: "Allocated", of: allocatedBytes, show: bytes, about: onlySamples },
  { title: "Maps", hint: "maps created", of: created, show: thousands },
];

/** Maps that began here, also those that were first seen when they were large enough. */
function created(site) {
  if (site.maps_created === null) return null;
  return site.maps_created + (site.maps_late ?? 0);
}

class Sites {
  constructor(page, view) {
    this.page = page;
    this.view = view;
    /** Those of which something is known: a heap profile has no pauses and no peaks. */
    this.columns = COLUMNS.filter(({ of }) => of === undefined || page.sites.length === 0 || page.sites.some((site) => (of(site) ?? null) !== null));
    this.body = byId("sites-body");
    this.scroll = byId("sites-scroll");
    this.filter = byId("sites-filter");
    /** Column to sort by and direction; null is the order of the report, most harmful first. */
    this.sort = null;
    this.words = page.sites.map((site) =>
      [site.what, site.place, site.family, site.caller?.function, ...site.stack.filter((frame) => frame[4]).map((frame) => frame[0])].join(" ").toLowerCase());
    this.head();
    this.filter.addEventListener("input", onceAFrame(() => this.fill()));
    this.body.addEventListener("click", (event) => this.choose(event.target.closest("tr")));
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.scroll.addEventListener("scroll", () => this.more(), { passive: true });
    view.listen((what) => what === "selection" && this.mark());
    this.fill();
  }

  head() {
    const cells = this.columns.map((column, i) => {
      const button = make("button", { type: "button", title: column.hint, on: { click: () => this.sortBy(i) } }, column.title, make("span", { class: "arrow", "aria-hidden": "true" }));
      const onPaper = make("span", { class: "on-paper" }, column.title);
      return make("th", { scope: "col", class: column.of === undefined ? "" : "number" }, button, onPaper);
    });
    byId("sites-head").append(...cells);
  }

  sortBy(i) {
    const first = this.columns[i].of === undefined ? "ascending" : "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    if (this.sort?.column !== i) this.sort = { column: i, direction: first };
    else if (this.sort.direction === first) this.sort.direction = other;
    else this.sort = null;
    [...byId("sites-head").children].forEach((cell, at) => {
      if (this.sort?.column === at) cell.setAttribute("aria-sort", this.sort.direction);
      else cell.removeAttribute("aria-sort");
    });
    this.fill();
  }

  /** The sites that pass the filter, in order. */
  chosen() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    const sites = this.page.sites.filter((_, i) => words.every((word) => this.words[i].includes(word)));
    if (this.sort === null) return sites;
    const { column, direction } = this.sort;
    const { of, text } = this.columns[column];
    const sign = direction === "ascending" ? 1 : -1;
    if (of === undefined) return sites.sort((a, b) => sign * text(a).localeCompare(text(b)));
    // What is unknown comes last, whichever way.
    return sites.sort((a, b) => {
      const [p, q] = [of(a) ?? null, of(b) ?? null];
      if (p === null || q === null) return (p === null) - (q === null);
      return sign * (p - q);
    });
  }

  fill() {
    this.shown = this.chosen();
    this.body.replaceChildren();
    this.done = 0;
    this.scroll.scrollTop = 0;
    this.append();
    this.advice();
    const all = this.page.sites.length;
    byId("sites-count").textContent = this.shown.length === all ? count(all, "site") : `${thousands(this.shown.length)} of ${count(all, "site")}`;
    if (this.shown.length === 0) {
      this.body.append(make("tr", {}, make("td", { colspan: this.columns.length, class: "none" }, all === 0 ? "No container was seen." : "No site has all of these words in its type, place, family or stack.")));
    }
  }

  /** On paper nobody can choose a site: the advice of all that are printed stands below them. */
  advice() {
    const advised = this.shown.slice(0, ROWS_ON_PAPER).filter((site) => site.advice.length > 0);
    const parts = advised.flatMap((site) => [
      make("dt", {}, make("span", { class: "type" }, site.what), ` ${site.place}`),
      ...site.advice.map((text) => make("dd", {}, text)),
    ]);
    byId("sites-advice").replaceChildren(...(parts.length === 0 ? [] : [make("h3", {}, "Advice"), make("dl", {}, ...parts)]));
  }

  append() {
    const next = this.shown.slice(this.done, this.done + ROWS);
    this.body.append(...next.map((site, i) => this.row(site, this.done + i === 0)));
    this.done += next.length;
    const left = this.shown.length - this.done;
    byId("sites-more").textContent = left > 0 ? `${thousands(left)} more below: scroll, or filter.` : "";
    this.mark();
  }

  more() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroll;
    if (this.done < this.shown.length && scrollTop + clientHeight > scrollHeight - 400) this.append();
  }

  row(site, first) {
    const cells = this.columns.map(({ of, show, bound, about }) => {
      if (of === undefined) {
        const name = make("th", { scope: "row" }, make("span", { class: "type" }, site.what), make("span", { class: "place" }, site.place));
        return name;
      }
      const value = of(site) ?? null;
      const text = value === null ? "\u2013" : value === 0 ? "0" : show(value);
      const sign = !value ? "" : bound?.(site) ? "\u2264 " : about?.(site) ? "\u2248 " : "";
      const told = value === null ? "unknown" : about?.(site) ? "an estimate from samples" : null;
      return make("td", { class: value ? "number" : "number nothing", title: told }, sign + text);
    });
    const row = make("tr", { tabindex: first ? "0" : "-1" }, ...cells);
    row.site = site;
    return row;
  }

  mark() {
    const site = this.view.shown?.site;
    for (const row of this.body.children) {
      if (row.site === site && site !== undefined) row.setAttribute("aria-selected", "true");
      else row.removeAttribute("aria-selected");
    }
  }

  choose(row) {
    if (!row?.site) return;
    this.view.selectSite(row.site);
    this.focus(row);
  }

  focus(row) {
    for (const other of this.body.querySelectorAll('tr[tabindex="0"]')) other.tabIndex = -1;
    row.tabIndex = 0;
    row.focus();
  }

  key(event) {
    const row = event.target.closest("tr");
    const actions = {
      ArrowDown: () => {
        if (row.nextElementSibling === null) this.append();
        if (row.nextElementSibling !== null) this.focus(row.nextElementSibling);
      },
      ArrowUp: () => row.previousElementSibling !== null && this.focus(row.previousElementSibling),
      Enter: () => {
        this.choose(row);
        byId("details").scrollIntoView({ block: "nearest" });
        byId("details").focus();
      },
      " ": () => this.choose(row),
      Escape: () => this.view.clear(),
    };
    const action = row && actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }
}
