import os
import subprocess
import sys

import pytest

from loadtest.bench.servers import Server

BUSY = """
import subprocess, sys, time
if len(sys.argv) == 1:
    child = subprocess.Popen([sys.executable, "-c", sys.stdin.read(), "child"], stdout=subprocess.PIPE)
    child.stdout.readline()
    print("done", flush=True)
    time.sleep(60)
began_s = time.process_time()
while time.process_time() < began_s + 0.3:
    pass
print("done", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_work_of_a_servers_descendants_is_its_work() -> None:
    environment = {**os.environ, "MARK": "of-a-busy-server"}
    with subprocess.Popen(
        [sys.executable, "-c", BUSY],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(BUSY.encode())
        process.stdin.close()
        process.stdout.readline()
        server = Server("busy", 1, "MARK=of-a-busy-server")
        assert server.cpu_s() > 0.2
        assert server.memory_mb() > 1
        assert Server("other", 1, "MARK=of-nobody").cpu_s() == 0.0
        os.killpg(process.pid, 9)
