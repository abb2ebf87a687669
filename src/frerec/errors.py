"""Errors that are the user's to mend: one line, what was expected, what to do."""


class FrerecError(Exception):
    """An expected failure; the command line prints it as one line and exits with status 2."""


class DataError(FrerecError):
    """A data set, image or manifest is not what it has to be; the message names the file."""


class ConfigError(FrerecError):
    """A configuration key or value is wrong; the message names the key."""
