# SPDX-License-Identifier: Apache-2.0
"""``bitsift build``: the index that the library makes, from every kind of file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import bitsift
from helpers.cli_runner import run, run_json
from helpers.cli_samples import DIM, N


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
@pytest.mark.parametrize("store", ["float32", "float16", "none"])
def test_build_makes_the_index_that_the_library_makes(
    tmp_path: Path, vectors: NDArray[np.float32], vectors_path: Path, metric: str, store: str
) -> None:
    out = tmp_path / "out"
    made = run_json("build", vectors_path, "-o", out, "--metric", metric, "--store", store)
    index = bitsift.Index.load(out)
    assert (made["count"], made["dim"], made["metric"]) == (N, DIM, metric)
    assert made["store"] == (None if store == "none" else store)
    assert made["memory"] == {"bits": N * 6, "float32": N * DIM * 4, "ratio": DIM * 4 / 6}
    np.testing.assert_array_equal(index.codes, np.packbits(vectors > 0, axis=1))
    np.testing.assert_array_equal(index.ids, np.arange(N))
    if store != "none":
        np.testing.assert_array_equal(index.get(index.ids), vectors.astype(store))


@pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4"])
def test_build_takes_every_float_type(
    tmp_path: Path, vectors: NDArray[np.float32], dtype: str
) -> None:
    np.save(tmp_path / "v.npy", np.asfortranarray(vectors.astype(dtype)))
    run_json("build", tmp_path / "v.npy", "-o", tmp_path / "out", "--dim", DIM)
    codes = bitsift.Index.load(tmp_path / "out").codes
    np.testing.assert_array_equal(codes, np.packbits(vectors.astype(dtype) > 0, axis=1))


def test_build_reads_in_chunks(
    tmp_path: Path,
    vectors: NDArray[np.float32],
    vectors_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bitsift.cli.files.arrays._CHUNK_BYTES", 7 * DIM * 4)
    ids = np.random.default_rng(1).permutation(N).astype(np.int32) * 3
    np.save(tmp_path / "ids.npy", ids)
    options = ("--ids", tmp_path / "ids.npy", "--store", "float32")
    run_json("build", vectors_path, "-o", tmp_path / "out", *options)
    index = bitsift.Index.load(tmp_path / "out")
    np.testing.assert_array_equal(index.ids, ids)
    np.testing.assert_array_equal(index.get(ids), vectors)


def test_build_takes_packed_codes(tmp_path: Path, vectors: NDArray[np.float32]) -> None:
    codes = np.packbits(vectors > 0, axis=1)
    np.save(tmp_path / "codes.npy", codes)
    options = ("--store", "none", "--dim", DIM)
    made = run_json("build", tmp_path / "codes.npy", "-o", tmp_path / "out", *options)
    assert (made["dim"], made["store"]) == (DIM, None)
    np.testing.assert_array_equal(bitsift.Index.load(tmp_path / "out").codes, codes)


@pytest.mark.parametrize("threshold", ["0.25", "-1e-3"])
def test_build_takes_a_threshold(
    tmp_path: Path, vectors: NDArray[np.float32], vectors_path: Path, threshold: str
) -> None:
    made = run_json("build", vectors_path, "-o", tmp_path / "out", f"--threshold={threshold}")
    assert made["threshold"] == pytest.approx(float(threshold))
    codes = bitsift.Index.load(tmp_path / "out").codes
    np.testing.assert_array_equal(codes, np.packbits(vectors > np.float32(threshold), axis=1))


def test_build_takes_a_threshold_for_each_dimension(
    tmp_path: Path, vectors: NDArray[np.float32], vectors_path: Path
) -> None:
    threshold = vectors.mean(axis=0)
    np.save(tmp_path / "t.npy", threshold)
    made = run_json(
        "build", vectors_path, "-o", tmp_path / "out", "--threshold", tmp_path / "t.npy"
    )
    np.testing.assert_array_equal(np.float32(made["threshold"]), threshold)
    codes = bitsift.Index.load(tmp_path / "out").codes
    np.testing.assert_array_equal(codes, np.packbits(vectors > threshold, axis=1))
    assert "one a dimension" in run("info", tmp_path / "out").stdout


def test_build_of_no_vectors(tmp_path: Path) -> None:
    np.save(tmp_path / "none.npy", np.empty((0, DIM), np.float32))
    made = run_json("build", tmp_path / "none.npy", "-o", tmp_path / "out")
    assert (made["count"], made["memory"]["ratio"]) == (0, None)
    assert run("info", tmp_path / "out").exit_code == 0


def test_build_replaces_an_index_only_when_told(
    tmp_path: Path, index_path: Path, queries_path: Path
) -> None:
    refused = run("build", queries_path, "-o", index_path)
    assert refused.exit_code == 1
    assert "exists; --force replaces an index" in refused.stderr
    assert len(bitsift.Index.load(index_path)) == N
    assert run_json("build", queries_path, "-o", index_path, "--force")["count"] == 20
    assert len(bitsift.Index.load(index_path)) == 20


def test_build_replaces_nothing_but_an_index(tmp_path: Path, vectors_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(b"picture")
    for target in (folder, vectors_path):
        result = run("build", vectors_path, "-o", target, "--force")
        assert result.exit_code == 1
        assert ("or a bitsift index; got" if target == folder else "got a file") in result.stderr
    assert (folder / "a.jpg").read_bytes() == b"picture"
    assert len(np.load(vectors_path)) == N


def test_build_fills_an_empty_folder(tmp_path: Path, vectors_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run_json("build", vectors_path, "-o", tmp_path / "empty")["count"] == N


def test_build_summary(tmp_path: Path, vectors_path: Path) -> None:
    result = run("build", vectors_path, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"built {tmp_path / 'out'} in ")
    assert "300 of 44 dimensions" in result.stdout
    assert "bits alone 1.8 KiB, 29.3x smaller than 51.6 KiB as float32" in result.stdout


@pytest.mark.parametrize("store", ["none", "float32"])
@pytest.mark.parametrize("threshold", ["0", "mean", "auto"])
def test_a_correction_says_which_search_uses_it(
    tmp_path: Path, vectors_path: Path, queries_path: Path, store: str, threshold: str
) -> None:
    hint = "bitsift search --scoring asymmetric"
    options = ["--store", store, "--threshold", threshold, "--scoring", "hamming", "--force"]
    index = tmp_path / "out"
    for correction in ([], ["--correction"]):
        built = run("build", vectors_path, "-o", index, *options, *correction).stdout
        for shown in (built, run("info", index).stdout):
            (line,) = (line for line in shown.splitlines() if line.startswith("correction "))
            assert (hint in line) == bool(correction)
    # Without it, a search says that the correction is of no use; with it, it does not.
    assert "correction is of no use" in run("search", index, queries_path).stderr
    assert run("search", index, queries_path, *hint.split()[2:]).stderr == ""
    run(
        "build",
        vectors_path,
        "-o",
        index,
        *options[:4],
        "--scoring",
        "asymmetric",
        *correction,
        "-f",
    )
    shown = [" ".join(line.split()) for line in run("info", index).stdout.splitlines()]
    assert "correction yes" in shown
    assert run("search", index, queries_path).stderr == ""
