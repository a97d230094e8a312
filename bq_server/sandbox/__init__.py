"""What only test environments can do: drain, move the clock, reset, export and import."""
