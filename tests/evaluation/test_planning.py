# SPDX-License-Identifier: Apache-2.0
"""Memory, price and time of a collection, before it exists."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest

import bitsift
from bitsift.core.options import STORES


def planned(**options):
    return bitsift.plan(250e6, 768, **{"price": 3.8, "bandwidth": 20, **options})


def test_the_figures_of_the_published_table():
    """It writes 715 GB, 22.3 GB, $35,021 and $1,095: GiB as GB, cut, and rounded up."""
    made = planned()
    floats, bits = made["float32 alone"], made["bits alone"]
    assert (floats.ram_gb, bits.ram_gb) == (768, 24)
    assert int(floats.ram_gib) == 715
    assert int(bits.ram_gib * 10) / 10 == 22.3
    assert round(bits.ram_gib, 1) == 22.4
    assert round(floats.usd_per_year) == 35_021
    assert bits.usd_per_year == pytest.approx(1094.40)
    assert (floats.disk_bytes, bits.disk_bytes) == (0, 0)
    assert floats.usd_per_year_all == floats.usd_per_year


@pytest.mark.filterwarnings("ignore::bitsift.BitsiftWarning")  # few vectors
@pytest.mark.parametrize("dim", [1, 7, 8, 44, 384, 1001])
def test_bytes_are_those_of_an_index(dim):
    n = 30
    made = bitsift.plan(n, dim, bandwidth=1)
    rows = np.random.default_rng(dim).standard_normal((n, dim), dtype=np.float32)
    for store in (None, *STORES):
        index = bitsift.Index(dim, store=store, scoring="hamming").fit(rows)
        index.add(rows)
        row = made["bits alone" if store is None else f"bits + {store}"]
        assert row.store == store
        assert row.ram_bytes == index.codes.nbytes
        assert row.ram_bytes + row.disk_bytes == index.nbytes
    assert made["float32 alone"].ram_bytes == rows.nbytes


def test_prices_and_times():
    made = planned(price=2, bandwidth=10)
    assert [row.name for row in made.rows[:2]] == ["float32 alone", "bits alone"]
    assert [row.store for row in made.rows[2:]] == list(STORES)
    for row in made.rows:
        assert row.usd_per_month == pytest.approx(2 * row.ram_gb)
        assert row.usd_per_year == pytest.approx(24 * row.ram_gb)
        assert row.usd_per_month_all == pytest.approx(2 * (row.ram_gb + row.disk_gb))
        assert row.usd_per_year_all == pytest.approx(24 * (row.ram_gb + row.disk_gb))
        assert row.pass_s == pytest.approx(row.ram_gb / 10)
        assert row.ram_gib * 2**30 == pytest.approx(row.ram_bytes)
        assert row.disk_gib * 2**30 == pytest.approx(row.disk_bytes)
    assert (made.bandwidth, made.measured) == (10, False)
    assert planned(price=0)["float32 alone"].usd_per_year == 0


def test_the_bandwidth_is_measured(monkeypatch):
    made = bitsift.plan(1000, 64)
    assert made.measured
    assert 0.01 < made.bandwidth < 100_000  # GB a second: any machine's, in this unit
    asked = []
    monkeypatch.setattr(
        "bitsift.evaluation.planning.measure_bandwidth", lambda n: asked.append(n) or 5e9
    )
    made = bitsift.plan(10**9, 8, threads=3)
    assert (asked, made.bandwidth, made["bits alone"].pass_s) == ([3], 5, 0.2)
    assert "5.00 GB a second (measured on this machine)" in str(made)


def test_a_number_of_threads_that_measures_nothing_warns():
    with pytest.warns(bitsift.BitsiftWarning, match="threads=2 does nothing: .* is given"):
        planned(threads=2)


def test_vectors_may_be_a_whole_float():
    for n in (250_000_000, 250e6, np.float64(250e6), np.int32(250_000_000)):
        made = bitsift.plan(n, 768, bandwidth=20)
        assert made == planned()
        assert type(made.vectors) is int


def test_plain_values_and_copies():
    made = planned()
    plain = made.to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert (plain["vectors"], plain["dim"], plain["price"]) == (250_000_000, 768, 3.8)
    assert plain["rows"][1]["ram_gb"] == 24
    assert [row["name"] for row in plain["rows"]] == [row.name for row in made.rows]
    assert pickle.loads(pickle.dumps(made)) == made
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.price = 1
    with pytest.raises(KeyError, match=r"name must be that of a row; got 'int8'\. The rows are"):
        made["int8"]


def test_str():
    lines = str(planned()).splitlines()
    assert lines[0] == "250,000,000 vectors of 768 dimensions"
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    cells = {line[:14].strip(): line[14:].split() for line in lines[4:12]}
    assert cells["float32 alone"] == ["768", "715", "-", "-", "2,918", "35,021", "-", "38.4", "s"]
    assert cells["bits alone"] == ["24.0", "22.4", "-", "-", "91.20", "1,094", "-", "1.20", "s"]
    assert cells["bits + int8"] == [
        *("24.0", "22.4", "192", "179", "91.20", "1,094", "9,850", "1.20", "s")
    ]
    text = "\n".join(lines)
    for part in ("$3.80 per GB per month", "20.0 GB a second (as given)", "10**9 bytes"):
        assert part in text


@pytest.mark.parametrize(
    ("n", "last"), [(100, "0.240 us"), (10**5, "240 us"), (10**7, "24.0 ms"), (10**12, "2,400 s")]
)
def test_small_and_large_collections(n, last):
    lines = str(bitsift.plan(n, 384, bandwidth=20)).splitlines()
    assert lines[5].endswith(last)
    assert len({len(line) for line in lines[2:12]}) == 1


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 8), ValueError, "vectors must be 1 to 10+; got 0"),
        ((-1.0, 8), ValueError, "vectors must be 1 to 10+; got -1"),
        ((2.5, 8), ValueError, "vectors must be a whole number; got 2.5"),
        ((np.nan, 8), ValueError, "vectors must be a whole number; got nan"),
        ((np.inf, 8), ValueError, "vectors must be a whole number; got inf"),
        ((10**15 + 1, 8), ValueError, "vectors must be 1 to 10+; got 10+1"),
        ((1e300, 8), ValueError, r"vectors must be 1 to 10+; got 1e\+300"),
        ((10**400, 8), ValueError, "vectors must be 1 to 10+; got a number of 1329 bits"),
        ((-(10**400), 8), ValueError, "got a negative number of 1329 bits"),
        (("many", 8), TypeError, "vectors must be an integer; got str"),
        ((True, 8), TypeError, "vectors must be an integer; got True"),
        ((8, 0), ValueError, "dim must be 1 to 65536; got 0"),
        ((8, 8.0), TypeError, "dim must be an integer; got float"),
    ],
)
def test_bad_sizes(arguments, error, message):
    with pytest.raises(error, match=message):
        bitsift.plan(*arguments, bandwidth=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"price": -1}, ValueError, "price must be from 0 to 1,000,000; got -1"),
        ({"price": np.nan}, ValueError, "price must be from 0 to 1,000,000; got nan"),
        ({"price": "much"}, TypeError, "price must be a number; got str"),
        ({"bandwidth": 0}, ValueError, "bandwidth must be from 0.001 to 1,000,000 .* got 0.0"),
        ({"bandwidth": np.nan}, ValueError, "bandwidth must be from"),
        ({"bandwidth": 1e-300}, ValueError, "bandwidth must be from .* got 1e-300"),
        ({"bandwidth": 10**400}, ValueError, "bandwidth must be from"),
        ({"bandwidth": []}, TypeError, "bandwidth must be a number; got list"),
        ({"threads": -1}, ValueError, "threads must be 0 to"),
    ],
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        planned(**options)
