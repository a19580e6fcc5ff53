"""Opens a DICOM series and a DICOM SEG of it in the OHIF viewer, and takes a picture.

The viewer is npm's package `@ohif/app`: `npm pack @ohif/app`, and unpack the file. Run it as
`python -m benchmarks.viewers.ohif package/dist SERIES SEG.dcm -o picture.png`, with a Python that has playwright; it
takes a few minutes on two cores. It fails where the viewer does not list the segments that are named by `--segments`.
"""

from __future__ import annotations

import argparse
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.viewers.browser import opened

# local files alone, none of the servers of the viewer's own configuration
_CONFIGURATION = b"""window.config = {
  routerBasename: null, extensions: [], modes: [], showStudyList: true, maxNumberOfWebWorkers: 2,
  defaultDataSourceName: 'dicomlocal',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomlocal', sourceName: 'dicomlocal',
    configuration: {friendlyName: 'local files'},
  }],
};"""
_MILLISECONDS_TO_DRAW = 15_000


class _Viewer(SimpleHTTPRequestHandler):
    """Serves the viewer's files; every other address is the viewer's own, and gives its first page."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def do_GET(self) -> None:
        if self.path == "/app-config.js":
            self.send_response(200)
            self.send_header("Content-Type", "text/javascript")
            self.end_headers()
            self.wfile.write(_CONFIGURATION)
            return
        if not Path(self.translate_path(self.path)).is_file():
            self.path = "/index.html"
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing."""


def picture(viewer: Path, files: list[Path], segments: list[str], output: Path, chromium: str) -> None:
    """Open the files, load the segmentation, and write a picture.

    Args:
        viewer: folder `dist` of the viewer.
        files: slices of the series, and the segmentation.
        segments: names that the viewer must list.
        output: file of the picture.
        chromium: path of the browser.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Viewer, directory=str(viewer)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with opened(f"http://127.0.0.1:{server.server_port}/local", chromium) as page:
        page.locator("input[type=file]").first.set_input_files([str(file) for file in files])
        page.get_by_text("Confirm and hide").click()
        page.get_by_text("Synthetic, Image").click()
        page.get_by_text("Segmentation", exact=True).first.click()
        page.wait_for_selector("canvas")
        page.locator('[data-cy="study-browser-thumbnail-no-image"]').first.dblclick()
        page.get_by_text("Yes", exact=True).click()
        for name in segments:
            page.get_by_text(name, exact=True).first.wait_for()
        page.wait_for_timeout(_MILLISECONDS_TO_DRAW)
        page.screenshot(path=output)
    server.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("viewer", type=Path)
    parser.add_argument("series", type=Path)
    parser.add_argument("segmentation", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--segments", nargs="*", default=["metastasis"])
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    given = parser.parse_args()
    files = [*sorted(given.series.iterdir()), given.segmentation]
    picture(given.viewer, files, given.segments, given.output, given.chromium)


if __name__ == "__main__":
    main()
