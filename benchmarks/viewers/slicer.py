"""Opens an image and a `.seg.nrrd` with the libraries of 3D Slicer, and takes a picture.

These are PyPI's packages `slicer-core`, which is 3D Slicer without its window, and `trame-slicer`, a viewer in the
browser: `pip install 'trame-slicer[standalone]' playwright`, in an environment of its own. Run it as
`python -m benchmarks.viewers.slicer IMAGE CASE.seg.nrrd -o picture.png` (under `xvfb-run` where there is no screen).
It prints name, colour and value of each segment as 3D Slicer read them.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from pathlib import Path

from trame_slicer.app.medical_viewer_app import MedicalViewerApp

from benchmarks.viewers.browser import opened

_MILLISECONDS_TO_DRAW = 20_000


def open_files(app: MedicalViewerApp, image: Path, segmentation: Path) -> None:
    """Open the files as the viewer's buttons do, and print what was read."""
    slicer = app._slicer_app
    volume = slicer.io_manager.load_volumes([str(image)])[0]
    node = slicer.io_manager.load_segmentation(str(segmentation))
    slicer.display_manager.show_volume(volume, do_reset_views=True)
    slicer.segmentation_editor.set_active_segmentation(node, volume)
    read = node.GetSegmentation()
    for number in range(read.GetNumberOfSegments()):
        segment = read.GetNthSegment(number)
        print(segment.GetName(), segment.GetColor(), segment.GetLabelValue(), flush=True)


def picture(port: int, output: Path, chromium: str) -> None:
    """Write a picture of the viewer with its list of segments."""
    with opened(f"http://127.0.0.1:{port}/", chromium) as page:
        page.wait_for_timeout(_MILLISECONDS_TO_DRAW)
        page.locator("button:has(.mdi-brush)").first.click()
        page.wait_for_timeout(_MILLISECONDS_TO_DRAW)
        page.screenshot(path=output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("image", type=Path)
    parser.add_argument("segmentation", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--port", type=int, default=8123)
    given = parser.parse_args()
    app = MedicalViewerApp()

    def show() -> None:
        try:
            picture(given.port, given.output, given.chromium)
        finally:
            # the server has no end of its own
            os._exit(0 if given.output.exists() else 1)

    def ready(**_: object) -> None:
        open_files(app, given.image, given.segmentation)
        threading.Thread(target=show, daemon=True).start()

    app.server.controller.on_server_ready.add(ready)
    # the viewer would read this program's arguments
    sys.argv = sys.argv[:1]
    app.server.start(port=given.port, host="127.0.0.1", open_browser=False, timeout=0)


if __name__ == "__main__":
    main()
