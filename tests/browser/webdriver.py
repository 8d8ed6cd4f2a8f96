"""A browser to test in: Chromium through chromedriver, spoken to as the W3C has it.

Nothing but the standard library, so that a clean machine needs only the two Debian packages
`chromium` and `chromium-driver`.
"""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {
    "Enter": "\ue007", "Escape": "\ue00c", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014",
    "Down": "\ue015", "Shift": "\ue008", "Tab": "\ue004",
}


class Browser:
    """One headless window. A context manager: the browser ends with it."""

    def __init__(self, width=1440, height=900, dark=False, scale=1):
        driver = shutil.which("chromedriver")
        binary = shutil.which("chromium") or shutil.which("chromium-browser")
        if driver is None or binary is None:
            raise FileNotFoundError("chromium and chromedriver (Debian: chromium, chromium-driver)")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [driver, f"--port={self.port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        options = {
            "binary": binary,
            "args": [
                "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                "--hide-scrollbars", "--no-first-run", f"--force-device-scale-factor={scale}",
                f"--window-size={width},{height}",
            ],
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL"}}
        try:
            self.wait_for_driver()
            self.session = ""
            made = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self.session = f"/session/{made['sessionId']}"
            self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                     deviceScaleFactor=scale, mobile=False)
            self.cdp("Emulation.setEmulatedMedia", features=[
                {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        except BaseException:
            self.process.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.ask("DELETE", "", None)
        finally:
            self.process.terminate()
            self.process.wait(10)

    def wait_for_driver(self):
        for _ in range(200):
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1):
                    return
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("chromedriver does not listen")

    def ask(self, method, path, body):
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}{getattr(self, 'session', '')}{path}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=180) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            said = json.load(error)["value"]
            raise RuntimeError(f"{path}: {said['error']}: {said['message']}") from None

    def cdp(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, path):
        self.ask("POST", "/url", {"url": f"file://{path}"})

    def run(self, script, *arguments):
        """What a function body with `arguments` returns in the page."""
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def run_async(self, script, *arguments):
        """The same where the last argument is a function to call with the result."""
        return self.ask("POST", "/execute/async", {"script": script, "args": list(arguments)})

    def find(self, selector):
        found = self.ask("POST", "/element", {"using": "css selector", "value": selector})
        return found[ELEMENT]

    def click(self, selector):
        self.ask("POST", f"/element/{self.find(selector)}/click", {})

    def type(self, selector, text):
        self.ask("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def clear(self, selector):
        self.ask("POST", f"/element/{self.find(selector)}/clear", {})

    def keys(self, *names):
        """Presses keys, wherever the focus is; `Shift+Left` holds one."""
        actions = []
        for name in names:
            *held, last = name.split("+") if len(name) > 1 else [name]
            pressed = [KEYS.get(key, key) for key in [*held, last]]
            actions += [{"type": "keyDown", "value": key} for key in pressed]
            actions += [{"type": "keyUp", "value": key} for key in reversed(pressed)]
        self.ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def pointer(self, selector, *moves):
        """Moves the pointer over an element: `(x, y)` from its top left, "down", "up"."""
        box = self.run("""const e = document.querySelector(arguments[0]);
            // Of what is taller than the window the top is wanted.
            const block = e.clientHeight > innerHeight * 0.8 ? 'start' : 'center';
            e.scrollIntoView({block, behavior: 'instant'});
            const b = e.getBoundingClientRect(); return [b.left, b.top]""", selector)
        actions = []
        for move in moves:
            if move == "down":
                actions.append({"type": "pointerDown", "button": 0})
            elif move == "up":
                actions.append({"type": "pointerUp", "button": 0})
            else:
                x, y = round(box[0] + move[0]), round(box[1] + move[1])
                actions.append({"type": "pointerMove", "duration": 30, "x": x, "y": y})
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}}
        self.ask("POST", "/actions", {"actions": [{**mouse, "actions": actions}]})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent ?? null", selector)

    def settle(self):
        """Until two frames have been drawn."""
        self.run_async("const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))")

    def errors(self):
        """What the page complained about since this was last asked."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", {"type": "browser"})
                if entry["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path, whole=False):
        parameters = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self.cdp("Page.getLayoutMetrics")["cssContentSize"]
            parameters["clip"] = {"x": 0, "y": 0, "width": size["width"],
                                  "height": min(size["height"], 6000), "scale": 1}
        image = self.cdp("Page.captureScreenshot", **parameters)
        with open(path, "wb") as file:
            file.write(base64.b64decode(image["data"]))

    def pdf(self, path):
        printed = self.cdp("Page.printToPDF", printBackground=True)
        with open(path, "wb") as file:
            file.write(base64.b64decode(printed["data"]))
