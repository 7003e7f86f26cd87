# SPDX-License-Identifier: Apache-2.0
"""Draw the package by layer, from its imports: ``python tests/tools/draw_layers.py``.

The folders are those of ``python/bitsift``; one more is the face, ``bitsift`` itself, with the
modules that lie beside it. A folder is one layer above the highest folder that it imports. The
imports are read from the source and nothing is imported, so NumPy and the compiled module are not
needed.
"""

from __future__ import annotations

import ast
import graphlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "python" / "bitsift"

Graph = dict[str, set[str]]  # who -> what it imports


def module_files(package: Path) -> dict[str, Path]:
    """Every module by its dotted name. A compiled one is known by its stub."""
    files = {}
    for path in sorted([*package.rglob("*.pyi"), *package.rglob("*.py")]):
        parts = path.relative_to(package.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return files


def import_nodes(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Import statements at any depth, but those under ``if TYPE_CHECKING:``."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for other in node.orelse:
                yield from import_nodes(ast.Module([other], []))
        else:
            yield from import_nodes(node)


def imported_names(path: Path, module: str) -> Iterator[str]:
    """Dotted names that a file imports; ``from a import b`` gives ``a.b``."""
    parents = module.split(".") if path.stem == "__init__" else module.split(".")[:-1]
    for node in import_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            continue
        base = parents[: len(parents) + 1 - node.level] if node.level else []
        base = [*base, node.module] if node.module else base
        yield from (".".join([*base, alias.name]) for alias in node.names)


def module_imports(package: Path = PACKAGE) -> Graph:
    """Which modules of the package each of its modules imports, wherever the statement stands."""
    files = module_files(package)
    graph: Graph = {}
    for module, path in files.items():
        found = graph[module] = set()
        for imported in imported_names(path, module):
            # A name that is no module is an object in the module before the last dot.
            name = imported if imported in files else imported.rpartition(".")[0]
            if name in files and name != module:
                found.add(name)
    return graph


def folder_imports(modules: Graph) -> Graph:
    """Which folders each folder imports."""
    names = {parts[1] for parts in (name.split(".") for name in modules) if len(parts) > 2}

    def folder_of(module: str) -> str:
        face, *inner = module.split(".")
        if inner == ["__main__"]:
            return "cli"
        return inner[0] if inner and inner[0] in names else face

    folders: Graph = {}
    for module, imported in modules.items():
        folders.setdefault(folder_of(module), set()).update(map(folder_of, imported))
    for name, below in folders.items():
        below.discard(name)
    return folders


def loop(graph: Graph) -> list[str]:
    """The names along one loop, the first again at the end; empty without a loop."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def layers(graph: Graph) -> dict[str, int]:
    """The layer of each name: 1 imports nothing, others are one above the highest they import."""
    found: dict[str, int] = {}
    for name in graphlib.TopologicalSorter(graph).static_order():
        found[name] = 1 + max((found[below] for below in graph[name]), default=0)
    return found


def longest_chain(graph: Graph, top: str) -> list[str]:
    """The longest way down from ``top``: each name imports the next."""
    layer = layers(graph)
    chain = [top]
    while graph[chain[-1]]:
        chain.append(max(sorted(graph[chain[-1]]), key=layer.__getitem__))
    return chain


def draw(modules: Graph) -> str:
    """The picture that the script prints."""
    layer = layers(folder_imports(modules))
    lines = []
    for number in range(max(layer.values()), 0, -1):
        folders = sorted(folder for folder, its in layer.items() if its == number)
        lines.append(f"{number}  {'   '.join(folders)}")
    chain = longest_chain(modules, "bitsift.index.index")
    lines += ["", f"{max(layer.values())} layers"]
    lines += ["", f"longest chain of imports up to {chain[0]}: {len(chain)} modules"]
    lines += [f"  {name}" for name in chain]
    return "\n".join(lines)


def main() -> int:
    """Print the picture, or the loop that makes it impossible."""
    modules = module_imports()
    graphs: Mapping[str, Graph] = {"modules": modules, "folders": folder_imports(modules)}
    for kind, graph in graphs.items():
        if names := loop(graph):
            print(f"{kind} import each other in a loop: {' -> '.join(names)}", file=sys.stderr)
            return 1
    print(draw(modules))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
