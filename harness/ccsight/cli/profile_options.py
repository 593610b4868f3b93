"""What the verbs of ``ccsight profile`` share: options, and files read and written strictly."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccsight.cli.options import json_option, results_option
from ccsight.errors import UsageError, reason

if TYPE_CHECKING:
    from ccsight.evidence.profile import Profile

FILE = click.Path(path_type=Path, dir_okay=False)


def _writable(context: click.Context, param: click.Parameter, file: Path | None) -> Path | None:
    """Refuse a file in no folder now, rather than when all has been booted for it."""
    if file and not file.absolute().parent.is_dir():
        raise UsageError(
            f"{file} cannot be written: there is no folder {file.parent}", next_step="make it first"
        )
    return file


file_option = click.option(
    "--out",
    type=FILE,
    metavar="FILE",
    callback=_writable,
    help="File to write to.  [default: standard output]",
)
#: The last options of an order: ``--out`` is the profile's file.
LAST = (results_option("--results"), json_option)
core_option = click.option(
    "--core", default="", metavar="NAME", help="Type of CPU, where the profile has several."
)
values_option = click.option(
    "--values",
    type=click.Choice(["userspace", "guest"]),
    default="userspace",
    show_default=True,
    help="What KVM_GET_ONE_REG said, which the old kernel takes back; or what the guest itself read.",
)
format_option = click.option(
    "--format", "form", type=click.Choice(["ids", "firecracker"]), default="ids", show_default=True
)


def read(file: Path) -> "Profile":
    """Return the profile in a file, in which nothing is that cannot be. Raises UsageError."""
    from ccsight.evidence import profile_file
    from ccsight.kvm.profile_rules import require_possible

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the profile {file} cannot be read",
            evidence=reason(error),
            next_step="make one: ccsight profile capture KERNEL --on MACHINE --out FILE",
        ) from error
    found = profile_file.read(text, str(file))
    require_possible(found, str(file))
    return found


def write(file: Path | None, text: str) -> None:
    """Write a text to a file, whole or not at all; without one, to standard output."""
    from ccsight.report import console
    from ccsight.store import write_atomically

    if file is None:
        console.write_bytes(text.encode())
    else:
        write_atomically(file, text.encode())
        console.narrate(f"wrote {file}")
