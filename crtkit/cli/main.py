"""``crtkit COMMAND``: parser and exit codes.

0: done. 1: the input was bad, the last line on stderr says what and how to fix it. 2: the command
itself was not understood. 130 and 143: interrupted or ended; files are whole or absent.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence

from crtkit.cli import bundles, check, measure, read, studies
from crtkit.cli.common import CommandError, as_options, say

_PACKAGE = os.path.realpath(os.path.join(os.path.dirname(__file__), os.pardir))
EPILOG = """\
examples:
  crtkit check cohort.csv --label responder --signal ecg    what is in it, and what is wrong
  crtkit measure ECGS/ -o qrs.csv                           QRS duration, LBBB, axis ... of files
  crtkit run mori2025 --data cohort.csv --out results/      the paper's tables and figures
  crtkit fit cohort.csv --label responder --signal ecg --model mori2025/LightGBM -o model.crtkit
  crtkit predict model.crtkit new.xml                       one new patient
  crtkit evaluate model.crtkit theirs.csv --label responder --signal ecg -o answer.json

Research software, not a medical device."""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    import crtkit

    main = argparse.ArgumentParser(
        prog="crtkit",
        description="Published models of response to cardiac resynchronization therapy.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    main.add_argument("--version", action="version", version=f"crtkit {crtkit.__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in (check, measure, read, studies, bundles):
        module.add_commands(commands)
    return main


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        Exit code.
    """
    warnings.showwarning = _show_warning
    _end_cleanly()
    options = parser().parse_args(arguments)
    try:
        code = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        say("interrupted; no half-written file is left")
        return 130
    except BrokenPipeError:  # as in: crtkit measure ... | head
        # Python flushes once more at exit, which would print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (CommandError, ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        say(f"error: {as_options(str(error))}")
        return 1
    except Exception as error:
        if os.environ.get("CRTKIT_TRACEBACK"):
            raise
        say(
            f"error: {type(error).__name__}: {error}. This is a fault of crtkit; set "
            "CRTKIT_TRACEBACK=1 to see where, and report it."
        )
        return 1
    return int(code or 0)


def _end_cleanly() -> None:
    """Let a batch system's SIGTERM unwind as Ctrl-C does, so that temporary files are removed."""
    if threading.current_thread() is not threading.main_thread():
        return

    def end(number: int, frame: object) -> None:
        say("ended from outside; no half-written file is left")
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, end)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Warnings of crtkit as one line without the place in the code; others say nothing here."""
    if issubclass(category, RuntimeWarning):
        return  # arithmetic of numpy on values that are missing: the tables show them as such
    # By the package's own folder: an environment below a folder called crtkit is not of it.
    own = os.path.realpath(filename).startswith(os.path.join(_PACKAGE, ""))
    if category.__module__.startswith("crtkit") or own:
        say(f"warning: {as_options(str(message))}")


if __name__ == "__main__":
    sys.exit(main())
