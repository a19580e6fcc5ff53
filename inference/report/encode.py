"""Encodes figures as data URIs, so that a page contains them and needs no other file; writes names in them."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from autoseg.chart_style import own_style
from autoseg.names import visible
from inference.output_files import PNG_SOFTWARE


@own_style()
def png_bytes(figure: Figure) -> bytes:
    """Encode a figure as a PNG file."""
    out = BytesIO()
    FigureCanvasAgg(figure).print_png(out, metadata={"Software": PNG_SOFTWARE})
    return out.getvalue()


def png(figure: Figure) -> str:
    """Encode a figure as a PNG data URI, for images."""
    return f"data:image/png;base64,{b64encode(png_bytes(figure)).decode()}"


@own_style()
def svg(figure: Figure) -> str:
    """Encode a figure as an SVG data URI, for charts; the same figure gives the same text."""
    out = BytesIO()
    with mpl.rc_context({"svg.hashsalt": "autoseg"}):
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})
    return f"data:image/svg+xml;base64,{b64encode(out.getvalue()).decode()}"


def drawn(name: str) -> str:
    """Return a name as a figure shows it: as written, so that a dollar sign begins no formula."""
    return visible(name).replace("$", r"\$")
