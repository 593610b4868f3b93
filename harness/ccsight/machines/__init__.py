"""Machines that boot a kernel and are then reached over SSH: emulated ones, and real ones."""
