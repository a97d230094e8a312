"""The examples of docs/examples, run as their first lines say."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.clients.test_typescript_client import INSTALLED, PACKAGE
from tests.support.client import Project, event
from tests.support.hooks import add, path, told
from tests.support.process import ServerProcess

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
GAME = {"points": [{"code": "spend", "on": "purchase_completed", "award": "properties.amount"}]}


def environment(bq: Project, server: ServerProcess) -> dict[str, str]:
    python = str(ROOT / "clients" / "python")
    return {**os.environ, "BQ_URL": server.url, "BQ_API_KEY": bq.keys["test"], "PYTHONPATH": python, "PORT": "0"}


@contextmanager
def running(command: list[str], cwd: Path, env: dict[str, str], address: Callable[[str], str | None]) -> Iterator[str]:
    """An application, whose address is in a line of what it says; at the end it is asked to stop, and does."""
    with subprocess.Popen(
        command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as program:
        assert program.stdout is not None
        said = ""
        try:
            for line in program.stdout:
                said += line
                if (found := address(line)) is not None:
                    yield found
                    break
            else:
                raise AssertionError(said)
        finally:
            program.send_signal(signal.SIGTERM)
            said += program.stdout.read()
            code = program.wait(60)
    assert code in (0, -signal.SIGTERM), said


def use(shop: str, bq: Project) -> None:
    """What a customer does."""
    with httpx.Client(base_url=shop, verify=False, timeout=30) as http:
        for _ in range(2):
            answer = http.post("/orders/1", params={"user": "ada", "amount": 40})
            assert answer.status_code == 201, answer.text
        assert http.get("/products/p1", params={"user": "ada"}).json() == {"product_id": "p1"}
        bq.drain()
        assert http.get("/me", params={"user": "ada"}).json() == {"points": 40, "badges": []}


def test_every_example_is_short() -> None:
    for example in EXAMPLES.iterdir():
        assert len(example.read_text().splitlines()) < 60, example


def test_the_shell_script(bq: Project, server: ServerProcess) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    script = EXAMPLES / "curl.sh"
    ran = subprocess.run([script], env=environment(bq, server), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert '"would_be":"processed"' in ran.stdout
    assert bq.balance("ada") == 80


def test_the_fastapi_application(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    command = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--app-dir", str(EXAMPLES), "--port", "0"]

    def address(line: str) -> str | None:
        return line.split(" on ")[1].split()[0] if "running on http" in line else None

    with running(command, ROOT, environment(bq, server), address) as shop:
        use(shop, bq)
    bq.drain()
    assert {fact["event_name"] for fact in bq.facts()} == {"purchase_completed", "product_viewed"}


def test_the_receiver_of_webhooks(bq: Project, server: ServerProcess) -> None:
    bq.apply(GAME)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = add(bq, f"http://127.0.0.1:{port}/hook", "points.changed")
    command = [sys.executable, str(EXAMPLES / "webhook_receiver.py"), made["secret"]]

    def address(line: str) -> str | None:
        return line.split(" on ")[1].strip() if "listening on" in line else None

    with running(command, ROOT, environment(bq, server) | {"PORT": str(port)}, address) as receiver:
        assert httpx.post(receiver, content=b"{}", verify=False).status_code == 401
        for _ in range(2):  # the second time it has been seen before
            bq.send_sync(event("purchase_completed", "ada", properties={"amount": 40}))
            told(bq)
            assert bq.post(path(made, "/replay"), {}).status_code == 202
            told(bq)
        [first, second] = bq.get(path(made, "/deliveries")).json()["deliveries"]
    assert {each["status"] for delivery in (first, second) for each in delivery["tries"]} == {204}


@pytest.mark.skipif(not INSTALLED, reason="needs node and the packages that `make clients` installs")
def test_the_express_application(bq: Project, server: ServerProcess, tmp_path: Path) -> None:
    bq.apply(GAME)
    modules = tmp_path / "node_modules"
    modules.mkdir()
    for package in (PACKAGE / "node_modules").iterdir():
        (modules / package.name).symlink_to(package)
    client = modules / "bq-client"
    shutil.copytree(PACKAGE, client, ignore=shutil.ignore_patterns("node_modules", "dist"))
    subprocess.run(["node", PACKAGE / "node_modules" / "typescript" / "bin" / "tsc", "-p", client], check=True)
    shutil.copy(EXAMPLES / "express_app.mjs", tmp_path)

    def address(line: str) -> str | None:
        return line.strip() if line.startswith("http://") else None

    with running(["node", "express_app.mjs"], tmp_path, environment(bq, server), address) as shop:
        use(shop, bq)
        assert httpx.post(f"{shop}/orders/2?user=&amount=1", verify=False).status_code == 422
    bq.drain()
    assert {fact["event_name"] for fact in bq.facts()} == {"purchase_completed", "product_viewed"}
