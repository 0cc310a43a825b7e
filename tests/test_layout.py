"""Who may import whom, as the design has it, and what an import may cost."""

import ast
import subprocess
import sys
from collections.abc import Callable, Collection
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

import archzoo
from archzoo import errors

ROOT = Path(archzoo.__file__).parent
OURS = sorted(ROOT.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


# Nothing of PyTorch at import.
LIGHT = {
    *(
        "__init__",
        "__main__",
        "accelerators",
        "claims",
        "cli",
        "errors",
        "escaping",
        "files",
        "limits",
        "notebook_html",
        "options",
        "paper",
        "papers",
        "printed",
        "processes",
        "ranges",
        "read_only",
        "recipes",
        "registry",
        "results",
    )
}
ANYTHING = {part(path) for path in OURS}

# Folder or file: what it may import of the project.
MAY_IMPORT = {
    "__init__": ANYTHING - {"cli"},  # most of them for type checkers alone, which see what loads on attribute access
    "__main__": {"cli"},
    "accelerators": set(),
    "auditor": {"claims", "notebook_html", "options", "paper", "profiler", "registry"},
    "claims": {"printed", "read_only"},
    "cli": ANYTHING,
    "comparison": {"comparison", "layers", "options", "registry", "restoring", "weights", "wrappers"},
    "data": {"data", "files", "processes", "recipes"},
    "errors": {"escaping"},
    "escaping": set(),
    "estimate": {"accelerators", "layers", "profiler", "recipes", "registry"},
    "exporting": {"files", "layers", "options", "restoring"},
    "files": set(),
    "grading": {"auditor", "claims", "comparison", "grading", "options", "profiler", "registry"},
    "inference": {"exporting", "inference", "layers", "options", "restoring"},
    "layers": {"limits", "layers", "notebook_html", "options", "restoring"},
    "limits": {"restoring"},
    "models": {"layers"},
    "notebook_html": set(),
    "options": set(),
    "paper": {"claims", "read_only", "recipes"},
    "papers": {"claims", "paper", "recipes"},
    "printed": set(),
    "profiler": {"options", "profiler", "restoring", "wrappers"},
    "processes": set(),
    "ranges": set(),
    "read_only": set(),
    "recipes": {"ranges", "read_only", "recipes"},
    "registry": {
        "claims",
        "layers",
        "limits",
        "notebook_html",
        "options",
        "paper",
        "papers",
        "read_only",
        "recipes",
        "registry",
    },
    "report": {
        "auditor",
        "claims",
        "data",
        "files",
        "layers",
        "options",
        "paper",
        "profiler",
        "recipes",
        "registry",
        "report",
        "restoring",
        "results",
        "training",
    },
    "restoring": set(),
    "results": {"paper", "read_only", "recipes", "registry", "results"},
    "training": {
        "accelerators",
        "data",
        "files",
        "layers",
        "processes",
        "profiler",
        "ranges",
        "recipes",
        "registry",
        "training",
        "weights",
    },
    "transfer": {"data", "files", "layers", "ranges", "recipes", "registry", "training", "transfer"},
    "weights": {"data", "files", "layers", "options", "read_only", "recipes", "registry", "weights"},
    "wrappers": set(),
}


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path, *, top_level: bool = False) -> set[str]:
    tree = parsed(path)
    guarded = {id(node) for test in tree.body if isinstance(test, ast.If) for node in ast.walk(test)}
    nodes = (node for node in tree.body if id(node) not in guarded) if top_level else ast.walk(tree)
    imported: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: import by the full name"
            imported |= {node.module} | (
                {f"archzoo.{alias.name}" for alias in node.names} if node.module == "archzoo" else set()
            )
    return imported


def test_every_file_and_folder_says_what_it_may_import() -> None:
    assert MAY_IMPORT.keys() == ANYTHING


def files_with(wrong: Callable[[Path], Collection[str]]) -> dict[str, Collection[str]]:
    """What is wrong in which file: empty where all is right."""
    return {module_name(path): names for path in OURS if (names := wrong(path))}


def test_a_file_imports_only_what_the_design_allows() -> None:
    def not_allowed(path: Path) -> set[str]:
        used = {name.split(".")[1] for name in imports(path) if name.startswith("archzoo.")} & ANYTHING
        return used - MAY_IMPORT[part(path)] - {"errors", "escaping"}

    assert files_with(not_allowed) == {}


def test_the_package_does_not_import_the_repositorys_generators() -> None:
    assert files_with(lambda path: [name for name in imports(path) if name.split(".")[0] == "tools"]) == {}


def test_nothing_imports_the_command_line() -> None:
    importers = {part(path) for path in OURS if "archzoo.cli" in imports(path)}
    assert importers == {"__main__", "cli"}


def test_the_light_files_import_no_torch_at_the_top() -> None:
    heavy = {"torch", "torchinfo", "fvcore", "numpy", "archzoo.layers", "archzoo.profiler", "archzoo.auditor"}

    def imported(path: Path) -> list[str]:
        names = imports(path, top_level=True) if part(path) in LIGHT else set()
        return [name for name in names if name.split(".")[0] in heavy or name in heavy]

    assert files_with(imported) == {}


def test_importing_archzoo_brings_no_torch() -> None:
    used = "archzoo.papers.resnet.PAPER, archzoo.recipes.Recipe, archzoo.names()"
    code = f"import sys, archzoo; {used}; print('torch' in sys.modules, 'archzoo.models' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# What may be imported: these, and the files of models and papers. Files with an underscore may change at any time.
PUBLIC = {
    "archzoo",
    "archzoo.accelerators",
    "archzoo.comparison",
    *(
        f"archzoo.{name}"
        for name in ("auditor", "claims", "errors", "escaping", "estimate", "exporting", "files", "limits")
    ),
    *(f"archzoo.{name}" for name in ("grading", "notebook_html", "processes", "ranges", "restoring", "wrappers")),
    *(
        f"archzoo.{name}"
        for name in (
            "options",
            "paper",
            "printed",
            "read_only",
            "registry",
            "cli",
            "data",
            "inference",
            "layers",
            "models",
            "papers",
        )
    ),
    *(f"archzoo.{name}" for name in ("options", "read_only")),
    *(f"archzoo.{name}" for name in ("profiler", "recipes", "report", "results", "training", "transfer", "weights")),
    *(f"archzoo.report.{name}" for name in ("diagram", "figures", "page", "tables")),
    "archzoo.layers.memory_efficient",
}
READ_BESIDE_THE_PAPER = ("archzoo.models.", "archzoo.papers.")


def test_public_modules_are_these_and_the_rest_is_underscored() -> None:
    modules = {module_name(path) for path in OURS} - {"archzoo.__main__"}
    public = {name for name in modules if not any(part.startswith("_") for part in name.split("."))}
    assert {name for name in public if not name.startswith(READ_BESIDE_THE_PAPER)} == PUBLIC


def module_name(path: Path) -> str:
    return ".".join(("archzoo", *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__")


PACKAGES = sorted(module_name(path) for path in OURS if path.name == "__init__.py" and path.parent != ROOT)
WITHOUT_NAMES = {"archzoo.cli", "archzoo.models", "archzoo.papers", "archzoo.report"}


@pytest.mark.parametrize("name", [name for name in PACKAGES if name in PUBLIC - WITHOUT_NAMES])
def test_a_package_names_what_is_public_in_it(name: str) -> None:
    package = import_module(name)
    assert len(set(package.__all__)) == len(package.__all__)
    assert all(hasattr(package, public) for public in package.__all__)


def test_a_package_imports_no_private_module_of_another() -> None:
    def private(path: Path) -> list[str]:
        room = module_name(path).split(".")[1] if path.parent != ROOT else ""
        names = [name for name in imports(path) if name.startswith("archzoo.") and "._" in name]
        return [name for name in names if name.split(".")[1] != room]

    assert files_with(private) == {}


def test_the_public_names_are_these() -> None:
    assert archzoo.__all__ == [
        *("ArchzooError", "BadOption", "Entry", "UnknownName"),
        *("audit", "build", "find", "load", "names", "profile", "same"),
    ]
    assert all(hasattr(archzoo, name) for name in archzoo.__all__)


def test_no_file_takes_the_name_of_a_public_function() -> None:
    """Importing archzoo/audit.py would put that module in the place of the function archzoo.audit."""
    assert not set(archzoo.__all__) & {part(path) for path in OURS}


@pytest.mark.slow
def test_every_error_has_one_base_and_one_home() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert kinds
    assert all(issubclass(kind, archzoo.ArchzooError) for kind in kinds)
    nodes = (node for path in OURS for node in ast.walk(parsed(path)))
    defined = [node for node in nodes if isinstance(node, ast.ClassDef)]
    bases = {kind.__name__ for kind in kinds} | {"Exception", "ValueError", "RuntimeError"}
    derived = {node.name for node in defined if {ast.unparse(base) for base in node.bases} & bases}
    assert derived == {kind.__name__ for kind in kinds}
