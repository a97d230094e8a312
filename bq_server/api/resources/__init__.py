"""One module a resource: its routes and what answers them."""
