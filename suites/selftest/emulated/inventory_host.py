"""An emulated host that is known as a machine of the inventory only: an address, a port, and keys."""

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ccsight.deadline import Deadline
from ccsight.kernels.spec import resolve
from ccsight.machines import inventory, keys, registry
from ccsight.machines.model import Booted, BootOrder


@dataclass(frozen=True)
class Known:
    """The host, and how one gets there without knowing what it is."""

    booted: Booted
    console: Path
    folder: Path
    host_key: str

    @property
    def port(self) -> int:
        return self.booted.host.transport.getpeername()[1]

    def enter(self, name: str, *more: str, port: int = 0) -> None:
        """Make it the only machine of the inventory."""
        rows = [f"[{name}]", 'address = "127.0.0.1"', 'user = "root"', f"port = {port or self.port}"]
        rows += [f'key = "{self.folder}/key"', f'host-key = "{self.host_key}"', "jump = []", *more]
        (self.folder / "machines.toml").write_text("\n".join(rows) + "\n")
        inventory.choose(self.folder / "machines.toml")


@contextmanager
def up(folder: Path, spec: str, kernel: str, patch: pytest.MonkeyPatch):
    """Boot a host, and keep its keys, which otherwise nobody gets to see."""
    secret = keys.fresh()
    patch.setattr(keys, "fresh", lambda: secret)
    patch.setenv(inventory.VARIABLE, "")
    (folder / "key").write_text(secret.client_private)
    (folder / "key").chmod(0o600)
    order = BootOrder(resolve(kernel, Deadline(600), print), folder / "console.log")
    with registry.machine(spec).boot(order, Deadline(120), print) as booted:
        yield Known(booted, order.console, folder, secret.host_public)
