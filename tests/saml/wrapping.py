"""Signature wrapping: what is verified is one thing, what is read another. 1 to 8 are numbered as in Somorovsky et al.,
"On Breaking SAML" (2012)."""

import copy

from mint import DS, SAML, SAMLP, Envelope, parse, signed
from scene import attack, each, find, forged, text


def take_signature(element):
    signature = element.find(f"{{{DS}}}Signature")
    element.remove(signature)
    return signature


def wrapped_response(visit):
    """A signed response, a forged one without a signature, and the signature."""
    original = parse(visit.mint("response"))
    evil = copy.deepcopy(original)
    evil.remove(evil.find(f"{{{DS}}}Signature"))
    evil.set("ID", "_evil000000000000000000000000000000000000")
    evil.replace(find(evil, "Assertion"), forged(find(evil, "Assertion")))
    return original, evil


def signed_assertion(visit):
    root = parse(visit.mint("assertion"))
    return root, find(root, "Assertion")


def extensions(root):
    """A samlp:Extensions where the schema has it: after the issuer."""
    element = root.makeelement(f"{{{SAMLP}}}Extensions")
    root.insert(1, element)
    return element


@attack("XSW 1: a forged response around the signature that holds the signed one", "several_assertions")
def _(visit, scene):
    original, evil = wrapped_response(visit)
    signature = take_signature(original)
    signature.append(original)
    evil.insert(1, signature)
    return text(evil)


@attack("XSW 2: the signed response beside its signature, in a forged one", "several_assertions")
def _(visit, scene):
    original, evil = wrapped_response(visit)
    signature = take_signature(original)
    evil.insert(1, original)
    evil.insert(2, signature)
    return text(evil)


@attack("XSW 3: a forged assertion before the signed one", "several_assertions")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    assertion.addprevious(forged(assertion))
    return text(root)


@attack("XSW 3b: a forged assertion after the signed one", "several_assertions")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    assertion.addnext(forged(assertion))
    return text(root)


@attack("XSW 4: the signed assertion inside a forged one", "several_assertions")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    evil = forged(assertion)
    root.replace(assertion, evil)
    evil.append(assertion)
    return text(root)


@attack("XSW 5: a forged assertion with the signature, the signed one at the end", "several_assertions")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    evil = forged(assertion)
    evil.insert(1, take_signature(assertion))
    assertion.addprevious(evil)
    return text(root)


@attack("XSW 6: a forged assertion with the signature that holds the signed one", "several_assertions")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    evil = forged(assertion)
    root.replace(assertion, evil)
    signature = take_signature(assertion)
    signature.append(assertion)
    evil.insert(1, signature)
    return text(root)


@attack("XSW 7: a forged assertion in Extensions", "several_assertions")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    extensions(root).append(forged(assertion))
    return text(root)


@attack("XSW 7 with the signed one's id", "duplicate_id")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    extensions(root).append(forged(assertion, id_=None))
    return text(root)


@attack("XSW 8: the signed assertion in an Object of the forged one's signature", "bad_signature")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    evil = forged(assertion)
    root.replace(assertion, evil)
    signature = take_signature(assertion)
    object_ = signature.makeelement(f"{{{DS}}}Object")
    signature.append(object_)
    object_.append(assertion)
    evil.insert(1, signature)
    return text(root)


@attack("XSW: the whole signed response in Extensions of a forged one", "several_assertions")
def _(visit, scene):
    original, evil = wrapped_response(visit)
    extensions(evil).append(original)
    return text(evil)


@each(
    "several_assertions",
    "XSW: the signed assertion inside the forged one's",
    {"Advice": "Advice", "AttributeValue": "AttributeValue", "SubjectConfirmationData": "SubjectConfirmationData"},
)
def _(visit, scene, where):
    root, assertion = signed_assertion(visit)
    evil = forged(assertion)
    root.replace(assertion, evil)
    if where == "Advice":
        place = evil.makeelement(f"{{{SAML}}}Advice")
        find(evil, "Conditions").addnext(place)
    else:
        place = find(evil, where)
    place.append(assertion)
    return text(root)


@attack("XSW: the signed assertion in StatusDetail", "several_assertions")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    evil = forged(assertion)
    root.replace(assertion, evil)
    status = find(root, "Status", SAMLP)
    detail = status.makeelement(f"{{{SAMLP}}}StatusDetail")
    status.append(detail)
    detail.append(assertion)
    return text(root)


@attack("XSW: the assertion's signature moved to the response", "bad_reference")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    signature = take_signature(assertion)
    root.insert(1, signature)
    return text(root)


@attack("XSW: the assertion's signature in the forged one, which refers outside", "several_assertions")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    evil = forged(assertion)
    evil.insert(1, take_signature(assertion))
    root.replace(assertion, evil)
    extensions(root).append(assertion)
    return text(root)


@attack("two assertions, both signed", "several_assertions")
def _(visit, scene):
    root, _ = signed_assertion(visit)
    root.append(find(parse(visit.mint("assertion", name_id="admin@acme.example")), "Assertion"))
    return text(root)


@attack("two assertions in a signed response", "several_assertions")
def _(visit, scene):
    claims = visit.claims()
    both = claims.assertion() + visit.claims(name_id="admin@acme.example").assertion()
    return signed(claims.response(both), claims.response_id, scene.how(visit))


@attack("a forged assertion with the signed one's id", "duplicate_id")
def _(visit, scene):
    root, assertion = signed_assertion(visit)
    assertion.addprevious(forged(assertion, id_=None))
    return text(root)


@each(
    "duplicate_id",
    "the signed assertion's id, once more, spelled",
    {"Id": "Id", "id": "id", "xml:id": "{http://www.w3.org/XML/1998/namespace}id"},
)
def _(visit, scene, name):
    root, assertion = signed_assertion(visit)
    find(root, "Status", SAMLP).set(name, assertion.get("ID"))
    return text(root)


@each("bad_id", "a second id beside the signed assertion's, spelled", {"Id": "Id", "id": "id"})
def _(visit, scene, name):
    root, assertion = signed_assertion(visit)
    assertion.set(name, "_other")
    return text(root)


@attack("the response and its assertion share an id", "duplicate_id")
def _(visit, scene):
    return visit.mint("assertion", response_id="_same", assertion_id="_same")


@each(
    "misplaced_assertion",
    "the signed assertion, the only one, in",
    {"Extensions": "Extensions", "StatusDetail": "StatusDetail", "an element that nobody knows": "x"},
)
def _(visit, scene, where):
    root, assertion = signed_assertion(visit)
    place = root.makeelement(f"{{{SAMLP}}}{where}" if where != "x" else "x")
    (find(root, "Status", SAMLP) if where == "StatusDetail" else root).append(place)
    place.append(assertion)
    return text(root)


@attack("the encrypted assertion, the only one, in Extensions", "misplaced_assertion")
def _(visit, scene):
    root = parse(visit.mint(envelope=Envelope(scene.encryption)))
    extensions(root).append(find(root, "EncryptedAssertion"))
    return text(root)


@attack("no assertion", "no_assertion")
def _(visit, scene):
    claims = visit.claims()
    return signed(claims.response(""), claims.response_id, scene.how(visit))


@each(
    "unexpected_message",
    "the root is no response but",
    {
        "an assertion": lambda visit: text(signed_assertion(visit)[1]),
        "a SOAP envelope": lambda visit: (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
            f"{visit.mint()}</s:Body></s:Envelope>"
        ),
        "an ArtifactResponse": lambda visit: (
            f'<samlp:ArtifactResponse xmlns:samlp="{SAMLP}">{visit.mint()}</samlp:ArtifactResponse>'
        ),
        "a response of another namespace": lambda visit: visit.mint().replace(
            SAMLP, "urn:oasis:names:tc:SAML:1.0:protocol"
        ),
        "a LogoutResponse": lambda visit: visit.mint().replace("samlp:Response", "samlp:LogoutResponse"),
    },
)
def _(visit, scene, make):
    return make(visit)
