# SPDX-License-Identifier: MIT
"""Dependencies point down only: C++ includes and Python imports are held to the table of layers."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CSRC_LAYERS = {
    "core": 0,
    "crypto": 1,
    "net": 1,
    "ring": 1,
    "fixedpoint": 2,
    "correlation": 3,
    "protocol": 4,
    "function": 5,
    "binding": 6,
}
PYTHON_LAYERS = {
    "_C": 0,
    "errors": 0,
    "address": 0,
    "call_site": 0,
    "compilation": 0,
    "config": 0,
    "deadline": 0,
    "failure": 0,
    "pickling": 0,
    "openings": 0,
    "presets": 0,
    "operand_shapes": 0,
    "seeding": 0,
    "announcement": 1,
    "rendezvous": 1,
    "standing_dealer": 1,
    "links": 1,
    "local_links": 1,
    "session": 1,
    "tensor": 2,
    "inside": 3,
    "layout": 3,
    "aten": 3,
    "functions": 3,
    "nn": 4,
    "graph": 4,
    "data": 4,
    "io": 4,
    "launch": 4,
    "party": 4,
    "policy": 4,
    "private": 4,
    "processes": 4,
    "profiler": 4,
    "cost": 5,
    "profiles": 5,
    "bench": 5,
    "example_programs": 5,
    "inspection": 5,
    "selftest": 5,
    "check": 5,
    "hosts": 5,
    "dealer": 5,
    "serving": 5,
    "notebook": 5,
    "offline": 5,
    "sklearn": 5,
    "tables": 5,
    "crypten": 5,
    "cli": 6,
    "joining": 6,
    "__init__": 7,  # the package itself: `import cryptensor` inside it is an upward import
    "__main__": 7,
}

# torch stays out of the layers that must be testable without it; only the binding knows Python.
TORCH_FREE = {"core", "crypto", "net"}
TORCH_ALLOWED_FILES = {"net/gloo_transport.cpp"}
TORCH_HEADER = re.compile(r"(torch|ATen|c10|caffe2)/")
PYTHON_HEADER = re.compile(r"(Python\.h|pybind11/|torch/(extension|python)\.h|torch/csrc/utils/py)")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]', re.MULTILINE)


def cpp_files(root):
    return sorted(p for p in root.rglob("*") if p.suffix in {".h", ".cpp", ".inl", ".cc", ".hpp"})


def include_violations(csrc):
    """Every include in `csrc` that does not point down, as 'file: reason'."""
    for path in cpp_files(csrc):
        name = path.relative_to(csrc).as_posix()
        layer = name.partition("/")[0]
        if layer not in CSRC_LAYERS:
            yield f"{name}: csrc/{layer} has no number in CSRC_LAYERS"
            continue
        for bracket, target in INCLUDE.findall(path.read_text()):
            folder = target.partition("/")[0]
            if bracket == '"' and not (csrc / target).is_file():
                yield f'{name}: "{target}" is not a path relative to csrc'
            elif bracket == '"' and folder != layer and CSRC_LAYERS[folder] >= CSRC_LAYERS[layer]:
                yield f"{name}: {layer} must not include {target}, which is not below it"
            elif layer in TORCH_FREE and name not in TORCH_ALLOWED_FILES:
                if TORCH_HEADER.match(target):
                    yield f"{name}: {layer} must not include {target} (no torch here)"
            if layer != "binding" and PYTHON_HEADER.match(target):
                yield f"{name}: only binding may include {target}"


def imported_modules(path, package):
    """The modules of the package that a file imports, as the first name below the package."""
    parts = path.relative_to(package).with_suffix("").parts
    here = [package.name, *(parts[:-1])]
    tree = ast.parse(path.read_text())
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            base = base + (node.module.split(".") if node.module else [])
            names = [[*base, alias.name] for alias in node.names]
        else:
            continue
        for name in names:
            if name[0] == package.name:
                yield node.lineno, name[1] if len(name) > 1 else "__init__"


def import_violations(package):
    """Every import in `package` that points up, as 'file:line: reason'."""
    modules = {p.stem if p.is_file() else p.name for p in package.iterdir()} - {"__pycache__"}
    for path in sorted(package.rglob("*.py")):
        relative = path.relative_to(package)
        module = relative.parts[0].removesuffix(".py")
        if module not in PYTHON_LAYERS:
            yield f"{relative}: {module} has no number in PYTHON_LAYERS"
            continue
        if PYTHON_LAYERS[module] == PYTHON_LAYERS["__init__"]:
            continue
        for line, target in imported_modules(path, package):
            # `from cryptensor import name` is an import of the package where name is no module.
            target = target if target in modules or target in PYTHON_LAYERS else "__init__"
            number = PYTHON_LAYERS.get(target)
            if number is None:
                yield f"{relative}:{line}: {target} has no number in PYTHON_LAYERS"
            elif number > PYTHON_LAYERS[module]:
                yield f"{relative}:{line}: {module} must not import {target}, which is above it"


def unlisted_sources(root):
    """C++ sources that no CMakeLists.txt names, which would never be compiled."""
    folders = [*(root / "csrc").glob("*/"), root / "tests/csrc", root / "benchmarks/csrc"]
    folders += [root / "tests/fuzz", root / "tests/constant_time"]
    for folder in folders:
        listed = folder / "CMakeLists.txt"
        words = set(re.split(r"[\s()]+", listed.read_text())) if listed.is_file() else set()
        for path in sorted(folder.rglob("*.cpp")):
            name = path.relative_to(folder).as_posix()
            if name not in words:
                source = path.relative_to(root).as_posix()
                yield f"{source} is not listed in {listed.relative_to(root)}"


def test_includes_point_down():
    assert list(include_violations(ROOT / "csrc")) == []


def test_imports_point_down():
    assert list(import_violations(ROOT / "cryptensor")) == []


def test_every_source_is_listed():
    assert list(unlisted_sources(ROOT)) == []


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_a_planted_include_is_found(tmp_path):
    write(
        tmp_path,
        {
            "core/up.h": '#include "ring/words.h"\n',
            "ring/words.h": '#include "core/fine.h"\n#include <ATen/ATen.h>\n',
            "core/fine.h": "#include <vector>\n",
            "crypto/beside.cpp": '# include "net/frame.h"\n',
            "net/frame.h": "#include <c10/util/Exception.h>\n",
            "net/gloo_transport.cpp": "#include <torch/torch.h>\n",
            "protocol/python.cpp": '#include <torch/extension.h>\n#include "words.h"\n',
            "attic/old.h": "",
        },
    )
    assert list(include_violations(tmp_path)) == [
        "attic/old.h: csrc/attic has no number in CSRC_LAYERS",
        "core/up.h: core must not include ring/words.h, which is not below it",
        "crypto/beside.cpp: crypto must not include net/frame.h, which is not below it",
        "net/frame.h: net must not include c10/util/Exception.h (no torch here)",
        "protocol/python.cpp: only binding may include torch/extension.h",
        'protocol/python.cpp: "words.h" is not a path relative to csrc',
    ]


def test_a_planted_import_is_found(tmp_path):
    package = tmp_path / "cryptensor"
    write(
        package,
        {
            "__init__.py": "from .tensor import CrypTensor\nfrom . import nn\n",
            "errors.py": "import torch\n",
            "session.py": "from . import errors, tensor\n",
            "tensor.py": (
                "import cryptensor\nfrom cryptensor import CrypTensor\nfrom ._C import Session\n"
            ),
            "aten/linear.py": (
                "from typing import TYPE_CHECKING\n"
                "from ..tensor import CrypTensor\n"
                "from . import table\n"
                "if TYPE_CHECKING:\n    from ..nn import Module\n"
                "def lazy():\n    from ..nn import Module\n"
            ),
            "aten/table.py": "",
            "nn/__init__.py": "from .layers import Linear\n",
            "nn/layers.py": "from cryptensor.aten.linear import addmm\n",
            "stray.py": "",
        },
    )
    assert list(import_violations(package)) == [
        "aten/linear.py:7: aten must not import nn, which is above it",
        "session.py:1: session must not import tensor, which is above it",
        "stray.py: stray has no number in PYTHON_LAYERS",
        "tensor.py:1: tensor must not import __init__, which is above it",
        "tensor.py:2: tensor must not import __init__, which is above it",
    ]


def test_an_unlisted_source_is_found(tmp_path):
    write(
        tmp_path,
        {
            "csrc/net/CMakeLists.txt": "ct_add_layer(net SOURCES\n  frame.cpp\n)\n",
            "csrc/net/frame.cpp": "",
            "csrc/net/cpu/copy_avx512.cpp": "",
            "tests/csrc/net/frame_test.cpp": "",
        },
    )
    assert sorted(unlisted_sources(tmp_path)) == [
        "csrc/net/cpu/copy_avx512.cpp is not listed in csrc/net/CMakeLists.txt",
        "tests/csrc/net/frame_test.cpp is not listed in tests/csrc/CMakeLists.txt",
    ]
