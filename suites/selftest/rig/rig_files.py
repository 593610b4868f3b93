"""The rig's own settings, a row each: what an administrator would have written there, and nothing else."""

import subprocess
from pathlib import Path

ROOT_DISK = "00000007-0000-4000-8000-000000000000"
BOOT_DISK = "0000b007-0000-4000-8000-000000000000"
#: mkfs.vfat's -i, as the kernel writes it.
ESP = "0E59-00E5"
#: The disk that U-Boot's environment is on as well, and the size of that: CONFIG_ENV_SIZE.
U_BOOT_DISK = "u-boot-env"
U_BOOT_SIZE = 0x40000
USER = "ccsight"

#: Place -> content.
_SETTINGS = {
    "etc/hostname": "rig\n",
    "etc/hosts": "127.0.0.1 localhost rig\n",
    # Nothing is checked at the start: the programs for that would be a tenth of the initramfs.
    "etc/fstab": (
        f"UUID={ROOT_DISK} / ext4 noatime,errors=remount-ro 0 0\n"
        f"UUID={BOOT_DISK} /boot ext4 noatime 0 0\n"
        f"UUID={ESP} /boot/efi vfat umask=0077 0 0\n"
    ),
    "etc/systemd/network/10-rig.network": "[Match]\nType=ether\n\n[Network]\nDHCP=ipv4\n",
    "etc/systemd/system.conf.d/rig.conf": "[Manager]\nDefaultTimeoutStopSec=15s\n",
    "etc/ssh/sshd_config.d/rig.conf": "HostKey /etc/ssh/ssh_host_ed25519_key\n",
    "etc/sudoers.d/rig": f"{USER} ALL=(ALL:ALL) NOPASSWD: ALL\n",
    "etc/default/grub": (
        "GRUB_DEFAULT=saved\nGRUB_TIMEOUT=0\nGRUB_TERMINAL=console\nGRUB_DISTRIBUTOR=Debian\n"
        'GRUB_CMDLINE_LINUX_DEFAULT=""\nGRUB_CMDLINE_LINUX="console=ttyAMA0"\nGRUB_DISABLE_OS_PROBER=true\n'
    ),
    # Where U-Boot's environment is, on a rig that has it; no other one has that disk.
    "etc/fw_env.config": f"/dev/disk/by-id/virtio-{U_BOOT_DISK} 0x0 {U_BOOT_SIZE:#x}\n",
    "etc/default/kexec": "LOAD_KEXEC=false\nUSE_GRUB_CONFIG=false\n",
    # Half of what it takes here to make an initramfs would be to pack it well.
    "etc/initramfs-tools/conf.d/rig": "MODULES=dep\nCOMPRESS=lz4\nCOMPRESSLEVEL=1\n",
    # Debian does not load watchdogs' drivers by itself: who wants one names it.
    "etc/modules-load.d/rig.conf": "i6300esb\n",
}
_MODES = {"etc/sudoers.d/rig": 0o440}


def write(folder: Path, host_key: Path, public_key: str) -> None:
    """Write all below a folder, with the machine's host key and the key that may log in as root."""
    for place, content in _SETTINGS.items():
        path = folder / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        path.chmod(_MODES.get(place, 0o644))
    for suffix in ("", ".pub"):
        kept = folder / f"etc/ssh/ssh_host_ed25519_key{suffix}"
        kept.write_bytes(host_key.with_name(host_key.name + suffix).read_bytes())
    (folder / "root/.ssh").mkdir(parents=True)
    (folder / "root/.ssh/authorized_keys").write_text(public_key)


def keygen(path: Path, comment: str) -> str:
    """Make a key pair, ``path`` and ``path.pub``, and return the public line."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path.with_name(f"{path.name}.pub").read_text()
