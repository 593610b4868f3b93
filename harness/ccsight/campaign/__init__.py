"""From a plan to its judgements: collect captures on any executor, judge them, resume."""
