"""What the command line answers when something goes wrong: words, a hint, an exit code; tracebacks only on demand."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

import click

from proml.cli import output
from proml.cli.session import Session
from proml.errors import ProMLError

if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = 2
INTERRUPTED = 130
_REPORT_TO = "SECURITY.md says where to report it if it is a security matter, else open an issue"


def guarded(command: click.Command, arguments: Sequence[str]) -> int:  # noqa: PLR0911 - one per kind of ending
    """Runs a command and turns whatever it raises into words and an exit code.

    Args:
        command: The root command.
        arguments: Its words.

    Returns:
        The exit code.
    """
    session = Session(as_json="--json" in _before_dashes(arguments))
    stdout = sys.stdout
    try:
        result = command.main(list(arguments), prog_name="proml", standalone_mode=False, obj=session)
        _flush()
    except (KeyboardInterrupt, click.Abort, EOFError):
        return _interrupted()
    except BrokenPipeError:
        return _quiet_pipe()
    except SystemExit as ended:
        # click answers a closed pipe like this, and wraps the streams; otherwise shell completion has answered.
        return _quiet_pipe() if sys.stdout is not stdout else int(ended.code or 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "", err=True)
        return USAGE
    except click.ClickException as error:
        return _usage(error, session)
    except ProMLError as error:
        if type(error).exit_code == 1:
            return _unexpected(error, session)
        return _known(error, session)
    except Exception as error:  # noqa: BLE001 - the last resort, which says that it is one
        return _unexpected(error, session)
    return result if isinstance(result, int) else 0


def _known(error: ProMLError, session: Session) -> int:
    found = {key: getattr(error, key, None) for key in ("rule", "arguments", "report")}
    details = {key: value for key, value in found.items() if value not in (None, "", {})}
    return _print(session, error.exit_code, type(error).__name__, error.message, error.hint, **details)


def _usage(error: click.ClickException, session: Session) -> int:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "proml"
    return _print(session, USAGE, "UsageError", error.format_message(), f"See `{path} --help`.")


def _unexpected(error: BaseException, session: Session) -> int:
    import traceback  # noqa: PLC0415 - only for bugs

    text = "".join(traceback.format_exception(error))
    if os.environ.get("PROML_TRACEBACK") == "1":
        click.echo(text, err=True, nl=False)
        where = "The traceback is above"
    else:
        where = _write_traceback(text, session)
    message = f"unexpected {type(error).__name__}: {error}. This is a bug in ProML; nothing that was recorded is lost."
    return _print(session, 1, type(error).__name__, message, f"{where}; {_REPORT_TO}.")


def _print(session: Session, code: int, kind: str, message: str, hint: str, **details: object) -> int:
    with contextlib.suppress(BrokenPipeError):
        if session.as_json:
            problem = {"code": code, "type": kind, "message": message, "hint": hint, **details}
            output.print_json({**session.facts, "error": problem})
        output.print_line(f"{output.colour('error:', 'bad')} {_one_line(message)}", error=True)
        if hint:
            output.print_line(f"{output.colour('hint:', 'warn')} {_one_line(hint)}", error=True)
        _flush()
        return code
    _quiet_pipe()
    return code


def _one_line(text: str) -> str:
    return output.printable(" ".join(part.strip() for part in text.splitlines() if part.strip()))


def _write_traceback(text: str, session: Session) -> str:
    from proml.config import find_folder  # noqa: PLC0415 - only for bugs

    with contextlib.suppress(ProMLError, OSError):
        path = find_folder(session.start).dot / "traceback.txt"
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
        return f"The traceback is in {path}"
    return "Run it again with PROML_TRACEBACK=1 to see the traceback"


def _interrupted() -> int:
    with contextlib.suppress(BrokenPipeError):
        output.print_line("interrupted; what was captured is safe.", error=True)
    return INTERRUPTED


def _quiet_pipe() -> int:
    # The reader has gone (`proml log x | head`): say nothing now, nor when the interpreter flushes at its end.
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _before_dashes(arguments: Sequence[str]) -> Sequence[str]:
    words = list(arguments)
    return words[: words.index("--")] if "--" in words else words
