"""A program with a mutant in it: `python -m tools.mutation.mutated SITE serve ...` is `bq-server serve ...`, but wrong.

As a plugin of pytest (`-p tools.mutation.mutated`) it takes the site from `MUTANT`. No file is changed: the module is
compiled from its mutated source when it is imported, and no bytecode of it is kept.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import CodeType, ModuleType

from tools.mutation.operators import mutated

VARIABLE = "MUTANT"


class _Loader(SourceFileLoader):
    """Compiles one module with a mutant in it."""

    def __init__(self, fullname: str, path: str, place: tuple[int, int, int]) -> None:
        super().__init__(fullname, path)
        self._place = place

    def get_code(self, fullname: str) -> CodeType:
        """Never from a cache."""
        path = self.get_filename(fullname)
        source = self.get_data(path).decode("utf-8")
        code: CodeType = compile(mutated(source, *self._place), path, "exec")
        return code


class _Finder(MetaPathFinder):
    def __init__(self, module: str, place: tuple[int, int, int]) -> None:
        self._module = module
        self._place = place

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module's own spec, with the loader above."""
        spec = PathFinder.find_spec(fullname, path, target) if fullname == self._module else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(fullname, spec.origin, self._place)
        return spec


def install(site: str) -> None:
    """Let the module of a site have its mutant when it is imported. Raises `RuntimeError` when it has been."""
    module, *place = site.split(":")
    if module in sys.modules:
        raise RuntimeError(f"{module} is imported already")
    line, column, number = map(int, place)
    sys.meta_path.insert(0, _Finder(module, (line, column, number)))


if __name__ == "__main__":
    install(sys.argv.pop(1))

    from bq_server.cli import main

    main()
elif VARIABLE in os.environ:
    install(os.environ[VARIABLE])
