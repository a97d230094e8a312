"""The steps of the Dockerfile, carried out with the real one-directory form in a bare root; no container engine."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.binary.bare import made_root
from tests.binary.program import until
from tests.support import dockerfile

DOCKERFILE = Path(__file__).parents[2] / "packaging" / "Dockerfile"


@pytest.mark.skipif(os.geteuid() != 0, reason="entering another root takes root")
def test_a_container_serves_is_healthy_and_ends_in_order(dist: Path, tmp_path: Path) -> None:
    root, log = tmp_path / "root", tmp_path / "log"
    subprocess.run(["cp", "-a", "--reflink=auto", made_root("bare-root"), root], check=True)
    image = dockerfile.build(dockerfile.read(DOCKERFILE), dist, root)
    line, environment = dockerfile.inside(image, root, [*image.entrypoint, *image.command])
    check, _ = dockerfile.inside(image, root, image.health)
    # A container has its port to itself; this machine's may be taken.
    environment = environment | {"BQ_PORT": "0", "PATH": dockerfile.PATH}
    with log.open("wb") as out, subprocess.Popen(line, env=environment, stdout=out, stderr=out) as process:
        try:
            until("it listens", lambda: "curl " in log.read_text() or process.poll() is not None, 30)
            assert process.poll() is None, log.read_text()
            port = log.read_text().partition("http://127.0.0.1:")[2].partition("/")[0]
            healthy = subprocess.run(check, env=environment | {"BQ_PORT": port}, capture_output=True, check=False)
            assert healthy.returncode == 0, healthy.stderr
            process.send_signal(getattr(signal, image.signal))
            assert process.wait(30) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
    assert (root / "data" / "facts.sqlite3").stat().st_uid == int(image.user.partition(":")[0])
    unhealthy = subprocess.run(check, env=environment | {"BQ_PORT": port}, capture_output=True, check=False)
    assert unhealthy.returncode == 1, "a health check that can't fail says nothing"
