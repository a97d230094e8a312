"""Chaos: a known history is sent to a server that is broken meanwhile, and compared with what it stored."""
