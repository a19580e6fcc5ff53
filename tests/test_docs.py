"""The documents: links that lead somewhere, and a site that is built without warnings and needs no network."""

import importlib.util
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "benchmarks").glob("*.md")), *PAGES]


def repository_links():
    spec = importlib.util.spec_from_file_location("repository_links", ROOT / "docs" / "repository_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pages_in(navigation) -> list[str]:
    if isinstance(navigation, str):
        return [navigation]
    entries = navigation.values() if isinstance(navigation, dict) else navigation
    return [page for entry in entries for page in pages_in(entry)]


def test_every_page_is_in_the_navigation_once():
    settings = YAML(typ="rt").load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    added = [page for page in repository_links().OUTSIDE.values() if page.endswith(".md")]
    expected = [*(page.relative_to(ROOT / "docs").as_posix() for page in PAGES), *added]
    assert sorted(pages_in(settings["nav"])) == sorted(expected)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_to_files_of_the_repository(document):
    links = re.findall(r"\]\(([^)#\s]+)", document.read_text(encoding="utf-8"))
    inside = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in inside if not (document.parent / link).is_file()] == []
    # the strict build of the site refuses links to files that it does not hold, and may not be installed here
    outside = repository_links().OUTSIDE
    if document in PAGES or document.relative_to(ROOT).as_posix() in outside:
        targets = [Path(os.path.normpath(document.parent / link)).relative_to(ROOT).as_posix() for link in inside]
        assert [target for target in targets if not target.startswith("docs/") and target not in outside] == []


def test_the_page_of_faults_names_tests_that_there_are():
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")))
    files = (ROOT / "tests").rglob("test_*.py")
    there = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))}
    assert len(named) > 50 and named <= there, named - there


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("overview.md", "docs/plan.md#fields", "plan.md#fields"),
        ("overview.md", "docs/experiments/README.md", "experiments/README.md"),
        ("benchmarks/RESULTS.md", "../docs/experiments/README.md", "../experiments/README.md"),
        ("experiments/time-budget.md", "../../benchmarks/CLOCK.md", "../benchmarks/CLOCK.md"),
        ("experiments/time-budget.md", "../plan.md#the-time-budget", "../plan.md#the-time-budget"),
        ("first-data-set.md", "../README.md#installation", "overview.md#installation"),
        ("plan.md", "#fields", "#fields"),
        ("plan.md", "https://example.org/docs/plan.md", "https://example.org/docs/plan.md"),
    ],
)
def test_links_are_rewritten_for_the_site(page, link, expected):
    assert repository_links().rewritten_links(f"see [this]({link}).", page) == f"see [this]({expected})."


class Loaded(HTMLParser):
    """Addresses that a browser loads by itself when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        is_link_to_load = tag == "link" and not {"prev", "next", "canonical"} & set((values.get("rel") or "").split())
        if tag in ("script", "img", "iframe", "source") or is_link_to_load:
            self.addresses += [values[name] for name in ("src", "href") if values.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    for module in ("mkdocs", "material", "mkdocstrings", "mkdocstrings_handlers"):
        pytest.importorskip(module, reason="the site's generator is not installed: make docs installs it")
    folder = tmp_path_factory.mktemp("site")
    unreachable = {f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https", "HTTP", "HTTPS")}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    built = subprocess.run(
        command, cwd=ROOT, env=os.environ | unreachable, capture_output=True, text=True, encoding="utf-8"
    )
    assert built.returncode == 0, built.stderr
    return folder


def test_site_loads_nothing_from_the_network(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        loaded = Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert loaded.addresses
        for address in loaded.addresses:
            assert not re.match(r"([a-z]+:)?//", address), (page, address)
    for style in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import)\s*['\"]?(https?:)?//", style.read_text(encoding="utf-8")), style


def test_site_shows_every_public_function_with_its_arguments(site):
    import autoseg

    page = (site / "python.html").read_text(encoding="utf-8")
    for name in autoseg.COMMANDS:
        assert f'id="autoseg.{name}"' in page, name
        assert f"<code>{list_of_arguments(name)[0]}</code>" in page, name


def test_site_shows_the_predictor_and_the_notebooks(site):
    page = (site / "predictor.html").read_text(encoding="utf-8")
    for name in ("autoseg.Predictor", "autoseg.Predictor.__call__", "autoseg.Predictor.on_dictionary"):
        assert f'id="{name}"' in page, name
    for notebook in sorted((ROOT / "examples").glob("*.ipynb")):
        page = (site / "examples" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        assert page.count('class="highlight"') + page.count("language-python") > 3, notebook
        assert 'class="dataframe"' not in page, "the theme styles tables without a class alone"
    assert "<td>ball</td>" in (site / "examples" / "first_data_set.html").read_text(encoding="utf-8")


def list_of_arguments(name: str) -> list[str]:
    import autoseg

    return re.findall(r"(?m)^    (\w+) \(", getattr(autoseg, name).__doc__)
