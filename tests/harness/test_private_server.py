"""A server of the harness's own ends with it, however that ends."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import private_server
from harness.private_server import PrivateServer
from tests.support.process import until

HARNESS = """
import sys
from pathlib import Path
from harness.private_server import PrivateServer
with PrivateServer(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


def test_broken_off_while_it_ends_it_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = [KeyboardInterrupt]

    def end(*arguments: Any) -> int:
        if ends:
            raise ends.pop()
        return private_server_end(*arguments)

    private_server_end = private_server.end
    monkeypatch.setattr(private_server, "end", end)
    with pytest.raises(KeyboardInterrupt), PrivateServer() as server:
        pass
    assert not server.running
    assert not server.data_dir.parent.exists()


def _heed_hangups() -> None:
    """Whatever started these tests, such as `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
def test_it_ends_when_the_harness_is_ended(tmp_path: Path, number: signal.Signals) -> None:
    command = [sys.executable, "-c", HARNESS, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=_heed_hangups
    ) as harness:
        assert harness.stdout is not None
        pid = int(harness.stdout.readline())
        harness.send_signal(number)
        harness.wait(30)
    until("the server is gone", lambda: not Path(f"/proc/{pid}").exists())
    assert "server.stopped" in (tmp_path / "server.log").read_text(), "it didn't end in order"
