# SPDX-License-Identifier: Apache-2.0
"""The remedy that a message names is Python that runs and after which the call succeeds."""

import numpy as np
import pytest

import bitsift

RNG = np.random.default_rng(0)
FLOATS = RNG.standard_normal((30, 16)).astype(np.float32)
CODES = bitsift.pack(FLOATS)
NUMBERS = np.clip(np.rint(32 * RNG.standard_normal((120, 384))), -128, 127).astype(np.int8)
MANY = RNG.standard_normal((120, 384)).astype(np.float32)


def objects(rows, shape=None):
    column = np.empty(len(rows), object)
    column[:] = rows
    return column if shape is None else column.reshape(shape)


class Column:
    """Like a column of pandas, Arrow or polars: NumPy gets an array of objects, each a row."""

    def __init__(self, kind):
        self._rows = [kind(row) for row in FLOATS]

    def __len__(self):
        return len(self._rows)

    def __array__(self, dtype=None, copy=None):
        return objects(self._rows)


class Sparse:
    def toarray(self):
        return FLOATS


def lists(rows):
    return [row.tolist() for row in rows]


def add(vectors):
    index = bitsift.Index(16)
    index.add(vectors)
    assert np.array_equal(index.codes, CODES)


def add_numbers(vectors):
    index = bitsift.Index(384, store="int8")
    index.add(vectors)
    assert np.array_equal(index.codes, np.packbits(NUMBERS > 0, axis=1))


def add_bits(vectors):
    index = bitsift.Index(16, store=None)
    index.add(vectors)
    assert np.array_equal(index.codes, CODES)


def to_codes_or_pack(embeddings):
    of = bitsift.to_codes if embeddings.dtype == np.int8 else lambda floats, _: bitsift.pack(floats)
    assert of(embeddings, "binary").shape == (120, 48)


def queries_of(index, **options):
    return lambda queries: index.search(queries, 3, **options)


def filled(**options):
    index = bitsift.Index(16, **options)
    index.add(FLOATS)
    return index


STACK = "numpy.stack(numpy.asarray(vectors))"
AS_FLOATS = "numpy.asarray(vectors, 'float32')"
# The call, the parameter's name, what comes, and the remedy that the message names.
REMEDIES = {
    "pandas": (add, "vectors", Column(list), STACK),
    "arrow": (add, "vectors", Column(np.asarray), STACK),
    "column": (add, "vectors", objects(lists(FLOATS)), STACK),
    "column of tuples": (add, "vectors", objects(list(map(tuple, FLOATS))), STACK),
    "data frame": (add, "vectors", objects(lists(FLOATS), (30, 1)), f"{STACK[:-1]}[:, 0])"),
    "data frame of texts and vectors": (
        add,
        "vectors",
        np.stack((objects(["text"] * 30), objects(lists(FLOATS))), axis=1),
        f"{STACK[:-1]}[:, 1])",
    ),
    "query column": (
        queries_of(filled()),
        "queries",
        Column(list),
        STACK.replace("vectors", "queries"),
    ),
    "generator": (add, "vectors", (row for row in FLOATS), "numpy.stack(list(vectors))"),
    "values": (add, "vectors", dict(enumerate(FLOATS)).values(), "numpy.stack(list(vectors))"),
    "dict": (add, "vectors", dict(enumerate(FLOATS)), "numpy.stack(list(vectors.values()))"),
    "sparse": (add, "vectors", Sparse(), "vectors.toarray()"),
    "objects": (add, "vectors", FLOATS.astype(object), AS_FLOATS),
    "objects of integers": (
        lambda embeddings: bitsift.to_codes(embeddings, "bits"),
        "embeddings",
        np.where(FLOATS > 0, 1, 0).astype(object),
        "numpy.asarray(embeddings, 'int64')",
    ),
    "integers": (add, "vectors", np.where(FLOATS > 0, 1, -1), AS_FLOATS),
    "long double": (add, "vectors", FLOATS.astype(np.longdouble), "vectors.astype('float64')"),
    "three axes": (
        add_bits,
        "vectors",
        (FLOATS > 0).reshape(30, 4, 4),
        "vectors.reshape(len(vectors), -1)",
    ),
    "int8 numbers": (add_numbers, "vectors", NUMBERS, AS_FLOATS),
    "uint8 numbers": (
        lambda vectors: bitsift.Index(384, store="int8").add(vectors),
        "vectors",
        NUMBERS.view(np.uint8) ^ 128,
        AS_FLOATS,
    ),
    "binary": (
        add_bits,
        "vectors",
        bitsift.from_codes(CODES, "binary"),
        'bitsift.to_codes(vectors, "binary", dim=16)',
    ),
    "vespa": (
        add_bits,
        "vectors",
        bitsift.from_codes(CODES, "vespa"),
        'bitsift.to_codes(vectors, "vespa", dim=16)',
    ),
    "packed, searched": (
        lambda codes: bitsift.search(codes, CODES, 1),
        "codes",
        bitsift.from_codes(CODES, "binary"),
        'bitsift.to_codes(codes, "binary")',
    ),
    "numbers, searched": (
        lambda codes: bitsift.search(codes, bitsift.pack(MANY), 1),
        "codes",
        NUMBERS,
        "bitsift.pack(numpy.asarray(codes, 'float32'))",
    ),
    "floats as codes": (
        lambda codes: bitsift.search(codes, CODES, 1),
        "codes",
        FLOATS,
        "bitsift.pack(codes)",
    ),
    "bits as codes": (
        lambda codes: bitsift.search(codes, CODES, 1),
        "codes",
        (FLOATS > 0).astype(int),
        'bitsift.to_codes(codes, "bits")',
    ),
    "hashes as codes": (
        lambda codes: bitsift.knn_graph(codes, 1),
        "codes",
        RNG.integers(-(2**63), 2**63 - 1, 9),
        'codes.view("uint8").reshape(len(codes), -1)',
    ),
    "blobs as codes": (
        lambda codes: bitsift.knn_graph(codes, 1),
        "codes",
        [b"\1\2", b"\3\4"],
        "numpy.frombuffer(b''.join(codes), 'uint8').reshape(len(codes), -1)",
    ),
    "one blob": (
        lambda codes: bitsift.unpack(codes, 24),
        "codes",
        b"\1\2\3",
        "numpy.frombuffer(codes, 'uint8')",
    ),
    "numbers to codes": (
        to_codes_or_pack,
        "embeddings",
        NUMBERS,
        "numpy.asarray(embeddings, 'float32')",
    ),
    "bits rescored": (
        queries_of(filled(), rescore=True),
        "queries",
        CODES,
        'bitsift.from_codes(queries, "signs", dim=index.dim).astype("float32")',
    ),
    "bool rescored": (
        queries_of(filled(), rescore=True),
        "queries",
        FLOATS > 0,
        "numpy.where(queries, 1.0, -1.0)",
    ),
    "bits, asymmetric": (
        queries_of(filled(), scoring="asymmetric"),
        "queries",
        CODES,
        'bitsift.from_codes(queries, "signs", dim=index.dim).astype("float32")',
    ),
}


@pytest.mark.parametrize(("call", "name", "value", "remedy"), REMEDIES.values(), ids=REMEDIES)
def test_remedies_run(call, name, value, remedy):
    with pytest.raises((TypeError, ValueError), match=f"^{name}|needs float queries") as caught:
        call(value)
    assert remedy in str(caught.value)
    names = {"numpy": np, "bitsift": bitsift, "index": filled(), name: value}
    call(eval(remedy, names))  # the text of our own message


def test_a_path_is_loaded(tmp_path):
    path = tmp_path / "vectors.npy"
    np.save(path, FLOATS)
    for vectors in (path, str(path)):
        with pytest.raises((TypeError, ValueError), match=r"numpy\.load\(vectors\)"):
            add(vectors)
        add(np.load(vectors))


def test_fields_become_one_array():
    fields = np.zeros(3, [("a", "f4"), ("b", "f4")])
    with pytest.raises(TypeError, match=r"structured_to_unstructured\(x\)"):
        bitsift.pack(fields)
    import numpy.lib.recfunctions as recfunctions  # noqa: PLC0415 (as the message has it)

    assert bitsift.pack(recfunctions.structured_to_unstructured(fields)).shape == (3, 1)


def test_masked_values_need_a_number():
    masked = np.ma.masked_array(FLOATS, FLOATS > 2)
    for vectors in (masked, list(masked)):
        with pytest.raises(TypeError, match=r"numpy\.ma\.filled"):
            bitsift.Index(16).add(vectors)
    add(np.ma.filled(masked, 1))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            TypeError("Got unsupported ScalarType BFloat16"),
            "to float32 first, in PyTorch by .float()",
        ),
        (
            RuntimeError("Use tensor.detach().numpy() instead."),
            "Use tensor.detach().numpy() instead.",
        ),
        (TypeError("Use Tensor.cpu() first."), "Use Tensor.cpu() first."),
    ],
)
def test_tensors_tell_their_own_remedy(error, told):
    class Tensor:
        def __array__(self, dtype=None, copy=None):
            raise error

    for vectors in (Tensor(), [Tensor()]):
        with pytest.raises(
            TypeError, match="vectors must be an array that NumPy can read"
        ) as caught:
            bitsift.Index(16).add(vectors)
        assert told in str(caught.value)
        assert caught.value.__cause__ is error


@pytest.mark.parametrize(
    "rows", [[[1.0, 2.0], [1.0]], ([1.0], [1.0, 2.0]), objects([[1.0, 2.0], [1.0]])]
)
def test_rows_of_different_lengths_are_named(rows):
    with pytest.raises(ValueError, match=r"rows of one length; got row 1 of . values?, row 0 of ."):
        bitsift.Index(2).add(rows)


def test_an_odd_cell_is_named():
    frame = objects([1.0, None, 2.0, "x"], (2, 2))
    with pytest.raises(TypeError, match="row 0, column 1 is None"):
        bitsift.Index(2).add(frame)
    with pytest.raises(TypeError, match="row 1, column 1 is a str"):
        bitsift.Index(2).add(np.where(frame == None, 0.0, frame))  # noqa: E711 (each cell)


def test_a_missing_row_is_named():
    with pytest.raises(TypeError, match="row 2 is None"):
        bitsift.Index(2).add(objects([[1.0, 2.0], [1.0, 3.0], None]))


def test_too_few_vectors_for_auto():
    index = bitsift.Index(16, threshold="auto")
    with pytest.raises(ValueError, match=r"must be 20 or more; got 5; call fit\(sample\)"):
        index.fit(FLOATS[:5])
    index.fit(np.tile(FLOATS, (8, 1)))
    assert index.add(FLOATS[:5]).shape == (5,)


def test_int8_of_another_dim_has_both_readings():
    with pytest.raises(TypeError, match=r"As packed bits that is 3072 dimensions.*numbers.* 384"):
        bitsift.Index(300).add(NUMBERS)
    with pytest.raises(ValueError, match=r"48 bytes a row for dim 384; got 384 .*numbers"):
        bitsift.to_codes(NUMBERS, "binary", dim=384)


@pytest.mark.parametrize(
    "texts",
    [
        ["[0.5, 1, -2e3]", "[1, 2, 3]"],
        np.array(["0.5 1 -2", "[3 4 5]"]),
        objects(["(1, 2, 3)", "(4, 5, 6)"]),
    ],
)
def test_texts_of_numbers_are_read(texts):
    index = bitsift.Index(3)
    with pytest.raises(TypeError, match="texts of numbers: ") as caught:
        index.add(texts)
    remedy = str(caught.value).partition("texts of numbers: ")[2]
    index.add(eval(remedy, {"numpy": np, "vectors": texts}))
    assert index.get([0]).shape == (1, 3)


def test_codes_of_another_index_name_its_dimensions():
    codes = np.zeros((2, 48), np.uint8)
    with pytest.raises(ValueError, match=r"384 dimensions: bitsift\.Index\(384\)$"):
        bitsift.Index(48, store=None).add(codes)
    bitsift.Index(384, store=None).add(codes)


def test_an_empty_path_is_shown():
    with pytest.raises(bitsift.IndexFileError, match=r"^'': "):
        bitsift.Index.load("")
