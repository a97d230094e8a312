"""`python -m loadtests.workers.undivided` is bq-server that shares batches out whoever the events are of: a control.

Each worker then has events of nearly all participants, and waits for the others.
"""

from itertools import count

from bq_server.cli import main
from bq_server.processing import shared_batch
from bq_server.processing.partitions import PARTITIONS

if __name__ == "__main__":
    numbers = count()
    shared_batch.partition_of = lambda *_: next(numbers) % PARTITIONS  # type: ignore[attr-defined]
    main()
