"""A Dockerfile read, judged and carried out without Docker, in any directory that can be a root."""

import json
import os
import re
import shlex
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = {
    "ADD", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "RUN", "STOPSIGNAL", "USER",
    "VOLUME", "WORKDIR",
}  # fmt: skip
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Instruction:
    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """Of the exec form (JSON) or of the plain one."""
        if self.text.startswith("["):
            words: list[str] = json.loads(self.text)
            return words
        return shlex.split(self.text)


@dataclass
class Image:
    """What an image says of its containers."""

    env: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    user: str = "0:0"
    directory: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    signal: str = "SIGTERM"


def read(path: Path) -> list[Instruction]:
    """The instructions of a Dockerfile."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    text = re.sub(r"\\\n", " ", "\n".join(lines))
    return [Instruction(*line.split(None, 1)) for line in text.splitlines() if line.strip()]


def faults(instructions: Sequence[Instruction]) -> list[str]:
    """What is wrong with it, by the rules that linters of Dockerfiles agree on and those of this house."""
    found = [f"{each.name} is no instruction known here" for each in instructions if each.name not in KNOWN]
    by_name = {each.name: each for each in instructions}
    found += [
        f"{name} is missing"
        for name in ("USER", "VOLUME", "HEALTHCHECK", "STOPSIGNAL", "ENTRYPOINT")
        if name not in by_name
    ]
    if instructions[0].name != "FROM":
        found.append("FROM comes first")
    for each in instructions:
        if each.name == "FROM":
            host, slash, _ = each.words[0].partition("/")
            if slash and ("." in host or ":" in host):
                found.append(f"{each.text} names a registry")
            if not re.search(r":(?!latest$)[\w.-]+$", each.words[0]):
                found.append(f"{each.text} has no fixed tag")
        if each.name in ("ADD", "COPY"):
            if "://" in each.text:
                found.append(f"{each.text} comes over the network, unchecked")
            if each.name == "ADD" and ".tar" not in each.text:
                found.append(f"{each.text}: COPY does that")
            if any(word.startswith(("/", "..")) for word in each.words[:-1]):
                found.append(f"{each.text} reaches out of the context")
        if each.name in ("CMD", "ENTRYPOINT", "VOLUME") and not each.text.startswith("["):
            found.append(f"{each.name} is not in the exec form: a shell would stand between it and signals")
        if each.name == "HEALTHCHECK" and not re.search(r" CMD \[", each.text):
            found.append("HEALTHCHECK needs a shell")
        if each.name == "RUN" and re.search(r"\b(apt-get|apt|curl|wget|sudo|cd)\b", each.text):
            found.append(f"{each.text}: not here")
        if each.name == "ENV" and re.search(r"(?i)(key|token|secret|password)\w*=", each.text):
            found.append("ENV holds a secret")
    users = [each.text for each in instructions if each.name == "USER"]
    if users and not re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1]):
        found.append(f"USER {users[-1]} is root or no number")
    return found


def build(instructions: Sequence[Instruction], context: Path, root: Path) -> Image:
    """Carry out the steps in `root`, which holds what the image of FROM would; takes root's rights for RUN."""
    image = Image()
    for each in instructions:
        match each.name:
            case "ADD" | "COPY":
                *sources, target = each.words
                for source in sources:
                    _bring(context / source, root / target.lstrip("/"))
            case "RUN":
                command = ["chroot", str(root), "/bin/sh", "-e", "-c", each.text]
                subprocess.run(command, check=True, env={"PATH": PATH})
            case "ENV":
                image.env |= dict(word.split("=", 1) for word in each.words)
            case "USER":
                image.user = each.text
            case "WORKDIR":
                image.directory = each.text
                (root / each.text.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "VOLUME":
                image.volumes += each.words
            case "STOPSIGNAL":
                image.signal = each.text
            case "HEALTHCHECK":
                image.health = json.loads(each.text.partition(" CMD ")[2])
            case "ENTRYPOINT":
                image.entrypoint = each.words
            case "CMD":
                image.command = each.words
    return image


def inside(image: Image, root: Path, command: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The command line and environment that run a command as a container of the image would, in that root."""
    script = 'cd "$0" && exec "$@"'
    chroot = ["chroot", f"--userspec={image.user}", str(root), "/bin/sh", "-c", script, image.directory]
    return [*chroot, *command], image.env


def _bring(source: Path, target: Path) -> None:
    """As ADD and COPY do: an archive is unpacked, a file is copied."""
    if source.name.endswith((".tar.gz", ".tar")):
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(source) as archive:
            archive.extractall(target, filter="tar")
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def bare_root(root: Path, programs: Sequence[str], resolve: Callable[[str], str | None] = shutil.which) -> None:
    """Make a root of a few programs with their libraries, and nothing else."""
    for directory in ("bin", "dev", "etc", "opt", "proc", "tmp", "usr/local/bin"):
        (root / directory).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    for program in programs:
        path = resolve(program)
        assert path is not None, f"there is no {program} here"
        shown = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        shutil.copy2(os.path.realpath(path), root / "bin" / program)
        for library in re.findall(r"(/\S+) \(0x", shown):
            (root / library.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(os.path.realpath(library), root / library.lstrip("/"))
