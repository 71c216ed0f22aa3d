"""Which guise of the bar loop runs is told without importing it."""

from pathlib import Path

import pytest

from engine import kernels
from engine.execution import load_kernel
from engine.kernels import is_compiled, kernel_guise


@pytest.mark.parametrize("choice", ["auto", "interpreted"])
def test_the_guise_told_is_the_one_that_runs(choice: str) -> None:
    """What is told of the bar loop without importing it is true of the one that is loaded."""
    compiled = is_compiled(load_kernel(choice))
    assert kernel_guise(choice) == ("compiled" if compiled else "interpreted")


def test_without_a_compiled_loop(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Beside the source alone, and beside nothing, the bar loop is the interpreted one."""
    monkeypatch.setattr(kernels, "__file__", str(tmp_path / "kernels.py"))
    assert kernel_guise() == "interpreted"
    (tmp_path / "execution").mkdir()
    (tmp_path / "execution/kernel.py").write_text("", encoding="utf-8")
    assert kernel_guise() == "interpreted"
