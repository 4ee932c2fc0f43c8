"""The command ``halfkick``; only this and what is in ``commands`` print."""

from __future__ import annotations

import errno
import logging
import signal
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Annotated

import typer

from .commands.adopt import adopt
from .commands.analyze import analyze
from .commands.bench import bench
from .commands.check import check
from .commands.compare import compare
from .commands.distill import distill
from .commands.flash import flash
from .commands.init import init
from .commands.movie import movie
from .commands.run import run
from .commands.serve import serve
from .commands.train import train
from .commands.tune import tune
from .commands.validate import validate
from .commands.watch import watch

OUTSIDE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)
"""Errors that are no fault of the program: a full or broken disk, no permission."""

if TYPE_CHECKING:
    from click import UsageError
else:  # click's; older versions of typer import it, newer ones have one of their own
    UsageError = typer.BadParameter.__base__

app = typer.Typer(
    name="halfkick",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

COMMANDS = (
    *(init, adopt, run, serve, watch, analyze, compare, movie),
    *(check, tune, validate, bench, train, distill),
)

for command in COMMANDS:
    app.command()(command)
app.add_typer(flash, name="flash")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"halfkick {metadata.version('halfkick')}")
        raise typer.Exit


@app.callback()
def halfkick(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_print_version)
    ] = False,
) -> None:
    """Serve the direct and conservative forces of one model to i-PI."""


def main() -> None:
    """Run the command; whatever a user can mend ends in one line and the error's exit code."""
    from ..models.errors import HalfkickError

    logging.basicConfig(format="halfkick: %(message)s", level=logging.WARNING, stream=sys.stderr)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        raise SystemExit(app(standalone_mode=False))
    except UsageError as error:
        message = error.format_message().rstrip(".")
        if message:  # without any arguments the help has been shown
            name = error.ctx.command_path if error.ctx else "halfkick"
            print(f"halfkick: error: {message}; see {name} --help", file=sys.stderr)
        raise SystemExit(2) from None
    except HalfkickError as error:
        print(f"halfkick: {error.verb}: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        if error.errno not in OUTSIDE:
            raise
        print(f"halfkick: error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


def _terminate(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
