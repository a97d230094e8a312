"""Shell completion: the scripts that are shown and installed, and what they ask the program for."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.process import COMMAND, run

SHELLS = ["bash", "zsh", "fish"]


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A PATH on which the program is found by its name."""
    program = tmp_path / "bin" / "bq-server"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


@pytest.fixture
def shells(tmp_path: Path) -> Path:
    """A directory of shells: they are known by their names, and one will do for each."""
    directory = tmp_path / "shells"
    directory.mkdir()
    for shell in SHELLS:
        shutil.copy(shutil.which("bash") or "", directory / shell)
    return directory


def started_from(shell: Path, flag: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a child of that shell, which stays while it runs."""
    ended = subprocess.run(
        [shell, "--norc", "-c", f"{' '.join(COMMAND)} {flag}; exit $?"],
        capture_output=True,
        text=True,
        env=os.environ | env,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return ended


def asked(shell: str, words: str, **env: str) -> list[str]:
    """What the program answers to a shell's script about the words typed so far, the last one unfinished."""
    asking = {"_BQ_SERVER_COMPLETE": f"complete_{shell}", **env}
    match shell:
        case "bash":
            asking |= {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        case "zsh":
            asking |= {"_TYPER_COMPLETE_ARGS": words}
        case _:
            asking |= {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    ended = run(env=asking)
    assert ended.stderr == ""
    return ended.stdout.splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_for_this_program_and_the_shell_it_is_asked_from(shell: str, shells: Path) -> None:
    shown = started_from(shells / shell, "--show-completion")
    assert shown.stdout.strip() == run(env={"_BQ_SERVER_COMPLETE": f"source_{shell}"}).stdout.strip()
    assert f"_BQ_SERVER_COMPLETE=complete_{shell}" in shown.stdout
    mark = {"bash": "_completion bq-server", "zsh": "#compdef bq-server", "fish": "complete --command bq-server"}
    assert mark[shell] in shown.stdout
    assert "__main__" not in shown.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_and_options_are_completed(shell: str) -> None:
    for words, wanted in (
        ("bq-server ", ["serve", "doctor", "keys", "backup", "restore"]),
        ("bq-server ba", ["backup"]),
        ("bq-server keys ", ["create", "list", "revoke"]),
        ("bq-server serve --po", ["--port"]),
        ("bq-server serve --log-format ", ["auto", "console", "json"]),
    ):
        answer = "\n".join(asked(shell, words))
        for each in wanted:
            assert each in answer
    assert "doctor" not in "\n".join(asked(shell, "bq-server ba"))


def test_bash_completes_with_the_script_it_is_given(path: str) -> None:
    script = run(env={"_BQ_SERVER_COMPLETE": "source_bash"}).stdout
    typing = "COMP_WORDS=(bq-server resto); COMP_CWORD=1; _bq_server_completion bq-server"
    ended = subprocess.run(
        ["bash", "--norc", "-c", f'{script}\n{typing}\necho "${{COMPREPLY[@]}}"'],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": path},
        check=False,
    )
    assert (ended.stdout.strip(), ended.stderr) == ("restore", "")


@pytest.mark.parametrize(("shell", "file"), [("bash", ".bashrc"), ("zsh", ".zshrc"), ("fish", ".config/fish")])
def test_installing_writes_to_the_home_directory(tmp_path: Path, shells: Path, shell: str, file: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    installed = started_from(shells / shell, "--install-completion", HOME=str(home))
    assert f"{shell} completion installed" in installed.stdout
    assert (home / file).exists()
    text = "".join(each.read_text() for each in home.rglob("*") if each.is_file())
    assert f"_BQ_SERVER_COMPLETE=complete_{shell}" in text
