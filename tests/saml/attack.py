#!/usr/bin/env python3
"""Attacks a running Tenantry's single sign-on, one lie at a time.

It plays an organization's identity provider and its people's browsers. First it shows that all honest forms sign in; then it
breaks them one way at a time. Each attack must be refused for the reason that is expected, as the organization's administrator
reads it in `GET /saml/events`; nobody may be signed in by it, the process must live on, and its memory stay flat. Prints a
table, and exits with 1 if anything was otherwise.

With `./dev up` running:

    . .local/env && .local/saml/bin/python tests/saml/attack.py [WORDS IN THE TITLE…]
"""

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlencode

import accounts
import again
import browsers
import carriers
import ciphers
import documents
import logout
import mint
import names
import protocol
import signatures
import transforms
import wrapping
from cryptography.hazmat.primitives.asymmetric import ec
from mint import Key
from scene import ATTACKS, Scene
from valid import VALID
from watch import Process, Table, Trap
from world import Answer, Http, NotSent, Organization, Post, stays

# No attack takes long to refuse, on whatever machine: one that does has found work to give us.
LONGEST = 10.0
# MiB. What allocators keep for each thread that looked at a message, and at most a few messages of 525 kB as trees beside that:
# 15 and 25 were seen on two processors. Less than one of the bombs of 100 MB needs that is inflated once.
MOST_KEPT, MOST_AT_ONCE = 64, 96
CONNECTIONS = {"main", "cbc", "unasked", "bound", "other", "twin", "shared", "closed", "rival", "off", "gone", "rolled"}
# Attacks at once: they have nothing to do with each other. What is looked at from outside is looked at after so many.
AT_ONCE, TOGETHER = 4, 24
assert all((accounts, again, carriers, ciphers, documents, logout, names, protocol, signatures, transforms, wrapping))


@dataclass
class Outcome:
    """What came of one attack, as the attacker sees it."""

    answers: list
    complaints: list = field(default_factory=list)
    new_people: int = 0

    @property
    def sign_ins(self):
        return sum(answer.session is not None for answer in self.answers)

    @property
    def seconds(self):
        return max((answer.seconds for answer in self.answers), default=0)


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
            "shared": acme.connect("shared", [Key.rsa()], idp_initiated=True),
            "closed": acme.connect("closed", [Key.rsa()], jit_provisioning=False),
            "rival": rival.connect("rival", [Key.rsa()]),
        }
        # One provider connected twice, and one that two organizations have: their signatures are good at either.
        connections["twin"] = acme.connect("twin", [connections["main"].key])
        shared = connections["shared"]
        connections["shared at the rival"] = rival.connect("shared", [shared.key], entity_id=shared.entity_id)
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
            event = self.events().get(answer.header("x-request-id"), {})
            complaints = []
            if not answer.session:
                complaints.append(
                    f"nobody was signed in: {answer.status}, {event.get('reason')}: {event.get('detail')}"
                )
            if not stays(answer.header("location"), self.http.url):
                complaints.append(f"leads to {answer.header('location')}")
            seen = event.get("outcome", f"http {answer.status}")
            self.table.row("honest: " + title, "accepted", seen, answer.seconds, complaints)

    def events(self):
        """What both administrators read about the newest messages, by the request that brought them."""
        events = self.scene.acme.events() + self.scene.rival.events()
        return {event["request_id"]: event for event in events}

    # --- attacks

    def attacks(self, attacks):
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for begin in range(0, len(attacks), TOGETHER):
                some = attacks[begin : begin + TOGETHER]
                people, outcomes = self.people(), list(pool.map(self.attack, some))
                events = self.events()
                for attack, outcome in zip(some, outcomes, strict=True):
                    seen = self.judge(attack, outcome, events)
                    expected = "/".join(sorted(attack.expected))
                    self.table.row(attack.title, expected, seen, outcome.seconds, outcome.complaints)
                    self.sign_ins += outcome.sign_ins
                self.look_around(some, people + sum(outcome.new_people for outcome in outcomes))

    def look_around(self, attacks, people):
        """Whether one of these did what no answer says."""
        complaints = []
        if self.people() != people:
            complaints.append(f"there are {self.people()} users, not {people}")
        if self.trap.calls:
            complaints.append(f"the trap was called: {self.trap.calls}")
            self.trap.calls.clear()
        if not self.process.lives:
            complaints.append("the process is dead")
        if complaints:
            self.table.row(f"from “{attacks[0].title}” to “{attacks[-1].title}”", "nothing more", "more", 0, complaints)

    def attack(self, attack):
        visit = self.scene.connections[attack.connection].visit()
        try:
            made = attack.make(visit, self.scene)
        except (NotSent, logout.NotSignedIn) as error:
            return Outcome([], [str(error)])
        answers, allowed, new_people = self.send(visit, made)
        outcome = Outcome(answers, [], new_people)
        if outcome.sign_ins != allowed:
            outcome.complaints.append(f"{outcome.sign_ins} were signed in, not {allowed}")
        if hasattr(made, "complaint") and made.complaint():
            outcome.complaints.append(made.complaint())
        if outcome.seconds > LONGEST:
            outcome.complaints.append("took too long")
        return outcome

    def send(self, visit, made):
        """The answers, how many of them may sign in, and how many users they may make."""
        if isinstance(made, again.Done):
            return made.answers, made.sign_ins, made.new_people
        message = made if hasattr(made, "send") else Post(visit, made)
        try:
            return [message.send()], 0, 0
        except (BrokenPipeError, ConnectionResetError):
            # The server may cut who sends too much.
            return [Answer(413, [], b"")], 0, 0

    def judge(self, attack, outcome, events):
        """What was seen: the reason, or the status where an attack ends before single sign-on. Of several answers, the first
        that signs nobody in."""
        answers, complaints = outcome.answers, outcome.complaints
        if not answers:
            return "not begun"
        refused = [answer for answer in answers if answer.session is None]
        answer = (refused or answers)[0]
        event = events.get(answer.header("x-request-id"), {})
        seen = event["reason"] if event.get("outcome") == "refused" else f"http {answer.status}"
        detail = event.get("detail") or answer.body[:300]
        if seen not in attack.expected and not (seen[:6] == "http 4" and "http 4xx" in attack.expected):
            complaints.append(f"expected {attack.expected}, saw {seen}, {answer.status}: {detail}")
        elif attack.because not in str(detail):
            complaints.append(f"not because of “{attack.because}”, but: {detail}")
        for other in refused:
            if not 400 <= other.status < 500 and f"http {other.status}" not in attack.expected:
                complaints.append(f"was answered {other.status}: {other.body[:300]}")
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

    def memory(self, before):
        """Here it was before the attacks, here after, and the most in between."""
        after, peak = self.process.memory, self.process.peak
        for title, most, seen in (("kept", MOST_KEPT, after), ("at most", MOST_AT_ONCE, peak)):
            complaints = [] if seen - before < most * 1024 else ["memory has grown"]
            shown = f"{before // 1024} -> {seen // 1024} MiB"
            self.table.row(f"memory, {title}", f"+{most} MiB at most", shown, 0, complaints)

    def run(self, words):
        began = time.monotonic()
        self.honest()
        self.logout_works()
        before = self.process.memory
        self.attacks([attack for attack in ATTACKS if not words or any(word in attack.title for word in words)])
        if not words:
            self.redirects()
            self.logins()
            self.honest()  # and nobody was shut out by all this
        self.memory(before)
        misses = self.table.misses
        print(f"{self.table.rows} rows, {len(ATTACKS)} attacks, {len(misses)} misses, {time.monotonic() - began:.0f} s")
        print(json.dumps({"sign_ins": self.sign_ins + len(logout.BEGUN), "misses": len(misses)}))
        return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(Run().run(sys.argv[1:]))
