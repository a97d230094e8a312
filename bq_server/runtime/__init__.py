"""This machine and this process: the form the program runs in, its directory, its logs, what may be wrong."""
