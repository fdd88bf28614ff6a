"""Encrypted assertions that are not what they seem, or that would tell a stranger what is inside. What fails in decrypting is
answered alike, whatever it was: else answers would be an oracle."""

import os
import re

from mint import SAML, XENC, Envelope, How, encrypted, new_id, signed
from scene import attack, each

CBC = XENC + "aes256-cbc"


def flip(at):
    def bend(data):
        data = bytearray(data)
        data[at] ^= 1
        return bytes(data)

    return bend


def sealed(scene, **changes):
    return Envelope(scene.encryption, **changes)


@each(
    "decryption_failed",
    "ciphertext",
    {
        "with a bit flipped": {"bend": flip(40)},
        "with a bit of its nonce flipped": {"bend": flip(0)},
        "with a bit of its tag flipped": {"bend": flip(-1)},
        "without its tag": {"bend": lambda data: data[:-16]},
        "cut to its nonce": {"bend": lambda data: data[:12]},
        "cut to 11 bytes": {"bend": lambda data: data[:11]},
        "cut to one byte": {"bend": lambda data: data[:1]},
        "empty": {"bend": lambda data: b""},
        "of noise": {"bend": lambda data: os.urandom(len(data))},
        "whose key has a bit flipped": {"bend_key": flip(10)},
        "whose key is noise": {"bend_key": lambda key: os.urandom(len(key))},
        "whose key is zeros": {"bend_key": lambda key: bytes(len(key))},
        "whose key is cut": {"bend_key": lambda key: key[:-1]},
        "whose key is empty": {"bend_key": lambda key: b""},
        "whose key is too short for its cipher": {"key_size": 16},
        "whose key is too long for its cipher": {
            "cipher": "http://www.w3.org/2009/xmlenc11#aes128-gcm",
            "key_size": 32,
        },
        "whose key is said to be of another digest": {"oaep": "sha1", "said_oaep": "sha256"},
        "whose key is of another digest than is said": {"oaep": "sha256", "said_oaep": "sha1"},
    },
    alike="decryption",
)
def _(visit, scene, changes):
    return visit.mint(envelope=sealed(scene, **changes))


@attack("encrypted for another", "decryption_failed", alike="decryption")
def _(visit, scene):
    return visit.mint(envelope=Envelope(scene.stranger.private.public_key()))


# Its sender knows what is inside, for he has encrypted it so: GCM would tell any other.
@each(
    None,
    "a plain text that is",
    {
        "no XML": ("bad_xml", b"not XML at all, but long enough to be something"),
        "no UTF-8": ("bad_encoding", b"\xff\xfe" * 100),
        "nothing": ("bad_xml", b""),
        "zeros": ("forbidden_markup", bytes(1000)),
        "another element": ("unexpected_message", b"<x/>"),
    },
    alike="decryption",
)
def _(visit, scene, plain):
    claims = visit.claims()
    return signed(claims.response(encrypted(plain, sealed(scene))), claims.response_id, scene.how(visit))


def around(make):
    """A plain text that is made of a signed assertion, in a response that is not signed."""

    def message(visit, scene):
        claims = visit.claims()
        assertion = signed(claims.assertion(), claims.assertion_id, scene.how(visit))
        return claims.response(encrypted(make(assertion, visit), sealed(scene)))

    return message


def with_advice(assertion, advice):
    """An assertion that holds something more than was signed: what is to be refused for its shape is not verified."""
    return assertion.replace("</saml:Assertion>", f"<saml:Advice>{advice}</saml:Advice></saml:Assertion>")


@each(
    None,
    "a plain text with",
    {
        "two assertions, two roots": ("bad_xml", around(lambda assertion, visit: assertion + assertion)),
        "something behind the assertion": ("bad_xml", around(lambda assertion, visit: assertion + "<x/>")),
        "another assertion in its advice": (
            "several_assertions",
            around(
                lambda assertion, visit: with_advice(assertion, visit.claims(name_id="admin@acme.example").assertion())
            ),
        ),
        "an encrypted one in its advice": (
            "several_assertions",
            around(
                lambda assertion, visit: with_advice(assertion, f'<saml:EncryptedAssertion xmlns:saml="{SAML}"/>')
            ),
        ),
        "a document type": ("forbidden_markup", around(lambda assertion, visit: "<!DOCTYPE x>" + assertion)),
        "an external entity": (
            "forbidden_markup",
            around(
                lambda assertion, visit: '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + assertion
            ),
        ),
        "a comment in the NameID": (
            "forbidden_markup",
            around(lambda assertion, visit: assertion.replace("@idp", "<!---->@idp")),
        ),
        "a processing instruction": ("forbidden_markup", around(lambda assertion, visit: "<?x?>" + assertion)),
        "a whole response": ("unexpected_message", around(lambda assertion, visit: visit.mint())),
        "the assertion in another element": (
            "unexpected_message",
            around(lambda assertion, visit: f"<x>{assertion}</x>"),
        ),
        "5,000 tags": ("too_complex", around(lambda assertion, visit: with_advice(assertion, "<x/>" * 5000))),
        "elements 100 deep": (
            "too_complex",
            around(lambda assertion, visit: with_advice(assertion, "<x>" * 100 + "</x>" * 100)),
        ),
    },
)
def _(visit, scene, message):
    return message(visit, scene)


@attack("a plain text that is encrypted once more", "unexpected_message")
def _(visit, scene):
    claims = visit.claims()
    assertion = signed(claims.assertion(), claims.assertion_id, scene.how(visit))
    return claims.response(encrypted(encrypted(assertion, sealed(scene)), sealed(scene)))


@attack("encrypted, signed neither inside nor around", "not_signed")
def _(visit, scene):
    return visit.mint(sign=None, envelope=sealed(scene))


@attack("encrypted, signed inside by a stranger", "invalid_signature")
def _(visit, scene):
    return visit.mint(how=How(scene.stranger), envelope=sealed(scene))


@attack("encrypted, the signature inside over another text", "invalid_signature")
def _(visit, scene):
    claims = visit.claims()
    assertion = signed(claims.assertion(), claims.assertion_id, scene.how(visit)).replace("ann@idp", "admin@idp")
    return claims.response(encrypted(assertion, sealed(scene)))


@attack("encrypted, the response signed around by a stranger", "invalid_signature")
def _(visit, scene):
    claims = visit.claims()
    return signed(
        claims.response(encrypted(claims.assertion(), sealed(scene))), claims.response_id, How(scene.stranger)
    )


@each("cbc_not_allowed", "where CBC is not allowed", {"AES-256-CBC": CBC, "AES-128-CBC": XENC + "aes128-cbc"})
def _(visit, scene, cipher):
    return visit.mint(envelope=sealed(scene, cipher=cipher))


@each(
    "encryption_algorithm",
    "encrypted with",
    {
        "Triple DES": {"cipher": XENC + "tripledes-cbc", "key_size": 24},
        "a key wrapped by RSA 1.5": {"transport": XENC + "rsa-1_5"},
    },
)
def _(visit, scene, changes):
    return visit.mint(envelope=sealed(scene, **changes))


@each(
    "encryption_algorithm",
    "where CBC is allowed",
    {
        "Triple DES": {"cipher": XENC + "tripledes-cbc", "key_size": 24},
        "a key wrapped by RSA 1.5": {"cipher": CBC, "transport": XENC + "rsa-1_5"},
    },
    connection="cbc",
)
def _(visit, scene, changes):
    return visit.mint(envelope=sealed(scene, **changes))


@each(
    "decryption_failed",
    "where CBC is allowed: ciphertext",
    {
        "with a bit of its padding flipped": {"bend": flip(-17)},
        "with its last block flipped": {"bend": flip(-1)},
        "with a bit flipped in the middle": {"bend": flip(200)},
        "without its last block": {"bend": lambda data: data[:-16]},
        "that is no whole blocks": {"bend": lambda data: data[:-5]},
        "of its first block only": {"bend": lambda data: data[:16]},
        "of 15 bytes": {"bend": lambda data: data[:15]},
        "empty": {"bend": lambda data: b""},
        "whose key has a bit flipped": {"bend_key": flip(10)},
    },
    connection="cbc",
    alike="decryption, CBC",
)
def _(visit, scene, changes):
    return visit.mint(envelope=sealed(scene, cipher=CBC, **changes))


@attack("two encrypted assertions", "several_assertions")
def _(visit, scene):
    claims = visit.claims()
    assertion = signed(claims.assertion(), claims.assertion_id, scene.how(visit))
    return claims.response(encrypted(assertion, sealed(scene)) + encrypted(assertion, sealed(scene)))


@attack("an assertion beside an encrypted one", "several_assertions")
def _(visit, scene):
    claims = visit.claims()
    assertion = signed(claims.assertion(), claims.assertion_id, scene.how(visit))
    return claims.response(encrypted(assertion, sealed(scene)) + visit.claims(name_id="admin@acme.example").assertion())


@each(
    "bad_reference",
    "ciphertext by reference to",
    {"a file": "file:///etc/passwd", "/dev/zero": "file:///dev/zero", "a URL": "TRAP/cipher"},
)
def _(visit, scene, uri):
    reference = f'<xenc:CipherReference URI="{uri.replace("TRAP", scene.trap)}"/>'
    whole = visit.mint(envelope=sealed(scene))
    head, _, tail = whole.rpartition("<xenc:CipherValue>")
    return head + reference + tail.partition("</xenc:CipherValue>")[2]


@each(
    "bad_reference",
    "EncryptedKey by reference to",
    {"a file": "file:///dev/zero", "a URL": "TRAP/key", "nothing that is there": "#nowhere"},
)
def _(visit, scene, uri):
    whole = visit.mint(envelope=sealed(scene, key_beside=True))
    return re.sub(r'(RetrievalMethod[^>]* URI=)"[^"]*"', rf'\1"{uri.replace("TRAP", scene.trap)}"', whole)


@attack("no EncryptedKey", "bad_encryption")
def _(visit, scene):
    whole = visit.mint(envelope=sealed(scene))
    return re.sub(r"<ds:KeyInfo.*?</ds:KeyInfo>", "", whole, flags=re.S)


KEY = "<xenc:EncryptedKey.*?</xenc:EncryptedKey>"
DATA = "<xenc:EncryptedData.*</xenc:EncryptedData>"


def renamed(element):
    """The same with other ids, so that it is not for these that it is refused."""
    return re.sub(' Id="[^"]*"', lambda _: f' Id="{new_id()}"', element)


# Each would cost an RSA operation for each key of ours, before any signature is looked at.
@each(
    "bad_encryption",
    "EncryptedKeys, each with an id of its own",
    {"2": 2, "100": 100},
    because="not exactly one EncryptedKey",
)
def _(visit, scene, count):
    whole = visit.mint(envelope=sealed(scene))
    return re.sub(KEY, lambda key: "".join(renamed(key[0]) for _ in range(count)), whole, flags=re.S)


@attack("an EncryptedKey in the data, and another beside it", "bad_encryption", because="not exactly one EncryptedKey")
def _(visit, scene):
    whole = visit.mint(envelope=sealed(scene))
    beside = renamed(re.search(KEY, whole, flags=re.S)[0])
    return whole.replace("</saml:EncryptedAssertion>", beside + "</saml:EncryptedAssertion>")


@attack("two EncryptedData", "bad_encryption", because="not exactly one EncryptedData")
def _(visit, scene):
    whole = visit.mint(envelope=sealed(scene))
    return re.sub(DATA, lambda data: data[0] + renamed(data[0]), whole, flags=re.S)


@attack("an EncryptedData that holds another like it", "bad_encryption", because="not exactly one EncryptedKey")
def _(visit, scene):
    whole = visit.mint(envelope=sealed(scene))
    within = lambda data: data[0].replace("<ds:KeyInfo", renamed(data[0]) + "<ds:KeyInfo", 1)
    return re.sub(DATA, within, whole, flags=re.S)


@attack("an EncryptedKey twice, with its id", "duplicate_id")
def _(visit, scene):
    whole = visit.mint(envelope=sealed(scene))
    return re.sub(KEY, lambda key: key[0] * 2, whole, flags=re.S)
