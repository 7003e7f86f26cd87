# SPDX-License-Identifier: Apache-2.0
"""One command for each habit: ``nox -s lint``, ``nox -s tests``; ``nox --list`` names all.

Sessions that need the package install one wheel, which is built once for each state of the sources
and lies in ``build/wheels``. ``.ci/run`` runs the same sessions.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import sysconfig
from pathlib import Path

import nox
from packaging.requirements import Requirement

ROOT = Path(__file__).parent
BUILD = ROOT / "build"
X86_64 = platform.machine() == "x86_64"

# What a wheel is made of. Compiled modules that an editable install left there are not.
SOURCES = ("CMakeLists.txt", "LICENSE", "README.md", "cpp", "pyproject.toml", "python")
NOT_SOURCES = {".so", ".pyc"}

nox.needs_version = ">=2024.10.9"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]


def source_digest() -> str:
    """Name the state of the sources and the interpreter that builds them."""
    digest = hashlib.sha256(f"{sys.version} {sysconfig.get_platform()}".encode())
    for source in SOURCES:
        path = ROOT / source
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file.suffix not in NOT_SOURCES:
                digest.update(f"{file.relative_to(ROOT)} {file.stat().st_size} ".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def built_wheel(session: nox.Session) -> Path:
    """Return the wheel of the sources as they are; build it unless an earlier session has."""
    folder = BUILD / "wheels" / source_digest()
    if not list(folder.glob("*.whl")):
        shutil.rmtree(folder.parent, ignore_errors=True)
        session.run("pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT))
    return next(folder.glob("*.whl"))


def install(session: nox.Session, *extras: str, tools: tuple[str, ...] = ()) -> None:
    """Install the wheel with these extras, and tools of the extra ``dev`` by name."""
    wheel = built_wheel(session)
    # pip keeps an installed package of the same version; the sources may have changed since.
    session.install("--force-reinstall", "--no-deps", str(wheel))
    wanted = f"{wheel}[{','.join(extras)}]" if extras else str(wheel)
    session.install(wanted, *requirements(*tools))


def requirements(*names: str) -> list[str]:
    """Return the lines of the extra ``dev`` that name these tools."""
    project = nox.project.load_toml(ROOT / "pyproject.toml")["project"]
    lines = project["optional-dependencies"]["dev"]
    return [line for line in lines if Requirement(line).name in names]


def native_tests(session: nox.Session, preset: str, *names: str) -> None:
    """Configure, build and test the C++ core with a preset of CMakePresets.json.

    ``names`` are those of the tests, all of them by default.
    """
    targets = ("--target", *names) if names else ()
    chosen = ("--tests-regex", f"^({'|'.join(names)})$") if names else ()
    for command in (
        ("cmake", "--preset", preset),
        ("cmake", "--build", "--preset", preset, *targets),
        ("ctest", "--preset", preset, "--parallel", str(os.cpu_count()), *chosen),
    ):
        session.run(*command, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Format, style, spelling, layers of imports, types and stubs."""
    hooks = ("clang-format", "codespell", "import-linter", "pre-commit", "ruff")
    install(session, "test", tools=(*hooks, "mypy"))
    session.run("pre-commit", "run", "--all-files", "--show-diff-on-failure")
    session.run("mypy")
    session.run("python", "-m", "mypy.stubtest", "bitsift.core.native")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the Python tests, all but the slow ones; ``-- ARGUMENTS`` go to pytest."""
    install(session, "test")
    session.run("pytest", "-q", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Run the Python tests that take long or much memory."""
    install(session, "test")
    session.run("pytest", "-q", "-m", "slow or large", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure the branches that tests take, with minima for storage and index.

    By default with the tests that reach these two; ``-- tests`` measures the whole package.
    """
    install(session, "test", tools=("coverage",))
    chosen = session.posargs or ["tests/storage", "tests/index", "tests/core", "tests/cli"]
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-q", *chosen)
    session.run("coverage", "combine")
    session.run("coverage", "report")
    for folder, minimum in (("storage", 98), ("index", 98)):
        included = f"--include=python/bitsift/{folder}/*"
        session.run("coverage", "report", included, f"--fail-under={minimum}")


@nox.session(venv_backend="none")
def native(session: nox.Session) -> None:
    """Run the C++ tests, the check of hermetic kernels and the counts of instructions."""
    native_tests(session, "release")
    if X86_64 and sys.platform == "linux":
        count = "tests/native/instructions/count.py"
        program = "build/release/tests/native/counted_work"
        session.run(sys.executable, count, program, external=True)
        session.run(sys.executable, count, program, "--self-test", external=True)


@nox.session(venv_backend="none")
def sanitize(session: nox.Session) -> None:
    """Run the C++ tests under AddressSanitizer and UndefinedBehaviorSanitizer."""
    native_tests(session, "sanitized")


@nox.session(venv_backend="none")
def thread_sanitize(session: nox.Session) -> None:
    """Run the C++ tests of threads under ThreadSanitizer; kernels know no threads."""
    names = (
        *("base_interruption", "base_thread_pool", "search_failed_allocation"),
        *("search_interrupted_scan", "search_self_join", "search_shared_scan"),
    )
    native_tests(session, "thread-sanitized", *names)


@nox.session(venv_backend="none")
def aarch64(session: nox.Session) -> None:
    """Run the C++ tests for aarch64 under emulation."""
    native_tests(session, "aarch64")


@nox.session
def no_avx(session: nox.Session) -> None:
    """Import and search on an emulated x86-64 processor without AVX."""
    if not X86_64:
        session.skip("the processor is no x86-64")
    install(session)
    script = "import os, sys, sysconfig; print(os.path.realpath(sys.executable)); "
    script += "print(sysconfig.get_path('platlib'))"
    interpreter, site = session.run("python", "-c", script, silent=True).split()
    # OPENBLAS_CORETYPE would tell the BLAS inside NumPy to run another processor's code.
    session.run(
        *("qemu-x86_64-static", "-cpu", "Nehalem", interpreter, "tests/run_without_avx.py"),
        env={"PYTHONPATH": site, "OPENBLAS_CORETYPE": None},
        external=True,
    )


@nox.session
def oldest(session: nox.Session) -> None:
    """Build and test with the oldest versions that pyproject.toml admits."""
    oldest = "tests/oldest.txt"
    # Since pip 25.3 the environment that builds has constraints of its own.
    constraints = {"PIP_CONSTRAINT": oldest, "PIP_BUILD_CONSTRAINT": oldest}
    session.install("--force-reinstall", ".[test]", env=constraints)
    session.run("pytest", "-q", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Run the benches, small; ``-- ARGUMENTS`` take the place of ``--quick``."""
    install(session, "bench")
    session.run("pytest", "-q", "bench", *(session.posargs or ["--quick"]))


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples of all pages and docstrings, and check links, names and the reference."""
    install(session, "test")
    session.run("pytest", "-q", "-m", "not large", "tests/core/test_documents.py", *session.posargs)


@nox.session(reuse_venv=False)
def readme(session: nox.Session) -> None:
    """Do what README.md says in a fresh environment, from ``pip install`` on."""
    session.run("python", "tests/tools/run_readme.py", "--pip")
