"""The game: pure. `(definitions, state, facts) -> (state, effects)`; no I/O, no clock, no randomness."""
