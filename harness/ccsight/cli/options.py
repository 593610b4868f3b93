"""Options that several verbs share, each declared once."""

from pathlib import Path

import click

from ccsight.evidence.views import FUZZ_MOST, FUZZ_VALUES

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
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Every field of every register.")
