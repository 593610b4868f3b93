"""``ccsight explain``: say what a register id, a message, an errno or a check means."""

import click

from ccsight.cli.options import json_option


@click.command()
@click.argument("text", nargs=-1, required=True, metavar="TEXT...")
@json_option
def explain(text: tuple[str, ...], as_json: bool) -> None:
    """Say what TEXT means, and what to do about it.

    \b
    TEXT is
      the id of a KVM register     as a VMM prints it, in hex or decimal
      the name of a register       CLIDR_EL1, CCSIDR_EL1[2], TCR2_EL1 …
      a message of a VMM or kernel whole or in part; quote it
      a register and an errno      why KVM_SET_ONE_REG refuses, by kernel
      a check                      CR-003
      predicate                    the language of --where, form by form

    \b
    Examples:
      ccsight explain 0x6020000000110004
      ccsight explain 'failed to load cpu:cpreg_vmstate_array_len'
      ccsight explain 'Failed to set register 0x603000000013c801'
      ccsight explain SET CLIDR_EL1 EINVAL
      ccsight explain CR-003
    """
    from ccsight.report import console, explained

    said = " ".join(text)
    if as_json:
        console.write_bytes(explained.document(said))
    else:
        console.output().print(explained.render(said))
