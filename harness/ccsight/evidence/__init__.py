"""Evidence: what was observed, how it lies on disk, and how a run is told from its plan."""
