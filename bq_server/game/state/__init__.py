"""What is kept of a participant: the keys of cells, and their packed form."""
