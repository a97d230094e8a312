"""A person's rights: exporting and erasing everything that is kept about a participant."""
