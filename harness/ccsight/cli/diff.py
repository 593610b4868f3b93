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

    They may come from different runs, machines and kernels.

    \b
    Example:
      ccsight diff results/RUN/captures/CELL-A/1 results/RUN/captures/CELL-B/1
    """
    from ccsight.evidence.run import read_capture
    from ccsight.report import as_json as json_report
    from ccsight.report import console, terminal

    captures = [read_capture(path / "capture.json" if path.is_dir() else path) for path in (old, new)]
    if as_json:
        console.write_bytes(json_report.difference(*captures))
    else:
        console.output().print(terminal.render_diff(*captures, verbose=verbose))
    return 0
