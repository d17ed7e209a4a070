"""A program run as if on another machine: only the machine's name differs.

python -m tests.integration.elsewhere NAME MODULE ARGUMENTS…
"""

import runpy
import socket
import sys

if __name__ == "__main__":
    name, module, *arguments = sys.argv[1:]
    socket.gethostname = lambda: name
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
