"""A real machine for tests, as far as the harness can tell: an address, a key, a console and a power command.

Debian on a disk, started by UEFI, or by U-Boot; it is QEMU all the same, and reads ``emulated`` wherever that
is asked.
"""

import json
import random
import shlex
import socket
import sys
import time
from pathlib import Path
from types import TracebackType

import rig_disk
import rig_files
import rig_power
import rig_qemu
import rig_uboot
from rig_supply import Supply

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.machines.emulator import LOOPBACK
from ccsight.toolbox.qemu import qemu

#: Below those that the kernel gives to whoever asks for any: the port is to be free again after each "off".
_PORTS = range(20_000, 32_000)


class Rig:
    """One machine, off until :meth:`start`; what it writes lies in ``folder``, and ends with the ``with``."""

    address = LOOPBACK
    user = rig_files.USER

    def __init__(self, folder: Path, *, cpus: int = 1, memory: int = 1536, u_boot: bool = False) -> None:
        self.folder = folder
        self._u_boot = u_boot
        self._size = (cpus, memory)
        self.console = folder / "console.log"
        self.variables = folder / "variables.fd"
        self.port = _free_port()

    def __enter__(self) -> "Rig":
        deadline = Deadline(1800)
        self._disk = rig_disk.disk(deadline, print)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.console.touch()
        self.private_key = self._disk.key
        self.host_key = self._disk.host_key
        argv = [*rig_qemu.command(qemu(deadline, print), self._parts(), *self._size)]
        argv += rig_qemu.network(self.port)
        argv += rig_uboot.options(self.variables) if self._u_boot else []
        self._supply = Supply(self.folder, argv, restarts=self._u_boot)
        return self

    def _parts(self) -> rig_qemu.Parts:
        above = rig_qemu.overlay(self.folder / "disk.qcow2", self._disk.image.stat().st_size)
        drive = rig_qemu.layered(above, self._disk.image)
        if self._u_boot:
            rig_uboot.flash(self.variables, self._disk.u_boot.read_bytes())
            return rig_qemu.Parts(self._disk.u_boot, self.variables, drive, self.console)
        rig_qemu.flash(self.variables, self._disk.variables.read_bytes())
        return rig_qemu.Parts(self._disk.firmware, self.variables, drive, self.console)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._supply.close()

    def start(self) -> None:
        """Turn it on; it takes its time until somebody can log in."""
        self.power("on")

    def power(self, word: str) -> str:
        """Turn the switch, whether or not its command works; see rig_power.WORDS."""
        answer = rig_power.ask(self.folder, word)
        assert answer in {"on", "off"}, answer
        return answer

    @property
    def power_argv(self) -> list[str]:
        """The command that an inventory names as ``power``."""
        return [sys.executable, rig_power.__file__, str(self.folder)]

    @property
    def console_argv(self) -> list[str]:
        """The command that an inventory names as ``console``: what the serial port says from now on."""
        return ["tail", "--lines=0", "--follow=name", "--retry", str(self.console)]

    def inventory(self, name: str, **changes: object) -> str:
        """Return its table for an inventory. A change is a row more, or another, or none where it is None."""
        rows: dict[str, object] = {
            "address": self.address,
            "user": self.user,
            "port": self.port,
            "key": str(self.private_key),
            "host-key": self.host_key,
            "jump": [],
            "boot": "grub",
            "sudo": True,
            "console": self.console_argv,
            "power": self.power_argv,
        } | {key.replace("_", "-"): value for key, value in changes.items()}
        # What these values can be reads the same in JSON and in TOML.
        lines = [f"{key} = {json.dumps(value)}" for key, value in rows.items() if value is not None]
        return "\n".join([f"[{name}]", *lines, ""])

    def said(self) -> str:
        """Return all that its serial port has said so far, over all its boots."""
        return self.console.read_text(errors="replace")

    def run(self, command: str, seconds: float = 60) -> str:
        """Run a command there as root, by hand and not through what is tested, and return what it said."""
        done = process.run([*self.ssh(), command], Deadline(seconds))
        return done.text.strip()

    def wait(self, seconds: float = 600, *, other_than: str = "") -> str:
        """Wait until somebody can log in, to another boot than that, and return the boot's id."""
        clock = Deadline(seconds)
        while not clock.passed:
            done = process.run([*self.ssh(), f"cat {_BOOT_ID}"], clock.within(20), expect=None)
            if done.returncode == 0 and done.text.strip() != other_than:
                return done.text.strip()
            process.pause(1, clock)
        raise TimeoutError(f"no login after {seconds} s: {self.said()[-800:]}")

    def prefer(self, label: str) -> None:
        """Have the firmware boot ``debian`` (GRUB) or ``systemd-boot`` first, from the next boot on."""
        self.run(_PREFER.format(label=label))

    def set_link(self, up: bool) -> None:
        """Pull the network cable, or put it back."""
        self._supply.tell("set_link", name="net", up=up)

    def fail_power(self, fails: bool = True) -> None:
        """Have the power command fail, or work again."""
        broken = self.folder / rig_power.BROKEN
        if fails:
            broken.touch()
        else:
            broken.unlink(missing_ok=True)

    def jump_clock(self, seconds: int) -> None:
        """Set the machine's clock forward, or back; until it is turned off."""
        self.run(f"date -s @$(( $(date +%s) + {seconds} ))")

    def change_host_key(self) -> str:
        """Have the machine show another host key than the inventory's, and return it."""
        return " ".join(self.run(_NEW_KEY).split()[:2])

    def fill_boot(self) -> None:
        """Leave no room in /boot, and say nothing about it."""
        self.run("cat /dev/zero >/boot/full 2>/dev/null; sync; df /boot")

    def freeze(self) -> None:
        """Have the CPUs stop where they are, as no program there can notice or end."""
        self._supply.tell("stop")

    def ssh(self) -> list[str]:
        """Return the command that logs in as root, by hand; what is to run there comes after it."""
        # To wait for a machine whose host key may change is no test of whether it is looked at.
        options = (
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            "BatchMode=yes",
        )
        more = ("ConnectTimeout=5", "IdentitiesOnly=yes", "ServerAliveInterval=15")
        return [
            *("ssh", "-F", "none", "-p", str(self.port), "-i", str(self.private_key)),
            *(word for option in (*options, *more) for word in ("-o", option)),
            f"root@{self.address}",
        ]


_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_NEW_KEY = """set -e
cd /etc/ssh
rm -f ssh_host_ed25519_key*
ssh-keygen -q -t ed25519 -N '' -f ssh_host_ed25519_key
systemctl restart ssh
cat ssh_host_ed25519_key.pub
"""
_PREFER = """set -e
first=$(efibootmgr | sed -n 's/^Boot\\([0-9A-F]*\\)[* ] {label}\\s.*/\\1/p')
rest=$(efibootmgr | sed -n 's/^BootOrder: //p' | tr , '\\n' | grep -vx "$first" | paste -sd,)
efibootmgr -q -o "$first,$rest"
"""


def _free_port() -> int:
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)):
                return port


def main() -> None:
    """Run one by hand, until the end of input or a key: rig.py FOLDER."""
    with Rig(Path(sys.argv[1])) as rig:
        rig.start()
        print(rig.inventory("rig"), flush=True)
        print(shlex.join(rig.ssh()), flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
