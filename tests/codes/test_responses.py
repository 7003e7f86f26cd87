# SPDX-License-Identifier: Apache-2.0
"""Responses of embeddings APIs to codes, in each layout; any other response is refused."""

import base64
import itertools
import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bitsift

# The same two embeddings of 16 bits: 01001101 00000000 and 11111111 10000000.
CODES = [[77, 0], [255, 128]]
UBINARY = CODES
BINARY = [[-51, -128], [127, 0]]
NAMED = [("ubinary", UBINARY), ("binary", BINARY)]


def refuses(error, message):
    return pytest.raises(error, match=message)


def data(embeddings, order=None):
    """Lay embeddings out as Voyage, Jina and others do."""
    items = [
        {"object": "embedding", "embedding": embedding, "index": index}
        for index, embedding in enumerate(embeddings)
    ]
    items = [items[place] for place in order] if order else items
    return {"object": "list", "data": items, "model": "m", "usage": {"total_tokens": 5}}


def cohere(**embeddings):
    """Lay embeddings out as Cohere does."""
    return {
        "id": "7dcc3ce4",
        "texts": ["a", "b"],
        "embeddings": embeddings,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 5}},
        "response_type": "embeddings_by_type",
    }


def as_base64(embedding, dtype):
    return base64.b64encode(np.array(embedding, dtype).tobytes()).decode()


class TestLayouts:
    @pytest.mark.parametrize(("name", "embeddings"), NAMED)
    @pytest.mark.parametrize(
        "layout",
        [
            data,
            lambda embeddings: data(embeddings)["data"],
            lambda embeddings: {"embeddings": embeddings},
            lambda embeddings: embeddings,
        ],
        ids=["data", "items", "embeddings", "lists"],
    )
    @pytest.mark.parametrize(
        "form",
        [
            lambda x: x,
            json.dumps,
            lambda x: json.dumps(x).encode(),
            lambda x: bytearray(json.dumps(x, indent=1), "utf-16"),
        ],
        ids=["parsed", "str", "bytes", "utf-16"],
    )
    def test_named(self, name, embeddings, layout, form):
        codes = bitsift.codes_from_response(form(layout(embeddings)), name)
        assert codes.dtype == np.uint8
        assert codes.tolist() == CODES

    @pytest.mark.parametrize("order", [*itertools.permutations(range(4))])
    def test_rows_are_in_the_order_of_index(self, order):
        embeddings = [[10], [11], [12], [13]]
        response = data(embeddings, order)
        assert bitsift.codes_from_response(response, "ubinary").tolist() == embeddings
        assert bitsift.codes_from_response(response["data"], "ubinary").tolist() == embeddings

    @pytest.mark.parametrize(("name", "embeddings"), NAMED)
    def test_cohere_names_the_type(self, name, embeddings):
        response = json.dumps(cohere(**{name: embeddings}))
        assert bitsift.codes_from_response(response).tolist() == CODES
        assert bitsift.codes_from_response(response, name).tolist() == CODES

    def test_cohere_with_other_types_beside(self):
        floats = [[0.5, -0.5], [1.0, 2.0]]
        response = cohere(float=floats, int8=[[1, 2]] * 2, uint8=None, ubinary=UBINARY)
        assert bitsift.codes_from_response(response).tolist() == CODES
        response = cohere(float=floats, binary=BINARY, ubinary=None)  # as its client has it
        assert bitsift.codes_from_response(response).tolist() == CODES

    def test_cohere_with_both(self):
        other = [[1, 2], [3, 4]]
        response = cohere(binary=BINARY, ubinary=other)
        assert bitsift.codes_from_response(response, "binary").tolist() == CODES
        assert bitsift.codes_from_response(response, "ubinary").tolist() == other
        with refuses(ValueError, "the response holds both, so name one"):
            bitsift.codes_from_response(response)

    def test_several_types_in_each_item(self):
        """As Jina answers where embedding_type is a list."""
        rows = zip(BINARY, [[0.1, 0.2], [0.3, 0.4]], strict=True)
        response = data([{"binary": row, "float": floats} for row, floats in rows], order=[1, 0])
        assert bitsift.codes_from_response(response).tolist() == CODES
        assert bitsift.codes_from_response(response, "binary").tolist() == CODES
        with refuses(ValueError, "must hold ubinary .*; it holds .*binary.*float"):
            bitsift.codes_from_response(response, "ubinary")

    @pytest.mark.parametrize(
        ("name", "embeddings", "dtype"), [(*NAMED[0], np.uint8), (*NAMED[1], np.int8)]
    )
    def test_base64_of_the_bytes(self, name, embeddings, dtype):
        """As Voyage answers where encoding_format is "base64"."""
        response = data([as_base64(row, dtype) for row in embeddings])
        assert bitsift.codes_from_response(response, name, dim=16).tolist() == CODES
        assert bitsift.codes_from_response(json.dumps(response), name, dim=9).tolist() == CODES

    def test_dim(self):
        assert bitsift.codes_from_response(data(UBINARY), "ubinary", dim=9).tolist() == CODES
        with refuses(ValueError, "must have 1 bytes a row for dim 8; got 2 bytes = 16 bits"):
            bitsift.codes_from_response(data(UBINARY), "ubinary", dim=8)
        with refuses(ValueError, "the last 4 bits .* row 1 is 130"):
            bitsift.codes_from_response(data([[1, 0], [2, 130]]), "ubinary", dim=12)
        with refuses(ValueError, "the last 4 bits .* row 1 is -127, .* is -128"):
            bitsift.codes_from_response(cohere(binary=[[1, -128], [2, -127]]), dim=12)

    def test_no_embeddings(self):
        assert bitsift.codes_from_response(data([]), "binary", dim=9).shape == (0, 2)
        assert bitsift.codes_from_response(cohere(ubinary=[]), dim=8).shape == (0, 1)
        assert bitsift.codes_from_response("[]", "binary", dim=8).dtype == np.uint8
        with refuses(ValueError, "holds no embeddings"):
            bitsift.codes_from_response(data([]), "binary")

    def test_remarks_beside_embeddings_are_no_error(self):
        response = data(UBINARY) | {"error": None, "detail": "a remark", "message": "another"}
        assert bitsift.codes_from_response(response, "ubinary").tolist() == CODES

    def test_the_response_is_not_changed(self):
        response = data(UBINARY, order=[1, 0])
        before = json.dumps(response)
        bitsift.codes_from_response(response, "ubinary")[:] = 0
        assert json.dumps(response) == before


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 40).flatmap(
        lambda n_bytes: st.lists(st.binary(min_size=n_bytes, max_size=n_bytes), min_size=1)
    ),
    st.sampled_from(["binary", "ubinary"]),
    st.randoms(use_true_random=False),
)
def test_law_what_from_codes_writes_is_read_back(rows, name, random):
    codes = np.array([list(row) for row in rows], np.uint8)
    embeddings = bitsift.from_codes(codes, name).tolist()
    order = random.sample(range(len(rows)), len(rows))
    for response in (data(embeddings, order), cohere(**{name: embeddings}), embeddings):
        result = bitsift.codes_from_response(json.dumps(response), name)
        np.testing.assert_array_equal(result, codes)


BAD_TYPES = [
    (data(BINARY), "ubinary", 'row 0, value 0 is -51; negative .* look like "binary" or "vespa"'),
    (data(UBINARY), "binary", 'row 1, value 0 is 255; values of 0 to 255 look like "ubinary" or'),
    (data([[1], [200]]), "binary", "must be -128 to 127; row 1, value 0 is 200"),
    (data([[1], [-3]], [1, 0]), "ubinary", "must be 0 to 255; row 1, value 0 is -3"),
    (cohere(ubinary=BINARY), None, 'must be 0 to 255; .* look like "binary"'),
    (cohere(binary=UBINARY), None, 'must be -128 to 127; .* look like "ubinary"'),
    (data([[300, -300]]), "ubinary", "row 0, value 0 is 300$"),
    (data([[10**30]]), "ubinary", 'embedding 0 must be "ubinary"; got an integer of more than 64'),
    (
        data(UBINARY),
        None,
        'encoding_type must be "binary" or "ubinary": the response does not tell',
    ),
    (UBINARY, None, "the response does not tell"),
    (data(UBINARY), "float", r"encoding_type must be one of \('binary', 'ubinary', None\)"),
    (data(UBINARY), "base64", "encoding_type must be one of .*; got 'base64'"),
    (data(UBINARY), ["binary"], "encoding_type must be one of"),
    (cohere(binary=BINARY), "ubinary", r"must hold ubinary embeddings; it holds \['binary'\]"),
    (cohere(float=[[0.5]], int8=[[1]]), None, r"hold binary or ubinary .* \['float', 'int8'\]"),
    (cohere(ubinary=None), None, r"must hold binary or ubinary embeddings; it holds \[\]"),
    (cohere(), "binary", r"it holds \[\]"),
]


@pytest.mark.parametrize(("response", "name", "message"), BAD_TYPES)
def test_values_of_another_type_than_the_named_one(response, name, message):
    with refuses(ValueError, message):
        bitsift.codes_from_response(response, name)


def item(**members):
    return {"data": [{"index": 0, "embedding": [1]}, members]}


@pytest.mark.parametrize(
    ("response", "error", "message"),
    [
        (
            data([[0.5, -1.0]]),
            TypeError,
            "embedding 0 must be integers.* 0.5, a float; pack floats",
        ),
        (data([[1, 77.0]]), TypeError, "got 77.0, a float"),
        ("[[1, NaN]]", TypeError, "got nan, a float"),
        (data([[1], [True]]), TypeError, "embedding 1 must be integers.* got True, a bool$"),
        (data([[1], [None]]), TypeError, "embedding 1 must be integers.* got None, a NoneType"),
        (data([["1"]]), TypeError, "got '1', a str"),
        (data([[[1, 2]]]), TypeError, "embedding 0 must be integers.* a list"),
        (data([1]), TypeError, "embedding 0 must be a list .*; got int; one embedding alone goes"),
        ([1, 2, 3], TypeError, "embedding 0 must be a list of integers .* one embedding alone"),
        ([[1], {"index": 1}], TypeError, "embedding 1 must be a list .*; got dict$"),
        (data([[1], None]), TypeError, "embedding 1 must be a list of integers .*; got NoneType"),
        (data([[1, 2], [1]]), ValueError, "embedding 1 has 1 values, embedding 0 has 2"),
        (data([[], []]), ValueError, "at least one value a row"),
        (data([[0] * 8193]), ValueError, "at most 65536 bits a row; got 8193 bytes"),
        (item(index=0, embedding=[2]), ValueError, "item 1 of .* index 0, as an earlier one has"),
        (item(index=2, embedding=[2]), ValueError, "has index 2; 2 items .* indices 0 to 1"),
        (item(index=-1, embedding=[2]), ValueError, "has index -1; 2 items"),
        (item(index=1.0, embedding=[2]), ValueError, "has index 1.0; 2 items"),
        (item(index=True, embedding=[2]), ValueError, "has index True; 2 items"),
        (item(index="1", embedding=[2]), ValueError, "has index '1'; 2 items"),
        (item(index=None, embedding=[2]), ValueError, "has index None; 2 items"),
        (item(embedding=[2]), ValueError, r'item 1 of "data" has no "index"; .*\[\'embedding\'\]'),
        (item(index=1, embeddings=[[2]]), ValueError, 'item 1 of "data" has no "embedding"'),
        ({"data": [[1, 2]]}, TypeError, 'item 0 of "data" must be an object .*; got list'),
        ({"data": {"index": 0}}, TypeError, '"data" must be a list; got dict'),
        ({"data": None}, TypeError, '"data" must be a list; got NoneType'),
        ({"embeddings": 7}, TypeError, "embeddings must be a list; got int"),
        (cohere(ubinary="AAA="), TypeError, "embeddings must be a list; got str"),
        (data([{"ubinary": [1]}, {"float": [0.5]}]), ValueError, "must all be of the same types"),
        (data([{"ubinary": [1]}, [1]]), ValueError, "must all be of the same types"),
        (data([{"ubinary": [1]}, {"ubinary": None}]), TypeError, "embedding 1 .* got NoneType"),
        ({"error": {"message": "invalid key"}}, ValueError, "answered with an error.*invalid key"),
        ({"error": "busy", "data": []}, ValueError, "answered with an error.*error: 'busy'"),
        ({"detail": "no such model"}, ValueError, "with an error.*detail: 'no such model'"),
        ({"detail": [{"loc": ["x"]}]}, ValueError, "answered with an error.*detail"),
        ({"message": "invalid api token"}, ValueError, "with an error.*invalid api token"),
        ({}, ValueError, r'must have "data" or "embeddings"; its keys are \[\]'),
        ({"embedding": [1]}, ValueError, r"its keys are \['embedding'\]"),
        ({"error": None}, ValueError, r"its keys are \['error'\]"),
        ("", ValueError, "response must be JSON; got ''"),
        ("<html>502 Bad Gateway</html>", ValueError, "must be JSON; got '<html>502"),
        ('{"data": [', ValueError, "must be JSON; got .*data"),
        (b"\xff\xfe\xfa", ValueError, "must be JSON; got b"),
        ("7", ValueError, "must be JSON of an object or list; got '7'"),
        ("null", ValueError, "must be JSON of an object or list; got 'null'"),
        (None, TypeError, "a dict, list, str or bytes; got NoneType"),
        (7, TypeError, "a dict, list, str or bytes; got int"),
        (np.zeros((1, 2), np.uint8), TypeError, "a dict, list, str or bytes; got ndarray"),
    ],
)
def test_bad_response(response, error, message):
    with refuses(error, message) as caught:
        bitsift.codes_from_response(response, "ubinary")
    assert len(str(caught.value)) < 1000


def test_long_answers_are_quoted_short():
    for response in (
        "x" * 10**6,
        {"error": {"message": "y" * 10**6, "more": list(range(10**5))}},
        {str(key): key for key in range(10**5)},
        {"data": [{"index": "z" * 10**6, "embedding": []}]},
    ):
        with refuses(ValueError, "got|keys|error|index") as caught:
            bitsift.codes_from_response(response, "ubinary")
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("opening", ["[", '{"data":', '{"embeddings":{"ubinary":['])
def test_json_nested_too_deep(opening):
    with refuses(ValueError, "must be JSON of embeddings; got one nested too deep"):
        bitsift.codes_from_response(opening * 200_000, "ubinary")


def test_json_of_too_long_an_integer():
    with refuses(ValueError, "must be JSON|more than 64 bits"):  # Python >= 3.10.7 limits digits
        bitsift.codes_from_response("[[" + "9" * 10_000 + "]]", "ubinary")


def test_deep_objects_are_quoted_short():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with refuses(TypeError, "embedding 0 must be integers"):
        bitsift.codes_from_response([deep], "binary")
    with refuses(ValueError, "answered with an error"):
        bitsift.codes_from_response({"error": deep}, "binary")
    while deep:  # by hand: freeing it at once would recurse
        deep = deep[0]


def test_long_rows_are_refused_before_they_are_converted():
    row = [0] * (1 << 22)
    tracemalloc.start()
    with refuses(ValueError, "embedding 1 must have at most 65536 bits a row; got 4194304 bytes"):
        bitsift.codes_from_response([[1], row], "ubinary")
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


class TestBase64:
    def test_needs_dim(self):
        with refuses(ValueError, "embedding 0 is a base64 string, .*: give dim, too"):
            bitsift.codes_from_response(data(["TQA="]), "ubinary")

    def test_float32_is_no_packed_bits(self):
        response = data([as_base64([0.5] * 16, np.float32)])
        with refuses(ValueError, "must have 2 bytes for dim 16; got 64 bytes .*look like float32"):
            bitsift.codes_from_response(response, "ubinary", dim=16)

    @pytest.mark.parametrize("n_characters", [1 << 24, (1 << 24) + 1])
    def test_length_is_checked_before_decoding(self, n_characters):
        text = "A" * n_characters
        tracemalloc.start()
        with refuses(ValueError, f"2 bytes for dim 16; got base64 of {n_characters} characters"):
            bitsift.codes_from_response(data([text]), "ubinary", dim=16)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()

    @pytest.mark.parametrize("dim", [1, 7, 8, 9, 1000, 65536])
    def test_every_whole_length_is_decoded(self, dim):
        n_bytes = (dim + 7) // 8
        row = np.zeros(n_bytes, np.uint8)
        found = bitsift.codes_from_response(data([as_base64(row, np.uint8)]), "ubinary", dim=dim)
        np.testing.assert_array_equal(found, row[None])
        with refuses(ValueError, f"got {4 * dim} bytes of base64; 4 bytes a dimension look like"):
            text = as_base64(np.zeros(dim), np.float32)
            bitsift.codes_from_response(data([text]), "ubinary", dim=dim)

    @pytest.mark.parametrize("text", ["TQ=", "T Q A =", "TQA", "TQ-_", "ÿÿ==", "!!!!"])
    def test_must_be_base64(self, text):
        with refuses(ValueError, "embedding 0 must be base64; got"):
            bitsift.codes_from_response(data([text]), "ubinary", dim=16)

    @pytest.mark.parametrize(("text", "n_bytes"), [("", 0), ("TQ==", 1), ("TQAA", 3)])
    def test_length(self, text, n_bytes):
        with refuses(ValueError, f"must have 2 bytes for dim 16; got {n_bytes} bytes of base64$"):
            bitsift.codes_from_response(data([text]), "ubinary", dim=16)

    def test_lists_and_strings_may_stand_together(self):
        response = data([UBINARY[0], as_base64(UBINARY[1], np.uint8)])
        assert bitsift.codes_from_response(response, "ubinary", dim=16).tolist() == CODES


@pytest.mark.parametrize(
    ("dim", "error", "message"),
    [
        (0, ValueError, "dim must be 1 to 65536; got 0"),
        (16.0, TypeError, "dim must be an integer; got float"),
        (17, ValueError, "must have 3 bytes a row for dim 17; got 2 bytes = 16 bits"),
        (2, ValueError, 'for dim 2; got 2 bytes = 16 bits; one value a dimension is "bits"'),
    ],
)
def test_bad_dim(dim, error, message):
    with refuses(error, message):
        bitsift.codes_from_response(data(UBINARY), "ubinary", dim=dim)
