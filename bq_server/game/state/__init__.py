"""What is stored about a participant: the keys of cells, and their packed form."""
