"""What a machine's kernel was configured with, and which modules it has loaded: ``kconfig=machine:NAME``.

One script says it in one go, and changes nothing. Whether it can be true is for ``kernels.machine_config``.
"""

from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import HostRefused, UsageError
from ccsight.kernels.machine_config import PREFIX, Told
from ccsight.machines import answers, inventory
from ccsight.machines.model import Host, Report
from ccsight.machines.way import connected

_SCRIPT = Path(__file__).with_name("configuration.sh")
_SECONDS = 60.0
#: A distribution's configuration has 340 KB.
_LONGEST = 4 << 20
_FORMS = {
    "release": r"[!-~]{1,64}",
    "ours": r"yes",
    "modules": r"[ -~]*",
    "unread": r"[!-~]{1,100}",
    "config": r"[!-~]{0,200}",
}
_END = b"# ccsight: end\n"


def of_machine(name: str, deadline: Deadline, report: Report) -> Told:
    """Ask a machine of the inventory. Raises what :func:`ask` does, or why it cannot be reached."""
    entry = inventory.entry(name)
    report(f"{name}: asking for its kernel's configuration")
    with connected(entry, deadline) as host:
        return ask(host, name, deadline)


def ask(host: Host, name: str, deadline: Deadline) -> Told:
    """Return what a machine says of the kernel that it runs.

    Raises UsageError where it has no configuration, or runs a kernel of ours; InfraError or HostRefused for
    an answer that is none.
    """
    argv = ["sh", "-c", _SCRIPT.read_text(encoding="utf-8"), "sh"]
    done = host.run(argv, deadline.within(_SECONDS), limit=_LONGEST)
    head, mark, config = done.stdout.partition(b"\nend\n")
    said = answers.read(head + mark, _FORMS, ("release", "config"), name)
    if "ours" in said:
        raise UsageError(
            f"{name} runs a kernel that ccsight has booted, whose modules are not what its own one needs",
            evidence=f"it runs {said['release']}",
            next_step=f"wait until it is back, or name what it said before: kconfig={PREFIX}{name}=HASH",
        )
    if not said["config"]:
        raise UsageError(
            f"{name} has no configuration of the kernel that it runs",
            evidence=f"neither /proc/config.gz nor /boot/config-{said['release']}",
            next_step="a kernel with CONFIG_IKCONFIG_PROC=y has the first one, its package brings the other",
        )
    if unread := said.get("unread") or ("" if config.endswith(_END) else said["config"]):
        raise HostRefused(
            f"{unread} of {name} cannot be read",
            evidence=done.stderr.decode(errors="replace")[-300:].strip(),
            next_step="see there who may read it: chmod a+r, or sudo = true in its entry",
        )
    text = config.removesuffix(_END).decode(errors="replace")
    return Told(said["config"], text, tuple(said.get("modules", "").split()))
