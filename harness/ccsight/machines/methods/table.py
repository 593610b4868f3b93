"""The boot methods, by the name that the inventory gives them. A new one is a file beside this, and a row."""

from collections.abc import Callable, Mapping

from ccsight.machines.inventory import Entry
from ccsight.machines.methods.command import Command
from ccsight.machines.methods.efi import Efi
from ccsight.machines.methods.extlinux import Extlinux
from ccsight.machines.methods.grub import Grub
from ccsight.machines.methods.kexec import Kexec
from ccsight.machines.methods.model import Method
from ccsight.machines.methods.systemd_boot import SystemdBoot

METHODS: Mapping[str, Callable[[Entry], Method]] = {
    "kexec": lambda entry: Kexec(),
    "grub": lambda entry: Grub(),
    "systemd-boot": lambda entry: SystemdBoot(),
    "efi": lambda entry: Efi(),
    "extlinux": lambda entry: Extlinux(),
    "command": lambda entry: Command(entry.boot_command),
}
