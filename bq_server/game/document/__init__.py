"""The game's document: its definitions, and every check of it."""
