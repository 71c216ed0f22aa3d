"""Compile the bar loop where a C compiler is at hand; carry on without it where none is.

Everything else about the package stands in ``pyproject.toml``. ``STUDIO_KERNEL=interpreted``
leaves the loop uncompiled on purpose; it gives the same results to the bit, about 300 times slower.
"""

import os
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, ExecError, PlatformError

# No contraction into fused multiply-add: it would round once where the source rounds twice.
EXACT = ["/O2", "/fp:precise"] if sys.platform == "win32" else ["-O3", "-ffp-contract=off"]


class OptionalBuildExt(build_ext):
    """Builds the loop, or says in one line that it runs uncompiled."""

    def build_extension(self, ext: Extension) -> None:
        """Compile one extension; a missing or failing compiler is not an error."""
        try:
            super().build_extension(ext)
        except (CCompilerError, ExecError, PlatformError, OSError) as fault:
            print(f"studio: no compiled loop ({fault}); the same loop runs uncompiled")

    def copy_extensions_to_source(self) -> None:
        """Copy what was built; an extension that could not be built has nothing to copy."""
        self.extensions = [
            ext for ext in self.extensions if os.path.exists(self.get_ext_fullpath_built(ext))
        ]
        super().copy_extensions_to_source()

    def get_ext_fullpath_built(self, ext: Extension) -> str:
        """Return where the build puts an extension before it is copied."""
        return os.path.join(self.build_lib, self.get_ext_filename(self.get_ext_fullname(ext.name)))


def extensions() -> list[Extension]:
    """Return the one file to compile, or nothing where the interpreted loop is asked for."""
    if os.environ.get("STUDIO_KERNEL") == "interpreted":
        print("studio: STUDIO_KERNEL=interpreted, the loop stays uncompiled")
        return []
    source = Extension(
        "engine.execution.kernel", ["engine/execution/kernel.py"], extra_compile_args=EXACT
    )
    modules: list[Extension] = cythonize([source], language_level=3, build_dir="build/cython")
    return modules


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuildExt})
