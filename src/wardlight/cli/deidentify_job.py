"""What a worker process of `wardlight deidentify` has and does. It imports no more: each process begins with that."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from wardlight.cli.deidentify_file import Worker, header_of
from wardlight.cli.deidentify_input import Input
from wardlight.cli.deidentify_known import Known, Learner, Learnt, LearntKeys
from wardlight.cli.deidentify_output import Outputs
from wardlight.decoding.pixel_reader import TextReader
from wardlight.deid.engine import Deidentifier
from wardlight.deid.keys import DeidKeys
from wardlight.deid.profile import Profile
from wardlight.deid.report_model import Outcome

#: Stands for the application in the derivation of the keys: what this command makes cannot be linked to any release.
APPLICATION: Final = "wardlight deidentify"


@dataclass(repr=False)
class Job:
    """What a worker process has. target: None writes nothing. learnt: None knows nothing of others."""

    profile: Profile
    secret: bytes
    target: Path | None
    report: bool
    learnt: Path | None
    keys: LearntKeys

    @cached_property
    def learner(self) -> Learner:
        """For the first pass."""
        return Learner(self.keys, self.profile)

    @cached_property
    def worker(self) -> Worker:
        """For the second pass."""
        return Worker(
            Deidentifier(self.profile, DeidKeys.derive(self.secret, APPLICATION, self.profile.name)),
            Outputs(self.target) if self.target is not None else None,
            self.report,
            Known(self.learnt, self.keys) if self.learnt is not None else None,
            self.reader,
        )

    @cached_property
    def reader(self) -> TextReader:
        """Looks for text in pixels, in a confined process that starts with the first frame."""
        return TextReader(1)

    def close(self) -> None:
        """End the processes that this one has started."""
        if "reader" in self.__dict__:
            self.reader.close()


def learn(job: Job, item: Input) -> list[Learnt]:
    """The first pass over an input."""
    stream = header_of(item)
    return [] if stream is None else list(job.learner.learn(stream))


def clean(job: Job, item: Input) -> Outcome:
    """The second pass over an input."""
    return job.worker.process(item)


def learnt_nothing(_item: Input) -> list[Learnt]:
    """Of an input that ends processes: the second pass tells it."""
    return []


def process_ended(item: Input) -> Outcome:
    """What is said of an input that ended a process twice."""
    return Outcome(item.number, "quarantined", ("process-ended",))
