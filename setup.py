"""Metadata lives in pyproject.toml. Here: the C++ library goes into the wheel, beside the compiler."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithLibrary(build_py):
    """Copies `arduino/` to `tflm_export/arduino`; an editable install reads it where it is."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "tflm_export" / "arduino"
            shutil.copytree("arduino", target, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithLibrary})
