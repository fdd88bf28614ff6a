"""Single logout: ends only whom the identity provider names, and only at its word."""

import base64
import re
import threading
import zlib
from dataclasses import dataclass
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from mint import EMAIL, SAML, SAMLP, How, at, attr, method, new_id, signed
from scene import attack, each

NAME = "ann@idp.example"


class NotSignedIn(Exception):
    """The good message before a hostile one was refused."""


@dataclass
class Logout:
    """A message that would end a session. Whatever comes of it, the session must live."""

    visit: object
    token: str
    query: str
    body: bytes | None = None
    path: str | None = None

    def send(self):
        organization = self.visit.connection.organization
        path = self.path or organization.slo
        cookies = "; ".join(f"{name}={value}" for name, value in self.visit.cookies.items())
        headers = {"Cookie": cookies} if cookies else {}
        if self.body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            return organization.http.send("POST", path, self.body, headers)
        return organization.http.send("GET", f"{path}?{self.query}", None, headers)

    def complaint(self):
        return None if lives(self.visit, self.token) else "the session was ended"


def lives(visit, token):
    organization = visit.connection.organization
    path = f"/v1/orgs/{organization.slug}/iam/current-user"
    return organization.http.send("GET", path, None, {"Authorization": f"Bearer {token}"}).status == 200


# All that began so that a message could try to end them.
BEGUN = []


def sign_in(visit):
    """A session and its index at the provider."""
    index = new_id()
    answer = visit.post(visit.mint(name_id=NAME, session_index=index))
    if not answer.session:
        raise NotSignedIn(f"{answer.status} {answer.body[:300]}")
    BEGUN.append(answer.session)
    return answer.session, index


STANDING, GUARD = {}, threading.Lock()


def session(visit):
    """One that lives: each attack has to leave it so, and so the next may have it, too."""
    with GUARD:
        token, index = STANDING.get(visit.connection.id, (None, None))
        if token is None or not lives(visit, token):
            token, index = STANDING[visit.connection.id] = sign_in(visit)
        return token, index


def request(visit, index, *, id_=None, issuer="", destination="", ends="", name=NAME, issued="", version="2.0"):
    connection = visit.connection
    issuer = connection.entity_id if issuer == "" else issuer
    head = attr("ID", id_ or new_id()) + attr("Version", version) + attr("IssueInstant", issued or at(0))
    head += attr("Destination", connection.organization.slo if destination == "" else destination)
    head += attr("NotOnOrAfter", at(300) if ends == "" else ends)
    issuer = "" if issuer is None else f"<saml:Issuer>{escape(issuer)}</saml:Issuer>"
    index = "" if index is None else f"<samlp:SessionIndex>{index}</samlp:SessionIndex>"
    inside = f'{issuer}<saml:NameID Format="{EMAIL}">{escape(name)}</saml:NameID>{index}'
    return f'<samlp:LogoutRequest xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"{head}>{inside}</samlp:LogoutRequest>'


def deflated(data):
    data = data.encode() if isinstance(data, str) else data
    return base64.b64encode(zlib.compress(data, 9)[2:-4]).decode()


def query(message, key, *, digest="sha256", relay_state=None, field="SAMLRequest", algorithm=None, signs=True):
    """The redirect binding: the signature is over the query as it is sent."""
    text = f"{field}={quote_plus(deflated(message))}"
    if relay_state is not None:
        text += f"&RelayState={quote_plus(relay_state)}"
    if not signs:
        return text
    text += f"&SigAlg={quote_plus(algorithm or method(key.kind, digest))}"
    return f"{text}&Signature={quote_plus(base64.b64encode(key.sign(text.encode(), digest)).decode())}"


def logout(title, *expected):
    """An attack with a session: gets the visit, the scene and the session's index; answers a query."""

    def register(make):
        @attack("logout: " + title, *expected)
        def _(visit, scene):
            token, index = session(visit)
            made = make(visit, scene, index)
            return made(token) if callable(made) else Logout(visit, token, made)

        return make

    return register


@logout("not signed", "not_signed")
def _(visit, scene, index):
    return query(request(visit, index), None, signs=False)


@logout("signed by a stranger", "invalid_signature")
def _(visit, scene, index):
    return query(request(visit, index), scene.stranger)


@logout("signed with another connection's key", "invalid_signature")
def _(visit, scene, index):
    return query(request(visit, index), scene.connections["other"].key)


@logout("signed with SHA-1", "signature_algorithm")
def _(visit, scene, index):
    return query(request(visit, index), visit.connection.key, digest="sha1")


@logout("an algorithm that is none", "signature_algorithm")
def _(visit, scene, index):
    return query(request(visit, index), visit.connection.key, algorithm="none")


@logout("no SigAlg", "not_signed")
def _(visit, scene, index):
    return re.sub("&SigAlg=[^&]*", "", query(request(visit, index), visit.connection.key))


@logout("an empty Signature", "invalid_signature")
def _(visit, scene, index):
    return re.sub("&Signature=.*", "&Signature=", query(request(visit, index), visit.connection.key))


@logout("a RelayState that was not signed", "invalid_signature")
def _(visit, scene, index):
    return query(request(visit, index), visit.connection.key) + "&RelayState=https://evil.example"


@logout("another RelayState than the signed one", "invalid_signature")
def _(visit, scene, index):
    return query(request(visit, index), visit.connection.key, relay_state="good").replace("=good", "=evil")


@logout("a second SAMLRequest before the signed one", "bad_query")
def _(visit, scene, index):
    return f"SAMLRequest={quote(deflated(request(visit, index)))}&" + query(
        request(visit, index, name="x"), visit.connection.key
    )


@logout("a second SAMLRequest behind the signed one", "bad_query")
def _(visit, scene, index):
    return (
        query(request(visit, index, name="x"), visit.connection.key)
        + f"&SAMLRequest={quote(deflated(request(visit, index)))}"
    )


@logout("SAMLRequest and SAMLResponse", "bad_query")
def _(visit, scene, index):
    return query(request(visit, index), visit.connection.key) + "&SAMLResponse=x"


@logout("another message under the signature", "invalid_signature")
def _(visit, scene, index):
    good = query(request(visit, index, name="someone@idp.example"), visit.connection.key)
    return f"SAMLRequest={quote_plus(deflated(request(visit, index)))}&" + good.partition("&")[2]


for title, changes, expected in [
    ("of a stranger", {"issuer": "https://evil.example"}, ["unknown_issuer"]),
    ("in the name of another connection", {"issuer": "OTHER"}, ["invalid_signature"]),
    ("without an issuer", {"issuer": None}, ["unknown_issuer"]),
    ("for another organization", {"destination": "RIVAL"}, ["destination"]),
    ("without a destination", {"destination": None}, ["destination"]),
    ("that ended", {"ends": at(-120)}, ["expired"]),
    ("of a year ago", {"issued": at(-365 * 86400), "ends": None}, ["expired"]),
    ("with the last second of all as its end", {"ends": "9999-12-31T23:59:59Z"}, ["bad_time"]),
    ("with an end of six digits", {"ends": "262143-12-31T23:59:59Z"}, ["bad_time"]),
    ("of version 1.1", {"version": "1.1"}, ["version"]),
]:

    @logout(title, *expected)
    def _(visit, scene, index, changes=changes):
        other = {"OTHER": scene.connections["other"].entity_id, "RIVAL": scene.rival.slo}
        words = {name: other.get(value, value) for name, value in changes.items()}
        return query(request(visit, index, **words), visit.connection.key)


@logout("a document type", "forbidden_markup")
def _(visit, scene, index):
    return query(f'<!DOCTYPE x [<!ENTITY e SYSTEM "{scene.trap}/slo">]>' + request(visit, index), visit.connection.key)


@logout("a comment in the name", "forbidden_markup")
def _(visit, scene, index):
    return query(request(visit, index).replace(NAME, NAME + "<!---->.evil.example"), visit.connection.key)


# The larger is as large as an address may be; both whole, so that nothing else is wrong with them.
@each("bad_deflate", "logout: a deflate bomb of", {"40 MB": 40_000_000, "100 kB": 100_000})
def _(visit, scene, size):
    token, _ = session(visit)
    return Logout(visit, token, query("<a>" + " " * size + "</a>", visit.connection.key))


# Whoever is named as here, there is another.
@each(
    "http 302",
    "logout: another connection's own request, which names this one's person, with a key",
    {"of its own": "other", "that is the same": "twin"},
)
def _(visit, scene, connection):
    token, index = session(visit)
    there = scene.connections[connection].visit()
    return Logout(visit, token, query(request(there, index), there.connection.key))


@attack("logout: the request to another organization, of a provider that both have", "destination")
def _(visit, scene):
    token, index = session(visit)
    there = scene.connections["shared at the rival"].visit()
    return Logout(visit, token, query(request(there, index), there.connection.key))


@logout("a second time", "replayed")
def _(visit, scene, index):
    once = query(request(visit, "_" + "0" * 40), visit.connection.key)
    Logout(visit, "", once).send()
    return once


@logout("no deflate", "bad_deflate")
def _(visit, scene, index):
    return (
        f"SAMLRequest={quote_plus(base64.b64encode(request(visit, index).encode()).decode())}&SigAlg=x&Signature=eA=="
    )


@logout("an answer to nothing we asked", "unknown_request")
def _(visit, scene, index):
    head = attr("ID", new_id()) + attr("Version", "2.0") + attr("IssueInstant", at(0))
    head += attr("Destination", visit.connection.organization.slo) + attr("InResponseTo", "_" + "0" * 40)
    status = '<samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status>'
    issuer = f"<saml:Issuer>{visit.connection.entity_id}</saml:Issuer>"
    text = (
        f'<samlp:LogoutResponse xmlns:samlp="{SAMLP}" xmlns:saml="{SAML}"{head}>{issuer}{status}</samlp:LogoutResponse>'
    )
    return query(text, visit.connection.key, field="SAMLResponse")


@logout("a sign-in's message", "unexpected_message")
def _(visit, scene, index):
    return query(visit.mint(), visit.connection.key)


@logout("posted, signed by a stranger", "invalid_signature")
def _(visit, scene, index):
    id_ = new_id()
    return posted(visit, signed(request(visit, index, id_=id_), id_, How(scene.stranger)))


@logout("posted, not signed", "not_signed")
def _(visit, scene, index):
    return posted(visit, request(visit, index))


@logout("posted, with the signature of another id", "bad_reference")
def _(visit, scene, index):
    id_ = new_id()
    message = signed(request(visit, index, id_=id_), id_, How(visit.connection.key, uri="#_x"))
    return posted(visit, message)


@logout("posted, wrapped: a forged one around the signed one", "misplaced_signature")
def _(visit, scene, index):
    id_ = new_id()
    good = signed(request(visit, "_x", id_=id_, name="someone@idp.example"), id_, How(visit.connection.key))
    evil = request(visit, index).replace(
        "</samlp:LogoutRequest>", f"<samlp:Extensions>{good}</samlp:Extensions></samlp:LogoutRequest>"
    )
    return posted(visit, evil)


def posted(visit, message):
    body = f"SAMLRequest={quote_plus(base64.b64encode(message.encode()).decode())}".encode()
    return lambda token: Logout(visit, token, "", body)
