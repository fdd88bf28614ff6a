"""Names that two readers read differently: comments, CDATA and processing instructions leave a signature whole, and some
readers then see half of a text."""

import random
import re

from scene import attack, each

# What the identity provider has signed, of someone who may call himself so there.
LONG = "admin@acme.example.evil.example"
HEAD, TAIL = "admin@acme.example", ".evil.example"

SPLITS = {
    "a comment": f"{HEAD}<!---->{TAIL}",
    "a comment with words": f"{HEAD}<!-- x -->{TAIL}",
    "CDATA": f"{HEAD}<![CDATA[{TAIL}]]>",
    "a processing instruction": f"{HEAD}<?x?>{TAIL}",
}


@each("forbidden_markup", "NameID split after signing by", SPLITS)
def _(visit, scene, split):
    return visit.mint(name_id=LONG).replace(LONG, split)


@each("forbidden_markup", "attribute value split after signing by", SPLITS)
def _(visit, scene, split):
    return visit.mint("response", attributes={"email": [LONG]}).replace(LONG, split)


@each("forbidden_markup", "NameID signed as it is, with", SPLITS)
def _(visit, scene, split):
    return visit.mint(before=lambda text: text.replace(">ann@idp.example</saml:NameID>", f">{split}</saml:NameID>"))


@attack("NameID split after signing by an entity that is not there", "bad_xml")
def _(visit, scene):
    return visit.mint(name_id=LONG).replace(LONG, f"{HEAD}&x;{TAIL}")


@attack("NameID signed with an element in it", "bad_name_id")
def _(visit, scene):
    inside = f"{HEAD}<x>{TAIL}</x>"
    return visit.mint(before=lambda text: text.replace(">ann@idp.example</saml:NameID>", f">{inside}</saml:NameID>"))


@each(
    "forbidden_markup",
    "a comment in",
    {"Issuer": "saml:Issuer", "Audience": "saml:Audience", "DigestValue": "ds:DigestValue"},
)
def _(visit, scene, name):
    return visit.mint().replace(f"</{name}>", f"<!---->.evil</{name}>")


@attack("two NameIDs", "bad_name_id")
def _(visit, scene):
    second = "<saml:NameID>admin@acme.example</saml:NameID></saml:Subject>"
    return visit.mint(before=lambda text: text.replace("</saml:Subject>", second))


@attack("two Subjects", "bad_name_id")
def _(visit, scene):
    second = "</saml:Subject><saml:Subject><saml:NameID>admin@acme.example</saml:NameID></saml:Subject>"
    return visit.mint(before=lambda text: text.replace("</saml:Subject>", second, 1))


@attack("an empty NameID", "bad_name_id")
def _(visit, scene):
    return visit.mint(name_id="")


@attack("no NameID", "bad_name_id")
def _(visit, scene):
    return visit.mint(before=lambda text: re.sub("<saml:NameID.*?</saml:NameID>", "", text))


@attack("no Subject", "bad_name_id")
def _(visit, scene):
    return visit.mint(subject=False)


@attack("an EncryptedID in place of the NameID", "encrypted_id")
def _(visit, scene):
    return visit.mint(before=lambda text: re.sub("<saml:NameID.*?</saml:NameID>", "<saml:EncryptedID/>", text))


# A database's index holds 2,700 bytes of it, if it is not letters that repeat.
@each(
    "bad_name_id",
    "a NameID of",
    {
        "100,000 letters": lambda: "a" * 100_000,
        "1,025 letters": lambda: "a" * 1_025,
        "1,024 letters of three bytes": lambda: "".join(chr(random.randrange(0x4E00, 0x9FA0)) for _ in range(1_024)),
    },
)
def _(visit, scene, make):
    return visit.mint(name_id=make())


@attack("NameID of another namespace", "bad_name_id")
def _(visit, scene):
    other = '<x:NameID xmlns:x="urn:x">ann@idp.example</x:NameID><saml:SubjectConfirmation'
    cut = lambda text: re.sub("<saml:NameID.*?</saml:NameID>", "", text).replace("<saml:SubjectConfirmation", other, 1)
    return visit.mint(before=cut)
