# SPDX-License-Identifier: Apache-2.0
"""A fuzzer of index folders: ``python tests/tools/mutate_folders.py SEED N [FIRST]``.

Each of N folders is a copy of a whole index with one to three mutations. Reading, mapping,
verifying, describing, searching and replacing it must give a right result or an error of storage,
in bounded time and memory. The mutations depend on SEED and the number of the folder alone; FIRST
is the number of the first one, so that a finding can be repeated alone.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import shutil
import signal
import stat
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import bitsift
from bitsift.cli.commands.info import describe_index
from bitsift.core.errors import BitsiftWarning, IndexFileError, IndexWriteError
from bitsift.storage import reader, writer
from bitsift.storage.contents import Contents
from bitsift.storage.manifest import LOCK_NOTE
from helpers.storage_samples import (
    digest_of,
    is_same,
    of_version_2,
    of_version_3,
    put_manifest,
    sample,
)

MEMORY = 4 << 30
SECONDS = 300
DIGITS = "0123456789abcdef" * 2
# What may stand in any place of a manifest.
VALUES: list[Any] = [
    None, True, False, 0, 1, 2, 3, 7, 8, 13, 64, -1, 65536, 65537, 2**31, 2**40, 2**53 + 1,
    2**63 - 1, 2**63, 10**30, 0.0, -0.0, 0.5, 1e300, 1e-320, "", "cosine", "dot", "l2", "float32",
    "int4", "auto", "mean", "<f4", "|u1", ">f8", "automatic", "ascending", "arbitrary",
    "min_max", "rolling", "hamming", "asymmetric", "by-position", "fixed",
    "../x", "/dev/zero", "codes", "manifest.json", "\x00", "\ud800",
    "x" * 5000, [], [[]], {}, [0], [7, 2], [2**40, 2], ["float32"], ["float32", "float32"],
    ["ternary"], {"n": 1}, {"a": {}},
]  # fmt: skip


class Mutator:
    """Changes a folder at random places."""

    def __init__(self, folder: Path, rng: random.Random) -> None:
        self.folder, self.rng = folder, rng
        self.manifest = folder / "manifest.json"
        self.log: list[str] = []

    def mutate(self) -> None:
        """Apply one mutation; a file that an earlier one took away is left alone."""
        kinds = [
            *[self.manifest_bytes] * 3, *[self.manifest_field] * 5, *[self.file_bytes] * 3,
            *[self.header] * 3, self.size, self.kind, self.swap, self.stranger, self.claim,
        ]  # fmt: skip
        kind = self.rng.choice(kinds)
        found = [path.lstat() for path in self.folder.iterdir()]
        if not all(stat.S_ISREG(one.st_mode) and one.st_size < 1 << 20 for one in found):
            return  # this program reads and writes files without care
        try:
            self.log.append(kind.__name__ + " " + str(kind() or ""))
        except (
            OSError,
            LookupError,
            ValueError,
            TypeError,
            AttributeError,
            RecursionError,
            StopIteration,
        ) as error:
            self.log.append(f"{kind.__name__} not possible: {error!r}")

    def manifest_bytes(self) -> None:
        """Change bytes of the manifest."""
        self.manifest.write_bytes(self.changed(self.manifest.read_bytes()))

    def changed(self, data: bytes) -> bytes:
        """Change, cut, repeat or insert a few bytes."""
        rng = self.rng
        start = rng.randrange(len(data) + 1)
        end = min(len(data), start + rng.choice([1, 1, 1, 2, 7, 64, len(data)]))
        part = data[start:end]
        return (
            data[:start]
            + rng.choice(
                [
                    b"", part + part, rng.randbytes(len(part)), rng.randbytes(3), part[::-1],
                    b"9" * len(part), part.swapcase(), b"[" * rng.choice([1, 3000]),
                    b"\xef\xbb\xbf",
                ]
            )
            + data[end:]
        )  # fmt: skip

    def manifest_field(self) -> str:
        """Change a field somewhere in the JSON; mostly mend the checksum."""
        rng = self.rng
        fields = json.loads(self.manifest.read_bytes())
        places: list[tuple[Any, Any]] = []

        def walk(node: Any) -> None:
            for key in node if isinstance(node, dict) else range(len(node)):
                places.append((node, key))
                if isinstance(node[key], dict | list):
                    walk(node[key])

        walk(fields)
        node, key = rng.choice(places)
        what = rng.choice(["value", "value", "delete", "rename", "other", "number"])
        if what == "delete":
            del node[key]
        elif what == "rename":
            node[rng.choice(["x", key + "x", "version"])] = node.pop(key)
        elif what == "other":
            other, place = rng.choice(places)
            node[key] = json.loads(json.dumps(other[place]))
        elif what == "number":
            node[key] = node[key] + rng.choice([-1, 1, 0.5, 2**32])
        else:
            node[key] = rng.choice(VALUES)
        self.put(fields, mend=rng.random() < 0.8)
        return f"{what} {key}"

    def put(self, fields: dict[str, Any], *, mend: bool = True) -> None:
        """Write the manifest."""
        if mend:
            put_manifest(self.folder, fields)
        else:
            self.manifest.write_text(json.dumps(fields))

    def any_file(self) -> Path:
        """Choose a data file."""
        return self.rng.choice(sorted(self.folder.glob("*.npy")))

    def file_bytes(self) -> str:
        """Change bytes of a data file."""
        path = self.any_file()
        path.write_bytes(self.changed(path.read_bytes()))
        return path.name + self.agree(path)

    def header(self) -> str:
        """Change the header of a data file."""
        rng, path = self.rng, self.any_file()
        data = path.read_bytes()
        head, rest = data[:128], data[128:]
        old, new = rng.choice(
            [
                (b"<f4", b"<f8"), (b"|u1", b"|O1"), (b"False", b"True "), (b"NUMPY", b"NUMPX"),
                (b"\x01\x00", b"\x02\x00"), (b"\x01\x00", b"\x09\x00"), (b"(", b"(0"),
                (b")", b"L)"),
                (b"{", b"__import__('os').abort() or {"), (b"'", b'"'), (b"7", b"8"), (b",", b" "),
                (b" }", b"}" + b" " * 64),
            ]
        )  # fmt: skip
        path.write_bytes(head.replace(old, new) + rest)
        return path.name + self.agree(path)

    def agree(self, path: Path) -> str:
        """Often let the manifest agree with the file, as a stranger's would."""
        if self.rng.random() < 0.4:
            return ""
        fields = json.loads(self.manifest.read_bytes())
        data = path.read_bytes()
        groups = [fields["files"], *(one["files"] for one in fields.get("segments", ()))]
        entry = next(
            entry for files in groups for entry in files.values() if entry["name"] == path.name
        )
        entry.update(bytes=len(data), **digest_of(entry, data))
        self.put(fields)
        return " (manifest agrees)"

    def size(self) -> str:
        """Cut a file or make it longer, up to far beyond memory."""
        path = self.rng.choice([self.any_file(), self.manifest])
        n_bytes = path.stat().st_size + self.rng.choice(
            [-(1 << 40), -100, -1, 1, 4096, 1 << 30, 1 << 38]
        )
        os.truncate(path, max(0, n_bytes))
        return f"{path.name} {n_bytes}"

    def claim(self) -> str:
        """Let manifest, header and size of the codes agree on many rows; their data are a hole."""
        fields = json.loads(self.manifest.read_bytes())
        count = self.rng.choice([1 << 20, 1 << 26, 1 << 30, 1 << 36])
        entry = fields["files"]["codes"]
        path = self.folder / entry["name"]
        width = entry["shape"][1]
        text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {width}), }}".ljust(
            117
        )
        path.write_bytes(b"\x93NUMPY\1\0\x76\0" + text.encode() + b"\n")
        os.truncate(path, 128 + count * width)
        entry.update(shape=[count, width], bytes=128 + count * width)
        fields["count"] = count
        if self.rng.random() < 0.5:
            fields.update(store=None if fields["version"] == 1 else [], ids="automatic")
            fields["files"] = {
                part: found for part, found in fields["files"].items()
                if part not in ("ids", "correction", "vectors")
                and not part.startswith(("orig", "calib"))
            }  # fmt: skip
            if fields["version"] > 1:
                fields.update(calibrations={}, correction=False)
            if fields["version"] > 2:
                fields["defaults"]["scoring"] = "asymmetric"
        self.put(fields)
        return str(count)

    def kind(self) -> str:
        """Put something in the place of a file that is none."""
        path = self.rng.choice([self.any_file(), self.manifest])
        data = path.read_bytes()
        path.unlink()
        kind = self.rng.choice(
            ["none", "fifo", "folder", "link", "zero", "loop", "dangling", "hard"]
        )
        outside = self.folder.parent / "outside"
        outside.write_bytes(data)
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "folder":
            path.mkdir()
        elif kind == "hard":
            os.link(outside, path)
        elif kind != "none":
            path.symlink_to(
                {"link": "../outside", "zero": "/dev/zero", "loop": path.name}.get(kind, "nowhere")
            )
        return f"{path.name} {kind}"

    def swap(self) -> str:
        """Exchange the contents of two files."""
        one, two = self.any_file(), self.any_file()
        data = one.read_bytes(), two.read_bytes()
        one.write_bytes(data[1])
        two.write_bytes(data[0])
        return f"{one.name} {two.name}{self.agree(one)}"

    def stranger(self) -> str:
        """Add a file, or something that is none, under a name of ours or another."""
        name = self.rng.choice(
            ["x", f"codes-{DIGITS}.npy", f"manifest-{DIGITS}.tmp", LOCK_NOTE, ".hidden", "lock"]
        )
        path = self.folder / name
        make = self.rng.choice([path.touch, path.mkdir, lambda: os.mkfifo(path)])
        make()
        return name


def outcome(use: Callable[[], Any]) -> tuple[Any, str | None]:
    """Return what a use gives, and the message of its error."""
    try:
        return use(), None
    except IndexFileError as error:
        found = error
    assert found.path, "an error must name a path"
    assert len(str(found)) < 2000, "an error must not quote a whole file"
    return None, str(found)


def check(folder: Path, original: Contents, agrees: bool, rng: random.Random) -> str:
    """Use a folder in every way; raise AssertionError if two of them disagree."""
    read, read_error = outcome(lambda: reader.read(folder))
    mapped, map_error = outcome(lambda: reader.read(folder, mmap=True))
    verify_error = outcome(lambda: reader.verify(folder))[1]
    description, info_error = outcome(lambda: describe_index(folder))
    assert verify_error == read_error, (verify_error, read_error)
    if "Cannot allocate memory" not in str(info_error):  # as the map above takes addresses
        assert info_error == map_error, (info_error, map_error)
    if read is not None:
        assert mapped is not None, map_error
        assert is_same(read, mapped)
        assert agrees or is_same(read, original), "another answer"
        index, load_error = outcome(lambda: bitsift.Index.load(folder))
        if index is not None:
            check_search(index, read)
        else:  # floats that wait are encoded once more, and a store or a correction may refuse them
            assert read.vectors is not None
            assert agrees, load_error
        n = len(read.codes if read.vectors is None else read.vectors)
        assert (description.dim, description.count) == (read.dim, n)
    opened, open_error = outcome(lambda: bitsift.Index.open(folder))
    if mapped is not None and len(mapped.codes) < 1 << 20:
        index, load_error = outcome(lambda: bitsift.Index.load(folder, mmap=True))
        assert load_error == open_error
        if index is not None:
            check_search(index, mapped)
        else:
            assert mapped.vectors is not None, load_error
    elif "Cannot allocate memory" not in str(open_error):
        assert open_error == map_error, (open_error, map_error)
    for generation in range(4):
        outcome(lambda: bitsift.Index.open(folder, generation=generation))  # noqa: B023
    if opened is not None and len(opened) < 1 << 20 and rng.random() < 0.5:
        check_commit(folder, opened, is_whole=read is not None)
        return "read" if read is not None else "mapped"
    if rng.random() < 0.3:
        replacement = sample(3, 8, seed=9)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", BitsiftWarning)  # of what cannot be removed
                writer.write(folder, replacement)
        except IndexWriteError:
            pass
        else:
            assert is_same(reader.read(folder), replacement)
            reader.verify(folder)
    if read is not None:
        return "read"
    return "mapped" if mapped is not None else "refused"


def check_commit(folder: Path, before: bitsift.Index, *, is_whole: bool) -> None:
    """Add a vector by a commit; the reader from before stays what it was."""
    n = len(before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", BitsiftWarning)
        try:
            with bitsift.Index.open(folder, "a") as index:
                index.add(np.full((1, index.dim), 0.25, np.float32))
                index.commit()
        except IndexFileError:
            return
        except ValueError as error:
            if "id" not in str(error):  # the largest id is taken
                raise
            return
    if is_whole:
        reader.verify(folder)
    assert len(bitsift.Index.open(folder)) == n + 1
    assert len(before) == n
    assert before.refresh()
    assert len(before) == n + 1


def check_search(index: bitsift.Index, contents: Contents) -> None:
    """Compare a search with the distances that NumPy finds."""
    n, width = contents.codes.shape
    codes = np.array(contents.codes)
    mask = np.uint8(0xFF << (-contents.dim % 8) & 0xFF)
    queries = np.random.default_rng(n).integers(0, 256, (2, width), dtype=np.uint8)
    queries[:, -1] &= mask
    if contents.vectors is not None:  # they wait: their codes are made anew
        n = len(contents.vectors)
        floats = np.random.default_rng(n).standard_normal((2, contents.dim)).astype(np.float32)
        assert index.search(floats, 3).ids.shape == (2, min(n, 3))
        return
    found = index.search(queries, min(n, 5) or 1, scoring="hamming")
    if n == 0:
        assert (found.ids == -1).all()
        return
    distances = np.unpackbits(queries[:, None] ^ codes, axis=2).sum(axis=2)
    np.testing.assert_array_equal(found.scores, np.sort(distances, axis=1)[:, :5])
    floats = np.random.default_rng(n).standard_normal((2, contents.dim)).astype(np.float32)
    assert index.search(floats, 3, scoring="hamming").ids.shape == (2, 3)


class TooLongError(Exception):
    """A folder took longer than `SECONDS`."""


def _too_long(*_: object) -> None:
    raise TooLongError


def make_commits(folder: Path, **options: Any) -> None:
    """Make an index of three segments, removed rows and two kept generations."""
    vectors = np.random.default_rng(5).standard_normal((120, 13)).astype(np.float32)
    new = {"dim": 13, "scoring": "hamming", "keep_generations": 3}
    with bitsift.Index.open(folder, "w-", **new, **options) as index:
        index.fit(vectors)
        index.add(vectors[:25])
        index.commit()
        index.add(vectors[25:30], ids=range(50, 55))
        index.remove([3, 4])
        index.commit()
        index.upsert(vectors[30:32], ids=[51, 7])
        index.commit()


def run(seed: int, n: int, first: int = 0) -> Counter[str]:
    """Try `n` folders of a seed from number `first` on; return how many came out how."""
    seen: Counter[str] = Counter()
    signal.signal(signal.SIGALRM, _too_long)
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        wholes = [parent / f"whole-{i}" for i in range(8)]
        writer.write(wholes[0], sample())
        writer.write(wholes[1], of_version_2())
        writer.write(wholes[2], sample(3, 8, store=None, ids="automatic", threshold="number"))
        bitsift.Index(24, store=("int8", "float16"), threshold="auto", correction=True).save(
            wholes[3]
        )
        writer.write(wholes[4], of_version_3())
        pending = bitsift.Index(13, store="int8", threshold="mean", rotate=True)
        pending.add(of_version_3().vectors, ids=range(7, 0, -1))
        pending.save(wholes[5])
        make_commits(wholes[6], store=("int8", "float16"), threshold="mean", correction=True)
        make_commits(wholes[7], store=None)
        originals = [reader.read(whole) for whole in wholes]
        for number in range(first, first + n):
            rng = random.Random(f"{seed} {number}")
            place = rng.randrange(len(wholes))
            folder = parent / "index"
            shutil.copytree(wholes[place], folder)
            mutator = Mutator(folder, rng)
            for _ in range(rng.choice([1, 1, 2, 3])):
                mutator.mutate()
            # Where the manifest agrees with its changes, it describes another index.
            agrees = any("agrees" in line or "manifest_field" in line or "claim" in line
                         for line in mutator.log)  # fmt: skip
            faulthandler.dump_traceback_later(2 * SECONDS, exit=True)
            signal.alarm(SECONDS)
            try:
                seen[check(folder, originals[place], agrees, rng)] += 1
            except BaseException:
                print(f"seed {seed}, folder {number}: {mutator.log}", file=sys.stderr, flush=True)
                raise
            finally:
                signal.alarm(0)
                faulthandler.cancel_dump_traceback_later()
            shutil.rmtree(folder)
    return seen


def main() -> None:
    """Run in bounded memory."""
    import resource  # noqa: PLC0415 (POSIX only)

    # AddressSanitizer, if loaded, has reserved terabytes of addresses.
    if "libclang_rt.asan" not in os.environ.get("LD_PRELOAD", ""):
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.fsync = lambda fd: None  # folders need not outlive the machine
    numbers = [int(text) for text in sys.argv[1:]]
    if not 2 <= len(numbers) <= 3:
        sys.exit(__doc__)
    print(json.dumps(run(*numbers)))


if __name__ == "__main__":
    main()
