"""Three sshds on loopback, and a user: a key, an inventory, and a configuration of OpenSSH."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from sshd import Sshd, keygen

from ccsight.deadline import Deadline
from ccsight.machines import inventory, reach
from ccsight.machines.ssh import SshHost


@dataclass
class Lab:
    """``config`` is what ~/.ssh/config would be, ``known_hosts`` where its hosts are known from."""

    folder: Path
    machine: Sshd
    gates: tuple[Sshd, Sshd]

    @property
    def key(self) -> Path:
        return self.folder / "id_ed25519"

    @property
    def config(self) -> Path:
        return self.folder / "ssh_config"

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def entry(self, name: str, sshd: Sshd, *more: str, pinned: bool = True) -> str:
        """Return the table of an sshd."""
        host_key = [f'host-key = "{sshd.host_key}"'] if pinned else []
        login = [] if any(row.startswith(("key", "agent")) for row in more) else [f'key = "{self.key}"']
        rows = [f"[{name}]", 'address = "127.0.0.1"', f"port = {sshd.port}", *login, *host_key, *more]
        return "\n".join(rows) + "\n"

    def write(self, *tables: str) -> None:
        """Make these the inventory."""
        inventory.file().write_text("\n".join(tables))

    def knows(self, sshd: Sshd, key: str = "", marker: str = "") -> None:
        """Put a line into known_hosts."""
        with self.known_hosts.open("a") as file:
            file.write(f"{marker} [127.0.0.1]:{sshd.port} {key or sshd.host_key}\n".lstrip())

    def connect(self, name: str, seconds: float = 20) -> SshHost:
        return reach.connect(inventory.entry(name), Deadline(seconds))


@pytest.fixture(scope="module")
def sshds(tmp_path_factory):
    """Three that run: the machine, and two on the way to it. Whatever a test permits stays permitted."""
    folder = tmp_path_factory.mktemp("sshds")
    started = [Sshd(folder / name).start() for name in ("machine", "first", "second")]
    yield started
    for sshd in started:
        sshd.stop()


@pytest.fixture
def lab(sshds, tmp_path, monkeypatch):
    """A user who may log in to all of them."""
    made = Lab(tmp_path, sshds[0], (sshds[1], sshds[2]))
    public = keygen(made.key)
    for sshd in sshds:
        sshd.permit(public)
    programs = tmp_path / "bin"
    programs.mkdir()
    made.config.write_text(f"UserKnownHostsFile {made.known_hosts}\nGlobalKnownHostsFile none\n")
    (programs / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {made.config} "$@"\n')
    (programs / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv(inventory.VARIABLE, str(tmp_path / "machines.toml"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return made


@pytest.fixture
def agent(tmp_path, monkeypatch):
    """An agent without keys: its socket."""
    place = tmp_path / "agent"
    child = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL
    )
    for _ in range(200):
        if place.is_socket():
            break
        time.sleep(0.02)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(place))
    yield place
    child.terminate()
    child.wait()


def add_to_agent(key: Path) -> None:
    """Give an agent a key."""
    subprocess.run(["ssh-add", "-q", key], check=True, stdin=subprocess.DEVNULL)
