"""The one way in which a command of the tool fails."""


class ToolFailed(Exception):
    """A command can't do what it was asked; the text is a sentence for a person.

    `exit_code` is 2 where the command itself was wrong, else 1.
    """

    def __init__(self, sentence: str, exit_code: int = 1) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
