"""The error of a promise that does not hold, and the promise that all ways in share."""


class Broken(Exception):
    """A promise that the bytes at hand break."""


def check_sentence(text: str) -> None:
    """Raise Broken unless `text` is one line that a person can read."""
    if not text or not text.isprintable():
        raise Broken(f"{text!r} is no sentence for a person")
