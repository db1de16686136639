# SPDX-License-Identifier: MIT
"""The peers' virtual environments, one for each under build/peers; nothing here imports a peer.

    python benchmarks/peers/environments.py [NAME ...]    # sets up, or tells why it cannot

`python_of("spu")` is what a benchmark asks for: the interpreter, set up on first use from the
package index that pip is configured with. A recipe that changes is installed anew. Two programs
may ask at the same time; one of them waits.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "build" / "peers"
TORCH = ("torch==2.13.0",)


@dataclass(frozen=True)
class Recipe:
    """`steps` are the arguments of one `pip install` each; `check` imports what they bring."""

    title: str
    python: str
    steps: tuple[tuple[str, ...], ...]
    check: str


RECIPES = {
    # It asks for torchvision, which brings a torch of its own, and for `sklearn`, which is no more.
    "crypten": Recipe(
        "CrypTen 0.4.1",
        "3.11",
        (
            TORCH,
            ("--no-deps", "crypten==0.4.1"),
            ("numpy", "omegaconf", "onnx", "pandas", "pyyaml", "scipy"),
        ),
        "import torch",
    ),
    "spu": Recipe(
        "SecretFlow-SPU 0.9.5",
        "3.11",
        (("spu==0.9.5", "jax==0.4.34", "jaxlib==0.4.34"),),
        "import spu, jax",
    ),
    # Its random numbers come from a library that is built against TensorFlow 2.9.
    "tf_encrypted": Recipe(
        "tf-encrypted 0.9.1",
        "3.10",
        (("tensorflow==2.9.1", "protobuf<3.20", "numpy<2"), ("tf-encrypted==0.9.1", "numpy<2")),
        "import tf_encrypted",
    ),
    # It pins torch 2.3.1, which the index offers with CUDA only; it works with a later one.
    "concrete_ml": Recipe(
        "Concrete ML 1.9.0",
        "3.11",
        (
            TORCH,
            ("setuptools==75.3.0", "numpy==1.26.4"),
            ("concrete-python==2.10.0", "numpy==1.26.4"),
            (
                "--no-deps",
                "concrete-ml==1.9.0",
                "concrete-ml-extensions==0.1.9",
                "brevitas==0.10.2",
                "hummingbird-ml==0.4.11",
            ),
            (
                *("numpy==1.26.4", "onnx==1.17.0", "onnxoptimizer==0.3.13", "onnxruntime==1.18"),
                *("pandas==2.0.3", "protobuf>=5.28.3,<6", "scikit-learn==1.5.0", "scipy"),
                *("skops==0.5.0", "skorch==0.11.0", "xgboost==1.6.2", "psutil", "dill"),
                *("onnxconverter-common", "onnxmltools", "skl2onnx", "future-annotations"),
                *("dependencies==2.0.1", "packaging"),
            ),
            ("setuptools<81",),  # with pkg_resources, which the namespace `concrete` uses
        ),
        "import concrete.ml.sklearn, concrete.ml.torch.compile",
    ),
}


class SetupFailed(RuntimeError):  # noqa: N818  it says what happened
    """A peer that cannot be had on this machine, with the reason in one line."""


def python_of(name: str) -> Path:
    """The interpreter of the environment that has the peer; installs it where it is missing.

    Raises KeyError for a name that is not in RECIPES, and SetupFailed with pip's own words. The
    whole output of pip is in build/peers/NAME.log.
    """
    recipe = RECIPES[name]
    FOLDER.mkdir(parents=True, exist_ok=True)
    home = FOLDER / name
    stamp = home / "recipe.json"
    wanted = json.dumps(asdict(recipe))
    with (FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        python = home / "bin" / "python"
        if stamp.exists() and stamp.read_text() == wanted:
            return python
        shutil.rmtree(home, ignore_errors=True)
        _install(recipe, home, FOLDER / f"{name}.log")
        stamp.write_text(wanted)
        return python


def _install(recipe: Recipe, home: Path, log: Path) -> None:
    _run([_interpreter(recipe.python), "-m", "venv", str(home)], log, "w")
    python = str(home / "bin" / "python")
    for step in recipe.steps:
        _run([python, "-m", "pip", "install", "--disable-pip-version-check", *step], log, "a")
    _run([python, "-c", recipe.check], log, "a")


def _run(command: list[str], log: Path, mode: str) -> None:
    """SetupFailed with the last line that speaks of an error, else with the last line at all."""
    done = subprocess.run(command, capture_output=True, text=True)
    with log.open(mode) as file:
        file.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if "error" in line.lower()]
        raise SetupFailed((errors or lines or [f"ended with {done.returncode}"])[-1].strip())


def _interpreter(version: str) -> str:
    """A Python of this version: the running one, one on the path, or one of pyenv's."""
    for candidate in _candidates(version):
        done = subprocess.run(
            [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
        )
        if done.returncode == 0 and done.stdout.strip() == version:
            return candidate
    raise SetupFailed(f"there is no Python {version} on the path or in pyenv")


def _candidates(version: str) -> Iterator[str]:
    # A venv's own interpreter would hand its packages on; the one that it was made from does not.
    yield str(Path(sys._base_executable))
    if found := shutil.which(f"python{version}"):
        yield found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from map(str, sorted(root.glob(f"versions/{version}.*/bin/python")))


def main() -> int:
    failures = 0
    for name in sys.argv[1:] or RECIPES:
        try:
            print(f"{RECIPES[name].title}: {python_of(name)}", flush=True)
        except SetupFailed as problem:
            failures += 1
            print(f"{RECIPES[name].title}: {problem}", flush=True)
    return int(failures > 0)


if __name__ == "__main__":
    sys.exit(main())
