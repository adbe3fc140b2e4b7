"""Free ports: two that are asked for before either is used are two."""

from __future__ import annotations

import os
import socket
from concurrent.futures import ThreadPoolExecutor

from greenpower.stack.port import FIRST_PORT, LAST_PORT, LOOPBACK, free_port, is_free


def test_ports_that_nobody_uses_yet_are_not_given_twice() -> None:
    ports = [free_port() for _ in range(2_000)]
    assert len({*ports}) == 2_000
    assert all(FIRST_PORT <= port <= LAST_PORT for port in ports)


def test_nor_to_several_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        ports = [*pool.map(lambda _: free_port(), range(1_000))]
    assert len({*ports}) == 1_000


def test_a_port_that_is_taken_is_passed_over() -> None:
    port = free_port()
    with socket.socket() as listener:
        listener.bind((LOOPBACK, port + 1 if port < LAST_PORT else FIRST_PORT))
        listener.listen(1)
        taken = listener.getsockname()[1]
        assert not is_free(taken)
        assert free_port() != taken


def test_a_process_that_was_forked_begins_elsewhere() -> None:
    free_port()
    mine, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.write(theirs, b" ".join(b"%d" % free_port() for _ in range(20)))
        os._exit(0)
    os.waitpid(child, 0)
    there = [int(port) for port in os.read(mine, 1_000).split()]
    os.close(mine)
    os.close(theirs)
    assert len({*there}) == 20
    assert there != [free_port() for _ in range(20)]
