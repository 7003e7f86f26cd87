# SPDX-License-Identifier: Apache-2.0
"""The manifest as JSON: encoded, and decoded with every field checked."""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import replace
from typing import Any, NoReturn

from bitsift.core.errors import CorruptIndexError, NotAnIndexError, UnsupportedVersionError
from bitsift.core.handlers import call_raised
from bitsift.core.limits import LARGEST_FLOAT32, MAX_DIM, MAX_ID
from bitsift.core.options import (
    CANDIDATE_RULES,
    FLOAT_STORES,
    METRICS,
    RULES,
    SCORINGS,
    STORES,
)
from bitsift.quantization.integers import INTEGER_CODECS
from bitsift.storage.digest import ALGORITHMS
from bitsift.storage.manifest import (
    FEATURES,
    FORMAT_NAME,
    FORMAT_VERSION,
    ID_KINDS,
    MAX_GENERATION,
    FileEntry,
    Manifest,
    SegmentEntry,
    is_array_name,
)

__all__ = ["decode", "encode", "is_ours"]

_MAX_COUNT = 2**63 - 1
_MAX_DIGITS = len(str(_MAX_COUNT))
_DIGEST = re.compile(r"[0-9a-f]{64}")
_KEYS = {
    "format", "version", "dim", "metric", "store", "count", "threshold", "ids", "files", "checksum",
}  # fmt: skip
_KEYS_V2 = _KEYS | {"rule", "rotate", "fitted", "normalized", "correction", "calibrations"}
_KEYS_V3 = _KEYS_V2 | {"required_features", "defaults"}
_KEYS_OF = {1: _KEYS, 2: _KEYS_V2, 3: _KEYS_V3}
_DEFAULTS_KEYS = {"scoring", "candidates"}
_CALIBRATION_KEYS = {"kind", "n_std", "n"}
_GENERATIONS_KEYS = {"number", "kept"}
_SEGMENT_KEYS = {"count", "live", "first_id", "files"}
_FILE_KEYS = {"name", "dtype", "shape", "bytes"}
# The packages whose code reads JSON.
_PARSERS = ("bitsift", "json")


def encode(manifest: Manifest) -> bytes:
    """Return the bytes of ``manifest.json``, with its checksum."""
    fields: dict[str, Any] = {
        "format": FORMAT_NAME,
        "version": manifest.version,
        "dim": manifest.dim,
        "metric": manifest.metric,
        "store": list(manifest.stores),
        "count": manifest.count,
        "threshold": manifest.threshold,
        "ids": manifest.ids,
        "rule": manifest.rule,
        "rotate": manifest.rotate,
        "fitted": manifest.fitted,
        "normalized": manifest.normalized,
        "correction": manifest.correction,
        "calibrations": manifest.calibrations,
        "required_features": list(manifest.features),
        "defaults": {"scoring": manifest.scoring, "candidates": manifest.candidates},
        "files": _encoded(manifest.files),
    }
    fields = {key: value for key, value in fields.items() if key in _KEYS_OF[manifest.version]}
    if manifest.largest_id is not None:
        fields["largest_id"] = manifest.largest_id
    if manifest.pending is not None:
        fields["pending"] = manifest.pending
    if manifest.generation is not None:
        fields["generations"] = {"number": manifest.generation, "kept": list(manifest.kept)}
    if manifest.segments is not None:
        fields["segments"] = [
            {
                "count": segment.count,
                "live": segment.n_live,
                "first_id": segment.first_id,
                "files": _encoded(segment.files),
            }
            for segment in manifest.segments
        ]
    if manifest.version == 1:
        fields["store"] = manifest.stores[0] if manifest.stores else None
    fields["checksum"] = _checksum(fields)
    return (json.dumps(fields, indent=2, allow_nan=False) + "\n").encode("ascii")


def decode(data: bytes, path: str) -> Manifest:
    """Return the manifest that the bytes of a ``manifest.json`` encode, or refuse them.

    Parameters
    ----------
    data : bytes
    path : str
        The file that they come from, for errors.

    Returns
    -------
    Manifest

    Raises
    ------
    NotAnIndexError
        The bytes are the JSON of something else.
    UnsupportedVersionError
        The manifest is of a newer format version, or requires a feature that is not known.
    CorruptIndexError
        The bytes are not JSON, or a field breaks a rule of the format.
    """
    try:
        return _Decoder(path).manifest(_parse(data, path))
    except RecursionError as error:
        if not call_raised(error, *_PARSERS):
            raise
        raise CorruptIndexError(path, "its JSON is nested too deeply") from None


def is_ours(data: bytes, path: str) -> bool:
    """Say whether the bytes are a bitsift manifest, of any version, valid or not."""
    try:
        fields = _parse(data, path)
    except CorruptIndexError:
        return False
    except RecursionError as error:
        if not call_raised(error, *_PARSERS):
            raise
        return False
    return isinstance(fields, dict) and fields.get("format") == FORMAT_NAME


def _encoded(files: dict[str, FileEntry]) -> dict[str, Any]:
    return {
        part: {
            "name": entry.name,
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "bytes": entry.n_bytes,
            entry.algorithm: entry.digest,
        }
        for part, entry in files.items()
    }


def _checksum(fields: dict[str, Any]) -> str:
    rest = {key: value for key, value in fields.items() if key != "checksum"}
    canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


def _parse(data: bytes, path: str) -> Any:
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except ValueError as error:  # with it UnicodeDecodeError and JSONDecodeError
        if not call_raised(error, *_PARSERS):
            raise
        raise CorruptIndexError(path, f"it is not the JSON of a manifest: {error}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key is there twice")
    return fields


def _integer(text: str) -> int:
    # No field takes a longer one, and converting a very long one takes quadratic time.
    if len(text.lstrip("-")) > _MAX_DIGITS:
        raise ValueError(f"an integer has {len(text)} digits")
    return int(text)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a number is too large for a float")
    return value


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _quote(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= 80 else text[:77] + "..."


class _Decoder:
    """Checks fields one by one; every error names the path of the manifest and the field."""

    def __init__(self, path: str) -> None:
        self._path = path

    def manifest(self, fields: object) -> Manifest:
        if not isinstance(fields, dict) or fields.get("format") != FORMAT_NAME:
            found = fields.get("format") if isinstance(fields, dict) else fields
            raise NotAnIndexError(
                self._path,
                f"not the manifest of a bitsift index: its format is {_quote(found)}, "
                f"not {FORMAT_NAME!r}",
            )
        version = self._version(fields.get("version"))
        features = self._features(fields) if version > 2 else set()
        self._keys("the manifest", fields, _KEYS_OF[version] | features)
        self._check_sum(fields)

        dim = self._int("dim", fields["dim"], 1, MAX_DIM)
        count = self._int("count", fields["count"], 0, _MAX_COUNT)
        metric = self._choice("metric", fields["metric"], METRICS)
        ids = self._choice("ids", fields["ids"], ID_KINDS)
        stores = self._stores(version, fields["store"])
        threshold = fields["threshold"]
        if threshold is not None:
            if type(threshold) not in (int, float):
                self._refuse("threshold", threshold, "a number or null")
            threshold = float(threshold)
            if abs(threshold) > LARGEST_FLOAT32:
                self._refuse("threshold", threshold, "a number within float32's range")

        bare = Manifest(dim, metric, stores, count, threshold, ids, {})
        if version > 1:
            bare = self._version_2(bare, fields)
        if version > 2:
            bare = self._version_3(bare, fields["defaults"])
        if "pending" in features:
            if count:
                self._refuse("count", count, "0, as vectors are pending")
            pending = self._int("pending", fields["pending"], 1, _MAX_COUNT)
            bare = replace(bare, pending=pending)
        if "largest_id" in features:
            largest = self._int("largest_id", fields["largest_id"], bare.n_vectors, MAX_ID)
            bare = replace(bare, largest_id=largest)
        if "generations" in features:
            bare = self._generations(bare, fields["generations"])
        if "segments" in features:
            bare = self._segments(bare, fields["segments"])
        if bare.version < version:
            self._refuse("version", version, f"{bare.version}, which can say all that it says")
        expected = bare.layout()
        entries = fields["files"]
        self._keys("files", entries, set(expected))
        files = {
            part: self._entry(part, entries[part], dtype, shape, (bare.algorithm,))
            for part, (dtype, shape) in expected.items()
        }
        return replace(bare, files=files)

    def _stores(self, version: int, stores: Any) -> tuple[str, ...]:
        if version == 1:
            return () if stores is None else (self._choice("store", stores, FLOAT_STORES),)
        if not isinstance(stores, list):
            self._refuse("store", stores, "an array")
        names = tuple(self._choice("store", store, tuple(STORES)) for store in stores)
        if len(set(names)) < len(names):
            self._refuse("store", stores, "each store once")
        return names

    def _version_2(self, bare: Manifest, fields: dict[str, Any]) -> Manifest:
        flags = {}
        for name in ("rotate", "fitted", "normalized", "correction"):
            if type(fields[name]) is not bool:
                self._refuse(name, fields[name], "true or false")
            flags[name] = fields[name]
        rule = fields["rule"]
        if rule is not None:
            rule = self._choice("rule", rule, RULES)
        if not flags["fitted"] and (rule is None or bare.threshold is not None or bare.count):
            self._refuse("fitted", False, "true, as there are vectors, a threshold or no rule")
        calibrations = fields["calibrations"]
        self._keys("calibrations", calibrations, {s for s in bare.stores if s in INTEGER_CODECS})
        for store, state in calibrations.items():
            where = f"calibrations.{store}"
            self._keys(where, state, _CALIBRATION_KEYS)
            self._choice(f"{where}.kind", state["kind"], ("min_max", "rolling"))
            self._int(f"{where}.n", state["n"], 1 if bare.count else 0, _MAX_COUNT)
            rolling = state["kind"] == "rolling"
            n_std = state["n_std"]
            if not (type(n_std) in (int, float) and n_std > 0 if rolling else n_std is None):
                self._refuse(f"{where}.n_std", n_std, "a positive number if rolling, else null")
        return replace(bare, rule=rule, calibrations=calibrations, **flags)

    def _version_3(self, bare: Manifest, defaults: Any) -> Manifest:
        self._keys("defaults", defaults, _DEFAULTS_KEYS)
        scoring = defaults["scoring"]
        if scoring is not None:
            scoring = self._choice("defaults.scoring", scoring, SCORINGS)
        candidates = self._choice("defaults.candidates", defaults["candidates"], CANDIDATE_RULES)
        return replace(bare, scoring=scoring, candidates=candidates)

    def _generations(self, bare: Manifest, fields: Any) -> Manifest:
        self._keys("generations", fields, _GENERATIONS_KEYS)
        number = self._int("generations.number", fields["number"], 1, MAX_GENERATION)
        kept = fields["kept"]
        if not isinstance(kept, list):
            self._refuse("generations.kept", kept, "an array")
        before = -1
        for generation in kept:
            before = self._int("generations.kept", generation, before + 1, number - 1)
        return replace(bare, generation=number, kept=tuple(kept))

    def _segments(self, bare: Manifest, found: Any) -> Manifest:
        if not isinstance(found, list):
            self._refuse("segments", found, "an array")
        segments: list[SegmentEntry] = []
        n_rows = n_live = 0
        for number, fields in enumerate(found):
            segment = self._segment(bare, f"segments[{number}]", fields, n_rows)
            segments.append(segment)
            n_rows += segment.count
            n_live += segment.n_live
        if n_live != bare.count:
            self._refuse("count", bare.count, f"{n_live}, the sum of the live rows of segments")
        if bare.scoring is None and n_live < n_rows:
            self._refuse("segments", n_live, f"{n_rows} live rows, as the scoring is not decided")
        return replace(bare, segments=tuple(segments))

    def _segment(self, bare: Manifest, where: str, fields: Any, n_before: int) -> SegmentEntry:
        self._keys(where, fields, _SEGMENT_KEYS)
        most = _MAX_COUNT - n_before if bare.fitted else 0
        count = self._int(f"{where}.count", fields["count"], 1, most)
        n_live = self._int(f"{where}.live", fields["live"], 0, count)
        first_id = fields["first_id"]
        if bare.ids == "automatic":
            self._int(f"{where}.first_id", first_id, n_before, n_before)
        elif first_id is not None:
            self._int(f"{where}.first_id", first_id, 0, MAX_ID - count + 1)
        expected, entries = bare.segment_layout(count, n_live, first_id), fields["files"]
        self._keys(f"{where}.files", entries, set(expected))
        files = {
            # Files of earlier versions keep their digests and names.
            part: self._entry(part, entries[part], dtype, shape, ALGORITHMS, f"{where}.")
            for part, (dtype, shape) in expected.items()
        }
        return SegmentEntry(count, n_live, first_id, files)

    def _features(self, fields: dict[str, Any]) -> set[str]:
        """Return the features required; refuse what needs a newer reader.

        That may have fields and files of its own. So far, a feature has a field of its name.
        """
        # Damage must not pass for a feature.
        self._check_sum(fields)
        names = fields.get("required_features", [])  # a missing key is found later
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            self._refuse("required_features", names, "an array of strings")
        if len(set(names)) < len(names):
            self._refuse("required_features", names, "each feature once")
        unknown = [name for name in names if name not in FEATURES]
        if unknown:
            raise UnsupportedVersionError(
                self._path,
                f"it requires the feature {', '.join(map(_quote, unknown[:3]))}, which this "
                "release of bitsift does not know: read it with a newer release",
            )
        return set(names)

    def _check_sum(self, fields: dict[str, Any]) -> None:
        if "checksum" in fields and fields["checksum"] != _checksum(fields):
            self._refuse("checksum", fields["checksum"], f"{_checksum(fields)!r} for what it says")

    def _version(self, version: object) -> int:
        if type(version) is not int or version < 1:
            self._refuse("version", version, "an integer from 1")
        if version > FORMAT_VERSION:
            raise UnsupportedVersionError(
                self._path,
                f"written in format version {version}; this release of bitsift reads versions 1 "
                f"to {FORMAT_VERSION}",
            )
        return version

    def _entry(
        self,
        part: str,
        fields: Any,
        dtype: str,
        shape: tuple[int, ...],
        algorithms: tuple[str, ...],
        within: str = "",
    ) -> FileEntry:
        where = f"{within}files.{part}"
        given = fields.keys() if isinstance(fields, dict) else set()
        algorithm = next((name for name in algorithms if name in given), algorithms[-1])
        self._keys(where, fields, _FILE_KEYS | {algorithm})
        name, n_bytes, digest = fields["name"], fields["bytes"], fields[algorithm]
        # In a segment, a file of version 1 keeps its name.
        are_named = (part, "originals") if within and part.startswith("originals_") else (part,)
        if not isinstance(name, str) or not any(is_array_name(name, one) for one in are_named):
            self._refuse(f"{where}.name", name, f"'{part}-', 32 hexadecimal digits, '.npy'")
        if fields["dtype"] != dtype:
            self._refuse(f"{where}.dtype", fields["dtype"], repr(dtype))
        # JSON's true equals 1 in Python, hence the second comparison.
        found = fields["shape"]
        if found != list(shape) or not all(type(extent) is int for extent in found):
            self._refuse(f"{where}.shape", found, f"{list(shape)} for this dim and count")
        self._int(f"{where}.bytes", n_bytes, 1, _MAX_COUNT)
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
            self._refuse(f"{where}.{algorithm}", digest, "64 hexadecimal digits")
        return FileEntry(name, dtype, shape, n_bytes, digest, algorithm)

    def _keys(self, where: str, fields: object, expected: set[str]) -> None:
        if not isinstance(fields, dict):
            self._refuse(where, fields, "an object")
        for key in sorted(expected - fields.keys()):
            raise CorruptIndexError(self._path, f"{where}: the key {key!r} is missing")
        for key in sorted(fields.keys() - expected):
            raise CorruptIndexError(self._path, f"{where}: the key {_quote(key)} does not belong")

    def _int(self, where: str, value: Any, low: int, high: int) -> int:
        if type(value) is not int or not low <= value <= high:
            self._refuse(where, value, f"an integer from {low} to {high}")
        return value

    def _choice(self, where: str, value: Any, choices: tuple[str, ...]) -> str:
        if not isinstance(value, str) or value not in choices:
            self._refuse(where, value, "one of " + ", ".join(map(repr, choices)))
        return value

    def _refuse(self, where: str, found: object, wanted: str) -> NoReturn:
        raise CorruptIndexError(self._path, f"{where}: found {_quote(found)}, expected {wanted}")
