"""``ccsight show --mail``, ``--ktap`` and ``--kcidb``: a run as a text that others read."""

import contextlib
import getpass
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccsight.cli.options import T

if TYPE_CHECKING:
    from ccsight.report.discretion import Discretion
    from ccsight.report.model import Result


def text_options(function: T) -> T:
    """Add the options that ask for a text, and say what it may tell."""
    for option in reversed(
        (
            click.option(
                "--mail", is_flag=True, help="A text of 76 columns for a mailing list, without private names."
            ),
            click.option(
                "--names",
                is_flag=True,
                help="With --mail, --kcidb: hosts, users, addresses and paths are told, too.",
            ),
            click.option("--ktap", is_flag=True, help="KTAP version 1, the kernel's test protocol."),
            click.option("--kcidb", is_flag=True, help="JSON for KCIDB, the kernel's database of results."),
            click.option(
                "--origin", metavar="NAME", help="With --kcidb: the CI system it is from.  [ccsight]"
            ),
        )
    ):
        function = option(function)
    return function


def show_mail(results: Path, run: str, *, names: bool) -> int:
    """Print a run as a mail. Returns the exit status of the run."""
    from ccsight.report import mail

    result, discretion = _told(results, run, names=names)
    return _printed(result, mail.text(result, discretion).encode())


def show_kcidb(results: Path, run: str, origin: str | None, *, names: bool) -> int:
    """Print a run as KCIDB's JSON. Returns the exit status of the run."""
    from ccsight.report import kcidb

    result, discretion = _told(results, run, names=names)
    return _printed(result, kcidb.document(result, origin or "ccsight", discretion))


def show_ktap(results: Path, run: str) -> int:
    """Print a run as KTAP. Returns the exit status of the run."""
    from ccsight.report import ktap

    result, _ = _told(results, run, names=True)
    return _printed(result, ktap.document(result))


def _told(results: Path, run: str, *, names: bool) -> "tuple[Result, Discretion]":
    """Return a run, and what may be told of it."""
    from ccsight.evidence.run import find_run
    from ccsight.report.discretion import Discretion
    from ccsight.report.model import Result

    result = Result.of(find_run(results, run))
    return result, Discretion() if names else Discretion.of(result.plan, names_here())


def _printed(result: "Result", content: bytes) -> int:
    from ccsight.report import console
    from ccsight.status import exit_code

    console.write_bytes(content)
    return exit_code(result.statuses)


def names_here() -> list[str]:
    """Return what this host and its user are called; root is nobody's name."""
    names = [platform.node(), platform.node().partition(".")[0]]
    with contextlib.suppress(KeyError, OSError):  # a user without a name has none to hide
        names.append(getpass.getuser())
    return [name for name in names if name not in ("", "root", "localhost")]
