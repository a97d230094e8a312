"""What only test environments may do: be drained, have their clock moved, be emptied, exported and imported."""
