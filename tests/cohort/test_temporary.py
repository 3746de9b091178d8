"""Folders of patients' data do not outlive their process, however it ends."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

MAKE = (
    "import sys; from crtkit.cohort.temporary import temporary_folder as make\n"
    "folder = make(); (folder / 'signals.npy').write_bytes(b'patients')\n"
    "print(folder, flush=True); sys.stdin.readline()"
)


@pytest.fixture
def start(tmp_path):
    children = []

    def begin():
        child = subprocess.Popen(
            [sys.executable, "-c", MAKE],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        children.append(child)
        return child, Path(child.stdout.readline().strip())

    yield begin
    for child in children:
        child.kill()
        child.communicate()


@pytest.mark.skipif(os.name == "nt", reason="locks of files are another thing there")
def test_a_killed_process_is_cleaned_up_after_at_the_next_start(start):
    killed, orphan = start()
    assert (orphan / "signals.npy").is_file()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    alive, kept = start()
    assert not orphan.exists()
    _, _third = start()
    assert (kept / "signals.npy").is_file()
    alive.communicate("\n")
    assert not kept.exists()


def test_a_block_removes_its_folder_on_an_error():
    from crtkit.cohort.temporary import temporary_folder_during

    folders = []

    def fail():
        with temporary_folder_during() as folder:
            folders.append(folder)
            (folder / "signals.npy").write_bytes(b"patients")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not folders[0].exists()
