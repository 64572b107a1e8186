"""The command line: parses, calls, prints. What was asked for goes to stdout, all else to stderr."""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from churnml.asof import DAY, parse_as_of
from churnml.errors import ChurnmlError
from churnml.wording import Language, say

if TYPE_CHECKING:
    from churnml.config import Config

DONE, FAILED, MENDABLE = 0, 1, 2

Command = TypeVar("Command", bound=Callable[..., Any])


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and leave with its exit status: 0 done, 2 something the user can mend, 1 anything else."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by whoever started us
            setattr(sys, stream, Path(os.devnull).open("w"))  # noqa: SIM115 - for as long as the process lives
    signal.signal(signal.SIGTERM, _interrupt)
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


def _common(command: Command) -> Command:
    for option in (
        click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error."),
        click.option("--lang", type=click.Choice(["en", "zh"]), default="en", help="Language of what people read."),
        click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout."),
    ):
        command = option(command)
    return command


def _configured(path: str) -> Config:
    """Read the configuration before anything that takes seconds to load."""
    from churnml.config import load_config

    return load_config(path)


def _print(result: Any, text: str, *, as_json: bool) -> None:
    click.echo(json.dumps(result, ensure_ascii=False, default=str) if as_json else text)


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


@churnml.command()
@click.option("--out", default="churnml-demo", show_default=True, help="The folder to make.")
@click.option("--customers", type=click.IntRange(min=1), default=20_000, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_common
def demo(out: str, customers: int, seed: int, lang: Language, as_json: bool) -> None:
    """Show all of it on a simulated operator.

    Simulates histories, checks them, and makes features and labels as of three dates.

    \b
    Example: churnml demo --out demo --customers 5000
    """
    from churnml import api

    panel = api.demo(out, customers=customers, seed=seed, progress=True)
    config = panel.parent / "churnml.yaml"
    _print(
        {"config": str(config), "panel": str(panel)},
        say("demo_end", lang, config=config, panel=panel),
        as_json=as_json,
    )


@churnml.command()
@click.option("--out", help="The folder to make.")
@click.option("--continue", "continue_folder", metavar="DIR", help="Go on with this simulated operator instead.")
@click.option("--assignments", metavar="FILE", help="With --continue: who is treated with which offer (Parquet).")
@click.option("--customers", type=click.IntRange(min=1), default=20_000, show_default=True, help="At the start.")
@click.option("--months", type=click.IntRange(min=1), default=18, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_common
def simulate(lang: Language, as_json: bool, **arguments: Any) -> None:
    """Simulate an operator, or its next months.

    Writes its tables, with a churnml.yaml for them; the truth goes to DIR/truth/. The same seed gives the
    same bytes. With --continue, the following months are appended, under the assignments given.

    \b
    Example: churnml simulate --out operator --customers 2000 --seed 1
             churnml simulate --continue operator --assignments plan.parquet --months 3
    """
    from churnml import api

    result = asdict(api.simulate(**arguments, progress=True))
    _print(result, say("simulated", lang, months=arguments["months"], **result), as_json=as_json)


@churnml.command()
@click.argument("folder", metavar="DIR")
@_common
def init(folder: str, lang: Language, as_json: bool) -> None:
    """Write a configuration to fill in.

    A commented churnml.yaml, in DIR, that maps your own tables onto ours.

    \b
    Example: churnml init operator
    """
    from churnml import api

    written = api.init(folder)
    _print({"out": str(written)}, say("init_written", lang, out=written), as_json=as_json)


@churnml.command()
@click.argument("config")
@_common
def check(config: str, lang: Language, as_json: bool) -> None:
    """Tell what of your tables is usable.

    And what went to quarantine and why, what will hurt, and whether there is enough to train a model. Bad
    rows are written, as they came and with their reason, to quarantine/ in the state folder.

    \b
    Example: churnml check operator/churnml.yaml
    """
    settings = _configured(config)
    from churnml import api
    from churnml.printing import check_text

    report = api.check(settings, strict=False, progress=True)
    folder = settings.state_folder / "quarantine"
    _print(report.to_dict(lang), check_text(report, folder, lang), as_json=as_json)
    report.refuse_too_many_bad(settings)


@churnml.command()
@click.argument("config")
@click.option(
    "--as-of",
    "as_of",
    multiple=True,
    required=True,
    metavar="T",
    help="As-of date, such as 2024-03-01; repeatable.",
)
@click.option("--out", required=True, help="The Parquet file to write.")
@click.option("--labels", is_flag=True, help="Add churned and value, null where the outcome is not known.")
@click.option("--engine", type=click.Choice(["duckdb", "spark"]), default="duckdb", show_default=True)
@_common
def features(lang: Language, as_json: bool, **arguments: Any) -> None:
    """Make features of everyone at risk, as of dates.

    Only what was known before T is looked at. One row for each customer and date, keyed by customer_id and as_of.

    \b
    Example: churnml features operator/churnml.yaml --as-of 2024-03-01 --as-of 2024-04-01 --out panel.parquet --labels
    """
    settings = _configured(arguments.pop("config"))
    dates = [parse_as_of(day) for day in arguments.pop("as_of")]
    future = [str(day) for day in dates if day > settings.now().date() + DAY]
    if future:
        click.echo(say("future", lang, dates=", ".join(future)), err=True)
    from churnml import api

    written = api.features(settings, dates, **arguments, progress=True)
    _print(written, say("panel_written", lang, **{**written, "dates": len(written["dates"])}), as_json=as_json)


@churnml.command()
@click.argument("config")
@_common
def catalog(config: str, lang: Language, as_json: bool) -> None:
    """Explain every feature that your tables give.

    Its source, window, unit and type, what it means, and what to call it in plain words.

    \b
    Example: churnml catalog operator/churnml.yaml --lang zh
    """
    settings = _configured(config)
    from churnml import api
    from churnml.printing import catalog_text

    table = api.catalog(settings)
    _print(json.loads(table.to_json(orient="records")), catalog_text(table, lang), as_json=as_json)


if __name__ == "__main__":
    main()
