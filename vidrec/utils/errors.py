"""Errors that a user can mend. Each message has four parts: what, the value received, what is allowed, what to do."""


class UserError(Exception):
    """Something outside the code is wrong (a file, a key, a folder). Commands print it without a traceback and exit with 1.

    Attributes:
        everywhere: every process of the run raises it, so that the main one speaks for all.
    """

    everywhere = False


class Interrupted(SystemExit):
    """A signal has ended the processes of a run; its code is 128 + the signal's number. The command says how to go on."""


class ConfigError(UserError):
    """Every mistake of a config at once.

    Args:
        mistakes: one complete message each, in the order in which a reader meets them.
    """

    def __init__(self, mistakes: list[str]):
        self.mistakes = list(mistakes)
        count = len(self.mistakes)
        head = "1 mistake" if count == 1 else f"{count} mistakes"
        super().__init__("\n".join([f"The config has {head}:", *(f"  - {mistake}" for mistake in self.mistakes)]))

    def __reduce__(self):
        return type(self), (self.mistakes,)


class DataError(UserError):
    """An annotation file, a data folder or too many of the videos cannot be used."""


class VideoError(UserError):
    """One video cannot be read. Training replaces the sample and counts it; testing counts the video as wrong."""


class WeightsError(UserError):
    """A weights file cannot be read or does not fit the network."""


class CheckpointError(UserError):
    """A checkpoint cannot be written, read or resumed from."""
