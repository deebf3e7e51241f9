"""What the documents show on a console is what the commands print."""

import sys

import pytest

from tests.cli.documents import DOCUMENTS, ROOT, rerun, without_rounding

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the documents show a Unix shell")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_console_blocks_show_what_the_commands_print(name, tmp_path):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "```console\n$ chainrule" in text
    now = rerun(text, tmp_path)
    assert without_rounding(now) == without_rounding(text), "`make pages` writes it anew"
