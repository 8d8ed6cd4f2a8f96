#!/usr/bin/env python3
"""Drives the HTML report in a real browser: loads it, zooms, clicks, filters, sorts, switches,
prints; at three sizes, light and dark; and measures how long the page makes one wait.

    tests/browser/look.py [--mapgrow PATH] [--recording FILE] [--pictures DIR]

Needs Debian's chromium and chromium-driver. Without --recording it records `crowd.py`, a program of
1,000 sites and 100,000 events, which takes a minute. Exit status 0 when all holds.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import crowd
from webdriver import Browser

HERE = pathlib.Path(__file__).resolve().parent
SIZES = {"wide": (1920, 1080), "laptop": (1280, 800), "phone": (390, 844)}
MOST_LOAD_MS = 3000
LOADS = 3
MOST_TASK_MS = 200
OBSERVE = """
window.longTasks = [];
new PerformanceObserver((list) => {
  for (const task of list.getEntries()) window.longTasks.push([task.startTime, task.duration]);
}).observe({type: 'longtask', buffered: true});
"""


class Check:
    """Counts what holds and what does not."""

    def __init__(self):
        self.failed = 0

    def __call__(self, holds, what):
        print(f"{'ok  ' if holds else 'FAIL'} {what}")
        self.failed += not holds


def load(browser, page):
    """Opens the page; milliseconds until it was drawn and could be used."""
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=OBSERVE)
    browser.open(page)
    return browser.run_async("""const done = arguments[0];
        const drawn = () => document.documentElement.dataset.ready === 'yes'
          ? requestAnimationFrame(() => setTimeout(() => done(performance.now())))
          : setTimeout(drawn, 10);
        drawn();""")


def soonest(browser, page):
    """The shortest of a few loads: other programs can only make one longer."""
    took = load(browser, page)
    for _ in range(LOADS - 1):
        if took >= MOST_LOAD_MS:
            took = min(took, load(browser, page))
    return took


def interacting(browser):
    """Forgets the long tasks until now: those of loading."""
    browser.settle()
    browser.run("window.longTasks.length = 0")


def longest_task(browser):
    """Milliseconds of the longest task since."""
    browser.settle()
    browser.run_async("setTimeout(arguments[0], 150)")
    return browser.run("return Math.max(0, ...window.longTasks.map((task) => task[1]))")


def window_of(browser):
    return browser.text("#window")


def pick(browser, x_share, y=120):
    """A place on the chart, a share of the time from its start."""
    width = browser.run("return document.querySelector('#chart').clientWidth")
    left = 54 if width < 600 else 70
    return (left + (width - left - 10) * x_share, y)


def largest_resize(report):
    """When the largest resize ended, as a share of the time."""
    timed = [event for event in report["timeline"] if event["kind"] == "grow"]
    largest = max(timed, key=lambda event: event["old_bytes"] + event["new_bytes"])
    end = max(report["process"]["duration_ns"], report["timeline"][-1]["t_ns"])
    return largest["t_ns"] / end


def no_injection(browser, check):
    check(browser.run("return window.harmed ?? null") is None, "hostile names did not run")
    check(browser.run("return document.querySelectorAll('img, script').length") == 2,
          "no element came from a name: two scripts, no image")


def offline(page, check):
    text = pathlib.Path(page).read_text()
    head = re.sub(r'<script type="application/json".*?</script>', "", text, flags=re.S)
    check(not re.search(r"""(?:src|href)\s*=\s*["'](?!#)|url\(|@import|https?://""", head),
          "the page names no resource outside itself")


def timeline(browser, check, report):
    whole = window_of(browser)
    browser.pointer("#chart", pick(browser, 0.3), "down", pick(browser, 0.4), pick(browser, 0.5), "up")
    browser.settle()
    zoomed = window_of(browser)
    check(zoomed != whole and " to " in zoomed, f"brushing zooms: {whole} -> {zoomed}")
    for _ in range(6):
        browser.click("#zoom-in")
    browser.settle()
    check(window_of(browser) != zoomed, f"the button zooms further: {window_of(browser)}")
    browser.click("#zoom-reset")
    browser.settle()
    check(window_of(browser) == whole, "and back to all")
    browser.pointer("#chart", pick(browser, largest_resize(report)), "down", "up")
    browser.settle()
    head = browser.text("#details h3") or ""
    stack = browser.run("return document.querySelectorAll('#details .stack li').length")
    check(re.match(r"(grew|shrank|was|gave)", head) and stack > 3, f"a click shows a resize: {head}, {stack} frames")
    browser.keys("Left", "Left")
    browser.settle()
    head = browser.text("#details .facts")
    browser.keys("Right")
    browser.settle()
    check(browser.text("#details .facts") != head, f"the right key goes on: {browser.text('#details h3')}")
    browser.keys("Left")
    browser.settle()
    check(browser.text("#details .facts") == head, f"the left key goes back: {browser.text('#details h3')}")
    browser.keys("+", "+", "Shift+Right", "-", "0")
    browser.settle()
    check(window_of(browser) == whole, "keys zoom, move, and show all")
    browser.keys("Escape")
    check(browser.text("#details .hint") is not None, "Escape closes the details")
    for share in range(20):
        browser.pointer("#chart", pick(browser, share / 20))


def lanes(browser, check):
    browser.pointer("#lanes", (300, 15), "down", "up")
    browser.settle()
    first = browser.text("#details h3")
    check(first is not None, f"a click on a lane shows its resize: {first}")
    browser.run("document.querySelector('#lanes').focus()")
    browser.keys("Down", "Down", "Right")
    browser.settle()
    check(browser.text("#said") != "", f"keys go from lane to lane: {browser.text('#said')}")
    for value in ("log", "own", "linear"):
        browser.run("""const s = document.querySelector('#lanes-scale'); s.value = arguments[0];
            s.dispatchEvent(new Event('change'))""", value)
        browser.settle()
    browser.run("document.querySelector('#lanes').scrollTop = 100000")
    browser.settle()
    browser.keys("Escape")


def sites(browser, check, report):
    column = "return [...document.querySelectorAll('#sites-body tr')].map((row) => row.children[{}].textContent)"
    click = "document.querySelectorAll('#sites-head button')[{}].click()"
    at = browser.run("return [...document.querySelectorAll('#sites-head button')].map((head) => head.textContent)").index("Resizes")
    browser.run(click.format(at))
    cells = browser.run(column.format(at))
    resizes = [int(re.sub("[^0-9-]", "", text.replace("\u2013", "-1"))) for text in cells]
    wanted = sorted((-1 if block["resizes"] is None else block["resizes"] for block in report["blocks"]), reverse=True)
    # Estimates are rounded.
    same = any("\u2248" in cell for cell in cells) or resizes == wanted[:len(resizes)]
    check(same and resizes == sorted(resizes, reverse=True), f"sorted by resizes, the largest first: {resizes[:3]}")
    browser.run(click.format(at))
    check(browser.run(f"return document.querySelectorAll('#sites-head th')[{at}].ariaSort") == "ascending", "and then the smallest")
    browser.run(click.format(at))
    function = report["blocks"][0]["caller"]["function"]
    wanted = function.rsplit("::", 1)[0]
    browser.type("#sites-filter", wanted)
    browser.settle()
    shown = browser.text("#sites-count")
    check(re.match(r"[1-9]", shown), f"filtered by {wanted}: {shown}")
    rows = browser.run("return [...document.querySelectorAll('#sites-body tr')].map((row) => row.block.caller.function)")
    check(function in rows, f"{function} among them")
    browser.run("document.querySelector('#sites-body tr').click()")
    browser.settle()
    check(wanted in (browser.text("#details .facts") or ""), "a click on a row shows the block")
    browser.keys("Down")
    check(browser.run("return document.activeElement.tagName") == "TR", "keys go from row to row")
    browser.clear("#sites-filter")
    browser.run("document.querySelector('#sites-filter').dispatchEvent(new Event('input'))")
    browser.settle()
    for _ in range(40):
        browser.run("const s = document.querySelector('#sites-scroll'); s.scrollTop = s.scrollHeight")
        browser.settle()
    rows = browser.run("return document.querySelectorAll('#sites-body tr').length")
    check(rows == len(report["blocks"]), f"scrolling shows all {rows} rows")


def advice(browser, check, report):
    """Each line of advice, where its block is chosen and on paper."""
    wanted = {str(block["id"]): block["advice"] for block in report["blocks"] if block["advice"]}
    shown = browser.run("""const shown = {};
        for (const row of document.querySelectorAll('#sites-body tr')) {
          if (!(row.block.id in arguments[0])) continue;
          row.click();
          shown[row.block.id] = [...document.querySelectorAll('#details .advice li')].map((line) => line.textContent);
        }
        return shown""", wanted)
    lines = sum(len(lines) for lines in wanted.values())
    check(shown == wanted and lines > 0, f"{lines} lines of advice at {len(wanted)} places, as in report --json")
    first = [line for block in report["blocks"][:40] for line in block["advice"]]
    printed = browser.run("return [...document.querySelectorAll('#sites-advice dd')].map((line) => line.textContent)")
    check(printed == first, f"{len(printed)} of them are printed")
    browser.keys("Escape")


def contents(browser, check, report):
    """The bar of a table: entries, and tombstones, which are no entries."""
    known = [one for one in report["maps"] if one["entries"] is not None and one["buckets"]]
    known = sorted(known, key=lambda one: -one["bytes"])[:25]
    bars = browser.run("""return [...document.querySelectorAll('#contents-body .bar')]
        .map((bar) => [...bar.children].slice(0, 2).map((part) => parseFloat(part.style.width)))""")

    def shares(one):
        tombstones = one["tombstones"] or 0
        used = one["entries"] if one["buckets_used"] is None else one["buckets_used"] - tombstones
        return [min(part / one["buckets"], 1) * 100 for part in (used, tombstones)]

    close = all(abs(told - wanted) < 0.01 for bar, one in zip(bars, known) for told, wanted in zip(bar, shares(one)))
    check(close and len(bars) == len(known), f"{len(bars)} bars of slots in use and tombstones, as in report --json")


def flame(browser, check, report):
    sums = {"live": "live_bytes", "allocated": "allocated_bytes", "resizes": "resizes", "overlap": "overlap_peak_bytes"}

    def figure(site, field):
        sampled = (site["sampled"] or {}).get(f"est_{field}")
        # As the page rounds: half up.
        return site[field] or 0 if sampled is None or field == "resizes" else max(int(sampled + 0.5), 0)

    def estimated(site):
        return site["sampled"] is not None and site["sampled"]["est_live_bytes"] > site["live_bytes"] * 1.02

    for by in ("live", "allocated", "resizes", "overlap", "pause"):
        browser.run("document.querySelector(`#flame-by input[value=${arguments[0]}]`).click()", by)
        browser.settle()
        total = int(browser.run("return document.querySelector('#flame-canvas').dataset.total"))
        if by in sums:
            wanted = sum(figure(site, sums[by]) for site in report["sites"])
        else:
            wanted = sum((site["pause_ns"] or {}).get("total") or 0 for site in report["sites"])
        # Resizes are estimated where live bytes are.
        same = total == wanted or by == "resizes" and total > wanted and any(map(estimated, report["sites"]))
        check(same, f"flame graph by {by}: {total} in all, as in report --json")
    browser.type("#flame-find", "main")
    browser.settle()
    check("frame" in browser.text("#flame-told"), f"found: {browser.text('#flame-told')}")
    browser.clear("#flame-find")
    browser.run("document.querySelector('#flame-find').dispatchEvent(new Event('input'))")
    browser.run("document.querySelector('#flame-all').click()")
    browser.settle()
    browser.pointer("#flame-canvas", (20, 50), "down", "up")
    browser.settle()
    check("of all" in browser.text("#flame-told"), f"a click zooms: {browser.text('#flame-told')[:80]}")
    browser.run("document.querySelector('#flame-canvas').focus()")
    browser.keys("Down", "Right", "Enter", "Escape", "0")
    browser.settle()


def same_figures(page, report, check):
    text = pathlib.Path(page).read_text()
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S).group(1)
    own = json.loads(data)["report"]
    for part in ("process", "totals", "maps", "marks", "threads", "honesty"):
        check(own[part] == report[part], f"{part} as in report --json")
    for rows in ("sites", "blocks"):
        without = [{**row, "stack": []} for row in report[rows]]
        check(own[rows] == without, f"{rows} as in report --json")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mapgrow", default=HERE.parent.parent / "target/release/mapgrow")
    parser.add_argument("--recording", help="a recording instead of that of crowd.py")
    parser.add_argument("--quick", action="store_true", help="one size, light")
    parser.add_argument("--pictures", help="a directory for screenshots")
    return parser.parse_args()


def main():
    options = arguments()
    check = Check()
    with tempfile.TemporaryDirectory() as directory:
        recording = options.recording or crowd.record(options.mapgrow, directory)
        page = pathlib.Path(directory) / "report.html"
        subprocess.run([options.mapgrow, "html", recording, "-o", page], check=True)
        told = subprocess.run([options.mapgrow, "report", "--json", recording], check=True, capture_output=True)
        report = json.loads(told.stdout)
        print(f"page of {page.stat().st_size >> 10} KiB: {len(report['sites'])} sites, {len(report['timeline'])} events")
        offline(page, check)
        same_figures(page, report, check)
        for name, (width, height) in SIZES.items():
            for dark in (False, True):
                if options.quick and (name, dark) != ("laptop", False):
                    continue
                look = f"{name} {'dark' if dark else 'light'}"
                with Browser(width, height, dark) as browser:
                    print(f"-- {look}, {width} x {height}")
                    took = soonest(browser, page)
                    # Of a small page on a busy machine, time says nothing.
                    check(options.quick or took < MOST_LOAD_MS, f"loaded in {took:.0f} ms")
                    interacting(browser)
                    paper = browser.run("return getComputedStyle(document.querySelector('#timeline')).backgroundColor")
                    light = sum(int(part) for part in re.findall(r"\d+", paper)[:3]) > 384
                    check(light != dark, f"background {paper}")
                    fits = browser.run("return document.documentElement.scrollWidth <= innerWidth")
                    check(fits, "nothing runs out of the page sideways")
                    timeline(browser, check, report)
                    lanes(browser, check)
                    sites(browser, check, report)
                    contents(browser, check, report)
                    flame(browser, check, report)
                    task = longest_task(browser)
                    check(options.quick or task <= MOST_TASK_MS, f"longest task while interacting: {task:.0f} ms")
                    # All sites at once: no person does that, so it is not measured.
                    advice(browser, check, report)
                    no_injection(browser, check)
                    complaints = browser.errors()
                    check(complaints == [], f"the browser complains of {complaints[:3] or 'nothing'}")
                    if options.pictures:
                        pictures = pathlib.Path(options.pictures)
                        pictures.mkdir(parents=True, exist_ok=True)
                        stem = pictures / look.replace(" ", "-")
                        browser.keys("Escape")
                        browser.run("scrollTo({top: 0, behavior: 'instant'})")
                        browser.screenshot(f"{stem}.png")
                        browser.screenshot(f"{stem}-whole.png", whole=True)
                        if name == "laptop" and not dark:
                            browser.pdf(f"{stem}.pdf")
    print(f"{check.failed} failed" if check.failed else "all holds")
    return 1 if check.failed else 0


if __name__ == "__main__":
    sys.exit(main())
