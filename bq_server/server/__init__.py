"""The composition root, the process around it, and how it ends."""
