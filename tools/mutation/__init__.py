"""Mistakes of one operator each in the pure game, and who sees them: `python -m tools.mutation --help`."""
