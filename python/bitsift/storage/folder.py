# SPDX-License-Identifier: Apache-2.0
"""A folder as the index needs it: files by bare name, never through a link, made durable.

Where the system has it, everything goes through one descriptor of the folder, so that no later
lookup of its path can lead elsewhere.
"""

# pathlib knows no descriptors of folders, and makes "." of "".
# ruff: noqa: PTH102, PTH106, PTH116, PTH118, PTH120, PTH208

from __future__ import annotations

import contextlib
import errno
import io
import os
import stat
from collections.abc import Iterator
from types import TracebackType

from bitsift.core.errors import CorruptIndexError

try:
    import fcntl
except ImportError:  # a platform without flock: writers must not meet
    fcntl = None  # type: ignore[assignment]

_HAS_DIR_FD = os.open in os.supports_dir_fd and os.listdir in os.supports_fd
# O_NONBLOCK: opening a FIFO that took a file's place must not wait for its writer.
_READ = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
_CREATE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)
# What network and user-space file systems answer for locks and for fsync of a folder.
_NOT_SUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


class Folder:
    """An existing folder, open until the ``with`` block ends.

    Every method may raise `OSError`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
        self._fd = os.open(path, flags) if _HAS_DIR_FD else None

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._fd is not None:
            os.close(self._fd)

    def path_of(self, name: str) -> str:
        """Give the path of a file in the folder, as errors show it."""
        return os.path.join(self.path, name)

    def names(self) -> list[str]:
        """List the folder."""
        return sorted(os.listdir(self.path if self._fd is None else self._fd))

    def open(self, name: str) -> io.FileIO:
        """Open a regular file to read.

        Raises
        ------
        CorruptIndexError
            The name is that of a link, a folder, a FIFO or a device.
        """
        self._must_be_regular(
            name, os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=False).st_mode
        )
        try:
            file = io.FileIO(os.open(self._at(name), _READ, dir_fd=self._fd), "rb")
        except OSError as exc:
            if exc.errno == errno.ELOOP:  # it became a link since the look above
                self._must_be_regular(name, stat.S_IFLNK)
            raise
        try:
            self._must_be_regular(name, os.fstat(file.fileno()).st_mode)
        except BaseException:
            file.close()
            raise
        return file

    def create(self, name: str) -> int:
        """Create a file that must not exist yet; return its descriptor, open to write."""
        return os.open(self._at(name), _CREATE, 0o666, dir_fd=self._fd)

    def replace(self, source: str, target: str) -> None:
        """Give one file the name of another, atomically."""
        os.replace(self._at(source), self._at(target), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._at(name), dir_fd=self._fd)

    def sync(self) -> None:
        """Make the folder's list of names durable, where the system can."""
        if self._fd is None:
            return
        try:
            os.fsync(self._fd)
        except OSError as exc:
            if exc.errno not in _NOT_SUPPORTED:
                raise

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out; a file system that has no locks is left without."""
        if fcntl is None or self._fd is None:
            yield
            return
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
        except OSError as exc:
            if exc.errno not in _NOT_SUPPORTED:
                raise
        try:
            yield
        finally:
            # Closing is not enough: a process forked meanwhile has a copy of the descriptor.
            with contextlib.suppress(OSError):
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name) if self._fd is None else name

    def _must_be_regular(self, name: str, mode: int) -> None:
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "a device")
            raise CorruptIndexError(self.path_of(name), f"it is {kind}, expected a regular file")


def is_folder(path: str) -> bool:
    """Say whether a path, its links followed, is a folder; `OSError` if there is nothing."""
    return stat.S_ISDIR(os.stat(path).st_mode)


def make(path: str) -> list[str]:
    """Create a folder and its missing parents, durably.

    Returns
    -------
    list of str
        What was created, outermost first.
    """
    missing = []
    probe = path  # not made absolute: ".." after a link leads elsewhere than its text says
    while not os.path.lexists(probe):
        missing.append(probe)
        probe = os.path.dirname(probe) or os.curdir
    made: list[str] = []
    try:
        for folder in reversed(missing):
            try:
                os.mkdir(folder)
            except FileExistsError:  # another writer was faster
                continue
            made.append(folder)
            with Folder(os.path.dirname(folder) or os.curdir) as parent:
                parent.sync()
    except BaseException:
        unmake(made)
        raise
    return made


def unmake(made: list[str]) -> None:
    """Remove the folders that `make` created, as far as they are empty."""
    for folder in reversed(made):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def why(error: OSError) -> str:
    """Give the system's reason, without the path that the message has already."""
    return error.strerror or str(error)
