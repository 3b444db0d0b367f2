"""Run as a program: writers and sealers of one platform, killed at random; prints what the writers were told.

`python sealing_children.py SETTINGS_JSON SECONDS`. Children are forked after everything is loaded, and open the
platform themselves.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time

from wardlight import bootstrap, log
from wardlight.audit.actions import Action
from wardlight.audit.model import Actor, Event
from wardlight.audit.sealer import Sealer
from wardlight.settings import Settings

EVENT = Event(Action.IDENTITY_SESSION_LOGIN, Actor("person", "u-7f3a", "clinician"))


def write(settings: Settings, file: str, seed: int) -> None:
    """Operations, some of which are rolled back; each is told of in the file when it is over."""
    platform = bootstrap.platform(settings)
    institution = platform.identity.institutions()[0].id
    randomness = random.Random(seed)
    with open(file, "a", buffering=1) as told:
        while True:
            undone = randomness.random() < 0.3
            try:
                with platform.database.begin(institution) as tx:
                    id_ = platform.recorder.write(tx, institution, EVENT)
                    time.sleep(randomness.random() * 0.004)
                    if undone:
                        told.write(f"undone {id_}\n")
                        raise KeyError
                told.write(f"done {id_}\n")
            except KeyError:
                pass


def seal(settings: Settings) -> None:
    """Rounds without a pause."""
    platform = bootstrap.platform(settings)
    sealer = Sealer(platform.database, platform.recorder, platform.signer)
    sealer._batch = 7  # Many transactions, so that many kills fall into one.
    while True:
        sealer.seal()


def fork(work, *arguments) -> int:
    child = os.fork()
    if child == 0:
        try:
            work(*arguments)
        except BaseException as error:
            print("child:", repr(error), file=sys.stderr)
        finally:
            os._exit(1)
    return child


def main() -> None:
    log.configure("sealing")
    settings = Settings.model_validate_json(sys.argv[1])
    file = settings.data_dir / "told.txt"
    randomness = random.Random(7)
    kinds = {"writer": (write, settings, str(file)), "sealer": (seal, settings)}

    def start(kind: str, number: int) -> int:
        seed = (number,) if kind == "writer" else ()
        return fork(*kinds[kind], *seed)

    running = [(kind, start(kind, n)) for n, kind in enumerate(["writer"] * 3 + ["sealer"] * 2)]
    until, kills = time.monotonic() + float(sys.argv[2]), 0
    while time.monotonic() < until:
        time.sleep(randomness.uniform(0.02, 0.25))
        place = randomness.choice([0, 1, 2, 3, 3, 4, 4])
        kind, child = running[place]
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"a {kind} ended by itself"
        kills += 1
        running[place] = (kind, start(kind, 100 + kills))
    for kind, child in running:
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"a {kind} ended by itself"
    words = [line.split() for line in file.read_text().splitlines()]
    found = {
        kind: [word[1] for word in words if word[0] == kind and len(word) == 2] for kind in ("done", "undone")
    }
    print(json.dumps({"kills": kills + len(running), **found}))


if __name__ == "__main__":
    main()
