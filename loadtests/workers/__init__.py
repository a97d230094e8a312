"""How much faster several workers drain a backlog than one."""
