"""The reference model, pure: what KVM/arm64 is known to do with the cache registers, as data."""
