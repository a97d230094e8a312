"""The game: pure functions from facts to progress, awards and standings. No I/O, no clock, no randomness."""
