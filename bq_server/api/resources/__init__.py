"""One module per resource: its routes and their handlers."""
