"""Verification from base to base: each looks at what came after the one before, and leaves the base of the next."""

from dataclasses import dataclass

from streams.kafka.brokers import Brokers
from streams.kafka.topics import Topics
from streams.verification.bases import Bases
from streams.verification.report import VerifyReport
from streams.verification.verify import CannotVerifyError, DamagedRowsError, LogCutError, Progress, take_base, verify


class NothingToFoldFromError(CannotVerifyError):
    """There was no base, and the log does not reach back. A first base was taken on trust."""


@dataclass(frozen=True, slots=True)
class Onwards:
    """`partitions`: that every topic has, and for which the bases are."""

    brokers: Brokers
    topics: Topics
    partitions: int
    bases: Bases

    async def verify(self, since_ms: int | None, now_ms: int, on_progress: Progress) -> VerifyReport:
        """Verify all leads from the newest base, or the newest as old as `since_ms`; without one from the first record.

        Where all is equal the rows of now are a base, taken at `now_ms`.

        Raises:
            NothingToFoldFromError: a first base was taken on trust; DamagedRowsError: nor could one be taken.
            BaseError: a base cannot be read or written, or another run has their directory; and as `verify`.
        """
        try:
            return await self._verify(since_ms, now_ms, on_progress)
        except LogCutError as error:
            if self.bases.newest() is not None:
                raise
            try:
                await self._begin(now_ms)
            except DamagedRowsError as damage:
                raise DamagedRowsError(f"{error}. Nor can the rows be taken on trust: {damage}") from damage
            raise NothingToFoldFromError(
                f"{error}. The rows as they are now were taken for a first base, on trust: from here on they are verified"
            ) from error

    async def _verify(self, since_ms: int | None, now_ms: int, on_progress: Progress) -> VerifyReport:
        with self.bases.begin(now_ms) as save:
            base = self.bases.newest(since_ms)
            report = await verify(
                self.brokers, self.topics, self.partitions, base=base, save=save, on_progress=on_progress
            )
            if report.equal:
                save.keep(trusted_at_ms=report.trusted_at_ms)
                report.base_left = str(save.path)
        return report

    async def _begin(self, now_ms: int) -> None:
        with self.bases.begin(now_ms) as save:
            await take_base(self.brokers, self.topics, self.partitions, save)
            save.keep(trusted_at_ms=now_ms)
