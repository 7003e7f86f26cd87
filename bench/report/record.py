# SPDX-License-Identifier: Apache-2.0
"""The report as JSON, with every round."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import bitsift

from ..formats import machine
from ..peers import libraries
from .ceilings import MeasuredCeiling
from .race import Result
from .session import Run

_DISTRIBUTIONS = ("bitsift", "numpy", "faiss-cpu", "usearch", "numkong", "sentence-transformers")
_LOAD = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"


def describe_machine() -> dict[str, Any]:
    return {
        "processor": machine(),
        "system": f"{platform.system()} {platform.release()}",
        "levels": bitsift.available_isas(),
        "load": _LOAD,
    }


def versions() -> dict[str, str]:
    """Give those of what is installed."""
    found = {}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def speed_up(run: Run) -> float:
    """Give the popcount ceiling of all threads over that of one."""
    best = [c for c in run.ceilings if c.name == "popcount" and c.level == run.settings.isa]
    return best[-1].rate / best[0].rate


def is_contended(run: Run) -> bool:
    """Whether other work held the threads up when the ceilings were measured."""
    return bool(run.ceilings) and speed_up(run) < 0.8 * run.settings.threads


def save_json(run: Run, path: Path) -> None:
    settings = run.settings
    content = {
        "machine": describe_machine(),
        "versions": versions(),
        "missing": libraries.missing(),
        "settings": {
            "quick": settings.quick,
            "threads": settings.threads,
            "level": settings.isa,
        },
        "seconds": run.elapsed,
        "contended": is_contended(run),
        "ceilings": [_ceiling(c) for c in run.ceilings],
        "rows": [_row(result, g.group.name) for g in run.groups for result in g.results],
        "group_seconds": {g.group.name: g.seconds for g in run.groups},
        "unavailable": {g.group.name: g.unavailable for g in run.groups if g.unavailable},
        "failed": {g.group.name: g.failed for g in run.groups if g.failed},
    }
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _ceiling(ceiling: MeasuredCeiling) -> dict[str, Any]:
    return {
        "name": ceiling.name,
        "level": ceiling.level,
        "threads": ceiling.threads,
        "unit": ceiling.unit,
        "rate": ceiling.rate,
        "rounds": ceiling.rates,
    }


def _row(result: Result, group: str) -> dict[str, Any]:
    question = result.question
    peers = {peer.name: peer for peer in question.peers}
    return {
        "group": group,
        "question": question.text,
        "level": question.level,
        "threads": question.threads,
        **question.facts,
        "seconds": result.seconds,
        "rounds": result.ours,
        "peers": {
            name: {
                "seconds": result.peer_seconds(name),
                "ratio": result.ratio(name),
                "rounds": times,
                "ratios": result.ratios(name),
                "scale": peers[name].scale,
                "note": peers[name].note,
            }
            for name, times in result.peers.items()
        },
        "ceilings": {
            ceiling.name: {
                "unit": ceiling.unit,
                "share": result.share(ceiling.name),
                "shares": result.shares(ceiling.name),
                "rates": result.ceilings[ceiling.name],
            }
            for ceiling in question.ceilings
        },
        "remark": result.remark,
    }
