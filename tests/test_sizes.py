"""Short functions, files of one idea."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "tweeter"
FUNCTION_LINES = 60
FILE_LINES = 400


def test_functions_and_files_stay_short() -> None:
    long = []
    for path in PACKAGE.rglob("*.py"):
        if "versions" in path.parts:
            continue
        source = path.read_text()
        if len(source.splitlines()) > FILE_LINES:
            long.append(f"{path.name}: {len(source.splitlines())} lines")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    long.append(f"{path.name}: {node.name} has {lines} lines")
    assert not long
