"""The life of the server's process: banner, settings, signals, and what it leaves behind."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
from pathlib import Path

import httpx
import pytest

from tests.support.client import event
from tests.support.process import COMMAND, ServerProcess, run, until
from tests.support.store import opened


def test_the_banner_holds_curl_lines_that_work_when_pasted(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        assert str(data_dir) in server.banner
        assert f"{server.url}/docs" in server.banner
        assert "fsync" in server.banner
        post, read = re.findall(r"curl (?:.*\\\n)*.*", server.banner)
        posted = subprocess.run(["bash", "-c", post], capture_output=True, text=True, check=True)
        assert json.loads(posted.stdout)["fact_type"] == "custom.level_completed"
        listed = subprocess.run(["bash", "-c", read], capture_output=True, text=True, check=True)
        assert json.loads(listed.stdout)["facts"][0]["participant_id"] == "user_123"
        first_key = server.key
        assert server.stop() == 0
        assert first_key not in server.log
        server.start()
        assert "bq_test_" not in server.banner, "the first key is shown once"
        assert server.request("GET", "/facts", first_key).status_code == 200
        assert server.stop() == 0


def test_a_key_from_the_environment_is_honoured_and_not_shown(data_dir: Path) -> None:
    key = "bq_test_" + "0123456789abcdef" * 2
    with ServerProcess(data_dir, env={"BQ_DEV_KEY": key}) as server:
        assert key not in server.banner + server.log
        assert "$BQ_DEV_KEY" in server.banner
        assert server.request("POST", "/ingest/events/sync", key, json=event()).status_code == 200
        server.stop()


def test_flags_go_over_environment_over_file_over_defaults(data_dir: Path, tmp_path: Path) -> None:
    config = tmp_path / "bq.toml"
    config.write_text("max_batch_events = 2\nmax_nesting = 2\nmax_properties_bytes = 20\n")
    env = {"BQ_MAX_NESTING": "3", "BQ_MAX_BATCH_EVENTS": "3", "BQ_CONFIG": str(config)}
    with ServerProcess(data_dir, "--max-batch-events", "4", env=env) as server:
        with server.client() as client:
            assert client.post("/ingest/events/batch", json={"events": [event()] * 4}).status_code == 202
            assert client.post("/ingest/events/batch", json={"events": [event()] * 5}).status_code == 422
            assert client.post("/ingest/events", json=event(properties={"a": {"b": {}}})).status_code == 202
            assert client.post("/ingest/events", json=event(properties={"a": {"b": {"c": {}}}})).status_code == 422
            assert client.post("/ingest/events", json=event(properties={"a": "x" * 20})).status_code == 422
        server.stop()


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--port", "70000"], {}, "--port (BQ_PORT)"),
        ([], {"BQ_PORT": "x"}, "--port (BQ_PORT)"),
        ([], {"BQ_WRITE_TIMEOUT_SECONDS": "inf"}, "--write-timeout-seconds (BQ_WRITE_TIMEOUT_SECONDS)"),
        (["--read-timeout-seconds", "1e300"], {}, "--read-timeout-seconds (BQ_READ_TIMEOUT_SECONDS)"),
        (["--shutdown-timeout-seconds", "inf"], {}, "--shutdown-timeout-seconds (BQ_SHUTDOWN_TIMEOUT_SECONDS)"),
        (["--idempotency-window-hours", "9" * 14], {}, "--idempotency-window-hours (BQ_IDEMPOTENCY_WINDOW_HOURS)"),
        ([], {"BQ_DEV_KEY": "bq_live_" + "0" * 32}, "--dev-key (BQ_DEV_KEY): must be bq_test_"),
        (["--config", "none.toml"], {}, "none.toml"),
    ],
)
def test_a_wrong_setting_ends_with_a_sentence(arguments: list[str], env: dict[str, str], said: str) -> None:
    ended = run("serve", *arguments, env=env)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_unknown_key_in_the_file_ends_with_a_sentence(tmp_path: Path) -> None:
    for text, said in (("prot = 1\n", "prot is not a setting"), ("port = \n", "can't be read")):
        config = tmp_path / "bq.toml"
        config.write_text(text)
        ended = run("serve", "--config", str(config))
        assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
        assert said in ended.stderr


def test_a_second_server_on_one_data_directory_says_so_and_exits_1(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        for flags in ([], ["--port", str(httpx.URL(server.url).port)]):
            second = run("serve", "--data-dir", str(data_dir), *(flags or ["--port", "0"]))
            assert second.returncode == 1
            assert f"another bq-server (process {server.process.pid}) is using the data directory" in second.stderr
            assert "Traceback" not in second.stderr
        assert server.request("GET", "/facts").status_code == 200
        server.stop()


def test_a_taken_port_is_named_and_nothing_is_started(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("serve", "--port", str(port), "--data-dir", str(data_dir))
    assert ended.returncode == 1
    assert f"port {port}" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (data_dir / "facts.sqlite3").exists()


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = run("serve", "--port", "0", "--data-dir", str(tmp_path / "file" / "data"))
    assert ended.returncode == 1
    assert "can't be created" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_too_few_open_files_are_named_before_anything_is_started(data_dir: Path) -> None:
    limited = f"ulimit -n 12; exec {' '.join(COMMAND)} serve --port 0 --data-dir {data_dir}"
    ended = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, data_dir.exists()) == (1, "", False)
    assert ended.stderr == (
        "bq-server: 12 files may be open at a time, and 128 is the least it starts with; "
        "raise the limit with `ulimit -n`\n"
    )


def test_a_database_newer_than_the_program_is_refused(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        server.stop()
    with opened(data_dir) as database:
        database.execute("INSERT INTO schema_migrations (version, name) VALUES (9999, '9999_future.sql')")
    for command in (["serve", "--port", "0"], ["keys", "list"]):
        ended = run(*command, "--data-dir", str(data_dir))
        assert ended.returncode == 1
        assert "schema version 9999" in ended.stderr
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_finishes_what_is_under_way(data_dir: Path, number: signal.Signals) -> None:
    with ServerProcess(data_dir) as server:
        accepted: list[str] = []
        stopping = threading.Event()

        def send() -> None:
            with server.client() as client:
                while not stopping.is_set():
                    try:
                        answer = client.post("/ingest/events/batch", json={"events": [event()] * 20})
                    except httpx.TransportError:
                        return
                    if answer.status_code != 202:
                        assert answer.status_code == 503
                        return
                    accepted.extend(answer.json()["message_ids"])

        senders = [threading.Thread(target=send) for _ in range(4)]
        for sender in senders:
            sender.start()
        until("events flow", lambda: len(accepted) > 200)
        valkeys = server.valkey_pids
        assert len(valkeys) == 1
        assert server.stop(number) == 0
        stopping.set()
        for sender in senders:
            sender.join()
        assert server.valkey_pids == []
        assert "Traceback" not in server.log
        server.start()
        with server.client(server.key) as client:
            until(
                "every accepted event is a fact",
                lambda: client.get("/events/catalog/purchase_completed").json()["count"] >= len(accepted),
            )
        assert server.stop() == 0


def test_only_a_hangup_can_be_ignored_by_the_parent(data_dir: Path) -> None:
    ignored = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    with ServerProcess(data_dir, ignored=ignored) as server:
        for number in (signal.SIGINT, signal.SIGTERM):
            server.process.send_signal(signal.SIGHUP)
            assert server.stop(number) == 0
            assert number.name in server.log
            server.start()
        assert server.stop() == 0
        assert "SIGHUP" not in server.log


def test_a_second_signal_ends_at_once(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        address = httpx.URL(server.url)
        with socket.create_connection((address.host, address.port)) as slow:
            # A request that never finishes keeps the first signal waiting.
            slow.sendall(
                b"POST /api/v1/ingest/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                b"X-API-Key: " + server.key.encode() + b"\r\nContent-Length: 100\r\n\r\n{"
            )
            until("the body is awaited", lambda: server.request("GET", "/facts").status_code == 200)
            server.process.send_signal(signal.SIGTERM)
            until("the first signal is seen", lambda: "server.signal" in server.log)
            assert server.process.poll() is None
            assert server.stop() == 128 + signal.SIGTERM
        until("the stream server is gone", lambda: server.valkey_pids == [])


def test_kill_9_leaves_no_stream_server_and_the_directory_starts_again(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        key = server.key
        message_id = server.request("POST", "/ingest/events", json=event()).json()["message_id"]
        server.kill()
        until("the stream server is gone", lambda: server.valkey_pids == [])
        server.start()
        with server.client(key) as client:
            until(
                "the event is a fact",
                lambda: client.get(f"/ingest/messages/{message_id}").json()["status"] == "processed",
            )
        assert server.stop() == 0


def test_a_stream_server_that_dies_is_restarted_with_all_it_accepted(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server, server.client() as client:
        for _ in range(3):
            accepted = client.post("/ingest/events/batch", json={"events": [event()] * 50}).json()["message_ids"]
            (pid,) = server.valkey_pids
            os.kill(pid, signal.SIGKILL)
            until("another one runs", lambda gone=pid: server.valkey_pids not in ([], [gone]))
            until(
                "events are accepted again",
                lambda: client.post("/ingest/events", json=event("again")).status_code == 202,
            )
            until(
                "what was accepted is a fact",
                lambda last=accepted[-1]: client.get(f"/ingest/messages/{last}").json().get("status") == "processed",
            )
        assert client.get("/events/catalog/purchase_completed").json()["count"] == 150
        until("it is ready", lambda: httpx.get(f"{server.url}/readyz", verify=False).status_code == 200)
        assert server.stop() == 0


def test_a_data_directory_too_deep_for_a_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    with ServerProcess(deep / "data") as server:
        assert server.request("POST", "/ingest/events", json=event()).status_code == 202
        assert server.stop() == 0


def test_logs_are_json_lines_when_piped(data_dir: Path) -> None:
    with ServerProcess(data_dir) as server:
        server.stop()
    lines = [json.loads(line) for line in server.log.splitlines()]
    ready = next(line for line in lines if line["event"] == "server.ready")
    assert ready.keys() >= {"sqlite", "stream", "durability", "data_dir", "version", "time", "level"}


def test_logs_are_readable_when_asked_for(data_dir: Path) -> None:
    with ServerProcess(data_dir, "--log-format", "console") as server:
        server.stop()
    assert re.search(r"\[info +\] server\.ready .*sqlite=3\.", server.log)
