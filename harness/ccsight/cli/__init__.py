"""The command line: one module a verb, imported when the verb is called.

A new verb is a module with a click command named like it, and a row in ``VERBS``.
"""

import importlib
import os
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType

import click

from ccsight import __version__
from ccsight.arm64.suggest import nearest
from ccsight.errors import CcsightError, InfraError, Interrupted, UsageError
from ccsight.status import ExitCode

#: Verb -> what ``ccsight --help`` says of it, in the order a newcomer needs them.
VERBS = {
    "compare": "Boot two kernels and show what a guest sees differently.",
    "capture": "Boot one kernel and show what a guest sees.",
    "migrate": "Save VMs on one kernel, restore them on another, both ways.",
    "bisect": "Find the commit that changed what a guest sees, and prove it.",
    "profile": "Say which values a VMM sets so that guests can be rolled back.",
    "gate": "Say ADVANCE, HOLD or REVERT of a roll-out, by a policy.",
    "show": "Show a run again, from its folder.",
    "diff": "Compare two captures, offline.",
    "decode": "Take a register value apart.",
    "explain": "Say what a register id, a message, an errno or a check means.",
    "build": "Build kernels from source, with and without patches.",
    "kernels": "List the kernels that can be had, and what the store holds.",
    "machines": "List the machines that can be asked for, or draw one.",
    "doctor": "Say what is missing on this system, and the line that mends it.",
}


class _Verbs(click.Group):
    """Loads a verb's module when the verb is used, so that --help and decode stay quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            raise UsageError(
                f"there is no verb {cmd_name!r}",
                evidence=nearest(cmd_name, VERBS),
                next_step="ccsight --help",
            )
        module = importlib.import_module(f"ccsight.cli.{cmd_name}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(
    cls=_Verbs, subcommand_metavar="VERB [ARGS]...", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(__version__, prog_name="ccsight")
def ccsight() -> None:
    """Show, prove and guard what a KVM/arm64 guest sees of the CPU's caches.

    Linux 6.3 replaced the physical CPU's CLIDR_EL1 and CCSIDR_EL1 in guests with fabricated values.
    ccsight boots kernels from before and after on an emulated arm64 host (no arm64 hardware and no
    KVM needed), reads the registers from inside a guest and through KVM's ioctls, and says what
    changed.

    \b
    Start here:
      ccsight compare                      Debian's 6.1 and 6.12 on three CPUs
      ccsight compare deb:6.12 deb:7.2 --on emulated:neoverse-n2
      ccsight compare --on silicon:rk3588  two kinds of core, as on the real chip
      ccsight compare tree:linux tree:linux,patch=my.mbox
      ccsight decode CLIDR_EL1 0x82000023

    \b
    Exit status, of every verb:
      0  every law passes    1  a law fails    2  the call makes no sense
      3  something could not be observed       4  nothing conclusive
      130  interrupted
    """


def main() -> None:
    """Run ``ccsight``; every error of the taxonomy becomes a message and an exit status."""
    signal.signal(signal.SIGTERM, _interrupt)
    nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - lives as long as the process
    sys.stdout, sys.stderr = sys.stdout or nowhere, sys.stderr or nowhere  # None where the caller closed them
    sys.exit(run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Run ``ccsight`` with these arguments and return its exit status."""
    from ccsight.report.console import show_error

    try:
        code = ccsight.main(argv, prog_name="ccsight", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads has seen enough; what is left must not make the interpreter complain at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.NOT_OBSERVED
    except click.ClickException as error:
        _show_misuse(error, argv)
        return ExitCode.USAGE
    except CcsightError as error:
        show_error(error)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        show_error(Interrupted("interrupted"))
        return ExitCode.INTERRUPTED
    except OSError as error:
        show_error(
            InfraError(f"the system refuses: {error.strerror or error}", evidence=str(error.filename or ""))
        )
        return ExitCode.NOT_OBSERVED
    except Exception:
        # A bug of ours. It says nothing about any kernel, so it must not exit 1.
        traceback.print_exc()
        return ExitCode.NOT_OBSERVED
    return int(code or 0)


def _show_misuse(error: click.ClickException, argv: list[str]) -> None:
    """Print what click says of a command line in the form of every other error; its help as it is."""
    from ccsight.report.console import show_error

    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    fact, _, hint = error.format_message().rstrip(".").partition(". ")
    context = getattr(error, "ctx", None)
    verb = context.command_path if context else " ".join(["ccsight", *(set(argv[:1]) & VERBS.keys())])
    fact, hint = (text[:1].lower() + text[1:] for text in (fact, hint))
    show_error(UsageError(fact, evidence=hint, next_step=f"{verb} --help"))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
