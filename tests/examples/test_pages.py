"""The pages about the examples show the scripts as they are, within a hundred lines."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(p for p in (ROOT / "docs" / "examples").glob("*.md") if p.stem != "index")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page(page):
    text = page.read_text(encoding="utf-8")
    script = (ROOT / "examples" / f"{page.stem}.py").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert blocks
    for block in blocks:
        for part in block.strip().split("\n\n\n"):
            assert part in script
    assert f"$ python {page.stem}.py\n" in text
    assert (page.parent / f"../images/examples/{page.stem}.png").exists()
    assert len(script.splitlines()) <= 100


def test_every_page_is_in_the_gallery():
    gallery = (ROOT / "docs" / "examples" / "index.md").read_text(encoding="utf-8")
    for page in PAGES:
        assert f"({page.name})" in gallery
