"""What a KVM/arm64 guest sees of the CPU's caches, on every kernel you can boot."""

__version__ = "0.1.0"
