"""Headless Chromium over its debugging pipe: open a page, ask it, look at it."""

import base64
import json
import os
import select
import shutil
import subprocess
import time

from .waiting import HarnessError, wait_until

_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
          "--disable-background-networking", "--disable-component-update", "--hide-scrollbars", "--mute-audio",
          "--remote-debugging-pipe"]


class Browser:
    """with Browser(folder) as b: b.open(url); b.ask("document.title"); b.screenshot(path)

    `b.problems`: what the page has complained of: errors, and what the Content-Security-Policy has refused.
    """

    def __init__(self, folder):
        program = shutil.which("chromium")
        if not program:
            raise FileNotFoundError("chromium is not installed (Debian: chromium)")
        self.problems = []
        self._number = 0
        self._rest = b""
        read_commands, self._write = os.pipe()
        self._read, write_answers = os.pipe()

        # Chromium reads commands from descriptor 3 and answers on 4; the copies above come first: they may be those.
        def place():
            commands, answers = os.dup(read_commands), os.dup(write_answers)
            os.dup2(os.dup(commands), 3)
            os.dup2(os.dup(answers), 4)

        argv = [program, *_FLAGS, f"--user-data-dir={os.path.join(folder, 'chromium')}", "about:blank"]
        with open(os.path.join(folder, "chromium.log"), "ab") as log:
            self._process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, close_fds=False, preexec_fn=place,
                                             env={**os.environ, "HOME": folder, "DBUS_SESSION_BUS_ADDRESS": "disabled:"})
        os.close(read_commands)
        os.close(write_answers)
        self._session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self._session = None
            self.call("Browser.close", timeout=5)
            self._process.wait(10)
        except (HarnessError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait(10)
        os.close(self._write)
        os.close(self._read)

    def call(self, method, timeout=30, **params):
        """One command of the DevTools protocol; returns its result."""
        self._number += 1
        command = {"id": self._number, "method": method, "params": params}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._write, json.dumps(command).encode() + b"\0")
        deadline = time.monotonic() + timeout
        while True:
            answer = self._next(deadline - time.monotonic(), method)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise HarnessError(f"chromium: {method}: {answer['error']}")
                return answer["result"]
            self._note(answer)

    def _next(self, seconds, method):
        while b"\0" not in self._rest:
            if seconds <= 0 or not select.select([self._read], [], [], seconds)[0]:
                raise HarnessError(f"chromium does not answer {method}")
            data = os.read(self._read, 1 << 20)
            if not data:
                raise HarnessError("chromium has ended")
            self._rest += data
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event):
        if event.get("method") == "Runtime.exceptionThrown":
            details = event["params"]["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description") or details["text"])
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.problems.append(event["params"]["entry"]["text"])

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'", what=f"{url} loaded")

    def ask(self, expression):
        """What the JavaScript expression gives, as JSON."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise HarnessError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def wait(self, expression, timeout=20, what=None):
        return wait_until(lambda: self.ask(expression), timeout, what or expression, interval=0.1)

    def look(self, width, height=900, dark=False, phone=False):
        """The size of the window and what the user prefers."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def screenshot(self, path):
        """The whole page as a PNG; returns its bytes."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"])
        with open(path, "wb") as file:
            file.write(data)
        return data
