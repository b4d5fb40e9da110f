"""A place in the journal, and where it is kept."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from .errors import StateError

try:
    import fcntl
except ImportError:  # not on Windows: nothing keeps a second follower away there
    fcntl = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Cursor:
    """The last sequence that was dealt with, within one journal."""

    epoch: str
    sequence: int


class CursorStore(Protocol):
    """Where a cursor is kept: a file, or your own database."""

    def load(self) -> Cursor | None:
        """The kept cursor; none before the first."""

    def store(self, cursor: Cursor) -> None:
        """Keeps a cursor where a crash cannot lose it."""


class CursorFile:
    """A cursor in a JSON file. A second follower of the same file is refused."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> CursorFile:
        lock = self.path.with_name(self.path.name + ".lock")
        try:
            self._lock = open(lock, "ab")
            if fcntl is not None:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(f"{self.path}: another process follows with this file") from error
        except OSError as error:
            raise StateError(f"cannot open {lock}: {error.strerror}") from error
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def load(self) -> Cursor | None:
        try:
            kept = json.loads(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StateError(f"cannot read {self.path}: {error.strerror}") from error
        except ValueError as error:
            raise StateError(f"{self.path} is no cursor: {error}") from error
        epoch = kept.get("epoch") if isinstance(kept, dict) else None
        sequence = kept.get("sequence") if isinstance(kept, dict) else None
        if not isinstance(epoch, str) or type(sequence) is not int or sequence < 0:
            raise StateError(f"{self.path} is no cursor: it needs epoch and sequence")
        return Cursor(epoch, sequence)

    def store(self, cursor: Cursor) -> None:
        new = self.path.with_name(self.path.name + ".new")
        try:
            with open(new, "w", encoding="utf-8") as file:
                json.dump({"epoch": cursor.epoch, "sequence": cursor.sequence}, file)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(new, self.path)
            self._sync_folder()
        except OSError as error:
            raise StateError(f"cannot write {self.path}: {error.strerror}") from error

    def _sync_folder(self) -> None:
        if os.name != "posix":
            return
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
