"""The architecture's side, pure: registers and their fields, KVM's ids for them, cache geometry."""
