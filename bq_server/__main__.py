"""`python -m bq_server`, and the command `bq-server`."""

from bq_server.runtime import collector, outputs

outputs.open_closed()  # first: whatever is opened next would take their numbers
collector.pause()  # until everything is imported

from bq_server.cli import main  # noqa: E402

if __name__ == "__main__":
    main()
