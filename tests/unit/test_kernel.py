"""Kernels on disk: what was compiled from code that has changed since is not used."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from impact import kernel

CALLED = "from impact.kernel import kernel\n\n@kernel\ndef number():\n    return {number}\n"
CALLING = (
    "from impact.called import number\nfrom impact.kernel import kernel\n\n"
    "@kernel\ndef double():\n    return 2 * number()\n"
)


def test_a_kernel_is_compiled_again_when_one_that_it_calls_has_changed(tmp_path: Path) -> None:
    package = tmp_path / "impact"
    package.mkdir()
    shutil.copy(kernel.__file__, package / "kernel.py")
    (package / "__init__.py").touch()
    (package / "calling.py").write_text(CALLING)

    def answer(number: int) -> list[int]:
        (package / "called.py").write_text(CALLED.format(number=number))
        program = (
            "from impact.calling import double; print(double(), sum(double.stats.cache_misses.values()))"
        )
        ran = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        return [int(word) for word in ran.stdout.split()]

    assert answer(1) == [2, 1]
    assert answer(1) == [2, 0], "what has not changed comes from the disk"
    assert answer(2) == [4, 1]
