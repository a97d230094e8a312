"""What the executable runs."""

import sys

from bq_server.runtime import collector, outputs
from bq_server.runtime.frozen import bundle
from bq_server.runtime.unpacked import enter

outputs.open_closed()  # first: whatever is opened next would take their numbers
enter()  # before the rest: a killed bootloader must be noticed before slow imports
collector.pause()
# The time zones stay in one file, from which Python imports them; it is searched last, and seldom.
sys.path.append(str(bundle() / "tzdata.zip"))

import pysqlite3  # noqa: E402

# The executable has one SQLite. aiosqlite takes names from the standard library's module, which is not packed.
sys.modules["sqlite3"] = pysqlite3

from bq_server.cli import main  # noqa: E402

main()
