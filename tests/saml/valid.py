"""What a strict reader still has to take: forms in which real identity providers answer."""

from mint import PERSISTENT, XENC, Envelope, How, at, encrypted, new_id, signed
from world import Post, encode

GCM_128 = "http://www.w3.org/2009/xmlenc11#aes128-gcm"
OAEP_11 = "http://www.w3.org/2009/xmlenc11#rsa-oaep"
VALID = []


def valid(title, connection="main"):
    def register(make):
        VALID.append((title, connection, make))
        return make

    return register


def minted(title, connection="main", **how):
    @valid(title, connection)
    def _(visit, scene):
        made = {name: value(visit, scene) if callable(value) else value for name, value in how.items()}
        return visit.mint(**made)


minted("assertion signed")
minted("response signed", sign="response")
minted("both signed", sign="both")
for digest in ("sha384", "sha512"):
    minted(f"RSA with {digest}", how=lambda visit, scene, digest=digest: scene.how(visit, digest=digest))
minted("the second certificate of a rollover, RSA", how=lambda visit, scene: How(scene.second))
minted("the third certificate, ECDSA P-256", how=lambda visit, scene: How(scene.curve))
minted("ECDSA P-384 with sha384", how=lambda visit, scene: How(scene.curve_384, digest="sha384"))
minted("no KeyInfo", how=lambda visit, scene: scene.how(visit, key_info=None))
minted(
    "a KeyInfo of another, which means nothing",
    how=lambda visit, scene: scene.how(
        visit, key_info=f"<ds:X509Data><ds:X509Certificate>{scene.stranger.base64}</ds:X509Certificate></ds:X509Data>"
    ),
)
minted(
    "InclusiveNamespaces with xs, as Okta writes it",
    sign="both",
    how=lambda visit, scene: scene.how(visit, prefixes="xs"),
)
minted(
    "a persistent NameID, e-mail in an attribute",
    name_id="8f1c-2290",
    format=PERSISTENT,
    attributes={"urn:oid:0.9.2342.19200300.100.1.3": ["p@idp.example"]},
)
minted(
    "e-mail as Entra ID names it",
    name_id="entra-1",
    format=PERSISTENT,
    attributes={
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": ["entra@idp.example"],
        "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/givenname": ["Eva"],
    },
)
minted(
    "a clock 50 s slow",
    not_before=lambda v, s: at(-400),
    not_on_or_after=lambda v, s: at(-50),
    confirmation_ends=lambda v, s: at(-50),
)
minted(
    "a clock 50 s fast",
    not_before=lambda v, s: at(50),
    issue_instant=lambda v, s: at(50),
    authn_instant=lambda v, s: at(50),
)
minted(
    "fractions of seconds",
    not_on_or_after=lambda v, s: at(300).replace("Z", ".123Z"),
    issue_instant=lambda v, s: at(0).replace("Z", ".1234567Z"),
)
minted("a session that ends", session_ends=lambda v, s: at(3600))
minted("two audiences, one of them ours", audiences=lambda v, s: [["https://other.example", s.acme.entity_id]])
minted("two restrictions, both ours", audiences=lambda v, s: [[s.acme.entity_id], [s.acme.entity_id, "urn:x"]])
minted("500 groups", attributes={"groups": [f"group-{n}" for n in range(500)]})
minted("a OneTimeUse condition", extra_conditions="<saml:OneTimeUse/>")

minted("encrypted, signed inside", envelope=lambda v, s: Envelope(s.encryption))
minted(
    "encrypted with AES-128-GCM, signed inside and around",
    sign="both",
    envelope=lambda v, s: Envelope(s.encryption, cipher=GCM_128),
)
minted(
    "encrypted by OAEP with SHA-256 as XML Encryption 1.1 names it",
    envelope=lambda v, s: Envelope(s.encryption, transport=OAEP_11, oaep="sha256"),
)
minted(
    "encrypted with AES-256-CBC where allowed",
    "cbc",
    envelope=lambda v, s: Envelope(s.encryption, cipher=XENC + "aes256-cbc"),
)


@valid("encrypted, signed around only")
def _(visit, scene):
    claims = visit.claims()
    return signed(
        claims.response(encrypted(claims.assertion(), Envelope(scene.encryption))), claims.response_id, scene.how(visit)
    )


@valid("an XML declaration and line ends between the elements")
def _(visit, scene):
    claims = visit.claims()
    assertion = signed(claims.assertion().replace("><", ">\n  <"), claims.assertion_id, scene.how(visit))
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + claims.response("\n" + assertion + "\n") + "\n"


@valid("base64 in lines")
def _(visit, scene):
    return Post(visit, value=encode(visit.mint(), wrap=76))


@valid("other prefixes, and none")
def _(visit, scene):
    claims = visit.claims()
    assertion = claims.assertion().replace("saml:", "").replace("xmlns:saml", "xmlns")
    assertion = signed(assertion, claims.assertion_id, scene.how(visit))
    return signed(
        claims.response(assertion).replace("samlp:", "saml2p:").replace("xmlns:samlp", "xmlns:saml2p"),
        claims.response_id,
        scene.how(visit),
    )


@valid("unsolicited, where that is allowed", "unasked")
def _(visit, scene):
    message = visit.mint(in_response_to=None, response_request=None, confirmation_request=None)
    return Post(visit, message, relay_state=None, cookies={})
