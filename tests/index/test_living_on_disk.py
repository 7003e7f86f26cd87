# SPDX-License-Identifier: Apache-2.0
"""Any sequence of changes, commits, crashes and questions: an opened index and its readers.

It answers as a dictionary from ids to vectors does, and a reader as the one that was committed.
"""

import pickle
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

import bitsift
from bitsift.index import drafts
from helpers.living_index import DIM, KINDS, SAMPLE, LivingIndex

LEFT = f"codes-{'ab' * 16}.npy", f"manifest-{'cd' * 16}.tmp", "manifest-987.json"


class LivingFolder(LivingIndex):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.n_opened = 0
        # So that few commits are enough for merges.
        self.patch.setattr(drafts, "_MOST_OF_A_CLASS", 2)
        self.committed: dict[int, tuple[dict, int]] = {}
        self.generation = 0
        self.readers: list[tuple[bitsift.Index, dict]] = []

    def teardown(self):
        self.close()
        self.folder.cleanup()
        super().teardown()

    def close(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bitsift.BitsiftWarning)
            self.index.close()

    @property
    def path(self):
        return Path(self.folder.name, str(self.n_opened), "index")

    @initialize(
        options=st.sampled_from(KINDS),
        isa=st.sampled_from(bitsift.available_isas()),
        kept=st.integers(1, 3),
    )
    def make(self, options, isa, kept):
        self.options, self.isa, self.kept = options, isa, kept
        self.open(dim=DIM, **options)
        if "correction" in options:  # as `made` does
            self.index.fit(SAMPLE)
        self.commit()

    def open(self, **options):
        self.index = bitsift.Index.open(
            self.path, "a", isa=self.isa, keep_generations=self.kept, **options
        )

    @rule()
    def commit(self):
        self.record(self.index.commit())

    def record(self, generation):
        is_new = generation == self.generation + 1
        assert is_new or generation == self.generation
        if not is_new:
            assert [*self.committed[generation][0]] == [*self.model]
        self.generation = generation
        self.committed[generation] = dict(self.model), self.largest
        for old in [*self.committed][: -self.kept]:
            del self.committed[old]

    @rule()
    def rollback(self):
        self.index.rollback()
        self.go_back()

    def go_back(self, generation=None):
        model, self.largest = self.committed[generation or self.generation]
        self.model = dict(model)
        self.filters = []

    @rule(leftovers=st.sets(st.sampled_from(LEFT)), generation=st.integers(0, 2))
    def crash(self, leftovers, generation):
        """Go on with what a crash leaves: the folder as it is, and files of no manifest."""
        path = self.path
        self.n_opened += 1
        shutil.copytree(path, self.path)
        for name in leftovers:
            (self.path / name).write_bytes(b"left")
        self.close()
        self.open()
        self.go_back()
        assert self.index.generation == self.generation
        self.readers = []

    @rule(back=st.integers(0, 2))
    def go_back_in_time(self, back):
        numbers = [*self.committed][::-1]
        generation = numbers[min(back, len(numbers) - 1)]
        self.close()
        self.index = bitsift.Index.open(
            self.path, "a", isa=self.isa, keep_generations=self.kept, generation=generation
        )
        self.go_back(generation)
        if generation != self.generation:
            self.commit()

    @rule(back=st.integers(0, 2), is_pickled=st.booleans())
    def open_reader(self, back, is_pickled):
        numbers = [*self.committed][::-1]
        generation = numbers[min(back, len(numbers) - 1)]
        reader = bitsift.Index.open(self.path, generation=generation, isa=self.isa)
        if is_pickled:
            reader = pickle.loads(pickle.dumps(reader))
        assert reader.generation == generation
        self.readers = [*self.readers[-2:], (reader, self.committed[generation][0])]

    @rule()
    def refresh(self):
        if self.readers:
            reader, _ = self.readers.pop()
            is_old = reader.generation != self.generation
            assert reader.refresh() == is_old
            assert reader.generation == self.generation
            assert not reader.refresh()
            self.readers.append((reader, self.committed[self.generation][0]))

    @rule()
    def compact(self):
        if self.index._table.is_changed:
            with pytest.raises(ValueError, match="compact works on what is committed"):
                self.index.compact()
            return
        self.index.compact()
        self.record(self.index.generation)

    @rule()
    def load_and_verify(self):
        bitsift.verify(self.path)
        loaded = bitsift.Index.load(self.path)
        assert loaded.ids.tolist() == [*self.committed[self.generation][0]]

    @invariant()
    def readers_hold_what_was_committed(self):
        for reader, model in self.readers:
            assert reader.ids.tolist() == [*model]
            wanted = np.array(list(model.values()), np.float32).reshape(-1, DIM)
            np.testing.assert_array_equal(reader.codes, bitsift.pack(wanted))

    # An opened index is not replaced by a copy.
    go_on_with_a_copy = None
    go_on_with_what_was_kept = None


TestLivingFolder = LivingFolder.TestCase
TestLivingFolder.settings = settings(deadline=None, max_examples=15, stateful_step_count=25)


@pytest.mark.slow
class TestLivingFolderLong(LivingFolder.TestCase):
    settings = settings(deadline=None, max_examples=400, stateful_step_count=50)
