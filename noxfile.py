# SPDX-License-Identifier: Apache-2.0
"""One command for each habit: ``nox -s lint``, ``nox -s tests``; ``nox --list`` names all.

Sessions that need the package install one wheel, which is built once for each state of the sources
and lies in ``build/wheels``. ``.ci/run`` runs the same sessions.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import sys
import sysconfig
from pathlib import Path

import nox
from packaging.requirements import Requirement

ROOT = Path(__file__).parent
BUILD = ROOT / "build"
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
X86_64 = platform.machine() == "x86_64"

# What a wheel is made of. Compiled modules that an editable install left there are not.
SOURCES = (
    *("CMakeLists.txt", "LICENSE", "README.md", "cpp", "licenses", "pyproject.toml", "python"),
)
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
    lines = PYPROJECT["project"]["optional-dependencies"]["dev"]
    return [line for line in lines if Requirement(line).name in names]


def build_requirements() -> list[str]:
    """Return what a build of the package takes."""
    return PYPROJECT["build-system"]["requires"]


def oldest_clang(session: nox.Session) -> str:
    """Return the oldest Clang of this machine that cpp/compilers.cmake takes."""
    table = (ROOT / "cpp" / "compilers.cmake").read_text(encoding="utf-8")
    (oldest,) = re.findall(r'^ *Clang +"Clang" +(\d+)', table, re.M)
    for version in range(int(oldest), int(oldest) + 20):
        if compiler := shutil.which(f"clang++-{version}"):
            return compiler
    return session.error(f"no clang++-{oldest} or newer is in PATH; see CONTRIBUTING.md")


def native_build(
    session: nox.Session, preset: str, *names: str, options: tuple[str, ...] = (), cxx: str = ""
) -> None:
    """Configure and build with a preset of CMakePresets.json; ``names`` are targets, or all."""
    targets = ("--target", *names) if names else ()
    env = {"CXX": cxx} if cxx else {}
    session.run("cmake", "--preset", preset, *options, env=env, external=True)
    session.run("cmake", "--build", "--preset", preset, *targets, external=True)


def native_tests(session: nox.Session, preset: str, *names: str, cxx: str = "") -> None:
    """Build and test the C++ core; ``names`` are those of the tests, all of them by default."""
    native_build(session, preset, *names, cxx=cxx)
    chosen = ("--tests-regex", f"^({'|'.join(names)})$") if names else ()
    parallel = ("--parallel", str(os.cpu_count()))
    session.run("ctest", "--preset", preset, *parallel, *chosen, external=True)


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
def browser(session: nox.Session) -> None:
    """Run the tests of pages in headless Chromium; ``-- ARGUMENTS`` go to pytest."""
    install(session, "test", tools=("selenium",))
    session.run("pytest", "-q", "-m", "browser", *(session.posargs or ["tests/cli"]))


@nox.session
def coverage(session: nox.Session) -> None:
    """Measure the branches that tests take, with minima for storage and index.

    By default with the tests that reach these two, each error of a signal handler among them;
    ``-- tests`` measures the whole package.
    """
    install(session, "test", tools=("coverage",))
    chosen = session.posargs or ["tests/storage", "tests/index", "tests/core", "tests/cli"]
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-q", *chosen)
    handlers = "tests/core/test_handler_errors.py"
    session.run("coverage", "run", "-m", "pytest", "-q", "-m", "slow", handlers)
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
def clang(session: nox.Session) -> None:
    """Run the C++ tests built by the oldest Clang that is installed."""
    native_tests(session, "clang", cxx=oldest_clang(session))


@nox.session(venv_backend="none")
def fuzz(session: nox.Session) -> None:
    """Run each fuzzer, together for two minutes; ``-- SECONDS`` for longer."""
    native_build(session, "clang-sanitized", "fuzzers", cxx=oldest_clang(session))
    folder = BUILD / "clang-sanitized" / "tests" / "native"
    fuzzers = [path for path in sorted(folder.glob("fuzz_*")) if path.is_file()]
    seconds = int(session.posargs[0]) if session.posargs else 120
    for fuzzer in fuzzers:
        session.run(
            str(fuzzer),
            *(f"-max_total_time={seconds // len(fuzzers)}", "-seed=1", "-print_final_stats=1"),
            # All sizes from the beginning on; SIGILL belongs to the emulator of AMX.
            *("-max_len=512", "-len_control=0", "-handle_ill=0", "-verbosity=0"),
            f"-artifact_prefix={folder}/",
            external=True,
        )


@nox.session
def python_sanitize(session: nox.Session) -> None:
    """Run the Python tests, all but the slow ones, on a compiled module under sanitizers.

    ``-- ARGUMENTS`` go to pytest. Processes that tests start inherit the environment, and so the
    sanitizers.
    """
    install(session, "test")
    session.install(*build_requirements())
    ask = "import pybind11, sys, sysconfig; print(sys.executable, pybind11.get_cmake_dir(), "
    ask += "sysconfig.get_path('platlib'), sysconfig.get_config_var('EXT_SUFFIX'))"
    interpreter, pybind11, site, suffix = session.run("python", "-c", ask, silent=True).split()
    cxx = oldest_clang(session)
    options = (
        "-DBITSIFT_PYTHON=ON",
        f"-DSKBUILD_PROJECT_VERSION_FULL={PYPROJECT['project']['version']}",
        f"-DPython_EXECUTABLE={interpreter}",
        f"-Dpybind11_DIR={pybind11}",
    )
    native_build(session, "clang-sanitized", "native", options=options, cxx=cxx)
    built = BUILD / "clang-sanitized" / f"native{suffix}"
    shutil.copy(built, Path(site) / "bitsift" / "core")
    # The runtime comes first; the one of C++ next, for the first looks for its exceptions.
    runtimes = (f"libclang_rt.asan-{platform.machine()}.so", "libstdc++.so.6")
    ask = [(cxx, f"-print-file-name={name}") for name in runtimes]
    env = {
        "LD_PRELOAD": " ".join(session.run(*a, silent=True, external=True).strip() for a in ask),
        # The interpreter frees little at its end. Other people's extensions free with the wrong
        # function, and tests ask for more memory than there is: both are none of our faults.
        "ASAN_OPTIONS": "detect_leaks=0:alloc_dealloc_mismatch=0:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "PYTHONMALLOC": "malloc",
    }
    chosen = ("-m", "not slow and not large and not browser and not unsanitized", *session.posargs)
    # A report goes to the file descriptor, and then the process ends.
    session.run("python", "-m", "pytest", "-q", "--capture=sys", *chosen, env=env)


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
    """Run the benches, report and defaults, small; ``-- ARGUMENTS`` replace ``--quick``."""
    install(session, "bench")
    session.run("pytest", "-q", "bench", *(session.posargs or ["--quick"]))
    report = str(BUILD / "bench-report")
    session.run("python", "-m", "bench.report", "--quick", "--output", report)
    session.run("python", "-m", "bench.defaults", "--rows", "20000", "--seconds", "0.2")
    session.run("python", "-m", "bench.filters", "--rows", "50000", "--seconds", "0.1")
    session.run("python", "-m", "bench.soak", "--minutes", "0.1")


@nox.session
def docs(session: nox.Session) -> None:
    """Run the examples of all pages and docstrings, and check links, names and the reference."""
    install(session, "test")
    session.run("pytest", "-q", "-m", "not large", "tests/core/test_documents.py", *session.posargs)


@nox.session(reuse_venv=False)
def readme(session: nox.Session) -> None:
    """Do what README.md says in a fresh environment, from ``pip install`` on."""
    session.run("python", "tests/tools/run_readme.py", "--pip")


@nox.session
def package(session: nox.Session) -> None:
    """Check the wheel's files and licences, and what pip says where there is no compiler."""
    wheel = built_wheel(session)
    session.install(*build_requirements())
    session.run("python", "tests/tools/check_wheel.py", str(wheel))
    session.run("python", "tests/tools/check_missing_compiler.py")
