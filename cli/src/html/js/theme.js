// Colours, from the style sheet; and the switch between light and dark.

const theme = {
  colors: {},
  listeners: [],

  /** Whether the page is being laid out for paper. */
  get printing() {
    return document.documentElement.classList.contains("printing");
  },

  /** Reads the colours that hold now. */
  read() {
    const style = getComputedStyle(document.documentElement);
    for (const name of [
      "ink", "soft", "faint", "line", "paper", "card", "live", "live-fill", "overlap", "pause", "select",
      "mark", "grow", "shrink", "rehash", "rebuild", "replace", "aborted", "flame-own", "flame-leaf", "flame-other",
      "flame-ink", "full", "tombstone", "empty", "coarse",
    ]) {
      this.colors[name] = style.getPropertyValue(`--${name}`).trim();
    }
  },

  changed() {
    this.read();
    for (const listener of this.listeners) listener();
  },

  start() {
    const select = document.getElementById("theme");
    const set = (wanted) => {
      if (wanted === "auto") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = wanted;
      this.changed();
    };
    select.addEventListener("change", () => set(select.value));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.changed());
    // On paper everything is light, whatever the screen is.
    let before = null;
    addEventListener("beforeprint", () => {
      before = select.value;
      document.documentElement.classList.add("printing");
      set("light");
    });
    addEventListener("afterprint", () => {
      document.documentElement.classList.remove("printing");
      if (before !== null) set(before);
      before = null;
    });
    this.read();
  },
};
