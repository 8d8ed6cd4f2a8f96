// Where the entries of a table lie: a cell for each part, from the first bucket to the last.

const HEAT_COLUMNS = 32;
const CELL = 6;

/** A heat map as an element. */
function heatMap(heat) {
  const { entries_percent: entries } = heat;
  const rows = Math.ceil(entries.length / HEAT_COLUMNS);
  const columns = Math.min(entries.length, HEAT_COLUMNS);
  const most = largest(entries, 0);
  const least = entries.reduce((a, b) => Math.min(a, b), 100);
  const told = `${count(entries.length, "part")} of ${count(heat.buckets_per_part, "slot")} each: ${least} to ${most} % with an entry`;
  const canvas = make("canvas", { class: "heat", role: "img", "aria-label": told, title: told });
  canvas.style.width = `${columns * CELL}px`;
  canvas.style.height = `${rows * CELL}px`;
  drawHeat(canvas, heat);
  theme.listeners.push(() => canvas.isConnected && drawHeat(canvas, heat));
  return canvas;
}

function drawHeat(canvas, { entries_percent: entries, tombstones_percent: tombstones }) {
  const { colors } = theme;
  const rows = Math.ceil(entries.length / HEAT_COLUMNS);
  const context = sharp(canvas, Math.min(entries.length, HEAT_COLUMNS) * CELL, rows * CELL);
  entries.forEach((percent, i) => {
    const x = (i % HEAT_COLUMNS) * CELL;
    const y = Math.floor(i / HEAT_COLUMNS) * CELL;
    const cell = (color, share) => {
      context.globalAlpha = share;
      context.fillStyle = color;
      context.fillRect(x, y, CELL - 0.5, CELL - 0.5);
    };
    cell(colors.empty, 1);
    cell(colors.full, percent / 100);
    cell(colors.tombstone, (tombstones[i] ?? 0) / 100);
  });
  context.globalAlpha = 1;
}
