"""The tools of the embedded default, fetched privately: packages, QEMU, an arm64 userland."""
