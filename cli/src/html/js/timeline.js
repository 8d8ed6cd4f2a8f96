// The timeline as a picture: live bytes with each resize, pauses, marks; and the overview that
// the window is chosen in.

const PAUSE_FLOOR = 1000;
/** One part in so many is no matter. */
const LITTLE = 50;

/** Where a site counts each kind. */
const FIELDS = { grow: "grows", shrink: "shrinks", rehash: "rehashes", rebuild: "rebuilds", replace: "replaces", aborted: "aborted" };

class Timeline {
  constructor(page, view) {
    this.page = page;
    this.view = view;
    this.chart = byId("chart");
    this.overview = byId("overview");
    /** What the pointer is at, and the stretch that it draws; null when it does not. */
    this.hover = null;
    this.brush = null;
    this.longest = 0;
    for (let i = 0; i < page.events.count; i += 1) {
      if (page.events.pause[i] > this.longest) this.longest = page.events.pause[i];
    }
    this.draw = onceAFrame(() => this.drawNow());
    view.listen(() => this.draw());
    new ResizeObserver(this.draw).observe(this.chart);
    this.legend();
    if (page.curve === null) this.nothing();
    else this.lacking();
  }

  /** Says why there is no timeline. The place for details stays. */
  nothing() {
    const { events } = this.page;
    byId("timeline").classList.add("empty");
    byId("timeline-none").textContent = events.count > 0 && !events.timed
      ? "The recording holds no calibration of its clock, so nothing can be drawn over time."
      : "There is nothing to draw over time: no event is in the report. A profile says what is there, not when it came.";
  }

  /** What samples stand for has no moments: the curve is of the rest. */
  lacking() {
    const { est_live_bytes: all, live_bytes: counted } = this.page.report.totals;
    const lacks = all - counted;
    if (lacks <= counted / LITTLE) return;
    byId("timeline-none").textContent = `Drawn is what was recorded table by table. Samples stand for about ${bytes(lacks)} more, live at the end.`;
  }

  legend() {
    const kinds = new Set(this.view.resizes.map((i) => this.page.events.kind[i]));
    const total = (field) => this.page.sites.reduce((sum, site) => sum + (site[field] ?? 0), 0);
    const item = (swatch, text, hint) =>
      make("li", { title: hint }, make("span", { class: `swatch ${swatch}`, "aria-hidden": "true" }), text);
    const list = byId("legend");
    list.append(item("live", "tables in use"), item("overlap", "old table beside the new one", "overlap: what is there twice while entries move"));
    if (this.page.curve !== null && this.page.curve.from > 0) {
      list.append(this.page.coarse === null
        ? item("unknown", "before the oldest event kept: not known", "events were dropped; the lanes show the maps that are known")
        : item("coarse", "before the oldest event kept: at most this"));
    }
    for (const kind of RESIZES) {
      if (kinds.has(kind) && total(FIELDS[kind]) > 0) list.append(item(`sign ${kind}`, `${kind} (${thousands(total(FIELDS[kind]))})`));
    }
    list.append(item("pause", "pause of the resizing thread"));
    if (this.page.report.marks.length > 0) list.append(item("mark", "mark set by the program"));
  }

  /** Boxes of the parts in the chart, in CSS pixels. */
  boxes() {
    const width = this.chart.clientWidth;
    const height = this.chart.clientHeight;
    const left = width < 600 ? 54 : 70;
    const plot = Math.max(10, Math.floor(width - left - 10));
    const pause = 56;
    const top = 22;
    const axis = 24;
    return {
      width,
      height,
      curve: { left, top, width: plot, height: height - top - pause - axis - 14 },
      pause: { left, top: height - axis - pause, width: plot, height: pause },
      all: { left, top, width: plot, height: height - top - axis },
    };
  }

  x(at) {
    const { left, width } = this.boxes().all;
    return left + ((at - this.view.from) / this.view.span) * width;
  }

  at(x) {
    const { left, width } = this.boxes().all;
    return this.view.from + ((x - left) / width) * this.view.span;
  }

  drawNow() {
    this.drawOverview();
    const boxes = this.boxes();
    if (boxes.width === 0) return;
    const context = sharp(this.chart, boxes.width, boxes.height);
    const { from, to } = this.view;
    timeAxis(context, boxes.all, from, to);
    const columns = this.drawCurve(context, boxes.curve);
    this.drawPauses(context, boxes.pause);
    this.drawMarks(context, boxes.all);
    if (columns !== null) this.drawSigns(context, boxes.curve, columns);
    this.drawSelection(context, boxes);
    if (this.brush !== null) {
      const [a, b] = [this.brush.from, this.brush.to].sort((p, q) => p - q);
      context.globalAlpha = 0.2;
      context.fillStyle = theme.colors.select;
      context.fillRect(a, boxes.all.top, b - a, boxes.all.height);
      context.globalAlpha = 1;
    }
    byId("window").textContent = this.view.zoomed
      ? `${moment(from, this.view.span)} to ${moment(to, this.view.span)}`
      : `${time(this.page.end)}`;
    byId("zoom-out").disabled = byId("zoom-reset").disabled = !this.view.zoomed;
  }

  /** The areas of live bytes; what each column shows. */
  drawCurve(context, box) {
    const { curve } = this.page;
    const { colors } = theme;
    if (curve === null) return null;
    const { from, to } = this.view;
    const columns = sweep(curve, from, to, box.width);
    const before = beforeOldest(this.page, from, to, box.width);
    const known = before?.known ?? 0;
    let most = largest(columns.live.subarray(known), 1);
    if (before !== null && before.most !== null) most = largest(before.most, most);
    most *= 1.08;
    byteAxis(context, box, most);
    const scale = box.height / most;
    const heights = (values) => Array.from(values, (value, x) => (x < known ? 0 : value * scale));
    if (before !== null) this.drawBefore(context, { ...box, width: known }, before, scale);
    area(context, box, heights(columns.live), colors.overlap);
    area(context, box, heights(columns.settled), colors["live-fill"]);
    this.outline(context, box, columns.settled, scale, known);
    // Signs stand on what is drawn.
    columns.tops = columns.live.map((live, x) => (x >= known ? live : before.most?.[x] ?? 0) * scale);
    return columns;
  }

  /** The time before the oldest event: a bound with the overlaps that are known, or nothing. */
  drawBefore(context, box, { most, overlap }, scale) {
    const { colors } = theme;
    if (most !== null) {
      area(context, box, most.map((value) => value * scale), colors.overlap);
      area(context, box, most.map((value, x) => (value - overlap[x]) * scale), colors.coarse);
      return;
    }
    context.globalAlpha = 0.4;
    context.fillStyle = colors.line;
    context.fillRect(box.left, box.top, box.width, box.height);
    context.globalAlpha = 1;
    context.font = FONT;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = colors.soft;
    context.fillText(fitted(context, "not known: events were dropped", box.width - 12), box.left + box.width / 2, box.top + box.height / 2);
  }

  outline(context, box, settled, scale, known) {
    const bottom = box.top + box.height;
    context.strokeStyle = theme.colors.live;
    context.lineWidth = 1.25;
    context.beginPath();
    for (let x = known; x < settled.length; x += 1) {
      const y = bottom - settled[x] * scale;
      if (x === known) context.moveTo(box.left + x, y);
      else context.lineTo(box.left + x, y);
      context.lineTo(box.left + x + 1, y);
    }
    context.stroke();
  }

  /** The events in the window, as a range of numbers. */
  visible() {
    const { events } = this.page;
    return [lowerBound(events.t, this.view.from), lowerBound(events.t, this.view.to + 1)];
  }

  drawPauses(context, box) {
    const { events } = this.page;
    const { colors } = theme;
    context.font = FONT;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillStyle = colors.soft;
    const powers = [];
    for (let pause = PAUSE_FLOOR; pause <= Math.max(this.longest, PAUSE_FLOOR * 10); pause *= 1000) powers.push(pause);
    context.strokeStyle = colors.line;
    for (const pause of [PAUSE_FLOOR, ...powers.slice(1)]) {
      const y = box.top + box.height - this.pauseHeight(pause, box.height);
      context.fillText(time(pause), box.left - 8, y);
      context.beginPath();
      context.moveTo(box.left, Math.round(y) + 0.5);
      context.lineTo(box.left + box.width, Math.round(y) + 0.5);
      context.stroke();
    }
    const highest = new Float64Array(box.width);
    const mine = new Float64Array(box.width);
    const [first, last] = this.visible();
    const scale = box.width / this.view.span;
    for (let i = first; i < last; i += 1) {
      const pause = events.pause[i];
      if (pause === NONE) continue;
      const x = Math.min(box.width - 1, Math.floor((events.t[i] - this.view.from) * scale));
      const columns = this.view.block?.ids.has(events.site[i]) ? mine : highest;
      if (pause > columns[x]) columns[x] = pause;
    }
    const sticks = (columns, color) => {
      context.fillStyle = color;
      for (let x = 0; x < box.width; x += 1) {
        if (columns[x] === 0) continue;
        const height = Math.max(2, this.pauseHeight(columns[x], box.height));
        context.fillRect(box.left + x - 0.5, box.top + box.height - height, 2, height);
      }
    };
    context.globalAlpha = this.view.block === null ? 1 : 0.3;
    sticks(highest, colors.pause);
    context.globalAlpha = 1;
    sticks(mine, colors.pause);
  }

  /** Height of a pause on a logarithmic scale. */
  pauseHeight(pause, room) {
    const most = Math.log(Math.max(this.longest, PAUSE_FLOOR * 10) / PAUSE_FLOOR);
    return Math.max(0, (Math.log(Math.max(pause, PAUSE_FLOOR) / PAUSE_FLOOR) / most) * (room - 4));
  }

  drawMarks(context, box) {
    const { colors } = theme;
    context.font = FONT;
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    context.strokeStyle = colors.mark;
    context.fillStyle = colors.mark;
    let free = -Infinity;
    for (const mark of this.page.report.marks) {
      if (mark.t_ns === null || mark.t_ns < this.view.from || mark.t_ns > this.view.to) continue;
      const x = Math.round(this.x(mark.t_ns)) + 0.5;
      context.setLineDash([3, 3]);
      context.beginPath();
      context.moveTo(x, box.top - 6);
      context.lineTo(x, box.top + box.height);
      context.stroke();
      context.setLineDash([]);
      const label = fitted(context, mark.label, 160);
      const wide = context.measureText(label).width;
      // At the end of the plot, to the left of the line.
      const left = x + 4 + wide > box.left + box.width ? x - 4 - wide : x + 4;
      if (left < free || label === "") continue;
      context.fillText(label, left, box.top - 8);
      free = left + wide + 12;
    }
  }

  /** A sign for the largest resize in every few pixels. */
  drawSigns(context, box, columns) {
    const { events } = this.page;
    const cell = 10;
    const cells = new Map();
    const [first, last] = this.visible();
    const scale = box.width / this.view.span;
    for (let i = first; i < last; i += 1) {
      if (!RESIZES.has(events.kind[i]) || !this.view.concerns(i)) continue;
      const x = Math.min(box.width - 1, Math.floor((events.t[i] - this.view.from) * scale));
      const key = Math.floor(x / cell);
      const weight = events.oldBytes[i] + events.newBytes[i];
      const there = cells.get(key);
      if (there === undefined || weight > there.weight) cells.set(key, { i, x, weight });
    }
    this.signs = [];
    const heaviest = largest([...cells.values()].map((one) => one.weight), 1);
    for (const { i, x, weight } of cells.values()) {
      const y = box.top + box.height - columns.tops[x] - 7;
      this.signs.push({ i, x: box.left + x, y });
      sign(context, events.kind[i], box.left + x + 0.5, y, 2 + 3 * Math.sqrt(weight / heaviest));
    }
  }

  drawSelection(context, boxes) {
    const { events } = this.page;
    const { colors } = theme;
    const line = (x, color, width) => {
      context.strokeStyle = color;
      context.lineWidth = width;
      context.beginPath();
      context.moveTo(x, boxes.all.top);
      context.lineTo(x, boxes.all.top + boxes.all.height);
      context.stroke();
    };
    if (this.hover !== null && this.brush === null) line(this.hover.x + 0.5, colors.faint, 1);
    const { event } = this.view;
    if (event === NONE) return;
    const at = events.t[event];
    if (at < this.view.from || at > this.view.to) return;
    const pause = Math.max(events.pause[event], 0);
    const [a, b] = [this.x(at - pause), this.x(at)];
    context.globalAlpha = 0.25;
    context.fillStyle = colors.select;
    context.fillRect(a, boxes.all.top, Math.max(b - a, 1), boxes.all.height);
    context.globalAlpha = 1;
    line(Math.round(b) + 0.5, colors.select, 2);
    const shown = this.signs?.find(({ i }) => i === event);
    if (shown === undefined) return;
    context.strokeStyle = colors.select;
    context.beginPath();
    context.arc(shown.x + 0.5, shown.y, 9, 0, 7);
    context.stroke();
  }

  /** All of the time, with bounds where the timeline is not complete. */
  sweepAll(width) {
    const { start, end } = this.page;
    const columns = sweep(this.page.curve, start, end, width);
    const before = beforeOldest(this.page, start, end, width);
    for (let x = 0; x < (before?.known ?? 0); x += 1) {
      columns.live[x] = before.most?.[x] ?? 0;
      columns.settled[x] = columns.live[x] - (before.overlap?.[x] ?? 0);
    }
    return columns;
  }

  drawOverview() {
    const canvas = this.overview;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (width === 0) return;
    const context = sharp(canvas, width, height);
    const { left, width: plot } = this.boxes().all;
    const { curve, start, end } = this.page;
    const { colors } = theme;
    const box = { left, top: 2, width: plot, height: height - 4 };
    if (curve !== null) {
      this.whole ??= { plot: 0 };
      if (this.whole.plot !== plot) this.whole = { plot, columns: this.sweepAll(plot) };
      const { columns } = this.whole;
      const scale = box.height / largest(columns.live, 1);
      area(context, box, Array.from(columns.live, (v) => v * scale), colors.overlap);
      area(context, box, Array.from(columns.settled, (v) => v * scale), colors.coarse);
    }
    const [a, b] = [this.view.from, this.view.to].map((t) => left + ((t - start) / (end - start)) * plot);
    context.fillStyle = colors.paper;
    context.globalAlpha = 0.65;
    context.fillRect(left, 0, a - left, height);
    context.fillRect(b, 0, left + plot - b, height);
    context.globalAlpha = 1;
    context.strokeStyle = colors.select;
    context.lineWidth = 1.5;
    context.strokeRect(a + 0.75, 0.75, Math.max(b - a - 1.5, 2), height - 1.5);
  }
}
