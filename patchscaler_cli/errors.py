"""The exceptions whose text is meant for the user; every layer may raise them.

Their message is one sentence that names the file or option, what is wrong and what to do.
The command line prints the message and exits with `exit_code`; nothing else decides exit codes.
"""


class PatchScalerError(Exception):
    """The work was asked for rightly and failed (exit code 1)."""

    exit_code = 1


class UsageError(PatchScalerError):
    """What was asked for makes no sense: an option out of range, two options that exclude each other (exit code 2)."""

    exit_code = 2
