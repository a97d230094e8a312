"""Chaos: a known history sent to a server that is being broken meanwhile, and held against what is left."""
