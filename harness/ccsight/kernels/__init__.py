"""From a kernel spec to a bootable, identified arm64 kernel."""
