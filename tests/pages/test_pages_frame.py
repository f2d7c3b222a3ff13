"""The frame of a page: what it lets through, and that it holds everything."""

import sys

import pytest

from vidrec.pages import frame
from vidrec.pages.frame import make_page, need_plotly, plain, script_json, table, text, write_page
from vidrec.utils.errors import UserError


def test_text_stands_as_it_is_in_html_and_odd_bytes_are_shown():
    assert text("a<b>&\"c'") == "a&lt;b&gt;&amp;&quot;c&#x27;"
    assert plain(b"caf\xe9.mp4".decode("utf-8", "surrogateescape")) == "caf\\xe9.mp4"
    assert plain("a\x00b\x1b[31m\n\u00e9\ud83d") == "a\\x00b\\x1b[31m\n\u00e9\\ud83d"


def test_data_cannot_end_their_element_and_odd_numbers_are_null():
    assert script_json({"a": "</script>", "b": [float("nan"), float("inf"), 1.5], "c": "\udcff"}) == (
        '{"a": "\\u003c/script>", "b": [null, null, 1.5], "c": "\\\\xff"}'
    )


def test_table_has_its_numbers_on_the_right():
    assert table(["n", "v"], [["<", 1]], numbers=[1]) == (
        '<div class="wide"><table>\n<thead><tr><th>n</th><th class="number">v</th></tr></thead>\n<tbody>\n'
        '<tr><td>&lt;</td><td class="number">1</td></tr>\n</tbody>\n</table></div>'
    )


def test_page_names_no_address_outside_of_its_scripts(tmp_path):
    page = make_page("a & b", "<p>body</p>", data={"n": 1}, scripts=[])
    assert "<title>a &amp; b</title>" in page and '<script type="application/json" id="data">{"n": 1}</script>' in page
    assert "default-src 'none'" in page and "src=" not in page.partition("<script>")[0]
    assert page.count("</script>") == 3  # none within plotly.js
    write_page(tmp_path / "page.html", page)
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page


def test_missing_plotly_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(UserError, match=r"The page needs the package plotly.*pip install 'vidrec\[report\]'"):
        need_plotly()


def test_page_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(UserError, match=r"page.html cannot be written \(No such file or directory\); give --out"):
        frame.write_page(tmp_path / "none/page.html", "")
