"""Documents that cost more to read than to write, and those that two parsers read differently."""

import base64
import gzip
import itertools
import json
import zlib
from urllib.parse import quote_plus

from mint import How
from scene import attack, each
from world import Post, encode

BILLION = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))


def prolog(text_):
    return lambda visit, scene: text_.replace("TRAP", scene.trap) + visit.mint()


@each(
    "forbidden_markup",
    "a document type with",
    {
        "nothing": prolog("<!DOCTYPE x>"),
        "an entity bomb": lambda visit, scene: (
            f'<!DOCTYPE x [<!ENTITY e0 "aaaaaaaaaa">{BILLION}]>' + visit.mint().replace("ann@idp.example", "&e11;")
        ),
        "a big entity many times": lambda visit, scene: (
            f'<!DOCTYPE x [<!ENTITY e "{"a" * 50_000}">]>' + visit.mint().replace("ann@idp.example", "&e;" * 20_000)
        ),
        "an external entity": lambda visit, scene: (
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + visit.mint().replace("ann@idp.example", "&e;")
        ),
        "an entity of /dev/zero": lambda visit, scene: (
            '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///dev/zero">]>' + visit.mint().replace("ann@idp.example", "&e;")
        ),
        "an external subset": prolog('<!DOCTYPE x SYSTEM "TRAP/dtd">'),
        "a parameter entity": prolog('<!DOCTYPE x [<!ENTITY % p SYSTEM "TRAP/p"> %p;]>'),
        "default attributes": prolog('<!DOCTYPE x [<!ATTLIST saml:Assertion ID ID "x">]>'),
        "an external entity in PUBLIC form": prolog('<!DOCTYPE x PUBLIC "-//x//x" "TRAP/public">'),
    },
)
def _(visit, scene, make):
    return make(visit, scene)


@each(
    "forbidden_markup",
    "a document with",
    {
        "a style sheet": lambda whole: '<?xml-stylesheet href="http://evil.example"?>' + whole,
        "a comment before it": lambda whole: "<!-- x -->" + whole,
        "a comment behind it": lambda whole: whole + "<!-- x -->",
        "a NUL": lambda whole: whole.replace("ann@idp", "ann\0@idp"),
        "two XML declarations": lambda whole: '<?xml version="1.0"?>' * 2 + whole,
        "XML 1.1": lambda whole: '<?xml version="1.1"?>' + whole,
        "HTML": lambda whole: "<!DOCTYPE html><html><body>Sign in</body></html>",
    },
)
def _(visit, scene, change):
    return change(visit.mint())


@each(
    "bad_xml",
    "a document with",
    {
        "a second root": lambda whole: whole + "<x/>",
        "text behind it": lambda whole: whole + "x",
        "an unclosed tag": lambda whole: whole[:-1],
        "half of it": lambda whole: whole[: len(whole) // 2],
        "an attribute twice": lambda whole: whole.replace(' Version="2.0"', ' Version="2.0" Version="2.0"', 1),
        "a prefix that is not declared": lambda whole: whole.replace("<samlp:Status>", "<nope:x/><samlp:Status>"),
        "a reference to NUL": lambda whole: whole.replace("ann@idp", "ann&#0;@idp"),
        "a control character": lambda whole: whole.replace("ann@idp", "ann\x01@idp"),
        "an entity of HTML": lambda whole: whole.replace("ann@idp", "ann&nbsp;@idp"),
        "nothing": lambda whole: "",
        "spaces only": lambda whole: "   ",
        "words only": lambda whole: "not XML",
        "JSON": lambda whole: json.dumps({"SAMLResponse": whole}),
    },
)
def _(visit, scene, change):
    return change(visit.mint())


@each(
    "bad_encoding",
    "written in",
    {
        "UTF-16": lambda whole: whole.encode("utf-16"),
        "UTF-32": lambda whole: whole.encode("utf-32"),
        "Latin 1": lambda whole: whole.replace("ann", "änn").encode("latin-1"),
        "EBCDIC": lambda whole: whole.encode("cp037"),
        "UTF-8 with a byte too many": lambda whole: whole.encode().replace(b"ann@idp", b"ann\xff@idp"),
        "UTF-8, overlong": lambda whole: whole.encode().replace(b"ann@idp", b"ann\xc0\x80@idp"),
        "UTF-8 with half a surrogate": lambda whole: whole.encode().replace(b"ann@idp", b"ann\xed\xa0\x80@idp"),
    },
)
def _(visit, scene, change):
    return change(visit.mint())


# All of these are UTF-8, and whoever heeds what they say or look like reads something else.
@each(
    "forbidden_markup",
    "UTF-8 by its bytes",
    {
        "UTF-16 without a mark": lambda whole: whole.encode("utf-16-le"),
        "said to be Latin 1": lambda whole: '<?xml version="1.0" encoding="ISO-8859-1"?>' + whole,
        "said to be UTF-16": lambda whole: '<?xml version="1.0" encoding="UTF-16"?>' + whole,
        "said to be UTF-7": lambda whole: '<?xml version="1.0" encoding="UTF-7"?>' + whole,
    },
)
def _(visit, scene, change):
    return change(visit.mint())


@each(
    "bad_encoding",
    "a field that is",
    {
        "no base64": lambda whole: "!" * 1000,
        "XML itself": lambda whole: whole,
        "base64 with a letter too many": lambda whole: encode(whole + " " * (-len(whole.encode()) % 3)) + "A",
        "base64 and more": lambda whole: encode(whole) + "=x",
    },
)
def _(visit, scene, change):
    return Post(visit, value=change(visit.mint()))


@attack("a field that is base64 for URLs", "bad_encoding")
def _(visit, scene):
    # A `?` at every third place ends in the bits of the last letter, a `>` in those of the one before.
    value = base64.urlsafe_b64encode(visit.mint(attributes={"x": ["?????>>>>>"]}).encode()).decode()
    assert "-" in value and "_" in value
    return Post(visit, value=value)


@each(
    "bad_encoding",
    "compressed",
    {
        "deflate": lambda whole: zlib.compress(whole)[2:-4],
        "zlib": zlib.compress,
        "gzip": gzip.compress,
        "a deflate bomb": lambda whole: zlib.compress(b"<a>" + b"a" * 100_000_000)[2:-4],
    },
)
def _(visit, scene, change):
    return change(visit.mint().encode())


@attack("a body that says it is compressed, a bomb", "bad_xml")
def _(visit, scene):
    bomb = gzip.compress(b"SAMLResponse=" + b"a" * 100_000_000)
    return Post(visit, body=bomb, headers={"Content-Encoding": "gzip"})


def stuffed(stuff):
    """A message whose assertion has this in its advice, signed as it is."""
    return lambda visit, scene: visit.mint(more=f"<saml:Advice>{stuff}</saml:Advice>")


@each(
    "too_complex",
    "too much",
    {
        "elements 45 deep": stuffed("<x>" * 45 + "</x>" * 45),
        "elements 5,000 deep": lambda visit, scene: visit.mint().replace(
            "<samlp:Status>", "<x>" * 5000 + "</x>" * 5000 + "<samlp:Status>"
        ),
        "elements 50,000 deep, not closed": lambda visit, scene: visit.mint().replace("<samlp:Status>", "<x>" * 50_000),
        "100,000 elements": lambda visit, scene: visit.mint().replace(
            "<samlp:Status>", "<x/>" * 100_000 + "<samlp:Status>"
        ),
        "a tag of 20,000 letters": stuffed(f'<x a="{"a" * 20_000}"/>'),
        "a tag with 20,000 attributes": lambda visit, scene: visit.mint().replace(
            "<samlp:Status>", "<x " + " ".join(f'a{n}=""' for n in range(20_000)) + "/><samlp:Status>"
        ),
        "a tag with 5,000 namespaces": lambda visit, scene: visit.mint().replace(
            "<samlp:Status>", "<x " + " ".join(f'xmlns:a{n}="u{n}"' for n in range(5_000)) + "/><samlp:Status>"
        ),
        "8,000 values of an attribute": lambda visit, scene: visit.mint(
            attributes={"groups": [str(n) for n in range(8_000)]}
        ),
        "4,000 attributes": lambda visit, scene: visit.mint(attributes={str(n): ["x"] for n in range(4_000)}),
    },
)
def _(visit, scene, make):
    return make(visit, scene)


# Canonicalization looks through all declarations in force at each element, so what is in force is limited, not the sum.
def flood(depth, each_, siblings):
    """So many elements in each other that declare namespaces, and so many more inside of the innermost."""
    names = itertools.count()
    declared = lambda count: "".join(f' xmlns:n{next(names)}="urn:u"' for _ in range(count))
    opened = "".join(f"<x{declared(each_)}>" for _ in range(depth))
    return opened + "".join(f"<y{declared(siblings[1])}/>" for _ in range(siblings[0])) + "</x>" * depth


@each(
    "too_complex",
    "namespaces",
    {
        "1,500 in force, 50 on each of 30 elements": flood(30, 50, (1, 0)),
        "62 in force, 2 on each of 30 elements and one inside": flood(30, 2, (1, 1)),
        "50 in force, and 40 more in each of 200 elements": flood(1, 50, (200, 40)),
    },
    because="too many namespaces",
)
def _(visit, scene, declarations):
    return visit.mint().replace("<samlp:Status>", f"<samlp:Extensions>{declarations}</samlp:Extensions><samlp:Status>")


# As many as come through the gate. Nobody vouches for them: what they cost is paid for strangers.
@each(
    "invalid_signature",
    "signed by a stranger, namespaces",
    {
        "20,000, of which 50 are in force": flood(1, 0, (400, 50)),
        "56 in force in each of 3,500 elements": flood(28, 2, (3500, 0)),
    },
)
def _(visit, scene, declarations):
    used = declarations.replace("<y/>", '<y n0:a=""/>')
    return visit.mint("response", how=How(scene.stranger), more=f"<saml:Advice>{used}</saml:Advice>")


@attack("600 kB of text", "too_large")
def _(visit, scene):
    return visit.mint(attributes={"x": ["a" * 600_000]})


@attack("a body of 2 MB", "http 413")
def _(visit, scene):
    return Post(visit, value="A" * 2_000_000)


@attack("a body of 40 MB", "http 413")
def _(visit, scene):
    return Post(visit, body=b"SAMLResponse=" + b"A" * 40_000_000)


@attack("600 kB of white space in the field", "bad_xml")
def _(visit, scene):
    return Post(visit, value=" " * 600_000)


# --- what is sent


@each(
    "http 4xx",
    "sent as",
    {
        "GET": {"method": "GET"},
        "PUT": {"method": "PUT"},
        "text": {"headers": {"Content-Type": "text/plain"}},
        "JSON": {"headers": {"Content-Type": "application/json"}, "body": b'{"SAMLResponse": "x"}'},
    },
)
def _(visit, scene, changes):
    return Post(visit, visit.mint(), **changes)


# Nothing to read: what is not there, or there twice, is an empty message.
@each(
    "bad_xml",
    "a form with",
    {
        "no field": lambda value: [],
        "another field": lambda value: [("samlresponse", value)],
        "SAMLRequest": lambda value: [("SAMLRequest", value)],
        "two fields": lambda value: [("SAMLResponse", value), ("SAMLResponse", value)],
    },
)
def _(visit, scene, make):
    return Post(visit, fields=[*make(encode(visit.mint())), ("RelayState", visit.relay_state)])


@attack("a form without the field, which is in the query", "bad_xml")
def _(visit, scene):
    path = f"{visit.connection.organization.acs}?SAMLResponse={quote_plus(encode(visit.mint()))}"
    return Post(visit, fields=[("RelayState", visit.relay_state)], path=path)


@attack("a form with two RelayStates", "wrong_relay_state")
def _(visit, scene):
    fields = [("SAMLResponse", encode(visit.mint())), ("RelayState", "x"), ("RelayState", visit.relay_state)]
    return Post(visit, fields=fields)


@each(
    None,
    "a form that",
    {
        "ends in the middle of an escape": ("bad_encoding", b"SAMLResponse=%4"),
        "is no text": ("bad_encoding", b"SAMLResponse=%ff%fe&\xff\xfe=\xff"),
        # What is not there is an empty message.
        "is empty": ("bad_xml", b""),
    },
)
def _(visit, scene, body):
    return Post(visit, body=body)


@attack("to an organization that is not there", "http 404")
def _(visit, scene):
    return Post(visit, visit.mint(), path="/v1/saml/no-such-organization/acs")


@each("bad_id", "an id that is no name", {"a space": "a b", "a digit first": "9a", "empty": ""})
def _(visit, scene, id_):
    return visit.mint(assertion_id=id_)
