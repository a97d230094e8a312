"""A program with a mutant in it: `python -m tools.mutation.mutated SITE serve ...` is `bq-server serve ...`, but wrong.

With `--switched` for the site it has all of them, and a tool decides which one is on (`tools.mutation.switch`). As a
plugin of pytest (`-p tools.mutation.mutated`) it takes the site from `MUTANT`. No file is changed: a module is compiled
from its mutated source when it is imported, and no bytecode of it is kept, but by a tool that starts the same program
again and again.
"""

import ast
import marshal
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import cast

from tools.mutation.operators import every_site, mutated
from tools.mutation.switched import switched

VARIABLE = "MUTANT"
CACHE_VARIABLE = "MUTATION_CACHE"
"""A directory in which a program leaves the code of its modules to the next one that has the same mutants."""
SWITCHED = "--switched"

Rewrite = Callable[[str], ast.Module]


class _Loader(SourceFileLoader):
    """Compiles a module from other code than its own."""

    def __init__(self, fullname: str, path: str, rewrite: Rewrite) -> None:
        super().__init__(fullname, path)
        self._rewrite = rewrite

    def get_code(self, fullname: str) -> CodeType:
        """From no cache but the tool's own."""
        path = self.get_filename(fullname)
        directory = os.environ.get(CACHE_VARIABLE)
        kept = None if directory is None else Path(directory) / f"{fullname}.code"
        if kept is not None and kept.exists():
            return cast("CodeType", marshal.loads(kept.read_bytes()))  # noqa: S302 - what was written below
        code: CodeType = compile(self._rewrite(self.get_data(path).decode("utf-8")), path, "exec")
        if kept is not None:
            kept.write_bytes(marshal.dumps(code))
        return code


class _Finder(MetaPathFinder):
    def __init__(self, rewrites: Mapping[str, Rewrite]) -> None:
        self._rewrites = rewrites

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, with the loader above."""
        rewrite = self._rewrites.get(fullname)
        spec = None if rewrite is None else PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None and rewrite is not None:
            spec.loader = _Loader(fullname, spec.origin, rewrite)
        return spec


def install(site: str) -> None:
    """Let the module of a site have its mutant when it is imported. Raises `RuntimeError` when it has been."""
    module, *place = site.split(":")
    line, column, number = map(int, place)
    _find({module: lambda source: mutated(source, line, column, number)})


def install_all() -> None:
    """Let the modules of all sites have all mutants, none of them on. Raises `RuntimeError` when one is imported."""
    from tools.mutation import switch

    sites = every_site()
    switch.prepare(sites)
    numbers = {site.name: number for number, site in enumerate(sites)}
    modules = sorted({site.module for site in sites})
    _find({module: partial(switched, module, numbers=numbers) for module in modules})
    switch.obey()


def _find(rewrites: Mapping[str, Rewrite]) -> None:
    if imported := sorted(rewrites.keys() & sys.modules.keys()):
        raise RuntimeError(f"{imported[0]} is imported already")
    sys.meta_path.insert(0, _Finder(rewrites))


if __name__ == "__main__":
    wanted = sys.argv.pop(1)
    if wanted == SWITCHED:
        install_all()
    else:
        install(wanted)

    from bq_server.cli import main

    main()
elif VARIABLE in os.environ:
    install(os.environ[VARIABLE])
