"""A real sshd of OpenSSH on loopback, for one user: its program comes from the archive, into the cache.

Nothing is installed, and no system's configuration is read. Where the tests run as root, sshd wants a user
and a folder of its own: it gets them in a mount namespace.
"""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from ccsight import store
from ccsight.deadline import Deadline
from ccsight.paths import cache_dir
from ccsight.toolbox import apt, elf, packages

_PROGRAMS = ("sshd", "sshd-session", "sshd-auth")
#: Raised when what is put into the cache changes.
_RECIPE = 1
#: root's own sshd needs these, whatever its options are; root's shell reads no file of the system's there.
_PRIVATE = r"""
mount -t tmpfs none /run && mkdir /run/sshd && exec 3>/run/passwd
sed 's|^\(root:.*\):[^:]*$|\1:/bin/sh|' /etc/passwd >&3
echo 'sshd:x:64999:65534::/run/sshd:/usr/sbin/nologin' >&3
exec 3>&-
mount --bind /run/passwd /etc/passwd
exec "$@"
"""


def program() -> Path:
    """Return the folder with sshd's programs and their libraries."""
    return store.entry("selftest", f"sshd-{_RECIPE}", _fill, Deadline(600))


def _fill(folder: Path) -> None:
    deadline = Deadline(600)
    suites = apt.available(deadline, print).only("stable")
    view = apt.update(suites, apt.native_architecture(deadline), deadline, print)
    wanted = apt.closure(view, ["openssh-server"], suites.all[0], deadline)
    raw = folder / "raw"
    raw.mkdir()
    for deb in packages.fetch(wanted, view.config, deadline, print):
        packages.unpack(deb, raw, deadline)
    found = [path for name in _PROGRAMS for path in raw.rglob(name) if elf.is_elf(path)]
    (folder / "lib").mkdir()
    for path in found:
        shutil.copy2(path, folder / path.name)
    loader = Path(elf.needs(found[0])[0]).name
    for name, path in elf.closure(found, elf.libraries(raw)).items():
        shutil.copy2(path.resolve(), folder / "lib" / name)
    for path in found:  # sshd starts the others by their paths
        path = folder / path.name  # noqa: PLW2901
        path.rename(path.with_suffix(".elf"))
        lib = cache_dir() / "selftest" / f"sshd-{_RECIPE}" / "lib"
        path.write_text(
            f'#!/bin/sh\nexec {lib}/{loader} --argv0 "$0" --library-path {lib} '
            f'{lib.parent}/{path.name}.elf "$@"\n'
        )
        path.chmod(0o755)
    shutil.rmtree(raw)


def keygen(path: Path, kind: str = "ed25519", passphrase: str = "") -> str:
    """Make a key pair, and return the public one as ``TYPE BASE64``."""
    argv = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "test", "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


@dataclass
class Sshd:
    """One that listens on ``port`` of 127.0.0.1. Whose key is in ``authorized`` may log in."""

    folder: Path
    options: tuple[str, ...] = ()
    host_kind: str = "ed25519"
    port: int = 0
    host_key: str = ""
    child: "subprocess.Popen[bytes] | None" = field(default=None, repr=False)

    @property
    def user(self) -> str:
        return getpass.getuser()

    @property
    def authorized(self) -> Path:
        return self.folder / "authorized_keys"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def start(self) -> "Sshd":
        self.folder.mkdir()
        self.folder.chmod(0o755)
        programs = program()
        self.host_key = keygen(self.folder / "host", self.host_kind)
        self.authorized.touch()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        config = self.folder / "sshd_config"
        config.write_text(
            "\n".join(
                [
                    f"Port {self.port}",
                    "ListenAddress 127.0.0.1",
                    f"HostKey {self.folder}/host",
                    f"AuthorizedKeysFile {self.authorized}",
                    f"PidFile {self.folder}/pid",
                    *(f"{option} {programs}/{name}" for option, name in _helpers(programs)),
                    "StrictModes no",
                    "UsePAM no",
                    "PasswordAuthentication no",
                    "KbdInteractiveAuthentication no",
                    "PermitRootLogin prohibit-password",
                    "Subsystem sftp internal-sftp",
                    "AcceptEnv NONE",
                    "LogLevel VERBOSE",
                    "PerSourcePenalties no",
                    *self.options,
                ]
            )
        )
        argv = [str(programs / "sshd"), "-D", "-f", str(config), "-E", str(self.folder / "log")]
        if os.geteuid() == 0:
            argv = ["unshare", "--mount", "sh", "-euc", _PRIVATE, "sh", *argv]
        argv = ["setpriv", "--pdeathsig", "KILL", *argv]  # it ends with the tests, however they end
        self.child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
        self._wait()
        return self

    def _wait(self) -> None:
        for _ in range(400):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self.child is None or self.child.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"sshd does not listen: {self.log}")

    def permit(self, public: str) -> None:
        """Let this key in."""
        with self.authorized.open("a") as file:
            file.write(f"{public}\n")

    def stop(self) -> None:
        if self.child:
            self.child.terminate()
            self.child.wait()


def _helpers(programs: Path) -> list[tuple[str, str]]:
    """Return those of sshd's programs that this version has, with the options that name them."""
    every = [("SshdSessionPath", "sshd-session"), ("SshdAuthPath", "sshd-auth")]
    return [(option, name) for option, name in every if (programs / name).exists()]
