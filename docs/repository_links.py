"""MkDocs hook: files of the repository outside `docs` are part of the site, and links to them work there.

Documents link to each other by their places in the repository, so that whoever reads them there can follow the links.
The site holds the content of `docs` at its root, and the files of `OUTSIDE` beside it. This hook adds these files,
notebooks among them as pages, and rewrites the links that lead into `docs` or out of it.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

OUTSIDE = {
    # not README.md: that would be the index of the site, which `docs/index.md` is
    "README.md": "overview.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "LICENSE": "LICENSE",
    "CITATION.cff": "CITATION.cff",
    "benchmarks/README.md": "benchmarks/README.md",
    "benchmarks/RESULTS.md": "benchmarks/RESULTS.md",
    "benchmarks/CLOCK.md": "benchmarks/CLOCK.md",
    "benchmarks/growth.svg": "benchmarks/growth.svg",
    "autoseg/image/writing/codes.csv": "codes.csv",
    "examples/first_data_set.ipynb": "examples/first_data_set.md",
    "examples/predict_in_a_loop.ipynb": "examples/predict_in_a_loop.md",
    "examples/look_at_results.ipynb": "examples/look_at_results.md",
    "examples/compare_two_runs.ipynb": "examples/compare_two_runs.md",
}
"""Files outside `docs` that the site holds: path in the repository, and path in the site's sources."""

_IN_REPOSITORY = {site: repository for repository, site in OUTSIDE.items()}
_RELATIVE_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|[#/])([^)#\s]+)")
_TABLE = re.compile(r"<table [^>]*>")


def place_in_site(path: str) -> str:
    """Return the path in the site's sources of a file of the repository; both paths are separated by `/`."""
    return OUTSIDE.get(path) or path.removeprefix("docs/")


def place_in_repository(uri: str) -> str:
    """Return the path in the repository of a file in the site's sources; both paths are separated by `/`."""
    return _IN_REPOSITORY.get(uri) or f"docs/{uri}"


def rewritten_links(markdown: str, uri: str) -> str:
    """Return the text of a page with links as the site needs them.

    Args:
        markdown: text of the page, with links relative to its place in the repository.
        uri: path of the page in the site's sources.
    """
    folder = posixpath.dirname(place_in_repository(uri))

    def in_site(link: re.Match[str]) -> str:
        target = place_in_site(posixpath.normpath(posixpath.join(folder, link[1])))
        return posixpath.relpath(target, posixpath.dirname(uri) or ".")

    return _RELATIVE_LINK.sub(in_site, markdown)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files outside `docs`; MkDocs calls this once it has listed those inside."""
    from mkdocs.structure.files import File

    root = Path(config.config_file_path).parent
    for path, uri in OUTSIDE.items():
        if path.endswith(".ipynb"):
            files.append(File.generated(config, uri, content=page_of_notebook(root / path)))
        else:
            files.append(File.generated(config, uri, abs_src_path=str(root / path)))
    return files


def page_of_notebook(path: Path) -> str:
    """Return a notebook with its outputs as Markdown."""
    from nbconvert import MarkdownExporter

    text = MarkdownExporter().from_filename(str(path))[0]
    # a table without class and border looks, and scrolls, as those of the other pages
    return _TABLE.sub("<table>", text)


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite the links of a page; MkDocs calls this before it converts the page to HTML."""
    return rewritten_links(markdown, page.file.src_uri)
