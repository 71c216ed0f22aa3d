"""Studio's icon: an equity curve that rises through its drawdowns, over the line of the start.

Drawn anew for each size, so that its line stays thick enough to see. ``python packaging/icon.py``
writes ``assets/icon/``: pictures for Linux and for title bars, ``.ico`` for Windows, ``.icns`` for
Macs.
"""

import argparse
import io
import struct
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

SIZES = (16, 24, 32, 48, 64, 128, 256, 512)
ICO_SIZES = (16, 24, 32, 48, 64, 128, 256)
# What a Mac calls each size; those of a screen with double resolution come twice.
ICNS_KINDS = {
    "icp4": 16,
    "icp5": 32,
    "ic07": 128,
    "ic08": 256,
    "ic09": 512,
    "ic11": 32,
    "ic12": 64,
    "ic13": 256,
    "ic14": 512,
    "ic10": 1024,
}
GROUND, RIM, START, CURVE, UNDER = "#12263a", "#2b4a66", "#8fa6ba", "#5ad1a0", "#5ad1a0"
EQUITY = ((0.13, 0.27), (0.29, 0.44), (0.40, 0.33), (0.57, 0.60), (0.68, 0.49), (0.87, 0.79))
BASE = 0.27
FROM_PX = 32  # below it there is no room for more than the curve


def draw(size: int) -> bytes:
    """Return the icon as a PNG of ``size`` by ``size`` pixels."""
    figure = Figure(figsize=(1, 1), dpi=size)
    FigureCanvasAgg(figure)
    figure.patch.set_alpha(0)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.axis("off")
    point = 72 / size  # a pixel, in matplotlib's points
    axes.add_patch(
        FancyBboxPatch(
            (0.04 + 0.17, 0.04 + 0.17),
            0.58,
            0.58,
            boxstyle="round,pad=0.17,rounding_size=0.2",
            facecolor=GROUND,
            edgecolor=RIM if size >= FROM_PX else GROUND,
            linewidth=0.02 * size * point,
        )
    )
    x, y = zip(*EQUITY, strict=True)
    if size >= FROM_PX:
        axes.plot((0.13, 0.87), (BASE, BASE), color=START, linewidth=0.022 * size * point)
        axes.fill_between(x, y, BASE, color=UNDER, alpha=0.22, linewidth=0)
    thick = max(0.075 * size, 1.9) * point
    axes.plot(x, y, color=CURVE, linewidth=thick, solid_joinstyle="round", solid_capstyle="round")
    content = io.BytesIO()
    figure.savefig(content, format="png", transparent=True, metadata={"Software": None})
    return content.getvalue()


def ico(pictures: dict[int, bytes]) -> bytes:
    """Return PNG pictures, by size, as one ``.ico``; a size of 256 is written as 0."""
    head = struct.pack("<HHH", 0, 1, len(pictures))
    place = len(head) + 16 * len(pictures)
    table = b""
    for size, picture in pictures.items():
        side = size % 256
        table += struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(picture), place)
        place += len(picture)
    return head + table + b"".join(pictures.values())


def icns(pictures: dict[str, bytes]) -> bytes:
    """Return PNG pictures, by the Mac's name for their size, as one ``.icns``."""
    parts = [
        kind.encode() + struct.pack(">I", len(picture) + 8) + picture
        for kind, picture in pictures.items()
    ]
    content = b"".join(parts)
    return b"icns" + struct.pack(">I", len(content) + 8) + content


def write(folder: Path) -> None:
    """Draw every size and write all files."""
    drawn = {size: draw(size) for size in sorted({*SIZES, *ICNS_KINDS.values()})}
    for size in SIZES:
        (folder / f"studio-{size}.png").write_bytes(drawn[size])
    (folder / "studio.ico").write_bytes(ico({size: drawn[size] for size in ICO_SIZES}))
    named = {kind: drawn[size] for kind, size in ICNS_KINDS.items()}
    (folder / "studio.icns").write_bytes(icns(named))


def main() -> None:
    """Write the icons into the folder of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parent.parent / "assets" / "icon"
    parser.add_argument("folder", nargs="?", type=Path, default=default)
    write(parser.parse_args().folder)


if __name__ == "__main__":
    main()
