"""The documentation site is built without network and without a warning, and its pages ask for nothing outside."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from browser import open_page, outside

import vidrec

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built pages, made as `make docs` makes them."""
    folder = tmp_path_factory.mktemp("site") / "html"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "-c", "docs", ".", str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.mark.slow
def test_every_page_is_built_and_reached_from_the_index(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert {path.stem for path in (site / "docs").glob("*.html")} == pages
    index = (site / "docs/index.html").read_text(encoding="utf-8")
    assert [name for name in sorted(pages) if f'href="{name}.html"' not in index and name != "index"] == []


def test_python_page_has_every_public_name():
    page = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    assert [name for name in vidrec.__all__ if f":: vidrec.{name}\n" not in page] == ["__version__"]


@pytest.mark.slow
def test_links_to_files_of_the_checkout_lead_to_copies_of_them(site):
    page = (site / "README.html").read_text(encoding="utf-8")
    (copy,) = re.findall(r'href="(_downloads/\w+/i3d_tiny\.yaml)"', page)[:1]
    assert (site / copy).read_bytes() == (ROOT / "configs/demo/i3d_tiny.yaml").read_bytes()


@pytest.mark.slow
def test_reference_has_the_tables_in_place_of_their_marks(site):
    page = (site / "docs/configuration.html").read_text(encoding="utf-8")
    assert page.count("CONFIG.TRAIN.LR_POLICY</span>") == 1
    assert page.count('<section id="slowfast">') == 1


@pytest.mark.browser
def test_pages_ask_for_nothing_outside_and_the_search_finds_a_key(site):
    with open_page() as page:
        for name in ("index", "README", "docs/index", "docs/configuration", "docs/api", "docs/performance"):
            page.goto((site / f"{name}.html").as_uri())
        page.goto(f"{(site / 'search.html').as_uri()}?q=WARMUP_TO_LR")
        page.wait_for_selector("ul.search a:text-is('Configuration reference')")
        assert (outside(page.requests), page.problems) == ([], [])


@pytest.mark.browser
def test_search_finds_the_page_by_the_words_that_people_use(site):
    pages = {
        "gluoncv": "migration",
        "finetune": "finetune",
        "transfer learning": "finetune",
        "freeze layers": "recipes",
        "multi-label": "recipes",
        "mixed precision": "speed",
        "multi-gpu": "distributed",
        "webcam": "prediction",
        "embedding": "features",
        "grad-cam": "explanation",
        "pyslowfast": "migration",
    }
    with open_page() as browser:
        for words, page in pages.items():
            browser.goto(f"{(site / 'search.html').as_uri()}?q={words}")
            browser.wait_for_selector(f"ul.search a[href*='docs/{page}.html']", timeout=10_000)
