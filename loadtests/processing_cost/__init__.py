"""What processing an event costs, against stored facts, definitions and late events."""
