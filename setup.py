# SPDX-License-Identifier: MIT
"""Builds cryptensor/_C by CMake and Ninja; everything else is in pyproject.toml."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
BUILD = ROOT / "build" / "cmake"
# What `cryptensor demo` and `cryptensor bench` run.
EXAMPLES = ("digits.py", "networks.py", "private_inference.py")


class CMakeBuild(build_ext):
    """Compiles in build/cmake, so that pip, make and ninja share one incremental build."""

    def build_extension(self, ext):
        try:
            import torch  # noqa: F401
        except ImportError as missing:
            raise SystemExit(
                "cryptensor is compiled against the torch that it will run with: "
                "`pip install torch==2.13.0`, then `pip install --no-build-isolation .`"
            ) from missing
        subprocess.check_call(
            [
                *("cmake", "-S", ROOT, "-B", BUILD, "-G", "Ninja"),
                f"-DPython_EXECUTABLE={sys.executable}",
                f"-DCRYPTENSOR_MODULE_DIR={ROOT / 'cryptensor'}",
            ]
        )
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL") or str(os.cpu_count())
        subprocess.check_call(["cmake", "--build", BUILD, "--target", "_C", "-j", jobs])
        wanted = Path(self.get_ext_fullpath(ext.name)).resolve()
        built = ROOT / "cryptensor" / wanted.name
        if wanted != built:
            wanted.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(built, wanted)


class FreshBuild(build):
    """Collects what is packed anew, so that a module that is gone does not stay in the wheel."""

    def run(self):
        shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class WithExamples(build_py):
    """Puts some programs of examples/ into the package; a checkout is used as it is."""

    def run(self):
        super().run()
        if not self.editable_mode:
            folder = Path(self.build_lib) / "cryptensor" / "examples"
            folder.mkdir(parents=True, exist_ok=True)
            for name in EXAMPLES:
                shutil.copy2(ROOT / "examples" / name, folder / name)


setup(
    ext_modules=[Extension("cryptensor._C", sources=[])],
    cmdclass={"build": FreshBuild, "build_ext": CMakeBuild, "build_py": WithExamples},
)
