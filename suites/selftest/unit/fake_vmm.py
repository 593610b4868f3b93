"""A VMM for tests that need no KVM: it answers on QMP's pipes, and its guest writes rounds to the console.

    python fake_vmm.py [--refuse WORDS] [--lose] [QEMU's options]

Its network is a file beside its folder, by the port's number. With ``-incoming`` it waits for one, and takes
the guest, or says WORDS and ends with status 1; or takes it, and does not run it.
"""

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path


def a_round(known: int, found: int) -> str:
    """A round of a guest that remembers one CTR_EL0 and reads another; all else is as it was."""
    lines = []
    for kind, ctr in (("known", known), ("regs", found)):
        values = [hex(ctr), "0x82000023", "0x1011", *["0x2"] * 14]
        lines += [f"{kind} n={{}} el=1 at={at} values={','.join(values[at : at + 6])}" for at in (0, 6, 12)]
        lines.append(f"{kind} n={{}} el=0 at=0 values={hex(ctr)}")
    body = "".join(f"{line}\n" for line in lines).format(*range(2, 2 + len(lines)))
    return f"@begin ccsight 1 remember\nvcpu n=1 mpidr=0x80000000\n{body}@end {1 + len(lines)}\n"


class Fake:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.console = Path(options.serial.removeprefix("file:"))
        self.wire = self.console.parents[1] / f"wire-{options.incoming.rpartition(':')[2]}"
        self.status = "inmigrate" if options.incoming else "running"
        self.migration = {}
        self.known, self.found = 0x8444C004, 0x8444C004
        threading.Thread(target=self.run_guest, daemon=True).start()

    def run_guest(self) -> None:
        with self.console.open("a", buffering=1) as console:
            while True:
                time.sleep(0.01)
                if self.status == "inmigrate":
                    self.take()
                elif self.status == "running" and not self.options.mute:
                    console.write(a_round(self.known, self.found))

    def take(self) -> None:
        if not self.wire.exists():
            return
        if self.options.refuse:
            print(self.options.refuse, file=sys.stderr, flush=True)
            os._exit(1)
        self.options.mute = self.options.lose
        self.known, self.found, self.status = int(self.wire.read_text(), 16), 0x9444C004, "running"

    def answer(self, command: str, arguments: dict) -> dict:
        if command == "query-version":
            return {"qemu": {"major": 10, "minor": 0, "micro": 13}, "package": "Debian 1:10"}
        if command == "query-status":
            return {"status": self.status, "running": self.status == "running"}
        if command == "migrate":
            wire = self.wire.with_name(f"wire-{arguments['uri'].rpartition(':')[2]}")
            wire.write_text(hex(self.known))
            self.status, self.migration = "postmigrate", {"status": "completed"}
        if command == "query-migrate":
            return self.migration
        if command == "cont":
            self.status = "running"
        return {}


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--refuse", default="")
    parser.add_argument("-qmp", required=True)
    parser.add_argument("-serial", required=True)
    parser.add_argument("-incoming", default="")
    parser.add_argument("-bad", action="store_true")
    parser.add_argument("--lose", action="store_true")
    options, _ = parser.parse_known_args()
    options.mute = False
    if options.bad:
        sys.exit("fake-vmm: -bad: invalid option")
    fake = Fake(options)
    path = options.qmp.removeprefix("pipe:")
    with (
        Path(f"{path}.in").open("r+b", buffering=0) as asked,
        Path(f"{path}.out").open("r+b", buffering=0) as out,
    ):
        out.write(b'{"QMP": {"version": {}, "capabilities": []}}\n')
        for line in iter(asked.readline, b""):
            question = json.loads(line)
            command = question["execute"]
            if command == "nonsense":
                answer = {
                    "error": {"class": "CommandNotFound", "desc": "The command nonsense has not been found"}
                }
            else:
                answer = {"return": fake.answer(command, question.get("arguments", {}))}
            out.write(b'{"event": "SOMETHING"}\n')
            out.write(json.dumps(answer | {"id": question["id"]}).encode() + b"\n")


if __name__ == "__main__":
    main()
