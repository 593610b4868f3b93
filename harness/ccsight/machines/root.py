"""Shell scripts that root runs on a real machine, and what is said when one of their commands fails."""

from dataclasses import dataclass

from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.machines.model import Reached

_LAST_LINES = 6


class RootFailed(InfraError):
    """A command that root ran on a machine ended badly."""

    advice = "nothing boots by it; mend there what it says, and try again"


@dataclass(frozen=True)
class Root:
    """Root on a machine: ``host`` runs all commands as root, ``name`` is the machine's."""

    name: str
    host: Reached

    def run(self, what: str, script: str, *words: str, deadline: Deadline) -> str:
        """Run a shell script with these words, and return what it says; ``what`` it does is for messages.

        It ends with the first of its commands that fails. Raises RootFailed.
        """
        argv = ["sh", "-euc", f"PATH=$PATH:/usr/sbin:/sbin\n{script}", "sh", *words]
        done = self.host.run(argv, deadline, limit=1 << 20)
        if done.returncode:
            said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
            raise RootFailed(
                f"{self.name}: {what} failed",
                evidence="\n".join(said[-_LAST_LINES:]) or f"status {done.returncode}",
            )
        return done.text
