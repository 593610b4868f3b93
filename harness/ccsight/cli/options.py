"""Options that several verbs share, each declared once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from ccsight.campaign.planning import DEFAULT_MACHINES
from ccsight.evidence.run import Depth
from ccsight.evidence.views import FUZZ_MOST, FUZZ_VALUES

T = TypeVar("T", bound=Callable[..., Any])


def machines_option(verb: str) -> Callable[[T], T]:
    """Return ``--on`` of a verb that does this on machines."""
    shown = ", ".join(machine.partition(":")[2] for machine in DEFAULT_MACHINES)
    return click.option(
        "--on",
        "machines",
        multiple=True,
        metavar="MACHINE",
        help=f"Machine to {verb} on; any number of times. [default: {shown}, emulated]",
    )


out_option = click.option(
    "--out",
    "results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder that holds the runs.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout; narration stays on stderr."
)
silicon_option = click.option(
    "--silicon",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Rows of your own for the silicon table; start from: ccsight machines show NAME --toml",
)
fuzz_option = click.option(
    "--fuzz",
    type=click.IntRange(0, FUZZ_MOST),
    default=FUZZ_VALUES,
    show_default=True,
    metavar="N",
    help="How many random values are written in each boot.",
)
linux_option = click.option(
    "--linux",
    is_flag=True,
    help="Boot each kernel as a guest of itself, too, and look into its sysfs (CR-016).",
)
migrate_option = click.option(
    "--migrate/--no-migrate",
    default=True,
    show_default=True,
    help="Save VMs on each kernel, and restore them on every other one (CR-006 to CR-008).",
)
#: The parameters that say what is asked in each cell.
DEPTH = ("fuzz", "linux", "migrate", "native_cap", "rules")

native_cap_option = click.option(
    "--native-cap",
    type=click.IntRange(1),
    default=None,
    metavar="NUMBER",
    help="Number of a KVM capability that loads a CPU's own caches into a VM: one more strategy.",
)
rules_option = click.option(
    "--rules",
    is_flag=True,
    help="Hold the new kernel to the three rules for migration (see suites/rollback): a broken one FAILs.",
)
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Every field of every register.")


def depth_words(depth: Depth) -> tuple[str, ...]:
    """Return the words by which a depth is asked for: nothing where it is the usual one."""
    words = ["--fuzz", f"{depth.fuzz}"] if depth.fuzz != FUZZ_VALUES else []
    words += ["--native-cap", f"{depth.native_cap}"] if depth.native_cap else []
    words += ["--rules"] * depth.rules
    words += ["--linux"] * depth.linux + ["--no-migrate"] * (not depth.migrate)
    return tuple(words)
