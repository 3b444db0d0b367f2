"""A worker that delivers to webhooks until it is killed: `python delivering_child.py SETTINGS_JSON HELD_MS`."""

from __future__ import annotations

import sys
import time

from wardlight import bootstrap
from wardlight.delivery import deliver
from wardlight.settings import Settings

if __name__ == "__main__":
    deliver.HELD_MS = int(sys.argv[2])
    built = bootstrap.platform(Settings.model_validate_json(sys.argv[1]))
    print("ready", flush=True)
    while True:
        built.deliverer.tend()
        time.sleep(0.02)
