"""The mechanics: one rule each, over the same base."""
