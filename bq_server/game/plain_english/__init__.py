"""A game in plain English: one sentence for each thing that a rule says."""
