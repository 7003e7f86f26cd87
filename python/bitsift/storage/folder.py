# SPDX-License-Identifier: Apache-2.0
"""A folder on disk: files by bare name, never through a link, made durable.

Where the system allows it, every operation uses one descriptor of the folder, so that its path is
looked up only once and cannot lead elsewhere later.
"""

# pathlib knows no descriptors of folders, and makes "." of "".
# ruff: noqa: PTH102, PTH106, PTH116, PTH118, PTH120, PTH208

from __future__ import annotations

import errno
import os
import stat
from types import TracebackType

from bitsift.core.errors import CorruptIndexError
from bitsift.core.handlers import is_of_system, suppress_system_errors
from bitsift.storage.descriptor import Descriptor

__all__ = [
    "NOT_SUPPORTED",
    "Folder",
    "as_path",
    "is_folder",
    "make",
    "unmake",
    "why",
]

_HAS_DIR_FD = os.open in os.supports_dir_fd and os.listdir in os.supports_fd
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
# O_NONBLOCK: opening a FIFO in the place of a file must not wait for its writer.
_READ = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | _NO_LINK
    | getattr(os, "O_NONBLOCK", 0)
)
_FOLDER = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_CREATE = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | _NO_LINK
)
# Network and user-space file systems answer locks and the fsync of a folder with these.
NOT_SUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
}


class Folder:
    """An existing folder, open until the ``with`` block ends.

    Every method may raise `OSError`.

    Parameters
    ----------
    path : str
    follow_links : bool
        Whether a name in the folder may be a symbolic link to a regular file anywhere.
    """

    def __init__(self, path: str, *, follow_links: bool = False) -> None:
        self.path = path
        self._follow_links = follow_links
        self._descriptor = Descriptor(path, _FOLDER) if _HAS_DIR_FD else None

    def __enter__(self) -> Folder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            self._descriptor.close()

    def close_quietly(self) -> None:
        """Close the folder, for a reader."""
        if self._descriptor is not None:
            self._descriptor.close_quietly()

    def make_private(self) -> None:
        """Take the folder from children that are forked from now on: its methods fail there."""
        if self._descriptor is not None:
            self._descriptor.is_private = True

    def open_again(self) -> Descriptor | None:
        """Return another, private descriptor of the folder, if there are descriptors of folders."""
        fd = self._fd
        return None if fd is None else Descriptor(os.curdir, _FOLDER, dir_fd=fd, is_private=True)

    def identity(self) -> tuple[int, int]:
        """Return what the system tells folders apart by: device and inode."""
        status = os.stat(self.path if self._fd is None else self._fd)
        return status.st_dev, status.st_ino

    def is_at_path(self) -> bool:
        """Say whether the path still leads to this folder."""
        try:
            status = os.stat(self.path)
            return (status.st_dev, status.st_ino) == self.identity()
        except OSError as error:
            if not is_of_system(error):
                raise
            # Else nobody can say, as on a network file system that fails.
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)

    def path_of(self, name: str) -> str:
        """Return the path of a file in the folder, for errors."""
        return os.path.join(self.path, name)

    def names(self) -> list[str]:
        """Return the names in the folder, sorted."""
        return sorted(os.listdir(self.path if self._fd is None else self._fd))

    def open(self, name: str, *, is_private: bool = False) -> Descriptor:
        """Open a regular file to read.

        Raises
        ------
        CorruptIndexError
            The name is that of a folder, a FIFO or a device, or of a link that is not followed.
        """
        follows = self._follow_links
        self._must_be_regular(
            name, os.stat(self._at(name), dir_fd=self._fd, follow_symlinks=follows).st_mode
        )
        flags = _READ & ~_NO_LINK if follows else _READ
        try:
            file = Descriptor(self._at(name), flags, dir_fd=self._fd, is_private=is_private)
        except OSError as error:
            if error.errno == errno.ELOOP and not follows:  # it became a link after the check above
                self._must_be_regular(name, stat.S_IFLNK)
            raise
        try:
            self._must_be_regular(name, os.fstat(file.number).st_mode)
        except BaseException:
            file.close_quietly()
            raise
        return file

    def create(self, name: str) -> Descriptor:
        """Create a file that must not exist yet; return a private descriptor, open to write."""
        return Descriptor(self._at(name), _CREATE, dir_fd=self._fd, is_private=True)

    def replace(self, source: str, target: str) -> None:
        """Give one file the name of another, atomically."""
        os.replace(self._at(source), self._at(target), src_dir_fd=self._fd, dst_dir_fd=self._fd)

    def remove(self, name: str) -> None:
        """Remove a file."""
        os.unlink(self._at(name), dir_fd=self._fd)

    def sync(self) -> None:
        """Make the names in the folder durable, if the system can."""
        if self._fd is None:
            return
        try:
            os.fsync(self._fd)
        except OSError as error:
            if error.errno not in NOT_SUPPORTED:
                raise

    @property
    def _fd(self) -> int | None:
        return None if self._descriptor is None else self._descriptor.number

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name) if self._descriptor is None else name

    def _must_be_regular(self, name: str, mode: int) -> None:
        if not stat.S_ISREG(mode):
            kind = _KINDS.get(stat.S_IFMT(mode), "a device")
            reason = f"it is {kind}, expected a regular file"
            if stat.S_ISLNK(mode):
                reason += (
                    "; follow_links=True, or --follow-links, reads regular files to which the "
                    "folder's links lead, as in the cache of a hub"
                )
            raise CorruptIndexError(self.path_of(name), reason)


def as_path(path: str | os.PathLike[str]) -> str:
    """Return a caller's path as a string."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(text, str):
        raise TypeError(f"path must be a str or an os.PathLike[str]; got {type(text).__name__}")
    if "\0" in text:
        raise ValueError(f"path must have no null character; got {text!r}")
    return text


def is_folder(path: str) -> bool:
    """Say whether a path, its links followed, is a folder; `OSError` if nothing is there."""
    return stat.S_ISDIR(os.stat(path).st_mode)


def make(path: str) -> list[str]:
    """Create a folder and its missing parents, durably.

    Returns
    -------
    list of str
        The folders that were created, outermost first.
    """
    if not path:
        raise FileNotFoundError(errno.ENOENT, "the path is empty")
    made: list[str] = []
    tried: set[str] = set()  # so that a parent that another process removes ends the loop
    try:
        # Not made absolute: ".." after a link leads elsewhere than the text says. What is missing
        # is found by trying: where a folder may not be searched, asking would say that nothing is
        # there, of "." too.
        pending = [] if os.path.lexists(path) else [path]
        while pending:
            folder = pending[-1]
            parent = os.path.dirname(folder.rstrip(os.sep))  # of "a/b/", too, it is "a"
            try:
                os.mkdir(folder)
            except OSError as error:
                if error.errno == errno.ENOENT and parent and parent not in tried:
                    tried.add(parent)
                    pending.append(parent)
                    continue
                # Else made meanwhile, by another writer or by way of "..".
                if error.errno != errno.EEXIST:
                    raise
            else:
                made.append(folder)
                with Folder(parent or os.curdir) as opened:
                    opened.sync()
            pending.pop()
    except BaseException:
        unmake(made)
        raise
    return made


def unmake(made: list[str]) -> None:
    """Remove those folders that `make` created and that are empty."""
    for folder in reversed(made):
        with suppress_system_errors():
            os.rmdir(folder)


def why(error: OSError) -> str:
    """Return the system's reason, without the path, which the message names already."""
    return error.strerror or str(error)
