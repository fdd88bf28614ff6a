"""What is looked at from outside: the process that is attacked, a server that nobody must call, and the table of what came."""

import http.server
import subprocess
import threading


class Trap:
    """A server that nobody must ever call."""

    def __init__(self):
        calls = self.calls = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                calls.append(self.path)
                self.send_error(404)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_address[1]}"


class Process:
    """The process that is attacked, as the operating system sees it."""

    def __init__(self, pid):
        self.pid = pid
        self.born = self._ask("lstart=")

    def _ask(self, what):
        return subprocess.run(["ps", "-o", what, "-p", self.pid], capture_output=True, text=True).stdout.strip()

    @property
    def lives(self):
        return self.born != "" and self._ask("lstart=") == self.born

    @property
    def memory(self):
        """What it has, in KiB."""
        return int(self._ask("rss=") or 0)

    @property
    def peak(self):
        """The most that it ever had, in KiB; where the system does not tell, what it has."""
        try:
            with open(f"/proc/{self.pid}/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
        except FileNotFoundError:
            return self.memory


class Table:
    """What came of each, printed as it comes."""

    def __init__(self):
        self.rows, self.misses = 0, []

    def row(self, title, expected, seen, seconds, complaints):
        self.rows += 1
        mark = "ok  " if not complaints else "MISS"
        print(f"{mark} {title:<86.86} {expected:<24.24} {seen:<24} {seconds * 1000:7.0f} ms", flush=True)
        for complaint in complaints:
            print(f"       ↳ {complaint}", flush=True)
        if complaints:
            self.misses.append(title)
