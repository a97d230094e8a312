"""Options made from the settings, so that a setting is described once."""

import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from tomllib import TOMLDecodeError
from typing import Annotated, Any, Literal, NoReturn, TypeVar, get_args, get_origin

import typer
from pydantic import SecretStr, ValidationError

from bq_server.settings import Settings

T = TypeVar("T")

CONFIG = Annotated[
    Path | None, typer.Option("--config", envvar="BQ_CONFIG", help="TOML file with any of these settings.")
]


def flag(name: str) -> str:
    """The flag of a setting."""
    return "--" + name.replace("_", "-")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return "BQ_" + name.upper()


def named_path(value: str) -> Path:
    """A path that was given. An empty one, perhaps from an unset variable, would be the working directory.

    Raises `typer.BadParameter`.
    """
    if not value:
        raise typer.BadParameter("names no path; '.' is the working directory")
    return Path(value)


STORE = {
    "data_dir": "The server's data directory.",
    "store_url": "The PostgreSQL server that keeps facts and keys, where one does.",
}
"""The settings of commands that look into the store themselves, and what they mean to these."""

KNOWN_VARIABLES = {variable(name) for name in Settings.model_fields} | {"BQ_CONFIG", "BQ_URL", "BQ_API_KEY"}
"""The environment variables that the settings and the commands read."""


def with_settings(
    names: Iterable[str] | Mapping[str, str] | None = None,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Turn `command(settings, ...)` into a command with a flag for each named setting (all by default) and `--config`.

    Its own parameters come before those. A mapping gives the settings' meanings for this command.
    """
    meanings = names if isinstance(names, Mapping) else {}
    chosen = list(Settings.model_fields if names is None else names)

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = list(inspect.signature(command).parameters.values())[1:]

        def run(config: Path | None = None, **given: Any) -> None:
            mine = {parameter.name: given.pop(parameter.name) for parameter in own}
            command(load({name: value for name, value in given.items() if value is not None}, config), **mine)

        parameters = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
        parameters += [_parameter(name, meanings.get(name)) for name in chosen]
        parameters.append(inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=CONFIG))
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        run.__doc__ = command.__doc__
        return run

    return decorate


def _parameter(name: str, meaning: str | None) -> inspect.Parameter:
    field = Settings.model_fields[name]
    choices = get_origin(field.annotation) is Literal
    members = (field.annotation,) if choices else get_args(field.annotation) or (field.annotation,)
    kind = next(member for member in members if member is not type(None))
    plain: Any = kind if choices or kind in (int, float, bool, Path) else str
    default = f"  [default: {field.default}]" if field.default is not None else ""
    help_text = f"{meaning or field.description} [{variable(name)}]{default}"
    reading: Any = {"parser": named_path, "metavar": "<path>"} if kind is Path else {}
    option = typer.Option(flag(name), help=help_text, show_default=False, **reading)
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[plain | None, option]
    )


def load(flags: dict[str, Any], config: Path | None) -> Settings:
    """The settings; ends the program with a message for each that is wrong."""
    for name in sorted(os.environ):
        if name.startswith("BQ_") and name not in KNOWN_VARIABLES and not name.startswith("BQ_LOAD_"):
            typer.echo(f"bq-server: {name} is not a setting; it is ignored", err=True)
    try:
        return Settings.load(flags, config)
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            message = item["msg"].removeprefix("Value error, ")
            if not item["loc"]:
                typer.echo(f"bq-server: {message}", err=True)
                continue
            name = str(item["loc"][0])
            if item["type"] == "extra_forbidden":
                typer.echo(f"bq-server: {config}: {name} is not a setting", err=True)
            else:
                typer.echo(f"bq-server: {flag(name)} ({variable(name)}): {message}", err=True)
        raise typer.Exit(2) from None
    except (OSError, TOMLDecodeError, UnicodeDecodeError) as error:
        fail(f"the configuration file {config} can't be read: {error}", code=2)


def fail(message: str, code: int = 1) -> NoReturn:
    """End the program with a message on standard error."""
    typer.echo(f"bq-server: {message}", err=True)
    raise typer.Exit(code)


def consent(what: str, question: str, option: str) -> None:
    """Let the person at the terminal decide whether to lose `what`.

    Ends the program after a no, and if there is no terminal: there, `option` says yes beforehand.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        fail(f"{what}: nothing was done. {option} allows it without asking", code=2)
    if not typer.confirm(f"bq-server: {what}. {question}", err=True):
        fail("nothing was done")


def complete(work: Coroutine[Any, Any, T]) -> T:
    """What `work` returns."""
    import asyncio

    return asyncio.run(work)


def reveal(secret: SecretStr | None) -> str | None:
    """The text of a secret setting."""
    return None if secret is None else secret.get_secret_value()
