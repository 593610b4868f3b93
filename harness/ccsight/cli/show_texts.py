"""``ccsight show --mail`` and ``--ktap``: a run as a text that others read."""

import contextlib
import getpass
import platform
from pathlib import Path

import click

from ccsight.cli.options import T


def text_options(function: T) -> T:
    """Add the options that ask for a text, and say what it may tell."""
    for option in reversed(
        (
            click.option(
                "--mail", is_flag=True, help="A text of 76 columns for a mailing list, without private names."
            ),
            click.option(
                "--names", is_flag=True, help="With --mail: hosts, users, addresses and paths are told, too."
            ),
            click.option("--ktap", is_flag=True, help="KTAP version 1, the kernel's test protocol."),
        )
    ):
        function = option(function)
    return function


def show_mail(results: Path, run: str, *, names: bool) -> int:
    """Print a run as a mail. Returns the exit status of the run."""
    from ccsight.evidence.run import find_run
    from ccsight.report import console, mail
    from ccsight.report.discretion import Discretion
    from ccsight.report.model import Result
    from ccsight.status import exit_code

    result = Result.of(find_run(results, run))
    discretion = Discretion() if names else Discretion.of(result.plan, names_here())
    console.write_bytes(mail.text(result, discretion).encode())
    return exit_code(result.statuses)


def show_ktap(results: Path, run: str) -> int:
    """Print a run as KTAP. Returns the exit status of the run."""
    from ccsight.evidence.run import find_run
    from ccsight.report import console, ktap
    from ccsight.report.model import Result
    from ccsight.status import exit_code

    result = Result.of(find_run(results, run))
    console.write_bytes(ktap.document(result))
    return exit_code(result.statuses)


def names_here() -> list[str]:
    """Return what this host and its user are called; root is nobody's name."""
    names = [platform.node(), platform.node().partition(".")[0]]
    with contextlib.suppress(KeyError, OSError):  # a user without a name has none to hide
        names.append(getpass.getuser())
    return [name for name in names if name not in ("", "root", "localhost")]
