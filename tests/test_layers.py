"""A module imports only from rows above its own: the way of the data, kept by a test."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "tweeter"

ROWS = [
    {"texts"},
    {"errors", "records", "settings"},
    {"arrivals", "checks", "harmless", "hints", "jsonlines", "moments", "packing"},
    {"config", "recordings"},
    {"keywords", "decode", "links"},
    {"choices"},
    {"filters"},
    {"columns", "followable"},
    {"store", "sources"},
    {"cards"},
    {"changes", "keyword_states"},
    {"broadcast", "broker", "forecast", "memory", "problems", "queues", "scheduler", "x_costs"},
    {"digest"},
    {"helper"},
    {"helpers"},
    {"crew", "line", "pipeline"},
    {"statistics", "writing"},
    {"balance", "follow", "imports", "look_back", "name_asking", "recheck", "x_search"},
    {"names", "slot"},
    {"tasks", "views"},
    {"keeper", "web"},
    {"views.flask_tasks", "server", "supervisor", "cli_replay"},
    {"cli_ground"},
    {"cli_annotations", "cli_db", "cli_keywords", "cli_posts", "cli_sources", "cli_statistics"},
    {"cli_search", "cli_web"},
    {"cli"},
    {"__main__"},
]
# The store's keywords need the language; sources need the decoders' clocks: rows above.


def room(module: str) -> str:
    """ "tweeter.store.posts" -> "store"; Celery's door is a room of its own."""
    name = module.removeprefix("tweeter").removeprefix(".")
    if name == "views.flask_tasks":
        return name
    return name.partition(".")[0]


def row_of(name: str) -> int:
    return next(number for number, rooms in enumerate(ROWS) if name in rooms)


def imports(path: Path) -> set[str]:
    """Modules of ours that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            if base == "tweeter":
                found.update(f"tweeter.{alias.name}" for alias in node.names)
            elif base == "tweeter.views":
                found.update(f"{base}.{alias.name}" for alias in node.names)
            else:
                found.add(base)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return {name for name in found if name.startswith("tweeter.") and name != "tweeter.__version__"}


def modules() -> list[Path]:
    return sorted(p for p in PACKAGE.rglob("*.py") if "versions" not in p.parts)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_from_rows_above(path: Path) -> None:
    name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
    mine = room(name.removesuffix(".__init__"))
    if not mine:
        assert not imports(path), "the package itself imports nothing"
        return
    for imported in imports(path):
        theirs = room(imported)
        assert theirs == mine or row_of(theirs) < row_of(mine), f"{name} imports {imported}"


def test_workers_do_not_load_flask() -> None:
    code = "import sys, tweeter.views.flask_tasks; sys.exit('flask' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_only_the_store_knows_sqlalchemy_statements() -> None:
    allowed = {"Engine", "Connection", "SQLAlchemyError", "OperationalError"}
    for path in modules():
        if "store" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("sqlalchemy"):
                names = {alias.name for alias in node.names}
                assert names <= allowed, f"{path} imports {names - allowed} of SQLAlchemy"
