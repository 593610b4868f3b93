"""``ccsight show --bundle`` and ``--verify``: a run in one file that travels."""

from pathlib import Path

import click

from ccsight.cli.options import T

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


def pack_or_prove(
    results: Path,
    run: str,
    *,
    bundle: Path | None,
    sign: Path | None,
    policy: Path | None,
    signers: Path | None,
    as_json: bool,
) -> int:
    """Pack a run into a bundle, or prove the bundle that it is where none is named, and say what came of it.

    Returns 0: how the run itself ended is another question, and what is not proved is an error.
    """
    from ccsight.campaign.bundling import pack, verify
    from ccsight.evidence.run import find_run
    from ccsight.report import bundle as page
    from ccsight.report import console

    if bundle is None:
        proved = verify(Path(run), signers)
    else:
        proved = pack(find_run(results, run), bundle, key=sign, policy=policy)
    if as_json:
        console.write_bytes(page.document(proved))
    else:
        console.output().print(page.render(proved))
    return 0
