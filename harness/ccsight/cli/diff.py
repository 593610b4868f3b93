"""``ccsight diff``: compare two captures, offline."""

from pathlib import Path

import click

from ccsight.cli.options import json_option, verbose_option


@click.command()
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@json_option
@verbose_option
def diff(old: Path, new: Path, as_json: bool, verbose: bool) -> int:
    """Compare two captures, without a machine: OLD and NEW are capture.json files or their folders.

    They may come from different runs, machines and kernels, or lie in a bundle (ccsight show --bundle).

    \b
    Example:
      ccsight diff results/RUN/captures/CELL-A/1 results/RUN/captures/CELL-B/1
      ccsight diff run.zip/captures/CELL/1 results/RUN/captures/CELL/1
    """
    from ccsight.checks.verdict import comparisons
    from ccsight.evidence.run import read_capture
    from ccsight.report import as_json as json_report
    from ccsight.report import console, terminal
    from ccsight.status import exit_code

    before, after = (read_capture(path) for path in (old, new))
    cases = comparisons(before, after)
    if as_json:
        console.write_bytes(json_report.difference(before, after, cases))
    else:
        console.output().print(terminal.render_diff(before, after, cases, verbose=verbose))
    return exit_code(case.status for case in cases)
