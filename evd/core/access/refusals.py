"""The one error of a call that can't be done as things are."""


class NotDone(Exception):
    """Nothing was changed; the text is a sentence, `field` names what is wrong in the call.

    `is_unknown`: the thing that it names does not exist.
    """

    def __init__(self, reason: str, field: str, *, is_unknown: bool = False) -> None:
        super().__init__(reason)
        self.field = field
        self.is_unknown = is_unknown
