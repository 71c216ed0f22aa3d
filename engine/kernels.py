"""Kernels: files of plain Python that Cython also compiles, and the choice between the two."""

import importlib.util
import os
from collections.abc import Callable
from functools import cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

View = Callable[[Any], Any]


def is_compiled(kernel: ModuleType) -> bool:
    """Tell whether a kernel is the compiled one."""
    return not str(kernel.__file__).endswith(".py")


@cache
def in_guise(kernel: ModuleType, choice: str) -> ModuleType:
    """Return an imported kernel: ``auto`` as it is, ``interpreted`` uncompiled in any case."""
    if choice == "auto" or not is_compiled(kernel):
        return kernel
    path = Path(kernel.__file__ or "").with_name(f"{kernel.__name__.rpartition('.')[2]}.py")
    spec = importlib.util.spec_from_file_location(f"{kernel.__name__}_interpreted", path)
    assert spec is not None
    assert spec.loader is not None
    interpreted = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(interpreted)
    return interpreted


def kernel_choice() -> str:
    """Return which kernels the environment asks for: ``STUDIO_KERNEL``, else ``auto``."""
    return "interpreted" if os.environ.get("STUDIO_KERNEL") == "interpreted" else "auto"


def kernel_guise(choice: str = "auto") -> str:
    """Return which bar loop that choice gives, ``compiled`` or ``interpreted``, without loading it.

    Parameters
        choice: ``auto`` or ``interpreted``, as for ``in_guise``
    """
    place = Path(__file__).parent / "execution"
    spec = PathFinder.find_spec("kernel", [str(place)])
    there = spec is not None and not str(spec.origin).endswith(".py")
    return "compiled" if there and choice == "auto" else "interpreted"


def view_for(kernel: ModuleType) -> View:
    """Return how arrays are handed to a kernel.

    Interpreted, a memoryview hands out Python floats; numpy scalars are slower and warn.
    """
    return (lambda array: array) if is_compiled(kernel) else memoryview
