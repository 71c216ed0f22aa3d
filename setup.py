"""Compile the kernels where a C compiler is at hand; carry on without it where none is.

Everything else about the package stands in ``pyproject.toml``. ``STUDIO_KERNEL=interpreted``
leaves them uncompiled on purpose; they give the same results to the bit, only slower.
"""

import os
import sys

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

# No contraction into fused multiply-add: it would round once where the source rounds twice.
EXACT = ["/O2", "/fp:precise"] if sys.platform == "win32" else ["-O3", "-ffp-contract=off"]

kernels = [
    Extension(f"engine.{name}", [f"engine/{name.replace('.', '/')}.py"], extra_compile_args=EXACT)
    for name in (
        "execution.kernel",
        "execution.trade_kernel",
        "metrics.kernel",
        "validation.kernel",
    )
]


class OptionalBuildExt(build_ext):  # type: ignore[misc]  # setuptools ships no types for it
    """Treats a compiler that is not there like one that fails: the extension is optional."""

    def build_extension(self, ext: Extension) -> None:
        """Compile one extension."""
        try:
            super().build_extension(ext)
        except OSError as fault:
            raise CompileError(str(fault)) from fault


if os.environ.get("STUDIO_KERNEL") == "interpreted":
    setup()
else:
    modules = cythonize(kernels, language_level=3, build_dir="build/cython")  # type: ignore[no-untyped-call]  # nor does Cython
    for module in modules:
        module.optional = True  # a missing or failing compiler is not an error
    setup(ext_modules=modules, cmdclass={"build_ext": OptionalBuildExt})
