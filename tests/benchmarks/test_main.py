"""The benchmarks' command line itself."""

import pytest

from benchmarks.__main__ import main
from crtkit.studies.run import STUDIES


@pytest.mark.parametrize("command", [[], *([name] for name in (*STUDIES, "ssl_pages"))])
def test_help_is_no_traceback(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: python -m benchmarks" in capsys.readouterr().out


def test_help_prints_the_per_cent_signs_of_its_sentences(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "LVEF < 40 % in LBBB" in text
    assert all(name in text for name in STUDIES)
