"""What keeps the documentation true: the map of imports, the walk of an event, the site."""
