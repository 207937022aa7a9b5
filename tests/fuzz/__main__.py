"""`python -m tests.fuzz`: all targets side by side for some seconds; what breaks is kept as a case.

Exit code 1 where a promise is broken.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.fuzz.seeds import seeds, words
from tests.fuzz.targets import TARGETS

CASES: Final = Path(__file__).parent / "cases"
INPUT_BYTES_MAX: Final = 4096
INPUT_S_MAX: Final = 20
MEMORY_MB_MAX: Final = 1024
# Longer than that beyond its time, a fuzzer hangs.
END_S_MAX: Final = 120
TOLD_LINES: Final = 60

_DONE: Final = re.compile(r"Done (\d+) runs in")
_COVERED: Final = re.compile(r"cov: (\d+)")


def main() -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--only", choices=sorted(TARGETS))
    options = parser.parse_args()
    targets = [options.only] if options.only else sorted(TARGETS)
    with tempfile.TemporaryDirectory(prefix="evd-fuzz-") as name:
        runs = {target: _start(target, Path(name, target), options.seconds) for target in targets}
        for process in runs.values():
            process.wait(options.seconds + END_S_MAX)
        return max([_report(target, Path(name, target)) for target in targets])


def _start(target: str, folder: Path, seconds: int) -> "subprocess.Popen[bytes]":
    """Begin from the good inputs and the kept cases."""
    corpus, kept = folder / "corpus", CASES / target
    corpus.mkdir(parents=True)
    for number, seed in enumerate(seeds(target)):
        (corpus / f"seed-{number}").write_bytes(seed)
    (folder / "words").write_text("".join(f"{_quoted(word)}\n" for word in words(target)))
    flags = (
        f"-max_total_time={seconds}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={INPUT_S_MAX}",
        f"-rss_limit_mb={MEMORY_MB_MAX}",
        f"-dict={folder / 'words'}",
        f"-artifact_prefix={folder}/broken-",
    )
    folders = [str(corpus), *([str(kept)] if kept.is_dir() else [])]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.one", target, *flags, *folders],
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _report(target: str, folder: Path) -> int:
    """Tell what came of a target, and keep what broke it; 1 where it did not hold."""
    log = (folder / "log").read_text(errors="replace")
    broken = sorted(folder.glob("broken-*"))
    done, covered = _DONE.search(log), _COVERED.findall(log)
    if done and not broken:
        print(f"{target:14} {int(done[1]):9,} inputs, {covered[-1]:>5} edges: holds", flush=True)
        return 0
    told = [line for line in log.splitlines() if not line.startswith("INFO: Instrumenting")]
    print("\n".join(told[-TOLD_LINES:]))
    for path in broken:
        kept = CASES / target / path.name.removeprefix("broken-")
        kept.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, kept)
        print(f"kept as {kept}: {path.read_bytes()[:200]!r}")
    print(f"{target:14} does NOT hold", flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main())
