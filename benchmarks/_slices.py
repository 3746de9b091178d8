"""Work cut into pieces, one file each, so that a run goes on where it was stopped."""

import contextlib
import json
import signal
import threading
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

from benchmarks._results import write_json


def fill(work, function, pieces, *, n_jobs=1, minutes=float("inf")):
    """Write ``function(*arguments)`` of every piece whose file ``work`` lacks.

    Parameters
    ----------
    work : Path
        Folder of the pieces; made where it is not there.
    function : callable
        At the top of a module, so that another process finds it; gives what JSON can hold.
    pieces : dict of str to tuple
        Arguments by the file's name without its suffix, in the order of work.
    n_jobs : int, default=1
        Processes.
    minutes : float, default=inf
        No piece is begun after.

    Returns
    -------
    bool
        Whether every piece is there. False where time ran out, or where Ctrl-C or a request to end
        (SIGTERM) came: what was being made is dropped then, and what is written stays.
    """
    work.mkdir(parents=True, exist_ok=True)
    todo = {name: job for name, job in pieces.items() if not path_of(work, name).exists()}
    end = time.monotonic() + 60 * minutes
    try:
        with _ending_as_interrupt():
            if n_jobs == 1:
                for name, arguments in todo.items():
                    if time.monotonic() > end:
                        break
                    write_json(path_of(work, name), function(*arguments))
            else:
                _fill_in_processes(work, function, todo, n_jobs, end)
    except KeyboardInterrupt:
        print("stopped; what is written stays", flush=True)
    return all(path_of(work, name).exists() for name in pieces)


def add_arguments(parser, folder):
    """Give a parser the options of a run in pieces, which are kept in a folder of ``--out``."""
    parser.add_argument("--n-jobs", type=int, default=1, help="processes")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="to go on later")
    parser.add_argument("--work", type=Path, help=f"folder of pieces; default OUT/{folder}")


def path_of(work, name):
    """File of a piece."""
    return work / f"{name}.json"


def read(work, name):
    """What a piece holds; None where it is not there yet."""
    path = path_of(work, name)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _fill_in_processes(work, function, todo, n_jobs, end):
    # Spawned: a fork would copy BLAS's threads in whatever state they are.
    pool = ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn"), initializer=_leave_to_run)
    waiting, running = iter(todo.items()), {}
    try:
        while True:
            # Few at a time: a piece that is not begun when time is up must not begin.
            while len(running) < n_jobs and time.monotonic() <= end:
                name, arguments = next(waiting, (None, None))
                if name is None:
                    break
                running[pool.submit(function, *arguments)] = name
            if not running:
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                write_json(path_of(work, running.pop(future)), future.result())
    finally:
        # Those still at work have nothing that could be kept: files are written here, whole.
        processes = list((pool._processes or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()


def _leave_to_run():
    """Ctrl-C reaches a terminal's every process: only the run itself answers it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _ending_as_interrupt():
    """A request to end (SIGTERM, as ``timeout`` sends it) stops a run as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number, frame):
        raise KeyboardInterrupt

    before = {n: signal.signal(n, interrupt) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
