"""Pure judgements over captures: laws that hold on any one kernel, comparisons of two."""
