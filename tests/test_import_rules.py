"""The import rules of the house, read from the syntax tree."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
STAGES = ["data", "features", "strategy", "risk", "execution", "metrics", "validation", "artifacts"]
SHARED = {
    "errors",
    "blocks",
    "records",
    "config",
    "registry",
    "identity",
    "streams",
    "caches",
    "arrow",
    "durable",
    "kernels",
    "code",
    "limits",
    "wording",
}
FORBIDDEN_IN_ENGINE = {"app", "gui", "tornado", "tkinter", "sqlite3", "typer", "rich", "scripts"}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Yield the dotted name of every module that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("path", sources("engine"), ids=module_name)
def test_engine_knows_nothing_outside(path: Path) -> None:
    """The engine imports neither the program around it nor a toolkit."""
    assert not {name.split(".")[0] for name in imports(path)} & FORBIDDEN_IN_ENGINE


@pytest.mark.parametrize("path", sources("engine"), ids=module_name)
def test_stages_look_left_only(path: Path) -> None:
    """A stage imports its own package, the shared files, and stages to its left."""
    parts = module_name(path).split(".")
    if len(parts) < 2 or parts[1] not in {*STAGES, *SHARED}:
        return
    allowed = set(SHARED)
    if parts[1] in STAGES:
        allowed |= set(STAGES[: STAGES.index(parts[1]) + 1])
    used = {name.split(".")[1] for name in imports(path) if name.startswith("engine.")}
    assert used <= allowed | {"__version__"}, used - allowed


def test_shared_files_exist_on_both_sides() -> None:
    """Every module at the engine's top is shared, a stage, or one of those that join the stages."""
    top = {path.stem for path in (ROOT / "engine").glob("*.py")} - {"__init__"}
    assert top - SHARED == {"catalog", "pipeline", "plan", "plugins", "rerun", "targets"}
    packages = {path.parent.name for path in (ROOT / "engine").glob("*/__init__.py")}
    assert packages <= set(STAGES)


def test_gui_reaches_app_only_to_start_it() -> None:
    """The panel speaks HTTP to the server and imports its start, its settings and what a bundle needs."""
    for path in sources("gui"):
        used = {name for name in imports(path) if name.split(".")[0] in {"app", "engine"}}
        modules = {name for name in used if name.count(".") == 1}
        assert modules <= {"app.server", "app.settings", "app.frozen"}, path


def modules_used(path: Path, files: dict[str, Path]) -> Iterator[str]:
    """Yield the modules of ours that a file names; ``from package import module`` is the module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in files)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from [name for name in (full, str(node.module)) if name in files][:1]


def test_no_import_cycles() -> None:
    """No module reaches itself again through imports, those inside functions included."""
    files = {
        module_name(path): path for package in ("engine", "app", "gui") for path in sources(package)
    }
    graph = {name: set(modules_used(path, files)) - {name} for name, path in files.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*trail, name))
            done.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("package", ["engine", "app", "gui", "packaging", "scripts", "tests"])
def test_files_and_functions_stay_small(package: str) -> None:
    """No file has over 400 lines, no function over 60."""
    for path in sources(package):
        text = path.read_text(encoding="utf-8")
        assert text.count("\n") <= 400, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                assert node.end_lineno - node.lineno < 60, f"{path}: {node.name}"
