// The timeline under the hands: mouse, touch and keys.

class SteeredTimeline extends Timeline {
  constructor(page, view) {
    super(page, view);
    this.tip = make("div", { class: "tip", "aria-hidden": "true", hidden: true });
    this.chart.after(this.tip);
    this.listenToPointer();
    this.listenToOverview();
    this.chart.addEventListener("keydown", (event) => this.key(event));
    byId("zoom-in").addEventListener("click", () => view.zoom(0.5));
    byId("zoom-out").addEventListener("click", () => view.zoom(2));
    byId("zoom-reset").addEventListener("click", () => view.all());
  }

  /** The resize that a person who points at `x`, `y` means: the largest within a few pixels. */
  nearest(x, y) {
    const { events } = this.page;
    const boxes = this.boxes();
    const sign = this.signs?.find((one) => Math.abs(one.x - x) <= 6 && Math.abs(one.y - y) <= 8);
    if (sign !== undefined) return sign.i;
    const reach = 5;
    const first = lowerBound(events.t, this.at(x - reach));
    const byPause = y >= boxes.pause.top;
    let [best, most] = [NONE, -1];
    for (let i = first; i < events.count && events.t[i] - Math.max(events.pause[i], 0) <= this.at(x + reach); i += 1) {
      if (!RESIZES.has(events.kind[i]) || !this.view.concerns(i)) continue;
      const weight = byPause ? events.pause[i] : events.oldBytes[i] + events.newBytes[i];
      if (weight > most) [best, most] = [i, weight];
    }
    return best;
  }

  listenToPointer() {
    const { chart, view } = this;
    const place = (event) => {
      const bounds = chart.getBoundingClientRect();
      return [event.clientX - bounds.left, event.clientY - bounds.top];
    };
    chart.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      const [x, y] = place(event);
      this.press = { x, y };
      chart.setPointerCapture(event.pointerId);
    });
    chart.addEventListener("pointermove", (event) => {
      const [x, y] = place(event);
      if (this.press !== undefined && this.press !== null && Math.abs(x - this.press.x) > 4) {
        const { left, width } = this.boxes().all;
        const within = (p) => Math.min(Math.max(p, left), left + width);
        this.brush = { from: within(this.press.x), to: within(x) };
      }
      this.point(x, y);
    });
    chart.addEventListener("pointerup", (event) => {
      const [x, y] = place(event);
      const { brush, press } = this;
      this.brush = null;
      this.press = null;
      if (brush !== null) {
        const [from, to] = [this.at(brush.from), this.at(brush.to)].sort((a, b) => a - b);
        view.show(from, to);
      } else if (press) {
        const found = this.nearest(x, y);
        if (found !== NONE) view.selectEvent(found);
      }
      this.draw();
    });
    chart.addEventListener("pointercancel", () => {
      this.brush = this.press = null;
      this.draw();
    });
    chart.addEventListener("pointerleave", () => this.point(null));
    chart.addEventListener("dblclick", () => view.all());
    chart.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      view.zoom(Math.exp(Math.sign(event.deltaY) * 0.25), this.at(place(event)[0]));
    }, { passive: false });
  }

  /** Shows what is under the pointer. */
  point(x, y) {
    const { all } = this.boxes();
    if (x === null || x < all.left || x > all.left + all.width || this.page.curve === null) {
      this.hover = null;
      this.tip.hidden = true;
    } else {
      this.hover = { x };
      const found = this.nearest(x, y);
      this.chart.style.cursor = found === NONE ? "crosshair" : "pointer";
      this.tip.replaceChildren(...this.tipLines(found, this.at(x)));
      this.tip.hidden = false;
      const side = x > all.left + all.width / 2;
      this.tip.style.left = side ? "" : `${this.chart.offsetLeft + x + 14}px`;
      this.tip.style.right = side ? `${this.chart.offsetParent.clientWidth - this.chart.offsetLeft - x + 14}px` : "";
      this.tip.style.top = `${this.chart.offsetTop + 30}px`;
    }
    this.draw();
  }

  tipLines(event, at) {
    const { curve, events } = this.page;
    const line = (text, kind) => make("div", { class: kind }, text);
    const when = event === NONE ? at : startOf(events, event);
    const step = lowerBound(curve.t, when) - 1;
    const live = step < 0 ? curve.before : curve.live[step];
    const lines = [line(`${moment(when, this.view.span / 100)}${when >= curve.from ? `: ${bytes(live)} live` : ""}`, "strong")];
    if (event !== NONE) {
      const block = this.page.blockOf.get(events.site[event]);
      lines.push(line(headOf(events, event)), line(block === undefined ? "" : `${block.what} at ${block.place}`));
    }
    return lines;
  }

  listenToOverview() {
    const { overview, view, page } = this;
    const at = (event) => {
      const { left, width } = this.boxes().all;
      const x = event.clientX - overview.getBoundingClientRect().left;
      return page.start + ((x - left) / width) * (page.end - page.start);
    };
    let grip = null;
    overview.addEventListener("pointerdown", (event) => {
      const when = at(event);
      // Inside a window that shows a part, it is moved; elsewhere a new one begins.
      const inside = view.zoomed && when >= view.from && when <= view.to;
      grip = inside ? { move: when - view.from, span: view.span } : { begin: when };
      overview.setPointerCapture(event.pointerId);
    });
    overview.addEventListener("pointermove", (event) => {
      if (grip === null) return;
      const when = at(event);
      if (grip.move !== undefined) view.show(when - grip.move, when - grip.move + grip.span);
      else if (Math.abs(when - grip.begin) > (page.end - page.start) / 500) view.show(Math.min(when, grip.begin), Math.max(when, grip.begin));
    });
    const release = () => {
      grip = null;
    };
    overview.addEventListener("pointerup", release);
    overview.addEventListener("pointercancel", release);
    overview.addEventListener("dblclick", () => view.all());
  }

  key(event) {
    const { view } = this;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const go = (step) => {
      const next = view.neighbour(step);
      if (next === NONE) return say("No further resize.");
      view.selectEvent(next);
      return say(`${moment(startOf(this.page.events, next), view.span / 100)}: ${headOf(this.page.events, next)}`);
    };
    const actions = {
      ArrowRight: () => (event.shiftKey ? view.move(0.2) : go(1)),
      ArrowLeft: () => (event.shiftKey ? view.move(-0.2) : go(-1)),
      "+": () => view.zoom(0.5),
      "=": () => view.zoom(0.5),
      "-": () => view.zoom(2),
      0: () => view.all(),
      Home: () => view.move(-1e9),
      End: () => view.move(1e9),
      Enter: () => view.event !== NONE && byId("details").focus(),
      Escape: () => view.clear(),
    };
    const action = actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  }
}
