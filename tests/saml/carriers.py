"""What else the identity provider signs, and strangers get hold of: signed messages without an assertion, which are to lend their
signature to one."""

from mint import SAML, SAMLP, SUCCESS, at, parse, signed
from scene import attack, each, find, text
from wrapping import extensions, take_signature

MD = "urn:oasis:names:tc:SAML:2.0:metadata"


def carriers(visit, scene):
    """Each signed with the same key as sign-ins."""
    claims = visit.claims(status="urn:oasis:names:tc:SAML:2.0:status:Responder")
    error = claims.response("")
    issuer = f'<saml:Issuer xmlns:saml="{SAML}">{visit.connection.entity_id}</saml:Issuer>'
    goodbye = f'<samlp:LogoutResponse xmlns:samlp="{SAMLP}" ID="_bye" Version="2.0" IssueInstant="{at(0)}">{issuer}'
    goodbye += f'<samlp:Status><samlp:StatusCode Value="{SUCCESS}"/></samlp:Status></samlp:LogoutResponse>'
    metadata = f'<md:EntityDescriptor xmlns:md="{MD}" ID="_md" entityID="{visit.connection.entity_id}"/>'
    texts = {"an error response": (error, claims.response_id), "a LogoutResponse": (goodbye, "_bye")}
    texts["metadata"] = (metadata, "_md")
    return {name: parse(signed(text_, id_, scene.how(visit))) for name, (text_, id_) in texts.items()}


CARRIERS = {name: name for name in ("an error response", "a LogoutResponse", "metadata")}


def unsigned(visit):
    root = parse(visit.mint(sign=None))
    return root, find(root, "Assertion")


@each("bad_reference", "the forged response has the signature of", CARRIERS)
def _(visit, scene, name):
    root, _ = unsigned(visit)
    root.insert(1, take_signature(carriers(visit, scene)[name]))
    return text(root)


@each("bad_reference", "the forged assertion has the signature of", CARRIERS)
def _(visit, scene, name):
    root, assertion = unsigned(visit)
    assertion.insert(1, take_signature(carriers(visit, scene)[name]))
    return text(root)


@each("bad_reference", "the forged assertion has the signature of what is beside it, in Extensions", CARRIERS)
def _(visit, scene, name):
    root, assertion = unsigned(visit)
    carrier = carriers(visit, scene)[name]
    assertion.insert(1, take_signature(carrier))
    extensions(root).append(carrier)
    return text(root)


@each("misplaced_signature", "a forged assertion, and in Extensions, signed", CARRIERS)
def _(visit, scene, name):
    root, _ = unsigned(visit)
    extensions(root).append(carriers(visit, scene)[name])
    return text(root)


@each("duplicate_id", "a forged assertion by the same id as what is signed in Extensions", CARRIERS)
def _(visit, scene, name):
    root, assertion = unsigned(visit)
    carrier = carriers(visit, scene)[name]
    assertion.set("ID", carrier.get("ID"))
    assertion.insert(1, take_signature(carrier))
    extensions(root).append(carrier)
    return text(root)


@attack("a forged assertion put into a signed error response", "invalid_signature")
def _(visit, scene):
    carrier = carriers(visit, scene)["an error response"]
    find(carrier, "StatusCode", SAMLP).set("Value", SUCCESS)
    carrier.append(parse(visit.claims().assertion()))
    return text(carrier)


@each(
    None,
    "as it is, signed",
    {
        "an error response": ("status", "an error response"),
        "a LogoutResponse": ("unexpected_message", "a LogoutResponse"),
        "metadata": ("unexpected_message", "metadata"),
    },
)
def _(visit, scene, name):
    return text(carriers(visit, scene)[name])
