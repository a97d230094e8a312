"""The password file of libpq, by its documentation: https://www.postgresql.org/docs/current/libpq-pgpass.html."""

from pathlib import Path

import pytest

from bq_server.store.postgresql.password_file import password_of

FILE = r"""# host:port:database:user:password, the first that fits
elsewhere:*:*:*:no
db:5433:*:*:other port
db:*:game:bq:a\:b\\c~
db\:1:*:*:*:host with a colon
::1:*:*:*:never: an address's colons want escapes
\:\:1:5432:*:*:six
/run/pg:*:*:*:by its directory
localhost:*:*:*:a socket
*:*:*:last:of last
short:line
""".replace("~", " ")


@pytest.fixture(autouse=True)
def _file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGPASSWORD", "PGPASSFILE", "PGUSER", "PGHOST", "PGPORT", "PGDATABASE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".pgpass").write_text(FILE, "utf-8")
    (tmp_path / ".pgpass").chmod(0o600)


@pytest.mark.parametrize(
    ("url", "password"),
    [
        ("postgresql://bq@db/game", "a:b\\c "),
        ("postgresql://bq@db:5433/game", "other port"),
        ("postgresql://bq@db/game?port=5433", "other port"),
        ("postgresql://bq@db/other", None),
        ("postgresql:///game?host=db&user=bq", "a:b\\c "),
        ("postgresql://bq@nowhere,db:5433/game", "other port"),
        ("postgresql://bq@[::1]/x", "six"),
        ("postgresql://bq@[::1]:6000/x", None),
        ("postgresql://bq@/x?host=/run/pg", "by its directory"),
        ("postgresql://bq@/x?host=%2Frun%2Fother", "a socket"),
        ("postgresql://bq@/x", "a socket"),
        ("postgresql://last@anywhere/x", "of last"),
        ("postgresql://bq:mine@db/game", None),
        ("postgresql://bq@db/game?password=mine", None),
    ],
)
def test_which_password_a_url_gets(url: str, password: str | None) -> None:
    assert password_of(url) == password


def test_what_the_url_leaves_out_comes_from_libpqs_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"PGHOST": "db", "PGPORT": "5433", "PGUSER": "bq", "PGDATABASE": "game"}.items():
        monkeypatch.setenv(name, value)
    assert password_of("postgresql://") == "other port"
    monkeypatch.delenv("PGPORT")
    assert password_of("postgresql://") == "a:b\\c "
    monkeypatch.setenv("PGPASSWORD", "nearer")
    assert password_of("postgresql://") is None


def test_a_file_that_others_may_read_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tmp_path / "other"
    other.write_text("*:*:*:*:found\n", "utf-8")
    other.chmod(0o640)
    assert password_of(f"postgresql://bq@db/game?passfile={other}") is None
    other.chmod(0o600)
    assert password_of(f"postgresql://bq@db/game?passfile={other}") == "found"
    monkeypatch.setenv("PGPASSFILE", str(other))
    assert password_of("postgresql://bq@db/game") == "found"
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    assert password_of("postgresql://bq@db/game") is None
