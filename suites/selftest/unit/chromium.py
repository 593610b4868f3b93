"""A real browser for tests of pages: one headless Chromium, asked over a pipe in its own protocol (CDP).

It has no network: whatever a page would fetch, fails.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_QUIET = (
    "--disable-background-networking --disable-component-update --disable-sync --no-first-run --disable-quic"
)
_FLAGS = "--headless --no-sandbox --disable-gpu --hide-scrollbars --remote-debugging-pipe"
_OFFLINE = ["--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9"]


class Browser:
    """One tab of a browser."""

    def __init__(self, to: int, back: int) -> None:
        self._to, self._back = to, back
        self._last, self._session, self._rest = 0, "", b""
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self("Page.enable")

    def __call__(self, method: str, **params: object) -> dict:
        """Ask for something, and wait for the answer."""
        self._last += 1
        own = {"sessionId": self._session} if self._session else {}
        asked = {"id": self._last, "method": method, "params": params, **own}
        os.write(self._to, json.dumps(asked).encode() + b"\0")
        return self._wait(lambda answer: answer.get("id") == self._last)

    def _wait(self, wanted) -> dict:
        while True:
            while b"\0" not in self._rest:
                data = os.read(self._back, 1 << 20)
                assert data, "Chromium is gone"
                self._rest += data
            line, _, self._rest = self._rest.partition(b"\0")
            answer = json.loads(line)
            assert "error" not in answer, answer
            if wanted(answer):
                return answer.get("result", {})

    def show(self, page: Path, width: int = 1280, media: str = "", scheme: str = "light") -> None:
        """Load a page in a window of a width, on a medium, light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self("Emulation.setEmulatedMedia", media=media, features=features)
        self("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        self("Page.navigate", url=page.as_uri())
        self._wait(lambda answer: answer.get("method") == "Page.loadEventFired")

    def ask(self, script: str) -> object:
        """Return what an expression comes to; the page's own rules against scripts do not hold for it."""
        found = self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def pdf(self) -> bytes:
        """Return the page printed."""
        return base64.b64decode(self("Page.printToPDF", printBackground=True)["data"])


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Yield a browser that keeps what it has to keep in a folder."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "no Chromium here: apt-get install chromium"
    (its_in, to), (back, its_out) = os.pipe(), os.pipe()
    # The protocol's pipes are descriptors 3 and 4, whatever these were here.
    script = f'exec "$@" 3<&{its_in} 4>&{its_out}'
    argv = [program, *_FLAGS.split(), *_QUIET.split(), *_OFFLINE, f"--user-data-dir={folder / 'profile'}"]
    log = (folder / "chromium.log").open("wb")
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", *argv],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        pass_fds=(its_in, its_out),
    )
    os.close(its_in)
    os.close(its_out)
    try:
        tab = Browser(to, back)
        yield tab
        tab("Browser.close")
    finally:
        os.close(to)
        os.close(back)
        log.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
