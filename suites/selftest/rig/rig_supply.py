"""What feeds the rig: a thread that owns its QEMU, so that QEMU ends with this process, whatever ends it."""

import json
import secrets
import select
import socket
import threading
from collections.abc import Sequence
from pathlib import Path

import rig_power

from ccsight import process

_PATIENCE = 30
#: Seconds between two looks at a machine that is started anew where it was reset.
_LOOK = 1.0


class Supply:
    """A machine's power, first off; ``argv`` is what it is when on. Listens to the folder's switch.

    One that ``restarts`` is on again by itself when its QEMU has ended, until it is turned off.
    """

    def __init__(self, folder: Path, argv: Sequence[str], *, restarts: bool = False) -> None:
        self._argv = argv
        self._restarts = restarts
        self._said = folder / "qemu.log"
        self._child: process.Child | None = None
        self._monitor: socket.socket | None = None
        self._switch = socket.socket(socket.AF_UNIX)
        name = f"ccsight-rig-{secrets.token_hex(8)}"
        self._switch.bind(f"\0{name}")
        self._switch.listen()
        (folder / rig_power.SWITCH).write_text(name)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Turn it off for good."""
        self._switch.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._switch.close()

    def tell(self, command: str, **arguments: object) -> None:
        """Have QEMU execute a command of its QMP. Raises RuntimeError where it would not."""
        assert self._monitor, "the machine is off"
        self._monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        self._answer()

    def _serve(self) -> None:
        """Do what the switch says until it is closed. QEMU lives in this thread: it dies with it."""
        words = {"on": self._on, "off": self._off, "cycle": self._cycle, "status": self._status}
        while True:
            self._watch()
            try:
                caller, _ = self._switch.accept()
            except OSError:
                break
            with caller:
                word = caller.recv(64).decode()
                try:
                    answer = words[word]()
                except (OSError, RuntimeError, KeyError) as error:
                    answer = f"{word}: {error!r}"
                caller.sendall(answer.encode())
        self._off()

    def _watch(self) -> None:
        """Wait until somebody turns the switch; until then, have a machine that restarts on again."""
        while self._restarts and not select.select([self._switch], (), (), _LOOK)[0]:
            if self._child:
                self._on()

    def _status(self) -> str:
        return "on" if self._child and self._child.poll() is None else "off"

    def _on(self) -> str:
        if self._status() == "on":
            return "on"
        self._off()
        self._monitor, theirs = socket.socketpair()
        self._monitor.settimeout(_PATIENCE)
        qmp = ("-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control")
        with theirs, self._said.open("ab") as said:
            streams = process.Streams(stderr=said.fileno())
            self._child = process.spawn([*self._argv, *qmp], streams, pass_fds=(theirs.fileno(),))
        self.tell("qmp_capabilities")
        return self._status()

    def _off(self) -> str:
        if self._child:
            process.end(self._child)
        if self._monitor:
            self._monitor.close()
        self._child = self._monitor = None
        return "off"

    def _cycle(self) -> str:
        self._off()
        return self._on()

    def _answer(self) -> None:
        """Read up to the answer to the last command; the greeting and events come between."""
        assert self._monitor
        rest = b""
        while True:
            chunk = self._monitor.recv(1 << 16)
            if not chunk:
                raise RuntimeError(f"QEMU ended: {self._said.read_text()[-500:]}")
            *lines, rest = (rest + chunk).split(b"\n")
            for message in map(json.loads, filter(None, lines)):
                if "error" in message:
                    raise RuntimeError(message["error"]["desc"])
                if "return" in message:
                    return
