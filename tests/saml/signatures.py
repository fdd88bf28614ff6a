"""Signatures that say less than they seem to, or ask for what a verifier must not do."""

import base64
import copy
import re

from cryptography.hazmat.primitives import serialization
from mint import DIGESTS, DS, EXC_C14N, How, Key, method, parse, signed
from scene import attack, each, find, forged, text
from transforms import C14N, within

C14N_11 = "http://www.w3.org/2006/12/xml-c14n11"


@each("not_signed", "not signed at all", {"response and assertion": None})
def _(visit, scene, _case):
    return visit.mint(sign=None)


@attack("the signature removed", "not_signed")
def _(visit, scene):
    return re.sub(r"<ds:Signature .*?</ds:Signature>", "", visit.mint(), flags=re.S)


@attack("an empty Signature", "bad_signature")
def _(visit, scene):
    return re.sub(r"<ds:Signature .*?</ds:Signature>", f'<ds:Signature xmlns:ds="{DS}"/>', visit.mint(), flags=re.S)


@attack("the signature's namespace changed", "not_signed")
def _(visit, scene):
    return visit.mint().replace(DS, "urn:not-a-signature")


@each(
    "invalid_signature",
    "SignatureValue",
    {"empty": "", "zeros": base64.b64encode(bytes(256)).decode(), "short": "AAAA"},
)
def _(visit, scene, value):
    return re.sub(r"(<ds:SignatureValue>).*?(</ds:SignatureValue>)", rf"\g<1>{value}\g<2>", visit.mint(), flags=re.S)


@attack("a NameID changed after signing", "invalid_signature")
def _(visit, scene):
    return visit.mint().replace(">ann@idp.example</saml:NameID>", ">admin@acme.example</saml:NameID>")


@attack("an attribute changed after signing", "invalid_signature")
def _(visit, scene):
    return visit.mint(attributes={"groups": ["staff"]}).replace(">staff<", ">admins<")


@attack("status changed after the response was signed", "invalid_signature")
def _(visit, scene):
    failed = "urn:oasis:names:tc:SAML:2.0:status:Responder"
    return visit.mint("response", status=failed).replace(failed, "urn:oasis:names:tc:SAML:2.0:status:Success")


@attack("the assertion good, the response's signature bad", "invalid_signature")
def _(visit, scene):
    return (
        visit.mint("both")
        .replace("<samlp:Status>", "<samlp:Status >")
        .replace('<samlp:StatusCode Value="', '<samlp:StatusCode X="1" Value="')
    )


@attack("the response good, the assertion's signature a stranger's", "invalid_signature")
def _(visit, scene):
    claims = visit.claims()
    assertion = signed(claims.assertion(), claims.assertion_id, How(scene.stranger))
    return signed(claims.response(assertion), claims.response_id, scene.how(visit))


@each(
    "invalid_signature",
    "a stranger's key, with KeyInfo",
    {
        "its certificate": lambda scene, visit: "",
        "none": lambda scene, visit: None,
        "the certificate that is trusted": lambda scene, visit: (
            f"<ds:X509Data><ds:X509Certificate>{visit.connection.key.base64}</ds:X509Certificate></ds:X509Data>"
        ),
        "both certificates": lambda scene, visit: (
            "<ds:X509Data>"
            + "".join(
                f"<ds:X509Certificate>{key.base64}</ds:X509Certificate>"
                for key in (visit.connection.key, scene.stranger)
            )
            + "</ds:X509Data>"
        ),
        "its bare key": lambda scene, visit: key_value(scene.stranger),
        "a name": lambda scene, visit: "<ds:KeyName>idp.example</ds:KeyName>",
    },
)
def _(visit, scene, make):
    return visit.mint(how=How(scene.stranger, key_info=make(scene, visit)))


def key_value(key):
    numbers = key.private.public_key().public_numbers()
    as_b64 = lambda n: base64.b64encode(n.to_bytes((n.bit_length() + 7) // 8, "big")).decode()
    inside = f"<ds:Modulus>{as_b64(numbers.n)}</ds:Modulus><ds:Exponent>{as_b64(numbers.e)}</ds:Exponent>"
    return f"<ds:KeyValue><ds:RSAKeyValue>{inside}</ds:RSAKeyValue></ds:KeyValue>"


@attack("a stranger's key of the same type as the second certificate", "invalid_signature")
def _(visit, scene):
    return visit.mint(how=How(Key.ec()))


@attack("the key of another connection of the organization", "invalid_signature")
def _(visit, scene):
    return visit.mint(how=How(scene.connections["other"].key))


@each(
    "signature_algorithm",
    "HMAC-SHA256, its secret",
    {
        "the certificate's PEM": lambda key: key.pem.encode(),
        "the certificate's DER": lambda key: key.certificate.public_bytes(serialization.Encoding.DER),
        "the public key's PEM": lambda key: key.public_pem,
        "nothing": lambda key: b"",
    },
)
def _(visit, scene, secret):
    return visit.mint(how=scene.how(visit, hmac_secret=secret(visit.connection.key)))


# Only HMAC has this; a library that reads it before it looks at the method compares no bits.
@attack("RSA-SHA256, cut to no bits", "signature_algorithm", because="rsa-sha256")
def _(visit, scene):
    bend = within("SignatureMethod", "<ds:HMACOutputLength>0</ds:HMACOutputLength>")
    return visit.mint(how=scene.how(visit, bend=bend))


@attack("a DigestMethod with something inside", "signature_algorithm", because="sha256")
def _(visit, scene):
    return visit.mint(how=scene.how(visit, bend=within("DigestMethod", "<ds:HMACOutputLength>0</ds:HMACOutputLength>")))


@each(
    "signature_algorithm",
    "signed with",
    {
        "RSA-SHA1 over SHA-1": {"digest": "sha1"},
        "RSA-SHA256 over SHA-1": {"digest": "sha1", "signature": "sha256"},
        "RSA-SHA1 over SHA-256": {"digest": "sha256", "signature": "sha1"},
        "RSA-MD5 over MD5": {"digest": "md5"},
        "RSA-SHA256 over MD5": {"digest": "md5", "signature": "sha256"},
    },
)
def _(visit, scene, changes):
    return visit.mint(how=scene.how(visit, **changes))


@each(
    "bad_signature",
    "signed with",
    {
        "inclusive canonicalization of SignedInfo": {"c14n": C14N, "reference_c14n": EXC_C14N},
        "inclusive canonicalization of the assertion": {"reference_c14n": C14N},
        "canonicalization 1.1": {"c14n": C14N_11},
        "comments kept": {"c14n": EXC_C14N + "WithComments"},
        "comments kept in the assertion": {"reference_c14n": EXC_C14N + "WithComments"},
    },
)
def _(visit, scene, changes):
    return visit.mint(how=scene.how(visit, **changes))


@each(
    "signature_algorithm",
    "SignatureMethod",
    {
        "none": "http://www.w3.org/2001/04/xmldsig-more#none",
        "empty": "",
        "DSA": DS + "dsa-sha1",
        "unknown": "urn:x",
    },
)
def _(visit, scene, algorithm):
    return visit.mint().replace(method("rsa", "sha256"), algorithm)


@each(
    "invalid_signature",
    "an RSA signature, said to be",
    {"ECDSA": method("ecdsa", "sha256"), "RSA-SHA512": method("rsa", "sha512")},
)
def _(visit, scene, algorithm):
    return visit.mint().replace(method("rsa", "sha256"), algorithm)


URIS = {
    "a file": "file:///etc/passwd",
    "/dev/zero": "file:///dev/zero",
    "a bare path": "/etc/passwd",
    "a URL": "TRAP/reference",
    "an address that hangs": "http://10.255.255.1/",
    "FTP": "ftp://127.0.0.1/x",
    "nothing": "",
    "another id": "#_other",
    "the response's id, from the assertion": "#RESPONSE",
    "xpointer, the root": "#xpointer(/)",
    "xpointer, the id": "#xpointer(id('ASSERTION'))",
    "its id with a query": "#ASSERTION?x",
    "its id, escaped": "%23ASSERTION",
}


@each("bad_reference", "Reference to", URIS)
def _(visit, scene, uri):
    claims = visit.claims()
    uri = (
        uri.replace("TRAP", scene.trap)
        .replace("ASSERTION", claims.assertion_id)
        .replace("RESPONSE", claims.response_id)
    )
    ids = {"assertion_id": claims.assertion_id, "response_id": claims.response_id}
    return visit.mint(how=scene.how(visit, uri=uri), **ids)


@each(
    "bad_reference", "in a message that a stranger signed, Reference to", {k: URIS[k] for k in ("/dev/zero", "a URL")}
)
def _(visit, scene, uri):
    return visit.mint(how=How(scene.stranger, uri=uri.replace("TRAP", scene.trap)))


@attack("a Reference without a URI", "bad_reference")
def _(visit, scene):
    return re.sub(r'<ds:Reference URI="[^"]*">', "<ds:Reference>", visit.mint())


REFERENCE = (
    f'<ds:Reference URI="%s"><ds:DigestMethod Algorithm="{DIGESTS["sha256"][0]}"/>'
    "<ds:DigestValue>AAAA</ds:DigestValue></ds:Reference>"
)


@each("bad_signature", "References", {"2": 1, "300": 299}, because="one reference")
def _(visit, scene, more):
    return visit.mint(how=scene.how(visit, more_references=REFERENCE % "#x" * more))


@attack("References: 3,000", "too_complex")
def _(visit, scene):
    return visit.mint(how=scene.how(visit, more_references=REFERENCE % "#x" * 2999))


@attack("References: none", "bad_signature")
def _(visit, scene):
    return re.sub(r"<ds:Reference .*?</ds:Reference>", "", visit.mint(), flags=re.S)


@attack("an Object", "bad_signature")
def _(visit, scene):
    return visit.mint(how=scene.how(visit, objects="<ds:Object/>"))


MANIFEST = f"<ds:Manifest>{REFERENCE % 'file:///dev/zero'}</ds:Manifest>"


@attack("a Manifest in the KeyInfo", "bad_reference")
def _(visit, scene):
    return visit.mint(how=scene.how(visit, key_info=MANIFEST))


@attack("a Reference that is said to be to a Manifest", "bad_reference")
def _(visit, scene):
    typed = lambda template: template.replace("<ds:Reference ", f'<ds:Reference Type="{DS}Manifest" ')
    return visit.mint(how=scene.how(visit, bend=typed))


@each(
    "bad_reference",
    "KeyInfo with a RetrievalMethod to",
    {"a file": "file:///dev/zero", "a URL": "TRAP/key"},
)
def _(visit, scene, uri):
    type_ = f'Type="{DS}X509Data"'
    return visit.mint(
        how=scene.how(visit, key_info=f'<ds:RetrievalMethod {type_} URI="{uri.replace("TRAP", scene.trap)}"/>')
    )


@attack("two signatures in the assertion, the first good", "misplaced_signature")
def _(visit, scene):
    root = parse(visit.mint())
    signature = find(root, "Signature", DS)
    signature.addnext(copy.deepcopy(signature))
    return text(root)


@attack("the signature deeper than the assertion", "misplaced_signature")
def _(visit, scene):
    root = parse(visit.mint())
    find(root, "Subject").append(find(root, "Signature", DS))
    return text(root)


@attack("the signature cut into an AttributeValue of a forged assertion", "misplaced_signature")
def _(visit, scene):
    root = parse(visit.mint())
    assertion = find(root, "Assertion")
    evil = forged(assertion, id_=None)
    find(evil, "AttributeValue").append(find(assertion, "Signature", DS))
    root.replace(assertion, evil)
    return text(root)


@attack("two SignedInfo", "bad_signature")
def _(visit, scene):
    root = parse(visit.mint())
    info = find(root, "SignedInfo", DS)
    info.addnext(copy.deepcopy(info))
    return text(root)


@attack("two DigestValues", "bad_signature")
def _(visit, scene):
    return re.sub(r"(<ds:DigestValue>.*?</ds:DigestValue>)", r"\1\1", visit.mint())
