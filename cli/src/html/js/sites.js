// The table of blocks: sorted, filtered, and filled as far as one has scrolled.

const ROWS = 60;
/** Rows that are printed: as the style has it. */
const ROWS_ON_PAPER = 40;

/** Columns: title, figure as all views have it, how it is shown. */
const COLUMNS = [
  { title: "Container", hint: "type and place", text: (block) => `${block.what} ${block.place}` },
  { title: "Live", hint: "bytes of live tables", of: ({ figures }) => figures.live_bytes, show: bytes },
  { title: "Kept", hint: "bytes of these beyond what the entries need", of: ({ figures }) => figures.retained_bytes, show: bytes },
  { title: "Entries", hint: "in the live maps", of: ({ figures }) => figures.entries, show: thousands },
  { title: "Peak", hint: "largest number of live bytes", of: ({ figures }) => figures.peak_bytes, show: bytes },
  { title: "Maps", hint: "live maps", of: ({ figures }) => figures.maps_live, show: thousands },
  { title: "Resizes", of: ({ figures }) => figures.resizes, show: thousands },
  { title: "Overlap", hint: "largest old and new table side by side", of: (block) => counted(block.overlap_peak_bytes), show: bytes },
  { title: "Stall", hint: "longest pause of a thread in a resize", of: (block) => counted(block.pause_ns?.max), show: time },
  { title: "All stalls", hint: "time that threads spent in resizes", of: ({ figures }) => figures.pause_ns, show: time },
  { title: "Copied", hint: "bytes moved from old tables to new", of: ({ figures }) => figures.copied_bytes, show: bytes },
  { title: "Allocated", hint: "bytes of all tables ever allocated", of: ({ figures }) => figures.allocated_bytes, show: bytes },
];

/** A figure without an error; nothing if it is not known. */
function counted(value) {
  return value === null || value === undefined ? null : { value, error: null, bound: null };
}

class Sites {
  constructor(page, view, columns = COLUMNS, noun = "place") {
    this.page = page;
    this.view = view;
    this.noun = noun;
    /** Those of which something is known: a heap profile has no pauses and no peaks. */
    this.columns = columns.filter(({ of }) => of === undefined || page.blocks.length === 0 || page.blocks.some((block) => of(block) !== null));
    this.body = byId("sites-body");
    this.scroll = byId("sites-scroll");
    this.filter = byId("sites-filter");
    /** Column to sort by and direction; null is the order of the report, most harmful first. */
    this.sort = null;
    this.words = page.blocks.map((block) => {
      const own = block.parts.flatMap((site) => [site.place, ...site.stack.filter((frame) => frame[4]).map((frame) => frame[0])]);
      return [block.what, block.place, block.family, block.caller?.function, ...own].join(" ").toLowerCase();
    });
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

  /** The blocks that pass the filter, in order. */
  chosen() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
    const blocks = this.page.blocks.filter((_, i) => words.every((word) => this.words[i].includes(word)));
    if (this.sort === null) return blocks;
    const { column, direction } = this.sort;
    const { of, text } = this.columns[column];
    const sign = direction === "ascending" ? 1 : -1;
    if (of === undefined) return blocks.sort((a, b) => sign * text(a).localeCompare(text(b)));
    // What is unknown comes last, whichever way.
    return blocks.sort((a, b) => {
      const [p, q] = [of(a)?.value ?? null, of(b)?.value ?? null];
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
    const all = this.page.blocks.length;
    byId("sites-count").textContent = this.shown.length === all ? count(all, this.noun) : `${thousands(this.shown.length)} of ${count(all, this.noun)}`;
    if (this.shown.length === 0) {
      this.body.append(make("tr", {}, make("td", { colspan: this.columns.length, class: "none" }, all === 0 ? "No container was seen." : `No ${this.noun} has all of these words.`)));
    }
  }

  /** On paper nobody can choose a row: the advice of all that are printed stands below them. */
  advice() {
    const advised = this.shown.slice(0, ROWS_ON_PAPER).filter((block) => block.advice.length > 0);
    const parts = advised.flatMap((block) => [
      make("dt", {}, make("span", { class: "type" }, block.what), ` ${block.place}`),
      ...block.advice.map((text) => make("dd", {}, text)),
    ]);
    byId("sites-advice").replaceChildren(...(parts.length === 0 ? [] : [make("h3", {}, "Advice"), make("dl", {}, ...parts)]));
  }

  append() {
    const next = this.shown.slice(this.done, this.done + ROWS);
    this.body.append(...next.map((block, i) => this.row(block, this.done + i === 0)));
    this.done += next.length;
    const left = this.shown.length - this.done;
    byId("sites-more").textContent = left > 0 ? `${thousands(left)} more below: scroll, or filter.` : "";
    this.mark();
  }

  more() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroll;
    if (this.done < this.shown.length && scrollTop + clientHeight > scrollHeight - 400) this.append();
  }

  row(block, first) {
    const cells = this.columns.map(({ of, show }) => {
      if (of === undefined) {
        return make("th", { scope: "row" }, make("span", { class: "type" }, block.what), make("span", { class: "place" }, block.place),
          block.warning ? make("span", { class: "warning" }, block.warning) : null, this.stacks(block));
      }
      const figure = of(block);
      if (figure === null) return make("td", { class: "number nothing", title: "unknown" }, "\u2013");
      const { value, bound } = figure;
      const about = estimated(figure);
      const sign = value === 0 ? "" : about ? "\u2248 " : BOUNDS[bound]?.[1] ?? "";
      const shown = show === thousands && about ? rounded(value) : value;
      return make("td", { class: value ? "number" : "number nothing", title: about ? told(figure, show) : null }, sign + (value === 0 ? "0" : show(shown)));
    });
    const row = make("tr", { tabindex: first ? "0" : "-1" }, ...cells);
    row.block = block;
    return row;
  }

  /** Where the maps of a block grew, a line for each stack that chooses it. */
  stacks(block) {
    if (block.parts.length < 2) return null;
    const line = (site) => make("li", {}, make("button", { type: "button", tabindex: "-1", on: { click: (event) => {
      event.stopPropagation();
      this.view.selectBlock(block, site);
    } } }, partOf(site)));
    const summary = make("summary", { tabindex: "-1" }, count(block.parts.length, "stack"));
    return make("details", { class: "stacks", on: { click: (event) => event.stopPropagation() } }, summary, make("ul", {}, ...block.parts.map(line)));
  }

  mark() {
    const block = this.view.shown?.block;
    for (const row of this.body.children) {
      if (row.block === block && block !== undefined) row.setAttribute("aria-selected", "true");
      else row.removeAttribute("aria-selected");
    }
  }

  choose(row) {
    if (!row?.block) return;
    this.view.selectBlock(row.block);
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
