// What is shown: the window of time, and what is selected. Every part of the page listens.

/** The shortest window, nanoseconds. */
const LEAST_WINDOW = 2000;

class View {
  constructor(page) {
    this.page = page;
    this.from = page.start;
    this.to = page.end;
    /** Number of an event in the timeline, or NONE. */
    this.event = NONE;
    /** Block and map that lanes and resizes are narrowed to; null for all. */
    this.block = null;
    this.map = null;
    this.listeners = [];
    const { events } = page;
    this.resizes = [];
    for (let i = 0; i < events.count; i += 1) {
      if (RESIZES.has(events.kind[i])) this.resizes.push(i);
    }
  }

  listen(listener) {
    this.listeners.push(listener);
  }

  tell(what) {
    for (const listener of this.listeners) listener(what);
  }

  get span() {
    return this.to - this.from;
  }

  get zoomed() {
    return this.from > this.page.start || this.to < this.page.end;
  }

  show(from, to) {
    const { start, end } = this.page;
    const span = Math.min(Math.max(to - from, LEAST_WINDOW), end - start);
    const middle = (from + to) / 2;
    this.from = Math.min(Math.max(middle - span / 2, start), end - span);
    this.to = this.from + span;
    this.tell("window");
  }

  /** Zooms by a factor around a moment, by default the selected event or the middle. */
  zoom(factor, around) {
    const { events } = this.page;
    const selected = this.event !== NONE ? events.t[this.event] : NONE;
    const inside = selected >= this.from && selected <= this.to;
    const at = around ?? (inside ? selected : (this.from + this.to) / 2);
    const span = this.span * factor;
    const share = (at - this.from) / this.span;
    this.show(at - span * share, at + span * (1 - share));
  }

  all() {
    this.show(this.page.start, this.page.end);
  }

  /** Moves the window by a share of its length. */
  move(share) {
    this.show(this.from + this.span * share, this.to + this.span * share);
  }

  /** Selects an event, and brings it into the window. */
  selectEvent(event) {
    const { events } = this.page;
    this.event = event;
    this.shown = { event, block: this.page.blockOf.get(events.site[event]) };
    const at = events.t[event];
    if (at < this.from || at > this.to) this.show(at - this.span / 2, at + this.span / 2);
    this.tell("selection");
  }

  /** Selects a block: its resizes and maps alone are told apart from the others. The stack of one
   * of its sites may be asked for. */
  selectBlock(block, site) {
    this.block = block;
    this.map = null;
    this.event = NONE;
    this.shown = { block, site };
    this.tell("selection");
  }

  /** Narrows to the maps of a block without changing what the details show. */
  narrow(block) {
    this.block = block;
    this.tell("selection");
  }

  clear() {
    this.block = null;
    this.map = null;
    this.event = NONE;
    this.shown = null;
    this.tell("selection");
  }

  /** Whether an event belongs to what the page is narrowed to. */
  concerns(event) {
    return this.block === null || this.block.ids.has(this.page.events.site[event]);
  }

  /** The next resize of those in question after the selected one, or before it. */
  neighbour(step) {
    const { events } = this.page;
    const { resizes } = this;
    let at;
    if (this.event !== NONE) {
      at = lowerBound(resizes, this.event);
      if (resizes[at] !== this.event && step > 0) at -= 1;
    } else {
      at = lowerBound(resizes.map((i) => events.t[i]), step > 0 ? this.from : this.to);
      if (step > 0) at -= 1;
    }
    for (at += step; at >= 0 && at < resizes.length; at += step) {
      if (this.concerns(resizes[at])) return resizes[at];
    }
    return NONE;
  }
}
