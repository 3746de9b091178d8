"""A journal of finished fits: one JSON line each, so that a run that was killed goes on."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind
    fcntl = None  # type: ignore[assignment]

Key = tuple[str, int, int]


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
        Hash of each model's parameters, by name.

    Attributes
    ----------
    cells : dict
        Finished records by (model, seed, fold).

    Raises
    ------
    ValueError
        The file is no journal, is damaged, or belongs to another run.
    """

    def __init__(self, path: Any, identity: dict[str, Any], model_ids: dict[str, str]) -> None:
        self.path = Path(path)
        self.model_ids = model_ids
        self.cells: dict[Key, dict[str, Any]] = {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
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
        self._write(record)
        self._keep(record)

    def close(self) -> None:
        """Close the file and give up the lock."""
        self._file.close()

    def _keep(self, record: dict[str, Any]) -> None:
        self.cells[record["model"], record["seed"], record["fold"]] = record

    def _write(self, value: Any) -> None:
        self._file.write(json.dumps(value).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def _lock(self) -> None:
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise ValueError(
                f"Another run is writing the journal {self.path}: wait for it, or name another."
            ) from error

    def _read(self, identity: dict[str, Any]) -> None:
        self._file.seek(0)
        content = self._file.read()
        whole = content.rfind(b"\n") + 1
        lines = content[:whole].splitlines()
        if content and not content.startswith(b'{"crtkit_journal"'[: len(content)]):
            raise ValueError(f"{self.path} is not a journal of crtkit; it is left as it is.")
        # A line without its end was being written when the run died.
        self._file.truncate(whole)
        if not lines:
            self._write({"crtkit_journal": 1, "identity": identity})
            return
        records = [self._parse(number, line) for number, line in enumerate(lines, start=1)]
        _refuse_other(self.path, records[0].get("identity", {}), identity)
        for record in records[1:]:
            wanted = self.model_ids.get(record["model"], record["model_id"])
            if record["model_id"] != wanted:
                raise ValueError(
                    f"{self.path} holds {record['model']!r} with other parameters than it has now. "
                    "Rename the model, or name another journal."
                )
            self._keep(record)

    def _parse(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            return json.loads(line)
        except ValueError as error:
            raise ValueError(
                f"Line {number} of {self.path} is damaged ({error}). Remove that line to fit its "
                "cell again, or name another journal."
            ) from error


def _refuse_other(path: Path, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    old, new = _flat(theirs), _flat(ours)
    different = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
    if different:
        what = "; ".join(f"{k}: {old.get(k)!r} there, {new.get(k)!r} now" for k in different)
        raise ValueError(
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
