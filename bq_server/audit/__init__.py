"""State compared with facts, and rebuilt from them."""
