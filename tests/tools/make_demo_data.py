# SPDX-License-Identifier: Apache-2.0
"""Make the data of ``bitsift demo`` from a folder of embedded arXiv papers.

    python tests/tools/make_demo_data.py SOURCE [--out FOLDER]

SOURCE holds ``docs.npy`` (float16, one L2-normalised row a paper), ``docs.jsonl`` (``id`` and
``title`` a line), ``queries.npy`` and ``queries.jsonl`` (``id`` and ``text`` a line; the first 40
are the topics of the demo).

Every topic brings its nearest papers by float cosine, so that the topics look as they do on the
whole collection; a seeded uniform sample fills the rest, so that there is something to reject.
The papers keep the order of the source, and a paper's row is its id in the index. The same source
gives the same arrays and texts; only file names inside the index differ from run to run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from string import Template

import numpy as np
from numpy.typing import NDArray

import bitsift

N_TOPICS = 40
N_NEIGHBOURS = 60
N_DOCUMENTS = 4_400  # the largest multiple of 100 that stays below MAX_BYTES
SEED = 20_240
MAX_BYTES = 4 * 1024 * 1024

PACKAGE_DATA = Path(__file__).resolve().parents[2] / "python" / "bitsift" / "data" / "arxiv"

README = Template("""\
# arXiv demo data

What `bitsift demo` searches: $n_documents arXiv papers as embeddings, and $n_topics prepared
queries. No abstract is included.

| file | holds |
|---|---|
| `index/` | a bitsift index: dim $dim, metric cosine, store float16; the id of a paper is its row |
| `documents.jsonl` | one paper a line, in the order of the rows: its arXiv `id` and `title` |
| `queries.npy` | $n_topics x $dim float16, one prepared query a row |
| `queries.json` | the $n_topics texts, in the same order |
| `LICENSE` | CC0 1.0, for all files of this folder |

## Provenance and licence

Ids, titles and abstracts are arXiv metadata, which arXiv offers under
[CC0 1.0](https://creativecommons.org/publicdomain/zero/1.0/)
([arXiv: license and copyright](https://info.arxiv.org/help/license/index.html)); the vectors were
computed from them and are dedicated in the same way. Thank you to arXiv for use of its open access
interoperability. This product was not reviewed or approved by, nor does it necessarily express or
reflect the policies or opinions of, arXiv.

The vectors are embeddings of title and abstract together, by
[sentence-transformers/all-MiniLM-L6-v2](https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2)
(Apache-2.0, $dim dimensions): mean pooling, at most 256 tokens, encoded with bfloat16 products
(cosine to float32 above 0.9999), L2-normalised, stored as float16. The model itself is not part of
this folder.

## Selection

From $n_source papers, $n_documents: the $n_neighbours nearest by float cosine of each of the
$n_topics prepared queries ($n_near distinct papers), and a uniform sample of the others
(numpy `default_rng($seed)`), in the order of the source. Written by
`tests/tools/make_demo_data.py`.

## Checksums

$n_bytes bytes in all but this page.

| file | bytes | SHA-256 |
|---|---:|---|
$rows
""")


def select(
    documents: NDArray[np.float32], topics: NDArray[np.float32]
) -> tuple[NDArray[np.intp], int]:
    """Rows to keep, ascending, and how many of them are neighbours of a topic."""
    unit = documents / np.linalg.norm(documents, axis=1, keepdims=True)
    order = np.argsort(-(topics @ unit.T), axis=1, kind="stable")
    near = np.unique(order[:, :N_NEIGHBOURS])
    others = np.setdiff1d(np.arange(len(documents)), near)
    sample = np.random.default_rng(SEED).choice(others, N_DOCUMENTS - len(near), replace=False)
    return np.sort(np.concatenate([near, sample])), len(near)


def read_lines(path: Path, key: str) -> list[dict[str, str]]:
    """The ``id`` and ``key`` of every line of a JSONL file; nothing else may pass on."""
    with path.open(encoding="utf-8") as file:
        return [{name: record[name] for name in ("id", key)} for record in map(json.loads, file)]


def describe(out: Path) -> tuple[int, str]:
    """Bytes in all, and one table row a file, of everything but the README."""
    files = [path for path in sorted(out.rglob("*")) if path.is_file() and path.name != "README.md"]
    rows = [
        f"| `{path.relative_to(out).as_posix()}` | {path.stat().st_size:,} "
        f"| `{hashlib.sha256(path.read_bytes()).hexdigest()}` |"
        for path in files
    ]
    return sum(path.stat().st_size for path in files), "\n".join(rows)


def main() -> None:
    """Write the folder and check its size."""
    parser = argparse.ArgumentParser(description="Make the data of `bitsift demo`.")
    parser.add_argument("source", type=Path, help="folder with docs.npy, docs.jsonl, queries.*")
    parser.add_argument("--out", type=Path, default=PACKAGE_DATA, help="folder to write")
    arguments = parser.parse_args()
    source, out = arguments.source, arguments.out
    out.mkdir(parents=True, exist_ok=True)

    documents = np.load(source / "docs.npy")
    topics = np.load(source / "queries.npy")[:N_TOPICS]
    papers = read_lines(source / "docs.jsonl", "title")
    texts = [record["text"] for record in read_lines(source / "queries.jsonl", "text")[:N_TOPICS]]
    if len(documents) != len(papers):
        raise SystemExit(f"{len(documents)} vectors, but {len(papers)} papers")

    rows, n_near = select(documents.astype(np.float32), topics.astype(np.float32))
    index = bitsift.Index(documents.shape[1], metric="cosine", store="float16")
    index.reserve(len(rows))
    index.add(documents[rows])
    index.save(out / "index")

    with (out / "documents.jsonl").open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(papers[row], ensure_ascii=False, separators=(",", ":")) + "\n")
    np.save(out / "queries.npy", topics.astype(np.float16))
    with (out / "queries.json").open("w", encoding="utf-8", newline="\n") as file:
        json.dump(texts, file, ensure_ascii=False, indent=0)
        file.write("\n")

    n_bytes, table = describe(out)
    readme = README.substitute(
        n_documents=f"{len(rows):,}",
        n_topics=N_TOPICS,
        dim=documents.shape[1],
        n_source=f"{len(documents):,}",
        n_neighbours=N_NEIGHBOURS,
        n_near=f"{n_near:,}",
        seed=SEED,
        n_bytes=f"{n_bytes:,}",
        rows=table,
    )
    (out / "README.md").write_text(readme, encoding="utf-8", newline="\n")
    total = n_bytes + (out / "README.md").stat().st_size
    print(f"{len(rows):,} papers, {n_near:,} near a topic, {total:,} bytes in {out}")
    if total > MAX_BYTES:
        raise SystemExit(f"{total:,} bytes are more than {MAX_BYTES:,}")


if __name__ == "__main__":
    main()
