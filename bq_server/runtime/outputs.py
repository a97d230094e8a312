"""Standard input, output and error as the parent left them: closed, full, or with nobody at the other end."""

import fcntl
import os
import sys


def open_closed() -> None:
    """Open on nothing whatever the parent closed.

    Otherwise the next file, perhaps the database, would get that number, and what is printed would be written into it.
    """
    for number in range(3):
        if not _is_usable(number):
            nothing = os.open(os.devnull, os.O_RDWR)  # which may be that number already
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
    # Python has none for what was closed.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115 - for as long as the process lasts
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def give_up_stdout() -> OSError | None:
    """Why standard output can't be written, if it can't: then whatever is still to be written there is dropped.

    For whoever has failed, perhaps because of it: an empty line is written to find out.
    """
    try:
        sys.stdout.flush()
        os.write(1, b"\n")  # what could not be written need not be there to be flushed
    except OSError as error:
        _drop(1)
        return error
    return None


def give_up_stderr() -> None:
    """Drop what can't be written to standard error: an exit code that says so would say nothing of the command."""
    try:
        sys.stderr.flush()
    except OSError:
        _drop(2)


def _is_usable(number: int) -> bool:
    """Whether it is open, and not somebody's file to read where it is to be written."""
    try:
        mode = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except OSError:
        return False
    return number == 0 or mode != os.O_RDONLY


def _drop(number: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, number)
    os.close(nothing)
