"""State held against facts, and rebuilt from them."""
