"""Listens where a service manager would, and prints each state that it is told, one line each."""
import os
import socket
import sys

with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
    manager.bind(sys.argv[1])
    print("listening", flush=True)
    while True:
        # systemd-notify sends a descriptor along and waits until it is closed.
        data, descriptors, _, _ = socket.recv_fds(manager, 4096, 4)
        for descriptor in descriptors:
            os.close(descriptor)
        for line in data.decode().splitlines():
            if line != "BARRIER=1":
                print(line, flush=True)
