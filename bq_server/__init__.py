"""A self-hosted gamification event engine in one executable."""

__version__ = "0.2.0"
