"""Progress on stderr: a bar in a terminal, a line now and then where there is none."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Any

_SECONDS = 15.0  # between lines: a log of an hour stays below 250 lines


class Progress:
    """Count what is done and say how long the rest will take.

    Parameters
    ----------
    total : int
    name, unit : str
        What runs, and what is counted.
    done : int, default=0
        What an earlier, interrupted run has done already; it does not count for the estimate.
    show : bool, default=True

    Examples
    --------
    >>> from crtkit._progress import Progress
    >>> with Progress(2, "measuring", "file", show=False) as progress:
    ...     progress.update(2)
    """

    def __init__(self, total: int, name: str, unit: str, *, done: int = 0, show: bool = True):
        self.total, self.name, self.unit, self.done, self.show = total, name, unit, done, show
        self._first, self._start, self._said = done, time.monotonic(), time.monotonic()
        self._bar: Any = None

    def __enter__(self) -> Progress:
        if self.show and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=self.total,
                initial=self.done,
                desc=self.name,
                unit=self.unit,
                file=sys.stderr,
            )
        return self

    def update(self, n: int = 1) -> None:
        """Count ``n`` more."""
        self.done += n
        if self._bar is not None:
            self._bar.update(n)
        elif self.show and self._due():
            self._said = time.monotonic()
            self._line()

    def _due(self) -> bool:
        """Whether a line is: now and then, and at the end of what took long enough to be told."""
        now = time.monotonic()
        ended = self.done >= self.total > self._first and now - self._start >= _SECONDS
        return ended or now - self._said >= _SECONDS

    def _line(self) -> None:
        spent = time.monotonic() - self._start
        new = self.done - self._first
        left = spent / new * (self.total - self.done) if new else float("nan")
        rest = f"{_in_words(left)} left" if self.done < self.total else f"in {_in_words(spent)}"
        sys.stderr.write(f"{self.name}: {self.done} of {self.total} {self.unit}s, {rest}\n")
        sys.stderr.flush()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()


def _in_words(seconds: float) -> str:
    if seconds != seconds:
        return "an unknown time"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
