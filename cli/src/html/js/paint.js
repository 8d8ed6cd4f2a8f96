// Drawing in a window of time: what falls into each column of pixels, axes, marks.

/**
 * The largest live bytes in each column of pixels, and how much of them is settled: not there
 * twice. A column without a step has what the last step left.
 */
function sweep(curve, from, to, width) {
  const settled = new Float64Array(width);
  const live = new Float64Array(width);
  const { t } = curve;
  const scale = width / (to - from);
  let step = lowerBound(t, from);
  let nowLive = step > 0 ? curve.live[step - 1] : curve.before;
  let nowOverlap = step > 0 ? curve.overlap[step - 1] : 0;
  for (let x = 0; x < width; x += 1) {
    live[x] = nowLive;
    settled[x] = nowLive - nowOverlap;
    const until = from + (x + 1) / scale;
    while (step < t.length && t[step] < until) {
      nowLive = curve.live[step];
      nowOverlap = curve.overlap[step];
      if (nowLive > live[x]) live[x] = nowLive;
      if (nowLive - nowOverlap > settled[x]) settled[x] = nowLive - nowOverlap;
      step += 1;
    }
    if (settled[x] > live[x]) settled[x] = live[x];
  }
  return { settled, live };
}

function largest(values, least) {
  let most = least;
  for (let i = 0; i < values.length; i += 1) if (values[i] > most) most = values[i];
  return most;
}

/** Round values up to `most`, powers of two apart: tables have such sizes. */
function byteTicks(most, wanted) {
  let step = 1;
  while (most / step > wanted) step *= 2;
  const ticks = [];
  for (let value = 0; value <= most; value += step) ticks.push(value);
  return ticks;
}

/** Round moments in a window. */
function timeTicks(from, to, wanted) {
  const raw = (to - from) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= raw);
  const ticks = [];
  for (let value = Math.ceil(from / step) * step; value <= to; value += step) ticks.push(value);
  return { ticks, step };
}

const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";
const MONO = "12px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace";

/** The axis of time under a plot. */
function timeAxis(context, box, from, to) {
  const { colors } = theme;
  const { ticks, step } = timeTicks(from, to, Math.max(2, box.width / 110));
  context.font = FONT;
  context.fillStyle = colors.soft;
  context.strokeStyle = colors.line;
  context.textBaseline = "top";
  context.lineWidth = 1;
  for (const tick of ticks) {
    const x = Math.round(box.left + ((tick - from) / (to - from)) * box.width) + 0.5;
    context.beginPath();
    context.moveTo(x, box.top);
    context.lineTo(x, box.top + box.height);
    context.stroke();
    const label = moment(tick, step * 100);
    const half = context.measureText(label).width / 2;
    context.textAlign = "center";
    const at = Math.min(Math.max(x, box.left + half), box.left + box.width - half);
    context.fillText(label, at, box.top + box.height + 5);
  }
}

/** Lines and labels of a scale of bytes, on the left of a plot. */
function byteAxis(context, box, most) {
  const { colors } = theme;
  context.font = FONT;
  context.textAlign = "right";
  context.textBaseline = "middle";
  context.lineWidth = 1;
  for (const tick of byteTicks(most, Math.max(2, box.height / 45))) {
    const y = Math.round(box.top + box.height * (1 - tick / most)) + 0.5;
    context.strokeStyle = colors.line;
    context.beginPath();
    context.moveTo(box.left, y);
    context.lineTo(box.left + box.width, y);
    context.stroke();
    context.fillStyle = colors.soft;
    context.fillText(bytes(tick), box.left - 8, y);
  }
}

/** A sign for a kind of event: told apart by form as well as by colour. */
function sign(context, kind, x, y, size) {
  context.fillStyle = theme.colors[kind];
  context.strokeStyle = theme.colors.paper;
  context.lineWidth = 1.5;
  context.beginPath();
  if (kind === "grow") polygon(context, [[x, y - size], [x + size, y + size * 0.8], [x - size, y + size * 0.8]]);
  else if (kind === "shrink") polygon(context, [[x, y + size], [x + size, y - size * 0.8], [x - size, y - size * 0.8]]);
  else if (kind === "rehash") context.arc(x, y, size * 0.9, 0, 7);
  else if (kind === "aborted") polygon(context, [[x - size, y - size], [x + size, y + size], [x, y], [x + size, y - size], [x - size, y + size], [x, y]]);
  else if (kind === "rebuild") context.rect(x - size * 0.85, y - size * 0.85, size * 1.7, size * 1.7);
  else polygon(context, [[x, y - size * 1.1], [x + size * 1.1, y], [x, y + size * 1.1], [x - size * 1.1, y]]);
  context.stroke();
  context.fill();
}

function polygon(context, points) {
  points.forEach(([x, y], i) => (i === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
  context.closePath();
}

/** Fills from the bottom of a box up to a height for each column. */
function area(context, box, heights, color) {
  context.fillStyle = color;
  context.beginPath();
  const bottom = box.top + box.height;
  context.moveTo(box.left, bottom);
  for (let x = 0; x < heights.length; x += 1) {
    const y = bottom - heights[x];
    context.lineTo(box.left + x, y);
    context.lineTo(box.left + x + 1, y);
  }
  context.lineTo(box.left + heights.length, bottom);
  context.closePath();
  context.fill();
}
