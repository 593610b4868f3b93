"""``ccsight build``: from source to a bootable, identified kernel."""

from pathlib import Path

import click

from ccsight.cli.options import inventory_option, json_option


@click.command()
@click.argument("kernels", nargs=-1, required=True, metavar="KERNEL...")
@click.option("--toolchain", type=click.Choice(["gcc", "llvm"]), help="Adds toolchain= to each spec.")
@click.option("--build-on", metavar="NAME", help="Build on that machine: adds build-on= to each spec.")
@click.option("--dry-run", is_flag=True, help="Say what would be built, and what the store has already.")
@inventory_option
@json_option
def build(
    kernels: tuple[str, ...],
    toolchain: str | None,
    build_on: str | None,
    dry_run: bool,
    inventory: Path | None,
    as_json: bool,
) -> None:
    """Build each KERNEL, unless the store has it, and say where it is and who it is.

    \b
    A KERNEL is
      deb-src:6.12           the distribution's source package of that series;
                             deb-src:6.12=VERSION pins one
      git:PATH,ref=REF       a commit, tag or branch; your checkout is not touched
      tree:PATH              a source tree as it is now, dirty or not
    and, after commas, any number of times and in order
      patch=FILE             a diff, a git format-patch, or an mbox with a series
      revert=COMMIT          (git) takes a commit back
      kconfig=FILE           more options; or one of our fragments by name: debug,
                             pages-16k, pages-64k
      kconfig=machine:NAME   for a machine of the inventory: the configuration and
                             loaded modules of its own kernel, instead of ours
      toolchain=llvm         instead of gcc
      build-on=NAME          built on that machine of the inventory, by its gcc
      append=ARGS name=LABEL as for every kernel

    The configuration is ccsight's own: some 600 options, minutes to build, boots on every emulated
    machine. Every option that is asked for is proved to be in the final .config.

    Every other verb takes the same specs and builds what it needs.

    \b
    Examples:
      ccsight build deb-src:6.12
      ccsight compare tree:linux tree:linux,patch=my.mbox
    """
    from ccsight.campaign.compare import SET_UP_SECONDS
    from ccsight.deadline import Deadline
    from ccsight.kernels import building
    from ccsight.report import console, listings

    added = [f",toolchain={toolchain}"] * bool(toolchain) + [f",build-on={build_on}"] * bool(build_on)
    texts = ["".join([text, *added]) for text in kernels]
    deadline = Deadline(SET_UP_SECONDS * len(texts))
    if dry_run:
        ordered = [building.planned(text, deadline, console.narrate) for text in texts]
        page, rows = listings.orders(ordered), listings.document(kernels=ordered)
    else:
        built = [building.build(text, deadline, console.narrate) for text in texts]
        page, rows = listings.builds(built), listings.document(kernels=built)
    if as_json:
        console.write_bytes(rows)
    else:
        console.output().print(page)
