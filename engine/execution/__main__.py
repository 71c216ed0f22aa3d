"""``python -m engine.execution`` says which bar loop this installation runs."""

from engine.execution.loop import load_kernel
from engine.kernels import is_compiled

if is_compiled(load_kernel("auto")):
    print("The bar loop is compiled.")  # noqa: T201  # its only purpose
else:
    print(  # noqa: T201  # as above
        "The bar loop runs uncompiled, for want of a C compiler or by request: "
        "the same results, some hundred times slower."
    )
