"""The command line: parses, calls, prints. What was asked for goes to stdout, all else to stderr."""

from __future__ import annotations

import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from churnml.cli.access import keys
from churnml.cli.campaigns import campaign
from churnml.cli.histories import audit, catalog, check, features, init, simulate
from churnml.cli.loop import demo
from churnml.cli.models import explain, promote, rollback, score, train
from churnml.cli.release import forget, publish
from churnml.cli.serve import serve
from churnml.errors import ChurnmlError, ChurnmlWarning

DONE, FAILED, MENDABLE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit status: 0 done, 2 something the user can mend, 1 anything else."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the process lives
    signal.signal(signal.SIGTERM, _interrupt)
    warnings.showwarning = _note
    try:
        churnml.main(given, prog_name="churnml", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as left:
        sys.exit(left.exit_code)
    except click.exceptions.NoArgsIsHelpError:
        _fail("a command is missing (churnml --help lists them)", MENDABLE, given)
    except click.ClickException as error:
        _fail(f"{error.format_message()}{_help_of(error)}", MENDABLE, given)
    except ChurnmlError as error:
        _fail(str(error), MENDABLE, given)
    except (KeyboardInterrupt, click.Abort):
        _fail("interrupted; nothing is left half-written", FAILED, given)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(FAILED)
    except Exception as error:
        if str(error) == "Query interrupted":  # DuckDB's word for Ctrl-C
            _fail("interrupted; nothing is left half-written", FAILED, given)
        status, text = _unforeseen(error)
        _fail(text, status, given)
    sys.exit(DONE)


def _interrupt(_signal: int, _frame: Any) -> NoReturn:
    raise KeyboardInterrupt


def _note(message: Warning | str, *_: Any, **__: Any) -> None:
    if isinstance(message, ChurnmlWarning):
        click.echo(f"note: {message}", err=True)


def _help_of(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    return f" ({context.command_path} --help explains)" if context else ""


def _unforeseen(error: Exception) -> tuple[int, str]:
    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, OSError | MemoryError) or type(error).__name__ in (
        "OutOfMemoryException",
        "IOException",
    ):
        return (
            MENDABLE,
            f"the machine refuses ({first or type(error).__name__}): free disk or memory, and try again",
        )
    return FAILED, f"unforeseen {type(error).__name__}: {first} (--debug shows where; please report it)"


def _fail(text: str, status: int, given: list[str]) -> NoReturn:
    if "--debug" in given:
        traceback.print_exc()
    click.echo(f"error: {' '.join(text.split())}", err=True)
    sys.exit(status)


class _InFlowOrder(click.Group):
    def list_commands(self, _context: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InFlowOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="churnml")
def churnml() -> None:
    """Who is about to leave, what each customer is worth, and whether keeping them paid.

    Start with `churnml demo`, or with `churnml init DIR` and your own tables. Exit status: 0 done, 2 something you can
    mend (one line on stderr says what), 1 anything else.
    """


for _command in (
    demo, simulate, init, check, features, catalog, audit, train, score, explain, promote, rollback, campaign,
    publish, serve, keys, forget,
):  # fmt: skip
    churnml.add_command(_command)
