"""A wall clock that can be stepped under running programs."""

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("clock.c")


class WallClock:
    """The wall clock of the programs that have `env`; their monotonic clock is left alone."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("cc")
        if compiler is None:
            pytest.skip("NOT TESTED: a stepped wall clock needs a C compiler: apt install gcc")
        library = folder / "clock.so"
        subprocess.run(
            [compiler, "-shared", "-fPIC", "-O2", "-o", library, SOURCE, "-ldl"], check=True
        )
        self._file = folder / "clock"
        self._file.write_bytes(bytes(8))
        self.env = {"LD_PRELOAD": str(library), "EVD_TEST_CLOCK": str(self._file)}

    def step(self, offset_s: int) -> None:
        """Be so far from the true time, from now on."""
        with self._file.open("r+b", buffering=0) as file:
            file.write(offset_s.to_bytes(8, "little", signed=True))
