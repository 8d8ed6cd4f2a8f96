// A lane for each map: its height is the size of the map's table.

const LANE = 30;
/** Lanes on paper: as many as find room below the chart. */
const LANES_ON_PAPER = 5;

class Lanes {
  constructor(page, view) {
    this.page = page;
    this.view = view;
    this.scroller = byId("lanes");
    this.canvas = byId("lanes-canvas");
    this.order = byId("lanes-order");
    this.scale = byId("lanes-scale");
    this.draw = onceAFrame(() => this.drawNow());
    this.choose();
    view.listen((what) => {
      if (what === "selection") this.follow();
      this.draw();
    });
    this.order.addEventListener("change", () => {
      this.choose();
      this.draw();
    });
    this.scale.addEventListener("change", this.draw);
    this.scroller.addEventListener("scroll", this.draw, { passive: true });
    new ResizeObserver(this.draw).observe(this.scroller);
    this.canvas.addEventListener("click", (event) => this.click(event));
    this.scroller.addEventListener("keydown", (event) => this.key(event));
    byId("lanes-all").addEventListener("click", () => view.narrow(null));
  }

  /** The lanes in question, in order. */
  choose() {
    const { block } = this.view;
    this.narrowed = block;
    this.shown = block === null ? [...this.page.lanes] : this.page.lanes.filter((lane) => block.ids.has(lane.site));
    const by = {
      size: (a, b) => b.peak - a.peak || a.at[0] - b.at[0],
      time: (a, b) => a.at[0] - b.at[0] || b.peak - a.peak,
      resizes: (a, b) => b.resizes - a.resizes || b.peak - a.peak,
    };
    this.shown.sort(by[this.order.value]);
    this.largest = largest(this.shown.map((lane) => lane.peak), 1);
    this.row = new Map(this.shown.map((lane, i) => [lane.map, i]));
    const rows = Math.max(this.shown.length, 1);
    byId("lanes-space").style.height = `${rows * LANE}px`;
    this.scroller.style.height = `${Math.min(rows, 14) * LANE + 2}px`;
    byId("lanes-count").textContent = block === null
      ? count(this.shown.length, "map")
      : `${count(this.shown.length, "map")} of ${block.what} at ${block.place}`;
    byId("lanes-all").hidden = block === null;
  }

  /** After a selection: other lanes, or the lane of the selected resize in view. */
  follow() {
    if (this.narrowed !== this.view.block) {
      this.choose();
      this.scroller.scrollTop = 0;
    }
    if (this.view.event === NONE) return;
    const map = this.page.events.map[this.view.event];
    this.view.map = map;
    const row = this.row.get(map);
    if (row !== undefined) this.reveal(row);
  }

  reveal(row) {
    const { scrollTop, clientHeight } = this.scroller;
    if (row * LANE < scrollTop) this.scroller.scrollTop = row * LANE;
    else if ((row + 1) * LANE > scrollTop + clientHeight) this.scroller.scrollTop = (row + 1) * LANE - clientHeight;
  }

  drawNow() {
    const width = this.scroller.clientWidth;
    const most = theme.printing ? LANES_ON_PAPER * LANE : Infinity;
    const height = Math.min(this.scroller.clientHeight, most);
    if (width === 0) return;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    const context = sharp(this.canvas, width, height);
    const left = byId("chart").clientWidth < 600 ? 54 : 70;
    this.plot = { left, width: Math.max(10, width - left - 10) };
    const top = this.scroller.scrollTop;
    const first = Math.floor(top / LANE);
    const last = Math.min(this.shown.length, Math.ceil((top + height) / LANE));
    for (let row = first; row < last; row += 1) this.lane(context, this.shown[row], row * LANE - top);
    if (this.shown.length === 0) {
      context.font = FONT;
      context.fillStyle = theme.colors.soft;
      context.fillText("No map has an event in the timeline.", left, 20);
    }
  }

  /** Share of a lane's height that a table takes. */
  share(size, lane) {
    if (size <= 0) return 0;
    const { value } = this.scale;
    if (value === "own") return size / lane.peak;
    if (value === "log") return Math.max(0.05, Math.log2(size / 64) / Math.log2(Math.max(this.largest, 128) / 64));
    return size / this.largest;
  }

  lane(context, lane, y) {
    const { colors } = theme;
    const { left, width } = this.plot;
    const { from, to, span } = this.view;
    const room = LANE - 5;
    const bottom = y + LANE - 1;
    const x = (at) => left + ((Math.min(Math.max(at, from), to) - from) / span) * width;
    if (lane.map === this.view.map) {
      context.globalAlpha = 0.14;
      context.fillStyle = colors.select;
      context.fillRect(0, y, left + width + 10, LANE);
      context.globalAlpha = 1;
    }
    context.fillStyle = colors.line;
    context.fillRect(left, bottom, width, 1);
    context.fillStyle = colors["live-fill"];
    context.beginPath();
    for (let i = Math.max(0, lowerBound(lane.at, from) - 1); i < lane.at.length && lane.at[i] <= to; i += 1) {
      const end = i + 1 < lane.at.length ? lane.at[i + 1] : this.page.end;
      if (lane.size[i] === 0 || end < from) continue;
      const height = Math.max(1, this.share(lane.size[i], lane) * room);
      const begin = x(lane.at[i]);
      context.rect(begin, bottom - height, Math.max(x(end) - begin, 0.75), height);
    }
    context.fill();
    this.pauses(context, lane, x, y, bottom);
    this.label(context, lane, y, bottom);
  }

  pauses(context, lane, x, y, bottom) {
    const { events } = this.page;
    let last = -Infinity;
    for (const i of lane.events) {
      if (!RESIZES.has(events.kind[i])) continue;
      const at = events.t[i];
      if (at < this.view.from || at > this.view.to) continue;
      const end = x(at);
      if (end - last < 1 && i !== this.view.event) continue;
      last = end;
      const begin = x(at - Math.max(events.pause[i], 0));
      context.fillStyle = i === this.view.event ? theme.colors.select : theme.colors.pause;
      context.fillRect(begin, y + 3, Math.max(end - begin, 1.5), i === this.view.event ? bottom - y - 3 : 4);
    }
  }

  label(context, lane, y, bottom) {
    const { colors } = theme;
    const { left, width } = this.plot;
    const block = this.page.blockOf.get(lane.site);
    context.font = FONT;
    context.textBaseline = "middle";
    context.textAlign = "right";
    context.fillStyle = colors.soft;
    context.fillText(bytes(lane.peak), left - 8, (y + bottom) / 2);
    const name = block === undefined ? `map ${lane.map}` : `${block.what}  ${block.place}`;
    const text = fitted(context, name, Math.min(width - 12, 420));
    context.textAlign = "left";
    context.lineWidth = 3;
    context.lineJoin = "round";
    context.strokeStyle = colors.paper;
    context.globalAlpha = 0.8;
    context.strokeText(text, left + 6, (y + bottom) / 2);
    context.globalAlpha = 1;
    context.fillStyle = colors.ink;
    context.fillText(text, left + 6, (y + bottom) / 2);
  }

  click(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const row = Math.floor((event.clientY - bounds.top + this.scroller.scrollTop) / LANE);
    const lane = this.shown[row];
    if (lane === undefined) return;
    const { left, width } = this.plot;
    const at = this.view.from + ((event.clientX - bounds.left - left) / width) * this.view.span;
    this.select(lane, at);
  }

  /** Selects the resize of a lane that is nearest to a moment, else its block. */
  select(lane, at) {
    const { events } = this.page;
    let best = NONE;
    for (const i of lane.events) {
      if (!RESIZES.has(events.kind[i])) continue;
      if (best === NONE || Math.abs(events.t[i] - at) < Math.abs(events.t[best] - at)) best = i;
    }
    this.view.map = lane.map;
    if (best !== NONE) this.view.selectEvent(best);
    else if (this.page.blockOf.has(lane.site)) {
      this.view.event = NONE;
      this.view.shown = { block: this.page.blockOf.get(lane.site), lane };
      this.view.tell("selection");
    }
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { view } = this;
    const row = this.row.get(view.map) ?? -1;
    const middle = (view.from + view.to) / 2;
    const at = view.event !== NONE ? this.page.events.t[view.event] : middle;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      const next = Math.min(Math.max(row + step, 0), this.shown.length - 1);
      if (this.shown[next] !== undefined) {
        this.reveal(next);
        this.select(this.shown[next], at);
        this.tellLane(this.shown[next]);
      }
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const lane = this.shown[row];
      if (lane === undefined) return;
      const own = lane.events.filter((i) => RESIZES.has(this.page.events.kind[i]));
      const now = own.indexOf(view.event);
      const next = own[now + (event.key === "ArrowRight" ? 1 : -1)];
      if (next !== undefined) {
        view.selectEvent(next);
        say(headOf(this.page.events, next));
      }
    } else if (event.key === "Enter") byId("details").focus();
    else if (event.key === "Escape") view.clear();
    else return;
    event.preventDefault();
  }

  tellLane(lane) {
    const block = this.page.blockOf.get(lane.site);
    say(`${block === undefined ? `map ${lane.map}` : `${block.what} at ${block.place}`}: largest table ${bytes(lane.peak)}, ${count(lane.resizes, "resize")}.`);
  }
}
