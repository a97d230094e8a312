"""This machine and this process: the form of the program, its directory, its logs, diagnosis."""
