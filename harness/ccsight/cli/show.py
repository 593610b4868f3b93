"""``ccsight show``: show a run again, from its folder."""

from pathlib import Path

import click

from ccsight.cli.options import json_option, out_option, verbose_option


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--where",
    metavar="PREDICATE",
    help="Only machines with a kernel of which this is true; its language: ccsight explain predicate",
)
@out_option
@json_option
@verbose_option
def show(run: str, where: str | None, results: Path, as_json: bool, verbose: bool) -> int:
    """Show a RUN again: its id, its folder, or "latest" (the default).

    Nothing is booted. The evidence is judged anew; a planned case without evidence reads MISS, so an
    interrupted run says what it is. Exits as the run itself did.

    With --where each kernel on each machine first answers yes, no, or that it was not observed, and what
    was seen. Exits 0 where all say yes, 1 where any says no, 3 where it was not observed.

    \b
    Examples:
      ccsight show --where 'guest.CLIDR_EL1.LoC == 2'
      ccsight show RUN --where 'guest != userspace and not check CR-004'
      ccsight show --where 'migrate(deb:6.1 -> this) at worst visible'
    """
    from ccsight.campaign.compare import present
    from ccsight.evidence.run import find_run
    from ccsight.report.model import Result

    if where is not None:
        return _answer(results, run, where, as_json=as_json, verbose=verbose)
    return present(Result.of(find_run(results, run)), as_json=as_json, verbose=verbose)


def _answer(results: Path, run: str, text: str, *, as_json: bool, verbose: bool) -> int:
    from ccsight.checks.predicates import parse
    from ccsight.evidence.run import find_run, read_capture
    from ccsight.report import console
    from ccsight.report.model import Result
    from ccsight.report.where import answered, document, exit_code, render

    predicate = parse(text)
    paths = {name: Path(name) for name in predicate.files}
    files = {
        name: read_capture(path / "capture.json" if path.is_dir() else path) for name, path in paths.items()
    }
    result = Result.of(find_run(results, run))
    answers = answered(result, predicate, files)
    if as_json:
        console.write_bytes(document(result, predicate, answers))
    else:
        console.output().print(render(result, predicate, answers, verbose=verbose))
    return exit_code(answers)
