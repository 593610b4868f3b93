"""The gate: a policy and runs in, ADVANCE, HOLD or REVERT out. No machine, no clock."""
