"""A journal of finished fits: one line each, so that a run that was killed goes on."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind
    fcntl = None  # type: ignore[assignment]

VERSION = 2
Key = tuple[str, int, int]

# A line is {"sha256": "<64 hex digits>", "cell": <JSON>}; the digest is of the header line's digest
# and of the bytes of <JSON>, so that an edited, torn or transplanted line is told from a whole one.
_BEFORE, _BETWEEN, _AFTER = b'{"sha256": "', b'", "cell": ', b"}"
_HEX = 64


class JournalError(ValueError):
    """A journal that cannot be resumed: damaged, edited, or of another run."""


class Journal:
    """Finished (model, seed, fold) cells on disk.

    The first line says which run this is; a run under another cohort, other versions, threads or
    device is refused, because its bits would not be the same.

    Parameters
    ----------
    path : path-like
    identity : dict
        What must be equal for a journal to be resumed, as JSON.
    model_ids : dict of str
        Hash of each model's parameters and code, by name.

    Attributes
    ----------
    cells : dict
        Finished records by (model, seed, fold).

    Raises
    ------
    JournalError
        A ValueError: the file is not a journal, is damaged, or belongs to another run.
    """

    def __init__(self, path: Any, identity: dict[str, Any], model_ids: dict[str, str]) -> None:
        self.path = Path(path)
        self.model_ids = model_ids
        self.cells: dict[Key, dict[str, Any]] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # A device or a pipe would be read without end.
        if self.path.exists() and not stat.S_ISREG(self.path.stat().st_mode):
            raise JournalError(
                f"The journal {self.path} is not a regular file but a device, pipe or folder: "
                "name a file that can be appended to."
            )
        self._file = open(self.path, "a+b")  # noqa: SIM115
        try:
            self._lock()
            self._read(json.loads(json.dumps(identity)))
        except BaseException:
            self._file.close()
            raise

    def append(self, record: dict[str, Any]) -> None:
        """Write one finished cell through to the disk."""
        record = {**record, "model_id": self.model_ids[record["model"]]}
        body = json.dumps(record).encode()
        self._write(_BEFORE + self._digest(body) + _BETWEEN + body + _AFTER)
        self._keep(record)

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._file.close()

    def check_cell(self, key: Key, rows: dict[str, list[int]]) -> None:
        """Refuse a finished cell that is not of this run's split, cohorts or shape.

        Parameters
        ----------
        key : tuple of (model, seed, fold)
        rows : dict of list of int
            Positions that a fit of this split predicts, by set.
        """
        problem = _problem(self.cells[key], rows)
        if problem:
            model, seed, fold = key
            raise JournalError(
                f"{self.path}: the cell of {model!r}, seed {seed}, fold {fold} {problem}. Remove "
                "its line to fit it again, or name another journal."
            )

    def _keep(self, record: dict[str, Any]) -> None:
        self.cells[record["model"], record["seed"], record["fold"]] = record

    def _write(self, line: bytes) -> None:
        self._file.write(line + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise JournalError(
                f"Another run is writing the journal {self.path}: wait for it, or name another."
            ) from error

    def _read(self, identity: dict[str, Any]) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].split(b"\n")[:-1]
        if content and not content.startswith(b'{"crtkit_journal"'[: len(content)]):
            raise JournalError(f"{self.path} is not a journal of crtkit; it was left unchanged.")
        header = {"crtkit_journal": VERSION, "identity": identity}
        if lines:
            self._header_digest = hashlib.sha256(lines[0]).digest()
            _refuse_other(self.path, self._parse_header(lines[0]), header)
            for number, line in enumerate(lines[1:], start=2):
                self._take(number, line)
        # A line without its end was being written when the run died.
        self._file.truncate(whole)
        if not lines:
            line = json.dumps(header).encode()
            self._header_digest = hashlib.sha256(line).digest()
            self._write(line)

    def _parse_header(self, line: bytes) -> dict[str, Any]:
        try:
            header = json.loads(line)
            version, identity = header["crtkit_journal"], dict(header["identity"])
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(1, f"{type(error).__name__}: {error}") from error
        if version != VERSION or isinstance(version, bool) or len(header) != 2:
            raise JournalError(
                f"{self.path} has the journal format {version!r}, this crtkit writes {VERSION}: "
                "finish that run with the crtkit that began it, or name another journal."
            )
        return {"crtkit_journal": version, "identity": identity}

    def _take(self, number: int, line: bytes) -> None:
        """Keep the cell of one line, checked against its digest and the model's identity."""
        start = len(_BEFORE) + _HEX + len(_BETWEEN)
        body = line[start : -len(_AFTER)]
        digest = line[len(_BEFORE) : len(_BEFORE) + _HEX]
        if line != _BEFORE + self._digest(body) + _BETWEEN + body + _AFTER:
            reason = "it does not match its digest" if len(digest) == _HEX else "it is torn"
            raise self._damaged(number, reason)
        try:
            record = json.loads(body)
            name, model_id = record["model"], record["model_id"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(number, f"{type(error).__name__}: {error}") from error
        if model_id != self.model_ids.get(name, model_id):
            raise JournalError(
                f"{self.path} holds {name!r} with other parameters or other code than now. "
                "Rename the model, or name another journal."
            )
        self._keep(record)

    def _digest(self, body: bytes) -> bytes:
        return hashlib.sha256(self._header_digest + body).hexdigest().encode()

    def _damaged(self, number: int, reason: str) -> JournalError:
        return JournalError(
            f"Line {number} of {self.path} is damaged ({reason}). Remove that line to fit its "
            "cell again, or name another journal."
        )


def _problem(record: dict[str, Any], rows: dict[str, list[int]]) -> str:
    """What is wrong with the shape of a record; empty where nothing is."""
    sets = record.get("sets")
    if not isinstance(sets, dict) or list(sets) != list(rows):
        return f"does not hold predictions of {list(rows)}"
    if not isinstance(record.get("seconds"), (int, float)):
        return "has no time"
    for on, wanted in rows.items():
        part = sets[on]
        if not isinstance(part, dict) or part.get("rows") != wanted:
            return f"holds other rows of {on!r} than this split tests"
        score, y_pred, kind = part.get("score", ()), part.get("y_pred", ()), part.get("kind")
        if kind not in ("probability", "decision", "label"):
            return f"has an unknown kind of score, {kind!r}"
        for name, values in (("score", score), ("y_pred", y_pred)):
            if not isinstance(values, list) or len(values) != len(wanted):
                return f"does not hold one {name} per row of {on!r}"
        if any(isinstance(v, bool) or not isinstance(v, (int, float)) or v != v for v in score):
            return f"holds a score of {on!r} that is not a number"
        if kind == "probability" and any(not -1e-9 <= v <= 1 + 1e-9 for v in score):
            return f"holds a probability of {on!r} outside [0, 1]"
        if any(v not in (0, 1) for v in y_pred):
            return f"holds a predicted label of {on!r} other than 0 and 1"
    return ""


def _refuse_other(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    old, new = _flat(theirs["identity"]), _flat(ours["identity"])
    different = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if different:
        what = "; ".join(f"{k}: {old.get(k)!r} there, {new.get(k)!r} now" for k in different)
        raise JournalError(
            f"{path} is the journal of another run ({what}). Its results would not have the same "
            "bits. Run under the settings it was made with, or name another journal."
        )


def _flat(value: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        if isinstance(inner, dict):
            flat.update(_flat(inner, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = inner
    return flat
