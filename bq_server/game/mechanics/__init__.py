"""The mechanics: one rule each, on the same base."""
