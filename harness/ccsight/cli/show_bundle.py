"""``ccsight show --bundle`` and ``--verify``: a run in one file that travels."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccsight.cli.options import T

if TYPE_CHECKING:
    from ccsight.report.bundle import Proved

_FILE = click.Path(path_type=Path)


def bundle_options(function: T) -> T:
    """Add the options that pack a run, and prove that it arrived as it was packed."""
    for option in reversed(
        (
            click.option("--bundle", type=_FILE, metavar="FILE", help="Pack the run into one file, a ZIP."),
            click.option(
                "--sign", type=_FILE, metavar="KEYFILE", help="With --bundle: sign it with this SSH key."
            ),
            click.option(
                "--policy", type=_FILE, metavar="FILE", help="With --bundle: put this policy in, too."
            ),
            click.option("--verify", is_flag=True, help="RUN is a bundle: is it whole, and who signed it?"),
            click.option(
                "--signers", type=_FILE, metavar="FILE", help="With --verify: OpenSSH's list of who may sign."
            ),
        )
    ):
        function = option(function)
    return function


def show_packed(
    results: Path, bundle: Path, run: str, *, sign: Path | None, policy: Path | None, as_json: bool
) -> int:
    """Pack a run into a bundle, and say what is in it. Returns 0: how the run ended is told elsewhere."""
    from ccsight.campaign.bundling import pack
    from ccsight.evidence.run import find_run

    return _said(pack(find_run(results, run), bundle, key=sign, policy=policy), as_json=as_json)


def show_proved(results: Path, run: str, *, signers: Path | None, as_json: bool) -> int:
    """Prove that a bundle is as it was packed, and say what is in it. Returns 0: what is not is an error."""
    from ccsight.campaign.bundling import verify

    return _said(verify(Path(run), signers), as_json=as_json)


def _said(proved: "Proved", *, as_json: bool) -> int:
    from ccsight.report import bundle as page
    from ccsight.report import console

    if as_json:
        console.write_bytes(page.document(proved))
    else:
        console.output().print(page.render(proved))
    return 0
