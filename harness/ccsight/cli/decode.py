"""``ccsight decode``: take a register value apart."""

import click

from ccsight.arm64.registers import REGISTERS
from ccsight.arm64.suggest import nearest
from ccsight.cli.options import json_option
from ccsight.errors import UsageError

_HELP = "ccsight decode --help has examples"


@click.command()
@click.argument("register")
@click.argument("value")
@json_option
def decode(register: str, value: str, as_json: bool) -> None:
    """Take a register VALUE apart, field by field.

    REGISTER is CTR_EL0, CLIDR_EL1, CCSIDR_EL1, CSSELR_EL1 or ID_AA64MMFR2_EL1, in any case, the
    exception level may be left out. VALUE is a number as 0x-hex or decimal.

    \b
    Examples:
      ccsight decode CLIDR_EL1 0x82000023
      ccsight decode ccsidr 0x7ff0000003a
    """
    from ccsight.report import console, decoded

    name, number = _register(register), _number(value)
    if as_json:
        console.write_bytes(decoded.document(name, number))
    else:
        console.output().print(decoded.render(name, number))


def _register(name: str) -> str:
    wanted = name.upper()
    for known in REGISTERS:
        if wanted in (known, known.rpartition("_")[0]):
            return known
    raise UsageError(
        f"there is no register {name!r} here", evidence=nearest(wanted, REGISTERS), next_step=_HELP
    )


def _number(text: str) -> int:
    try:
        number = int(text, 0)
    except ValueError:
        raise UsageError(f"{text!r} is not a number", next_step="write 0x82000023, or decimal") from None
    if not 0 <= number < 1 << 64:
        raise UsageError(f"{text} does not fit into a 64-bit register", next_step=_HELP)
    return number
