"""Plan, execute and resume a run."""
