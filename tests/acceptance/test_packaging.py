"""What is shipped beside the program: the Dockerfile and the systemd unit."""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support import dockerfile
from tests.support.process import run

PACKAGING = Path(__file__).parents[2] / "packaging"
UNIT = PACKAGING / "bq-server.service"

BAD_DOCKERFILE = """\
FROM registry.example:5000/debian
ADD https://example.org/x.tar.gz /opt/
COPY ../secret /opt/
RUN apt-get install curl
ENV API_KEY=x
USER root
CMD bq-server serve
"""

PROGRAM = """\
#!/bin/sh
echo "$(id -u):$(id -g) in $PWD with $BQ_HOST $BQ_DATA_DIR: $*"
echo data > "$BQ_DATA_DIR/written"
"""


def test_the_dockerfile_has_no_fault() -> None:
    assert dockerfile.faults(dockerfile.read(PACKAGING / "Dockerfile")) == []


def test_the_lint_finds_faults(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(BAD_DOCKERFILE)
    found = "\n".join(dockerfile.faults(dockerfile.read(tmp_path / "Dockerfile")))
    for fault in ("names a registry", "no fixed tag", "over the network", "out of the context", "not here", "secret"):
        assert fault in found
    for fault in ("USER root", "CMD is not", "VOLUME is missing", "HEALTHCHECK is missing", "STOPSIGNAL is missing"):
        assert fault in found


@pytest.mark.skipif(os.geteuid() != 0, reason="entering another root takes root")
def test_the_steps_of_the_dockerfile_make_a_container_that_is_not_root(tmp_path: Path) -> None:
    context, root = tmp_path / "dist", tmp_path / "root"
    context.mkdir()
    dockerfile.bare_root(root, ["sh", "ln", "mkdir", "chown", "id"])
    with tarfile.open(context / "bq-server-dir.tar.gz", "w:gz") as archive:
        info = tarfile.TarInfo("bq-server-dir/bq-server")
        info.size, info.mode = len(PROGRAM), 0o755
        archive.addfile(info, io.BytesIO(PROGRAM.encode()))
    image = dockerfile.build(dockerfile.read(PACKAGING / "Dockerfile"), context, root)
    assert image.volumes == ["/data"]
    for command in ([*image.entrypoint, *image.command], image.health):
        line, env = dockerfile.inside(image, root, command)
        ended = subprocess.run(line, env=env, capture_output=True, text=True, check=False)
        told = f"10001:10001 in /data with 0.0.0.0 /data: {command[-1]}\n"
        assert (ended.stdout, ended.stderr, ended.returncode) == (told, "", 0)
    assert (root / "data" / "written").stat().st_uid == 10001
    assert (root / "data").stat().st_mode & 0o777 == 0o700


def test_what_the_image_and_the_unit_call_is_there() -> None:
    texts = {each.name: each.text for each in dockerfile.read(PACKAGING / "Dockerfile")}
    called = [json.loads(texts["HEALTHCHECK"].partition(" CMD ")[2])[1], json.loads(texts["CMD"])[0]]
    called += re.findall(r"^ExecStart=\S+ (\w+)", UNIT.read_text(), re.MULTILINE)
    assert called == ["health", "serve", "serve"]
    known = re.findall(r"^  (\w+)", run("--help").stdout.partition("Commands:")[2], re.MULTILINE)
    assert set(called) <= set(known)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "bq-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "bq-server.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/bq-server", str(program)))
    verified = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stderr) == (0, "")
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=25", unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-500:]


def test_the_unit_names_the_places_it_gives_the_server() -> None:
    unit = dict(line.split("=", 1) for line in UNIT.read_text().splitlines() if re.match(r"\w+=", line))
    assert unit["ExecStart"].endswith(f"serve --data-dir /var/lib/{unit['StateDirectory']}")
    assert unit["Environment"] == f"TMPDIR=/var/cache/{unit['CacheDirectory']}"
    assert (unit["Type"], unit["NotifyAccess"], unit["KillMode"]) == ("notify", "all", "mixed")


def test_the_guide_names_only_commands_there_are() -> None:
    text = (PACKAGING.parent / "docs" / "deploy.md").read_text()
    lines = [line.replace("-u bq-server ", "") for line in text.splitlines() if not line.startswith("docker build")]
    called = re.findall(r"(?<![\w-])(?:bq-server|as_bq) (?=([a-z]+)(?![\w-]))", "\n".join(lines))
    known = re.findall(r"^  (\w+)", run("--help").stdout.partition("Commands:")[2], re.MULTILINE)
    assert {"serve", "doctor", "backup", "restore", "verify", "keys", "health"} <= set(called) <= set(known)


def test_make_serve_says_what_takes_long_before_it_takes_long(tmp_path: Path) -> None:
    make = ["make", "--dry-run", "--no-print-directory", "-C", str(PACKAGING.parent), "serve"]
    fresh = subprocess.run([*make, f"VENV={tmp_path}/venv"], capture_output=True, text=True, check=True).stdout
    said = [line for line in fresh.splitlines() if line.startswith("echo")]
    assert [word in line for word, line in zip(("environment", "needs"), said, strict=True)] == [True, True]
    assert all(" s" in line for line in said), "and about how long it takes"
    assert fresh.index("echo") < fresh.index("-m venv") < fresh.index(said[1]) < fresh.index("pip install")
