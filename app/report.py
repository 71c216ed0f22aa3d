"""The report of a run: one HTML file that holds everything and needs nothing."""

from collections.abc import Iterator
from pathlib import Path

from app.inline_svg import inline_svg
from app.markup import Html
from app.report_files import MALFORMED, NOT_OURS, RunFiles, read_run
from app.report_page import page
from engine.artifacts.picture import Picture
from engine.artifacts.plot import draw_svgs
from engine.errors import VerificationError


def make_report(folder: Path, manifest_hash: str | None = None) -> tuple[str, bytes]:
    """Return the run's id and its report as HTML in UTF-8.

    Parameters
        manifest_hash: what the manifest's own hash must be, where that is known
    Raises
        VerificationError where a file differs from the manifest, or is not what a run writes.
    """
    run = read_run(folder, manifest_hash)
    try:
        return run.run_id, page(run, list(_pictures(run))).encode()
    except MALFORMED as fault:
        raise VerificationError(NOT_OURS) from fault


def _pictures(run: RunFiles) -> Iterator[Html]:
    picture = Picture.read(run.config, run.metrics, run.validation, run.tables)
    for number, svg in enumerate(draw_svgs(picture)):
        title = (
            "Equity, drawdown, price with fills, position" if not number else "A validation test"
        )
        yield inline_svg(svg, title, number)
