"""One tree of errors.

RecsysError
├── InputError               what came from outside is not usable
│   ├── FieldError           one named field of a request or a setting
│   ├── ShapeError           an array does not have the promised shape
│   ├── DataFormatError      a data folder or file is not what was looked for
│   └── BadRowsError         rows of a data file that cannot be read
├── NotFoundError            a thing asked for by name does not exist
├── ConflictError            somebody else changed it first (compare-and-swap)
├── BundleError              a bundle that must not be served
│   ├── CorruptBundleError   a file is missing or differs from its digest
│   └── IncompatibleBundleError  made by another version of the format or the features
└── UnavailableError         a part is down or late; the answer can do without it

Every class hands *all* its arguments to ``super().__init__``: Ray and pickle rebuild an error from ``args``.
"""

from pathlib import Path


class RecsysError(Exception):
    """Everything this project raises on purpose."""


class InputError(RecsysError):
    """What came from outside is not usable."""


class FieldError(InputError):
    """One field of a request, an event or a setting is wrong."""

    def __init__(self, field: str, got: str, expected: str) -> None:
        super().__init__(field, got, expected)

    @property
    def field(self) -> str:
        """Path of the field, for example ``events[3].time_s``."""
        return str(self.args[0])

    @property
    def got(self) -> str:
        """What came, shortened for printing."""
        return str(self.args[1])

    @property
    def expected(self) -> str:
        """What would have been accepted."""
        return str(self.args[2])

    def __str__(self) -> str:
        return f"{self.field}: got {self.got}; expected {self.expected}"


class ShapeError(InputError):
    """An array does not have the promised shape."""

    def __init__(self, name: str, want: tuple[int, ...], got: tuple[int, ...]) -> None:
        super().__init__(name, want, got)

    def __str__(self) -> str:
        name, want, got = self.args
        return f"{name} has shape {got}; expected {want}"


class DataFormatError(InputError):
    """A data folder or file is missing, empty or of another format."""

    def __init__(self, path: str | Path, looked_for: str, found: str) -> None:
        super().__init__(str(path), looked_for, found)

    def __str__(self) -> str:
        path, looked_for, found = self.args
        return f"{path}: looked for {looked_for}; found {found}"


class BadRowsError(InputError):
    """Rows of a data file cannot be read, and the caller asked to fail on them."""

    def __init__(self, n_bad: int, first: str) -> None:
        super().__init__(n_bad, first)

    def __str__(self) -> str:
        n_bad, first = self.args
        return f"{n_bad} bad row(s), the first: {first} (go on without them: --on-bad-row skip)"


class NotFoundError(RecsysError):
    """A thing asked for by name does not exist."""

    def __init__(self, kind: str, name: str, known: str = "") -> None:
        super().__init__(kind, name, known)

    def __str__(self) -> str:
        kind, name, known = self.args
        return f"no {kind} named {name!r}" + (f"; there are: {known}" if known else "")


class ConflictError(RecsysError):
    """Somebody else changed it first; read again and decide again."""

    def __init__(self, what: str, expected: str, found: str) -> None:
        super().__init__(what, expected, found)

    def __str__(self) -> str:
        what, expected, found = self.args
        return f"{what} changed meanwhile: expected {expected}, found {found}"


class BundleError(RecsysError):
    """A bundle that must not be served; the message names the bundle, the file and the reason."""

    def __init__(self, bundle: str, file: str, reason: str) -> None:
        super().__init__(bundle, file, reason)

    def __str__(self) -> str:
        bundle, file, reason = self.args
        return f"bundle {bundle}: {file}: {reason}"


class CorruptBundleError(BundleError):
    """A file of the bundle is missing or differs from its digest."""


class IncompatibleBundleError(BundleError):
    """The bundle was made by another version of the format or of the features."""


class UnavailableError(RecsysError):
    """A part is down or late; an answer without it is still possible."""

    def __init__(self, part: str, why: str) -> None:
        super().__init__(part, why)

    def __str__(self) -> str:
        part, why = self.args
        return f"{part} is unavailable: {why}"
