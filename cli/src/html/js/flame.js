// The flame graph, callers above, drawn as far as a frame is wide enough to be seen.

const FRAME = 20;
const LEAST_WIDTH = 0.6;
/** Frames above each other on paper: deeper ones are too narrow to be read. */
const DEPTH_ON_PAPER = 36;

class Flame {
  constructor(page, view) {
    this.page = page;
    this.view = view;
    this.canvas = byId("flame-canvas");
    this.find = byId("flame-find");
    this.told = byId("flame-told");
    this.tip = make("div", { class: "tip", "aria-hidden": "true", hidden: true });
    byId("flame").append(this.tip);
    this.draw = onceAFrame(() => this.drawNow());
    this.choices();
    new ResizeObserver(this.draw).observe(this.canvas.parentElement);
    this.find.addEventListener("input", () => this.search());
    this.all = byId("flame-all");
    this.all.addEventListener("change", () => this.grow());
    byId("flame-reset").addEventListener("click", () => this.zoom(this.root));
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    this.canvas.addEventListener("click", (event) => {
      const node = this.under(event);
      if (node === null) return;
      this.cursor = node;
      this.zoom(node);
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  choices() {
    const set = byId("flame-by");
    const first = "allocated";
    for (const [by, { title }] of Object.entries(WEIGHTS)) {
      const input = make("input", { type: "radio", name: "flame-by", value: by, checked: by === first, on: { change: () => this.choose(by) } });
      set.append(make("label", {}, input, make("span", {}, title)));
    }
    this.choose(first);
  }

  choose(by) {
    this.by = WEIGHTS[by];
    this.grow();
    byId("flame-note").textContent = `${this.by.note} ${this.by.show(this.root.weight)} in all.`;
  }

  grow() {
    this.root = treeOf(this.page, this.by.of, byId("flame-all").checked);
    this.canvas.dataset.total = this.root.weight;
    this.zoomed = this.root;
    this.cursor = null;
    this.draw();
  }

  zoom(node) {
    this.zoomed = node;
    byId("flame-reset").disabled = node === this.root;
    this.tell(node);
    this.draw();
  }

  /** Says how much the frames that are looked for account for; each stack counts once. */
  search() {
    const wanted = this.find.value.toLowerCase();
    let [frames, weight] = [0, 0];
    const open = wanted === "" ? [] : [{ node: this.root, within: false }];
    while (open.length > 0) {
      const { node, within } = open.pop();
      const hit = node.name.toLowerCase().includes(wanted);
      if (hit) frames += 1;
      if (hit && !within) weight += node.weight;
      for (const child of node.children) open.push({ node: child, within: within || hit });
    }
    const share = percent(weight / Math.max(this.root.weight, 1));
    this.told.textContent = wanted === "" ? "" : `${count(frames, "frame")} with \u201c${this.find.value}\u201d: ${this.by.show(weight)}, ${share} of all.`;
    this.draw();
  }

  /** Where each frame that is wide enough lies: callers of the zoomed one take the whole width. */
  layout(width) {
    const placed = [];
    const path = [];
    for (let node = this.zoomed; node !== null; node = node.parent) path.unshift(node);
    path.forEach((node, row) => placed.push({ node, x: 0, width, row }));
    const open = [{ node: this.zoomed, x: 0, width, row: path.length - 1 }];
    while (open.length > 0) {
      const { node, x, width: room, row } = open.pop();
      let at = x;
      for (const child of node.children) {
        const wide = (child.weight / node.weight) * room;
        if (wide < LEAST_WIDTH) {
          // All that follow are narrower still.
          placed.push({ node: null, x: at, width: x + room - at, row: row + 1 });
          break;
        }
        const place = { node: child, x: at, width: wide, row: row + 1 };
        placed.push(place);
        open.push(place);
        at += wide;
      }
    }
    return placed;
  }

  drawNow() {
    const width = this.canvas.parentElement.clientWidth;
    if (width === 0) return;
    this.placed = this.layout(width);
    const deepest = largest(this.placed.map((place) => place.row), 0) + 1;
    const rows = Math.min(deepest, theme.printing ? DEPTH_ON_PAPER : deepest);
    const height = Math.max(rows * FRAME, FRAME * 2);
    this.canvas.style.height = `${height}px`;
    const context = sharp(this.canvas, width, height);
    context.font = MONO;
    context.textBaseline = "middle";
    context.textAlign = "left";
    const wanted = this.find.value.toLowerCase();
    for (const place of this.placed) {
      const hit = wanted !== "" && place.node !== null && place.node.name.toLowerCase().includes(wanted);
      if (place.node === null) this.narrow(context, place);
      else this.frame(context, place, wanted !== "" && !hit);
    }
    if (this.root.weight === 0) context.fillText("Nothing to show: no container has this figure.", 8, FRAME * 1.5);
    byId("flame-reset").disabled = this.zoomed === this.root;
  }

  frame(context, { node, x, width, row }, dim) {
    const { colors } = theme;
    const y = row * FRAME;
    context.globalAlpha = dim ? 0.25 : 1;
    context.fillStyle = node === this.root ? colors.line : node.leaf ? colors["flame-leaf"] : node.own ? colors["flame-own"] : colors["flame-other"];
    context.fillRect(x, y, Math.max(width - 1, 0.5), FRAME - 1);
    if (node === this.cursor || node === this.over) {
      context.strokeStyle = colors.select;
      context.lineWidth = 2;
      context.strokeRect(x + 1, y + 1, Math.max(width - 3, 1), FRAME - 3);
    }
    if (width > 28) {
      context.fillStyle = node === this.root ? colors.ink : colors["flame-ink"];
      const own = shortName(node.name);
      context.fillText(fitted(context, own, width - 9), x + 4, y + FRAME / 2);
    }
    context.globalAlpha = 1;
  }

  /** What is too narrow to be told apart. */
  narrow(context, { x, width, row }) {
    context.globalAlpha = 0.6;
    context.fillStyle = theme.colors.line;
    context.fillRect(x, row * FRAME, Math.max(width - 1, 0.5), FRAME - 1);
    context.globalAlpha = 1;
  }

  under(event) {
    const bounds = this.canvas.getBoundingClientRect();
    const [x, row] = [event.clientX - bounds.left, Math.floor((event.clientY - bounds.top) / FRAME)];
    const place = this.placed?.find((one) => one.row === row && x >= one.x && x < one.x + one.width);
    return place?.node ?? null;
  }

  point(event) {
    const node = event === null ? null : this.under(event);
    if (node !== this.over) {
      this.over = node;
      this.draw();
    }
    this.tip.hidden = node === null;
    if (node === null) return;
    const line = (text, kind) => make("div", { class: kind }, text);
    this.tip.replaceChildren(line(node.name, "strong"), line(node.place ?? ""), line(this.figure(node)));
    const bounds = this.canvas.getBoundingClientRect();
    const x = event.clientX - bounds.left;
    const right = x > bounds.width / 2;
    const around = byId("flame").getBoundingClientRect();
    this.tip.style.left = right ? "" : `${event.clientX - around.left + 14}px`;
    this.tip.style.right = right ? `${around.right - event.clientX + 14}px` : "";
    this.tip.style.top = `${event.clientY - around.top + 18}px`;
  }

  figure(node) {
    const share = this.root.weight > 0 ? node.weight / this.root.weight : 0;
    return `${this.by.show(node.weight)}, ${percent(share)} of all`;
  }

  tell(node) {
    this.told.textContent = node === this.root ? "" : `${node.name}${node.place ? `, ${node.place}` : ""}: ${this.figure(node)}`;
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const node = this.cursor ?? this.zoomed;
    const beside = (step) => {
      const all = node.parent?.children ?? [];
      return all[all.indexOf(node) + step] ?? null;
    };
    const moves = {
      ArrowDown: () => node.children[0] ?? null,
      ArrowUp: () => node.parent,
      ArrowLeft: () => beside(-1),
      ArrowRight: () => beside(1),
    };
    if (event.key in moves) {
      const next = moves[event.key]();
      if (next !== null) {
        this.cursor = next;
        this.tell(next);
      }
      this.draw();
    } else if (event.key === "Enter") this.zoom(node);
    else if (event.key === "Escape" || event.key === "0") {
      this.zoom(event.key === "0" ? this.root : this.zoomed.parent ?? this.root);
      this.cursor = this.zoomed;
    } else return;
    event.preventDefault();
  }
}

/** A function without the generic arguments of its path, as far as that is simple. */
function shortName(name) {
  if (name.length < 60) return name;
  let depth = 0;
  let text = "";
  for (const letter of name) {
    if (letter === "<") depth += 1;
    if (depth === 0) text += letter;
    if (letter === ">" && depth > 0) depth -= 1;
  }
  return text.length > 3 ? text.replace(/(::)+/g, "::").replace(/^::/, "") : name;
}
