"""What only test environments may do: wait until all is settled, move their clock, be emptied, come and go whole."""
