"""Backup and restore: everything that a data directory and its stream hold, in one file."""
