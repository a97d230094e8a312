"""The composition root, the process around it, and its shutdown."""
