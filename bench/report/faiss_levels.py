# SPDX-License-Identifier: Apache-2.0
"""FAISS at a number of threads and at the instruction set that matches a level of bitsift.

Both are settings of the process. The environment variable `FAISS_SIMD_LEVEL`, which is read when
FAISS is imported, gives the same times as `SIMDConfig.set_level`, which needs no second process.
"""

from __future__ import annotations

from ..peers.libraries import faiss

# Other levels of bitsift are compared with the level that FAISS chooses.
_NAMES = {"scalar": "NONE", "avx2": "AVX2"}
_has_levels = faiss is not None and hasattr(faiss, "SIMDConfig")
_best = faiss.SIMDConfig.get_level_name() if _has_levels else ""


class _Current:
    threads = 0
    level = _best


def name_at(isa: str) -> str:
    """Give FAISS's name of the level that it is used at beside bitsift's `isa`."""
    return _NAMES.get(isa, _best) if _has_levels else "its own choice"


def has_level(isa: str) -> bool:
    """Tell whether FAISS can be set to that level, and the level takes effect."""
    if faiss is None or not _has_levels:
        return faiss is not None and isa not in _NAMES
    level = getattr(faiss, f"SIMDLevel_{name_at(isa)}", None)
    if level is None or not faiss.SIMDConfig.is_simd_level_available(level):
        return False
    faiss.SIMDConfig.set_level(level)
    took_effect = faiss.SIMDConfig.get_dispatched_level() == level
    faiss.SIMDConfig.set_level(getattr(faiss, f"SIMDLevel_{_Current.level}"))
    return bool(took_effect)


def use(threads: int, isa: str) -> None:
    """Set both, before a call; costs nothing if they are set."""
    if threads != _Current.threads:
        faiss.omp_set_num_threads(threads)
        _Current.threads = threads
    level = name_at(isa)
    if _has_levels and level != _Current.level:
        faiss.SIMDConfig.set_level(getattr(faiss, f"SIMDLevel_{level}"))
        _Current.level = level
