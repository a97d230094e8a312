"""The lane: a lean HTTP/1.1 protocol that answers the two hot routes in their common form, and nothing else."""
