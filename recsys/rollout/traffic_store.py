"""What every store of the traffic document can do: a file embedded, a ConfigMap on Kubernetes."""

from typing import Protocol

from recsys.rollout.traffic import TrafficDocument


class TrafficStore(Protocol):
    """Holds one document, changed by compare-and-swap; a reader sees it whole or not at all."""

    def read(self) -> TrafficDocument:
        """Return the document as it is now.

        Raises:
            NotFoundError: there is none yet.
            DataFormatError: what is there is no usable traffic document.
            UnavailableError: the store cannot be reached.
        """
        ...

    def changed_since(self, version: int) -> TrafficDocument | None:
        """Return the document if it is newer than ``version``, else None; cheap enough to ask often.

        Raises:
            DataFormatError: what is there is no usable document, or an older one: keep the one you have.
            NotFoundError: there is none any more: keep the one you have.
            UnavailableError: the store cannot be reached: keep the one you have.
        """
        ...

    def swap(self, new: TrafficDocument, *, expected_version: int) -> None:
        """Replace the document of ``expected_version`` (0: there is none) by the next one.

        Raises:
            ConflictError: there is another version by now; read it and decide again.
            FieldError: ``new`` is not version ``expected_version + 1``.
            UnavailableError: the store cannot be reached.
        """
        ...

    def history(self) -> list[TrafficDocument]:
        """Return the latest documents, the one in force last."""
        ...
