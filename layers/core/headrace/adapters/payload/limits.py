"""How large a payload may be: what is built keeps to it, and what is read is held to it."""

from dataclasses import dataclass

from headrace.kernel.errors import PayloadRefused

MIB = 1024 * 1024


@dataclass(frozen=True)
class Limits:
    """Sizes in bytes; ``tag``: of an XML tag or comment. ``ratio``: to how much a byte of an
    archive may unpack, once an entry unpacks to ``ratio_from`` or more; what is less harms nobody,
    and repeats itself now and then.

    DEFLATE reaches 1,032; records of long texts that are all the same, measured, 150.
    """

    entries: int = 1000
    manifest: int = MIB
    line: int = 32 * MIB
    tag: int = MIB // 4
    total: int = 32 * 1024 * MIB
    ratio: int = 500
    ratio_from: int = 16 * MIB

    def check_ratio(self, name: str, size: int, packed: int) -> None:
        """Raises PayloadRefused."""
        if size >= self.ratio_from and size > packed * self.ratio:
            raise PayloadRefused(f"{name} unpacks to more than {self.ratio} times its size.")

    def check_line(self, length: int) -> None:
        """Raises PayloadRefused."""
        if length > self.line:
            raise PayloadRefused(f"A record has more than {self.line} bytes.")


LIMITS = Limits()
