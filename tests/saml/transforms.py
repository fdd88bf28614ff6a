"""What a signature asks to be done to a document before it is compared: programs, if one lets it."""

from mint import DIGESTS, DS, ENVELOPED, EXC_C14N, How, method
from scene import attack, each

C14N = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


def within(name, inside):
    """A signature one of whose empty elements has something inside, and is signed so."""

    def bend(template):
        at = template.index(f"<ds:{name} ")
        end = template.index("/>", at)
        return f"{template[:end]}>{inside}</ds:{name}>{template[end + 2 :]}"

    return bend


XSLT = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"><xsl:stylesheet version="1.0" '
    'xmlns:xsl="http://www.w3.org/1999/XSL/Transform"><xsl:template match="/"><xsl:value-of select="document(\'%s\')"/>'
    "</xsl:template></xsl:stylesheet></ds:Transform>"
)
XPATH = '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><ds:XPath>%s</ds:XPath></ds:Transform>'
TRANSFORM = '<ds:Transform Algorithm="%s"/>'
GOOD = TRANSFORM % ENVELOPED, TRANSFORM % EXC_C14N
HOSTILE = {
    "XSLT that reads a file": XSLT % "file:///etc/passwd",
    "XSLT that fetches": XSLT % "TRAP/xslt",
    "XPath": XPATH % "not(ancestor-or-self::ds:Signature)",
    "XPath that takes for ever": XPATH
    % ("count(//. | //@* | //namespace::*)" + "[count(//. | //@* | //namespace::*) > 0]" * 5),
    "XPath Filter 2": '<ds:Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"><f:XPath '
    'xmlns:f="http://www.w3.org/2002/06/xmldsig-filter2" Filter="intersect">//*</f:XPath></ds:Transform>',
    "base64": TRANSFORM % (DS + "base64"),
    "one unknown": TRANSFORM % "urn:x",
}


def transformed(visit, scene, transforms):
    return visit.mint(how=scene.how(visit, transforms=transforms.replace("TRAP", scene.trap)))


# Two transforms, so that what refuses them is what they are, not how many.
@each("bad_signature", "in place of the canonicalization", HOSTILE, because="the canonicalization is not the exclusive")
def _(visit, scene, transform):
    return transformed(visit, scene, GOOD[0] + transform)


@each("bad_signature", "in place of the enveloped signature", HOSTILE, because="first transform is not the enveloped")
def _(visit, scene, transform):
    return transformed(visit, scene, transform + GOOD[1])


@each(
    "bad_signature",
    "transforms",
    {
        **{f"{name}, behind both": "".join(GOOD) + transform for name, transform in HOSTILE.items()},
        "XSLT alone": HOSTILE["XSLT that reads a file"],
        "enveloped twice, then canonicalization": GOOD[0] + "".join(GOOD),
        "enveloped only": GOOD[0],
        "canonicalization only": GOOD[1],
        "none": "",
        "a hundred": GOOD[0] + GOOD[1] * 100,
    },
    because="other transforms than",
)
def _(visit, scene, transforms):
    return transformed(visit, scene, transforms)


@attack("transforms: the other way round", "bad_signature", because="first transform is not the enveloped")
def _(visit, scene):
    return transformed(visit, scene, GOOD[1] + GOOD[0])


INSIDE = {
    "a style sheet": XSLT[XSLT.index("><") + 1 :].replace("</ds:Transform>", "") % "TRAP/inside",
    "an XPath": "<ds:XPath>true()</ds:XPath>",
    "an element that nobody knows": "<ds:X/>",
}


@each("bad_signature", "in the enveloped signature's transform", INSIDE, because="first transform is not the enveloped")
def _(visit, scene, inside):
    return transformed(visit, scene, GOOD[0].replace("/>", f">{inside}</ds:Transform>") + GOOD[1])


@each("bad_signature", "in the canonicalization's transform", INSIDE, because="a canonicalization has parameters")
def _(visit, scene, inside):
    return transformed(visit, scene, GOOD[0] + GOOD[1].replace("/>", f">{inside}</ds:Transform>"))


@each("bad_signature", "in the canonicalization of SignedInfo", INSIDE, because="a canonicalization has parameters")
def _(visit, scene, inside):
    inside = inside.replace("TRAP", scene.trap)
    return visit.mint(how=scene.how(visit, bend=within("CanonicalizationMethod", inside)))


@attack("a list of 10,000 prefixes", "bad_signature", because="a canonicalization has parameters")
def _(visit, scene):
    return visit.mint(how=scene.how(visit, prefixes=" ".join(f"p{n}" for n in range(1_500))))


# What libraries take that look for an attribute by its local name: the first. In another namespace it is none of ours.
def twin(element, attribute, value):
    """A signature with an attribute of the same local name before an element's own."""

    def bend(template):
        at = template.index(element) + len(element)
        return f'{template[:at]} xmlns:x="urn:x" x:{attribute}="{value}"{template[at:]}'

    return bend


TWINS = {
    "CanonicalizationMethod": ("bad_signature", twin("<ds:CanonicalizationMethod", "Algorithm", C14N)),
    "CanonicalizationMethod, with comments": (
        "bad_signature",
        twin("<ds:CanonicalizationMethod", "Algorithm", EXC_C14N + "WithComments"),
    ),
    "SignatureMethod": ("signature_algorithm", twin("<ds:SignatureMethod", "Algorithm", method("hmac", "sha1"))),
    "the first Transform, XSLT": (
        "bad_signature",
        twin("<ds:Transforms><ds:Transform", "Algorithm", "http://www.w3.org/TR/1999/REC-xslt-19991116"),
    ),
    "the first Transform, base64": ("bad_signature", twin("<ds:Transforms><ds:Transform", "Algorithm", DS + "base64")),
    "the second Transform, base64": (
        "bad_signature",
        twin(f"{TRANSFORM % ENVELOPED}<ds:Transform", "Algorithm", DS + "base64"),
    ),
    "DigestMethod": ("signature_algorithm", twin("<ds:DigestMethod", "Algorithm", DIGESTS["md5"][0])),
    "Reference": ("bad_reference", twin("<ds:Reference", "URI", "file:///dev/zero")),
}


@each(None, "an attribute x:Algorithm or x:URI beside that of", TWINS)
def _(visit, scene, bend):
    return visit.mint(how=scene.how(visit, bend=bend))


@each(
    None,
    "nobody vouches for it, an attribute x:Algorithm or x:URI beside that of",
    {name: TWINS[name] for name in ("the first Transform, XSLT", "the first Transform, base64", "Reference")},
)
def _(visit, scene, bend):
    return visit.mint(how=How(scene.stranger, bend=bend))


@attack("an attribute x:PrefixList beside that of InclusiveNamespaces", "bad_signature", because="has parameters")
def _(visit, scene):
    element = f'<ec:InclusiveNamespaces xmlns:ec="{EXC_C14N}"'
    return visit.mint(how=scene.how(visit, prefixes="xs", bend=twin(element, "PrefixList", "saml")))


@each("bad_id", "an attribute x:ID beside that of", {"the assertion": "saml:Assertion", "the response": "samlp:Response"})
def _(visit, scene, name):
    beside = f'<{name} xmlns:x="urn:x" x:ID="_other" '
    return visit.mint("response").replace(f"<{name} ", beside, 1)
