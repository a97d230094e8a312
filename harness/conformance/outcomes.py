"""How the examination of one statement can end, other than passing."""


def printable(text: str) -> str:
    """The text without characters that control a terminal, since some of it comes from outside."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)


class Failed(Exception):
    """The server doesn't do what the statement says."""

    def __init__(self, sent: str, expected: str, came: str) -> None:
        self.sent = printable(sent)
        self.expected = printable(expected)
        self.came = printable(came)
        super().__init__(f"{self.sent}: expected {self.expected}, came {self.came}")


class Unseen(Exception):
    """What the statement is about can't be observed on this server. The message says why."""

    def __init__(self, reason: str) -> None:
        super().__init__(printable(reason))


class CannotRun(Exception):
    """There is nothing to examine: no server, no valid key, or no Events API. The message is a sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(printable(sentence))
