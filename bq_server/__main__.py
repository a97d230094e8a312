"""`python -m bq_server`."""

from bq_server.cli import main

main()
