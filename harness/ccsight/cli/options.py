"""Options that several verbs share, each declared once; those of verbs that boot are in ``orders``."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

T = TypeVar("T", bound=Callable[..., Any])


def results_option(name: str) -> Callable[[T], T]:
    """Return the option of this name that says where runs lie."""
    return click.option(
        name,
        "results",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help="Folder that holds the runs.",
    )


out_option = results_option("--out")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout; narration stays on stderr."
)
silicon_option = click.option(
    "--silicon",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Rows of your own for the silicon table; start from: ccsight machines show NAME --toml",
)
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Every field of every register.")
