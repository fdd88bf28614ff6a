"""Who takes part: administrators who prepare connections, and browsers that are sent to the identity provider and back."""

import base64
import http.client
import json
import time
import zlib
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

from cryptography import x509
from lxml import etree
from mint import Claims, How, encrypted, signed

SESSION_COOKIES = {"tenantry", "__Host-tenantry"}


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes
    seconds: float = 0.0

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name), None)

    @property
    def cookies(self):
        """What it sets, without what it clears."""
        pairs = (value.split(";")[0].split("=", 1) for key, value in self.headers if key.lower() == "set-cookie")
        return {name: value for name, value in pairs if value}

    @property
    def session(self):
        return next((value for name, value in self.cookies.items() if name in SESSION_COOKIES), None)

    @property
    def json(self):
        return json.loads(self.body)


class Http:
    """Requests as they are written, without a client's own opinions."""

    def __init__(self, url):
        self.url = url
        self.host = urlsplit(url).netloc

    def send(self, method, path, body=None, headers=None):
        path = path.removeprefix(self.url)
        connection = http.client.HTTPConnection(self.host, timeout=60)
        began = time.monotonic()
        try:
            connection.request(method, path, body, {"User-Agent": "attacks", **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read(), time.monotonic() - began)
        finally:
            connection.close()


class Organization:
    """An organization, in the eyes of its administrator."""

    def __init__(self, http_, slug, email, password):
        self.http, self.slug, self.email = http_, slug, email
        self.headers = {"Content-Type": "application/json"}
        token = self.ask("POST", "/iam/login", {"username": email, "password": password})["token"]
        self.headers["Authorization"] = f"Bearer {token}"
        self.entity_id = f"{http_.url}/v1/saml/{slug}/metadata"
        self.acs = f"{http_.url}/v1/saml/{slug}/acs"
        self.slo = f"{http_.url}/v1/saml/{slug}/slo"

    def ask(self, method, path, body=None):
        body = None if body is None else json.dumps(body)
        answer = self.http.send(method, f"/v1/orgs/{self.slug}{path}", body, self.headers)
        if answer.status >= 300:
            raise SystemExit(f"{method} {path} was answered {answer.status}: {answer.body.decode()}")
        return answer.json if answer.body else None

    def forget(self, names):
        """Deletes what an earlier run has left."""
        for connection in self.ask("GET", "/saml/connections?limit=100")["results"]:
            if connection["name"] in names:
                self.ask("DELETE", f"/saml/connections/{connection['id']}")

    def connect(self, name, keys, **more):
        body = {
            "name": name,
            "entity_id": f"https://{name}.idp.example/{int(time.time() * 1000)}",
            "sso_url": f"https://{name}.idp.example/sso",
            "sso_binding": "redirect",
            "slo_url": f"https://{name}.idp.example/slo",
            "slo_binding": "redirect",
            "certificates": [key.pem for key in keys],
            "domains": ["idp.example" if name == "main" else f"{name}.example"],
            "jit_provisioning": True,
            **more,
        }
        id_ = self.ask("POST", "/saml/connections", body)["id"]
        return Connection(self, id_, name, body["entity_id"], keys[0])

    def events(self):
        """What its administrator reads about the newest messages."""
        return self.ask("GET", "/saml/events?limit=100")["results"]

    def people(self):
        return self.ask("GET", "/users?limit=1")["count"]

    def encryption_key(self):
        """The service provider's public key, from its metadata."""
        metadata = etree.fromstring(self.http.send("GET", self.entity_id).body)
        path = "//*[local-name()='KeyDescriptor'][@use='encryption']//*[local-name()='X509Certificate']"
        der = base64.b64decode(metadata.xpath(path)[0].text)
        return x509.load_der_x509_certificate(der).public_key()


@dataclass
class Connection:
    organization: Organization
    id: str
    name: str
    entity_id: str
    key: object

    def visit(self, return_to="/", cookies=None):
        """A browser that asks to sign in, and is sent to the identity provider."""
        organization = self.organization
        query = urlencode({"connection": self.id, "return_to": return_to})
        headers = {"Cookie": cookie_header(cookies)} if cookies else {}
        answer = organization.http.send("GET", f"/v1/saml/{organization.slug}/login?{query}", None, headers)
        if answer.status not in (302, 303):
            raise NotSent(answer)
        sent = parse_qs(urlsplit(answer.header("location")).query)
        request = etree.fromstring(zlib.decompress(base64.b64decode(sent["SAMLRequest"][0]), -15))
        return Visit(self, {**(cookies or {}), **answer.cookies}, request.get("ID"), sent["RelayState"][0])


class NotSent(Exception):
    def __init__(self, answer):
        super().__init__(f"login was answered {answer.status}: {answer.body[:500]}")
        self.answer = answer


@dataclass
class Visit:
    """A browser that waits for the identity provider."""

    connection: Connection
    cookies: dict
    request_id: str | None
    relay_state: str | None

    def claims(self, **changes):
        organization = self.connection.organization
        known = {
            "issuer": self.connection.entity_id,
            "acs": organization.acs,
            "audience": organization.entity_id,
            "in_response_to": self.request_id,
            # No two connections speak of the same person.
            "name_id": "ann@idp.example" if self.connection.name == "main" else f"ann@{self.connection.name}.example",
        }
        return Claims(**{**known, **changes})

    def mint(self, sign="assertion", how=None, before=None, envelope=None, key=None, **changes):
        """A response, signed as told. `before` changes its text before that."""
        how = how or How(key or self.connection.key)
        claims = self.claims(**changes)
        assertion = claims.assertion()
        assertion = before(assertion) if before else assertion
        if sign in ("assertion", "both"):
            assertion = signed(assertion, claims.assertion_id, how)
        if envelope:
            assertion = encrypted(assertion, envelope)
        response = claims.response(assertion)
        return signed(response, claims.response_id, how) if sign in ("response", "both") else response

    def post(self, message, **changes):
        return Post(self, message, **changes).send()


def cookie_header(cookies):
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def encode(message, wrap=None):
    text = base64.b64encode(message.encode() if isinstance(message, str) else message).decode()
    return "\r\n".join(text[i : i + wrap] for i in range(0, len(text), wrap)) if wrap else text


@dataclass
class Post:
    """What a browser sends to the assertion consumer."""

    visit: Visit
    message: object = None  # text or bytes of XML
    value: str | None = None  # in place of the message's base64
    fields: list | None = None  # in place of both fields
    body: bytes | None = None  # in place of the form
    relay_state: object = ""
    cookies: dict | None = None
    path: str | None = None
    method: str = "POST"
    headers: dict = field(default_factory=dict)

    def send(self):
        visit = self.visit
        organization = visit.connection.organization
        fields = self.fields
        if fields is None:
            relay_state = visit.relay_state if self.relay_state == "" else self.relay_state
            fields = [("SAMLResponse", encode(self.message or "") if self.value is None else self.value)]
            fields += [("RelayState", relay_state)] if relay_state is not None else []
        body = urlencode(fields) if self.body is None else self.body
        headers = {"Content-Type": "application/x-www-form-urlencoded", **self.headers}
        cookies = visit.cookies if self.cookies is None else self.cookies
        if cookies:
            headers["Cookie"] = cookie_header(cookies)
        path = self.path or organization.acs
        if self.method == "GET":
            return organization.http.send("GET", f"{path}?{body}", None, headers)
        return organization.http.send(self.method, path, body, headers)


def stays(location, url):
    """Whether a browser that follows this stays where it is."""
    if location is None:
        return True
    # Browsers read a backslash as a slash, and skip tabs and line ends.
    read = location.replace("\\", "/").replace("\t", "").replace("\r", "").replace("\n", "").strip()
    return urlsplit(urljoin(url, read)).netloc == urlsplit(url).netloc
