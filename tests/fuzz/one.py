"""One target under the fuzzer, in this process: `python -m tests.fuzz.one TARGET [FLAGS]`.

The flags are libFuzzer's.  What breaks a promise ends the process, and lies in a file then.
"""

import sys

import atheris

# Only lines of modules that are loaded from here on are counted.
with atheris.instrument_imports(include=["evd", "h11"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Feed until libFuzzer's own flags end it."""
    feed = TARGETS[sys.argv[1]]
    atheris.Setup([sys.argv[0], *sys.argv[2:]], feed)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
