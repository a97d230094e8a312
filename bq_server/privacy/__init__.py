"""A person's rights: everything that is kept of a participant, told or taken out for good."""
