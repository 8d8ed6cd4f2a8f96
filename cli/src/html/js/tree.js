// Stacks of sites as a tree of callers, weighed by a figure.

/** What the width of a frame stands for. */
const WEIGHTS = {
  live: { title: "live bytes", of: liveBytes, show: bytes, note: "Bytes of live tables." },
  allocated: { title: "allocated bytes", of: allocatedBytes, show: bytes, note: "Bytes of all tables ever allocated." },
  resizes: { title: "resizes", of: (site) => site.resized, show: (n) => count(n, "resize"), note: "Number of resizes." },
  overlap: {
    title: "overlap", of: (site) => site.overlap_peak_bytes ?? 0, show: bytes,
    note: "Each site's largest overlap of old and new table. They need not have come at the same moment.",
  },
  pause: { title: "pause", of: (site) => site.pause_ns?.total ?? 0, show: time, note: "Time that threads spent in resizes." },
};

/**
 * The tree of all stacks, outermost callers at the top; of the program's own functions alone, or
 * of all. Each path ends in its block: the container.
 */
function treeOf({ sites, blockOf }, weight, all) {
  const root = { name: "all", weight: 0, depth: 0, own: false, children: new Map(), parent: null };
  for (const site of sites) {
    const value = weight(site);
    if (!(value > 0)) continue;
    root.weight += value;
    let node = root;
    const enter = (key, name, place, own, leaf) => {
      let child = node.children.get(key);
      if (child === undefined) {
        child = { name, place, own, leaf, weight: 0, depth: node.depth + 1, children: new Map(), parent: node };
        node.children.set(key, child);
      }
      child.weight += value;
      node = child;
    };
    for (let i = site.stack.length - 1; i >= 0; i -= 1) {
      const [name, place, , , own] = site.stack[i];
      if (own || all) enter(name, name, place, own, false);
    }
    const { what, place } = blockOf.get(site.id) ?? { what: "a container", place: site.place };
    enter(`\n${what}\n${place}`, what, place, false, true);
  }
  order(root);
  return root;
}

/** Children largest first, so that what matters is on the left. */
function order(root) {
  const open = [root];
  root.deepest = 0;
  while (open.length > 0) {
    const node = open.pop();
    root.deepest = Math.max(root.deepest, node.depth);
    node.children = [...node.children.values()].sort((a, b) => b.weight - a.weight || (a.name < b.name ? -1 : 1));
    open.push(...node.children);
  }
}
