# SPDX-License-Identifier: MIT
"""What a user installs: the wheel with its three dependencies and nothing else, its version."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import torch

import cryptensor as ct

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# With what these three need themselves. Nothing that an extra of the project brings is among them.
DEPENDENCIES = {"torch", "numpy", "safetensors"}
HEAVY = {
    "cloudpickle",
    "IPython",
    "matplotlib",
    "onnx",
    "pandas",
    "ray",
    "rich",
    "scipy",
    "sklearn",
}
HEAVY |= {"tensorboard", "transformers", "typer", "yaml"}

INFERENCE = """
import torch
import cryptensor as ct

def infer(model, images):
    secret = ct.encrypt(model, src=0)(ct.cryptensor(images, src=1))
    return secret.reveal(dst=1)
"""
PROGRAM = """
import sys
import torch
import cryptensor as ct
from inference import infer

if __name__ == "__main__":
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
    images = torch.rand(3, 4)
    for run in (ct.simulate, ct.launch):
        nobody, logits = run(infer, model.eval(), images)
        assert nobody is None and torch.allclose(logits, model(images), atol=2e-3)
    try:
        ct.launch(lambda: None)
    except ImportError as error:
        assert "cryptensor[launch]" in str(error), error
    else:
        raise AssertionError("a lambda was sent without cloudpickle")
    print(ct.__file__, ct.__version__)
"""


def closure(names: set[str]) -> set[str]:
    """Distributions and all that they need, by the names of their metadata."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name.lower() in found:
            continue
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        found.add(name.lower())
        plain = [need for need in needs if "extra ==" not in need]
        waiting += [re.match(r"[\w.-]+", need).group() for need in plain]
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel and links to the three dependencies, and nothing else."""
    if not (ROOT / "build" / "cmake" / "CMakeCache.txt").exists():
        pytest.skip("no build in build/cmake: a wheel would compile the engine anew (make build)")
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(ROOT)], check=True, timeout=600)
    (wheel,) = folder.glob("cryptensor-*.whl")
    site = folder / "site-packages"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(site)
    for name in closure(DEPENDENCIES):
        for file in importlib.metadata.distribution(name).files or ():
            top = Path(file).parts[0]
            target = Path(importlib.metadata.distribution(name).locate_file(top))
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(target)
    return site


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # -S leaves out the environment's own packages, -I what the user has.
    bootstrap = "import runpy, sys; sys.path[:0] = sys.argv[1].split(':'); del sys.argv[:2]; "
    bootstrap += "sys.argv[0].endswith('.py') and runpy.run_path(sys.argv[0], run_name='__main__') "
    bootstrap += "or sys.argv[0].endswith('.py') or runpy.run_module(sys.argv[0], "
    bootstrap += "run_name='__main__')"
    path = f"{site}:{site.parent}"
    environment = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
    return subprocess.run(
        [sys.executable, "-I", "-S", "-c", bootstrap, path, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env=environment,
        cwd=site.parent,
    )


@pytest.mark.timeout(900)
def test_wheel_runs_with_its_dependencies_alone(installed: Path) -> None:
    (installed.parent / "inference.py").write_text(INFERENCE)
    program = installed.parent / "program.py"
    program.write_text(PROGRAM)
    done = run(installed, str(program))
    assert done.returncode == 0, done.stderr
    where, version = done.stdout.split()
    assert Path(where).is_relative_to(installed)
    assert version == PROJECT["version"]


def test_command_names_its_extra(installed: Path) -> None:
    done = run(installed, "cryptensor")
    assert done.returncode == 1
    assert "cryptensor[cli]" in done.stderr


def test_wheel_holds_the_types_and_the_engine_of_torch(installed: Path) -> None:
    package = installed / "cryptensor"
    assert (package / "py.typed").exists() and (package / "_C.pyi").exists()
    modules = {p.relative_to(ROOT / "cryptensor") for p in (ROOT / "cryptensor").rglob("*.py")}
    programs = {Path("examples") / name for name in ("digits.py", "networks.py")}
    programs.add(Path("examples/private_inference.py"))  # what `cryptensor demo` and `bench` run
    assert modules | programs == {p.relative_to(package) for p in package.rglob("*.py")}
    (engine,) = package.glob("_C.*.so")
    # Libraries of torch are found beside the package, whatever the machine that built it.
    assert b"$ORIGIN/../torch/lib" in engine.read_bytes()


def test_versions_agree() -> None:
    released = re.findall(r"^## \[(\d\S*)\] - \d{4}-\d\d-\d\d$", _changelog(), re.MULTILINE)
    cmake = re.search(r"project\(cryptensor VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())
    assert released[0] == PROJECT["version"] == ct.__version__ == cmake.group(1)


def test_changelog_has_unreleased_changes_first() -> None:
    headings = re.findall(r"^## \[(.*?)\]", _changelog(), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1:] == sorted(headings[1:], key=_numbers, reverse=True)


def test_stub_has_the_names_of_the_engine() -> None:
    stub = ast.parse((ROOT / "cryptensor" / "_C.pyi").read_text()).body
    written = {name for node in stub for name in _defined(node)}
    assert written == {name for name in vars(ct._C) if not name.startswith("__")}
    for node in stub:
        if isinstance(node, ast.ClassDef):
            members = {name for inner in node.body for name in _defined(inner)} - {"__init__"}
            runtime = {name for name in vars(getattr(ct._C, node.name)) if name[0] != "_"}
            assert members == runtime, node.name


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.AnnAssign):
        return [node.target.id]
    return [node.name] if isinstance(node, (ast.ClassDef, ast.FunctionDef)) else []


def test_import_brings_nothing_heavy() -> None:
    program = "import sys, torch; before = set(sys.modules); import cryptensor; "
    program += "print(*(set(sys.modules) - before))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    output = subprocess.check_output([sys.executable, "-c", program], text=True, env=environment)
    added = output.split()
    assert not HEAVY & {name.partition(".")[0] for name in added}
    # What torch loads late is what takes the time: its compiler and its exporter.
    late = ("torch._inductor", "torch._dynamo.convert_frame", "torch.onnx", "sympy")
    assert not [name for name in added if name.startswith(late)]
    assert torch.__version__


def _changelog() -> str:
    return (ROOT / "CHANGELOG.md").read_text()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
