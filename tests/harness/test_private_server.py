"""A server of the harness's own ends with it, however that ends."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.process import until

HARNESS = """
import sys
from pathlib import Path
from harness.private_server import PrivateServer
with PrivateServer(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_when_the_harness_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", HARNESS, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        harness.send_signal(number)
        harness.wait(30)
    until("the server is gone", lambda: not Path(f"/proc/{pid}").exists())
    assert "server.stopped" in (tmp_path / "server.log").read_text(), "it didn't end in order"
