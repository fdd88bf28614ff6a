#!/usr/bin/env python3
"""Attacks a running Tenantry's single sign-on, one lie at a time.

It plays an organization's identity provider and its people's browsers. First it shows that all honest forms sign in; then it
breaks them one way at a time. Each attack must be refused for the reason that is expected, as the organization's administrator
reads it in `GET /saml/events`; nobody may be signed in by it, the process must live on, and its memory stay flat. Prints a
table, and exits with 1 if anything was otherwise.

With `./dev up` running:

    . .local/env && .local/saml/bin/python tests/saml/attack.py [WORDS IN THE TITLE…]
"""

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from urllib.parse import urlencode

import again
import browsers
import ciphers
import documents
import logout
import mint
import names
import protocol
import signatures
import wrapping
from cryptography.hazmat.primitives.asymmetric import ec
from mint import Key
from scene import ATTACKS, Scene
from valid import VALID
from world import Http, NotSent, Organization, Post, stays

# No attack takes long to refuse, on whatever machine: one that does has found work to give us.
LONGEST = 10.0
# What allocators keep. Attacks that get at memory get at gigabytes.
MOST_GROWTH = 96 * 1024
CONNECTIONS = {"main", "cbc", "unasked", "bound", "other", "rival", "off", "gone", "rolled"}
assert all((again, ciphers, documents, logout, names, protocol, signatures, wrapping))


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
        """In KiB."""
        return int(self._ask("rss=") or 0)


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


class Run:
    def __init__(self):
        variable = os.environ.__getitem__
        self.http = Http(variable("TENANTRY_URL"))
        self.process = Process(variable("TENANTRY_API_PID"))
        acme = self._organization("DEMO_ORGANIZATION", "DEMO_ADMIN_EMAIL", "DEMO_ADMIN_PASSWORD")
        rival = self._organization(
            "TENANTRY_PLATFORM_SLUG", "TENANTRY_PLATFORM_ADMIN_EMAIL", "TENANTRY_PLATFORM_ADMIN_PASSWORD"
        )
        self.trap, self.table = Trap(), Table()
        self.sign_ins, self.alike = 0, {}
        self.scene = self._prepare(acme, rival)

    def _organization(self, *names):
        return Organization(self.http, *(os.environ[name] for name in names))

    def _prepare(self, acme, rival):
        for organization in (acme, rival):
            if (
                self.http.send(
                    "GET", f"/v1/orgs/{organization.slug}/saml/certificate", None, organization.headers
                ).status
                == 404
            ):
                organization.ask("POST", "/saml/keys", {})
            organization.forget(CONNECTIONS)
        here_already = {"email": "someone@unbound.example"}
        self.http.send("POST", f"/v1/orgs/{acme.slug}/users", json.dumps(here_already), acme.headers)
        second, curve, curve_384 = Key.rsa(3072), Key.ec(), Key.ec(ec.SECP384R1)
        connections = {
            "main": acme.connect("main", [Key.rsa(), second, curve, curve_384]),
            "cbc": acme.connect("cbc", [Key.rsa()], allow_cbc=True),
            "unasked": acme.connect("unasked", [Key.rsa()], idp_initiated=True),
            "bound": acme.connect("bound", [Key.rsa()], domains=[acme.email.partition("@")[2]]),
            "other": acme.connect("other", [Key.rsa()]),
            "rival": rival.connect("rival", [Key.rsa()]),
        }
        scene = Scene(acme, rival, connections, Key.rsa(), acme.encryption_key(), self.trap.url)
        scene.second, scene.curve, scene.curve_384 = second, curve, curve_384
        return scene

    # --- honest messages

    def honest(self):
        for title, connection, make in VALID:
            visit = self.scene.connections[connection].visit()
            made = make(visit, self.scene)
            post = made if isinstance(made, Post) else Post(visit, made)
            answer = post.send()
            self.sign_ins += answer.session is not None
            event = self.event(answer) or {}
            complaints = []
            if not answer.session:
                complaints.append(
                    f"nobody was signed in: {answer.status}, {event.get('reason')}: {event.get('detail')}"
                )
            if not stays(answer.header("location"), self.http.url):
                complaints.append(f"leads to {answer.header('location')}")
            seen = event.get("outcome", f"http {answer.status}")
            self.table.row("honest: " + title, "accepted", seen, answer.seconds, complaints)

    def event(self, answer):
        request_id = answer.header("x-request-id")
        events = (organization.event(request_id) for organization in (self.scene.acme, self.scene.rival))
        return next((event for event in events if event), None)

    # --- attacks

    def attack(self, attack):
        visit = self.scene.connections[attack.connection].visit()
        people = self.people()
        try:
            made = attack.make(visit, self.scene)
        except (NotSent, logout.NotSignedIn) as error:
            return self.table.row(attack.title, " ".join(attack.expected), "not begun", 0, [str(error)])
        answers, allowed, complaints = self.send(visit, made)
        signed_in = sum(answer.session is not None for answer in answers)
        self.sign_ins += signed_in
        if signed_in != allowed:
            complaints.append(f"{signed_in} were signed in")
        answer = next((answer for answer in answers if answer.session is None), answers[-1])
        seen = self.judge(attack, answer, complaints)
        if self.people() != people:
            complaints.append(f"{people} users became {self.people()}")
        if hasattr(made, "complaint") and made.complaint():
            complaints.append(made.complaint())
        if self.trap.calls:
            complaints.append(f"the trap was called: {self.trap.calls}")
            self.trap.calls.clear()
        if not self.process.lives:
            complaints.append("the process is dead")
        seconds = max(answer.seconds for answer in answers)
        if seconds > LONGEST:
            complaints.append("took too long")
        self.table.row(attack.title, "/".join(sorted(attack.expected)), seen, seconds, complaints)

    def send(self, visit, made):
        """The answers, how many of them may sign in, and what is wrong already."""
        if isinstance(made, again.Done):
            return made.answers, made.sign_ins, []
        message = made if hasattr(made, "send") else Post(visit, made)
        try:
            return [message.send()], 0, []
        except OSError as error:
            # The server may cut who sends too much.
            from world import Answer

            return [Answer(413 if isinstance(error, (BrokenPipeError, ConnectionResetError)) else 0, [], b"")], 0, []

    def judge(self, attack, answer, complaints):
        """What was seen: the reason, or the status where an attack ends before single sign-on."""
        event = self.event(answer)
        seen = event["reason"] if event and event["outcome"] == "refused" else f"http {answer.status}"
        if seen not in attack.expected and not (seen[:6] == "http 4" and "http 4xx" in attack.expected):
            detail = (event or {}).get("detail") or answer.body[:300]
            complaints.append(f"expected {attack.expected}, saw {seen}, {answer.status}: {detail}")
        if not 400 <= answer.status < 500 and not isinstance(answer.session, str) and attack.title[:7] != "logout:":
            complaints.append(f"was answered {answer.status}")
        if "evil" in (answer.header("location") or ""):
            complaints.append(f"leads to {answer.header('location')}")
        if attack.alike:
            request_id = (answer.header("x-request-id") or "none").encode()
            page = (answer.status, answer.body.replace(request_id, b"ID"))
            if self.alike.setdefault(attack.alike, page) != page:
                complaints.append("is answered otherwise than others that are to be alike")
        return seen

    def people(self):
        return self.scene.acme.people() + self.scene.rival.people()

    # --- addresses

    def redirects(self):
        for title, return_to in browsers.RETURN_TO.items():
            complaints, seconds = [], 0.0
            try:
                visit = self.scene.connections["main"].visit(return_to)
                answer = visit.post(visit.mint())
                self.sign_ins += answer.session is not None
                seen, seconds = "stays", answer.seconds
                if not answer.session:
                    complaints.append(f"nobody was signed in: {answer.status}")
            except NotSent as refused:
                answer, seen = refused.answer, f"http {refused.answer.status}"
                if not 400 <= answer.status < 500:
                    complaints.append("is neither refused nor taken")
            for name, value in answer.headers:
                if name.lower() == "location" and not stays(value, self.http.url):
                    complaints.append(f"leads to {value}")
                if "evil" in value and name.lower() != "location":
                    complaints.append(f"has a header {name}: {value}")
            self.table.row(f"return_to: {title}", "stays/http 4xx", seen, seconds, complaints)

    def logins(self):
        """The door to a connection opens for those of its own organization only."""
        wrong = {
            "of another organization": self.scene.connections["rival"].id,
            "that is not there": "00000000-0000-4000-8000-000000000000",
            "that is no id": "' or 1=1 --",
        }
        for title, id_ in wrong.items():
            answer = self.http.send("GET", f"/v1/saml/{self.scene.acme.slug}/login?{urlencode({'connection': id_})}")
            complaints = [] if 400 <= answer.status < 500 else [f"was answered {answer.status}"]
            self.table.row(
                f"login through a connection {title}", "http 4xx", f"http {answer.status}", answer.seconds, complaints
            )

    def logout_works(self):
        """Else it would say nothing that hostile ones end no session."""
        visit = self.scene.connections["main"].visit()
        token, index = logout.sign_in(visit)
        before = logout.lives(visit, token)
        message = logout.query(logout.request(visit, index), visit.connection.key)
        answer = logout.Logout(visit, token, message).send()
        after = logout.lives(visit, token)
        complaints = (
            []
            if before and not after
            else [f"the session lived: {before}, then {after}; {answer.status} {answer.body[:300]}"]
        )
        self.table.row("honest: logout", "accepted", f"http {answer.status}", answer.seconds, complaints)

    # --- all of it

    def run(self, words):
        began = time.monotonic()
        self.honest()
        self.logout_works()
        warm = self.process.memory
        for attack in ATTACKS:
            if not words or any(word in attack.title for word in words):
                self.attack(attack)
        if not words:
            self.redirects()
            self.logins()
            self.honest()  # and nobody was shut out by all this
        after = self.process.memory
        growth = [] if after - warm < MOST_GROWTH else ["memory has grown"]
        self.table.row(
            "memory", f"+{MOST_GROWTH // 1024} MiB at most", f"{warm // 1024} -> {after // 1024} MiB", 0, growth
        )
        misses = self.table.misses
        print(f"{self.table.rows} rows, {len(ATTACKS)} attacks, {len(misses)} misses, {time.monotonic() - began:.0f} s")
        print(json.dumps({"sign_ins": self.sign_ins + logout.SESSIONS.begun, "misses": len(misses)}))
        return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(Run().run(sys.argv[1:]))
