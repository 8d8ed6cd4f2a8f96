// Small helpers for elements. Text is always set as text: names come from the recorded program.

/** An element with attributes and children; strings become text. */
function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name === "class") element.className = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function byId(id) {
  return document.getElementById(id);
}

/** Pairs of a `dl`, those without a value left out. */
function pairs(list, rows) {
  list.replaceChildren();
  for (const [name, value, hint] of rows) {
    if (value === null || value === undefined) continue;
    list.append(make("div", { title: hint }, make("dt", {}, name), make("dd", {}, value)));
  }
}

/** Makes a canvas as sharp as the screen and gives its context, in CSS pixels. */
function sharp(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 3);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

/** Calls `draw` once in the next frame, however often it is asked. */
function onceAFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      draw();
    });
  };
}

/** Text cut in the middle to fit `room` pixels. */
function fitted(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  const cut = (keep) => {
    const head = Math.ceil(keep / 2);
    return `${text.slice(0, head)}\u2026${text.slice(text.length - (keep - head))}`;
  };
  // Halving: measuring is what takes the time.
  let [fits, tooLong] = [2, text.length];
  while (tooLong - fits > 1) {
    const middle = (fits + tooLong) >> 1;
    if (context.measureText(cut(middle)).width <= room) fits = middle;
    else tooLong = middle;
  }
  return fits > 2 ? cut(fits) : "";
}

/** Index of the first of ascending values that is not below `wanted`. */
function lowerBound(values, wanted) {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle] < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}

function say(sentence) {
  byId("said").textContent = sentence;
}

/** What the page tells. */
function embedded() {
  const element = byId("data");
  const data = JSON.parse(element.textContent);
  // Some megabytes that nobody needs a second time.
  element.textContent = "";
  return data;
}
