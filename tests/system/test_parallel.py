"""What memory there is, as far as a system says."""

import os

import pytest

from colorcli.system.parallel import available_memory


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/meminfo": "MemTotal: 9000 kB\nMemAvailable:    3000 kB\n"}, 3000 * 1024),
        ({"proc/meminfo": "MemAvailable: 3000 kB\n", "sys/fs/cgroup/memory.max": "max\n"}, 3072000),
        (
            {
                "proc/meminfo": "MemAvailable: 3000 kB\n",
                "sys/fs/cgroup/memory.max": "2000000\n",
                "sys/fs/cgroup/memory.current": "1500000\n",
                "sys/fs/cgroup/memory.stat": "anon 5\ninactive_file 400000\n",
            },
            900_000,
        ),
        (
            {
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "700000\n",
                "sys/fs/cgroup/memory/memory.usage_in_bytes": "800000\n",
                "sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 300000\n",
            },
            200_000,
        ),
        ({}, None),
    ],
)
def test_available_memory_is_the_least_that_is_told(files, expected, tmp_path):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = available_memory(f"{tmp_path}{os.sep}")
    assert found == expected if expected else found > 1 << 20
