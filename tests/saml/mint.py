"""Messages of an identity provider, valid until told otherwise.

No code for XML signatures is shared with the product: they are put together by hand, step by step. Below that, some ground is the
same: lxml reads and canonicalizes with libxml2, as xmlsec does, and `cryptography` computes with OpenSSL, as the product does. So
that a mistake of libxml2's canonicalization would be seen, what is signed in the way that is to be taken is canonicalized once
more, by Python's ElementTree over expat, and both must write the same.
"""

import base64
import datetime
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.x509.oid import NameOID
from lxml import etree

SAMLP = "urn:oasis:names:tc:SAML:2.0:protocol"
SAML = "urn:oasis:names:tc:SAML:2.0:assertion"
DS = "http://www.w3.org/2000/09/xmldsig#"
XENC = "http://www.w3.org/2001/04/xmlenc#"
EXC_C14N = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = DS + "enveloped-signature"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
EMAIL = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"

DIGESTS = {
    "md5": ("http://www.w3.org/2001/04/xmldsig-more#md5", hashes.MD5),
    "sha1": (DS + "sha1", hashes.SHA1),
    "sha256": (XENC + "sha256", hashes.SHA256),
    "sha384": ("http://www.w3.org/2001/04/xmldsig-more#sha384", hashes.SHA384),
    "sha512": (XENC + "sha512", hashes.SHA512),
}
# RSA-SHA1 is of the first edition of XML signatures, the rest is of RFC 4051.
METHODS = {("rsa", "sha1"): DS + "rsa-sha1", ("hmac", "sha1"): DS + "hmac-sha1"}


def method(kind, digest):
    return METHODS.get((kind, digest), f"http://www.w3.org/2001/04/xmldsig-more#{kind}-{digest}")


@dataclass
class Key:
    """A key pair with a certificate that it signed itself."""

    private: object
    certificate: x509.Certificate

    @classmethod
    def rsa(cls, bits=2048, name="idp.example"):
        return cls._certified(rsa.generate_private_key(65537, bits), name)

    @classmethod
    def ec(cls, curve=ec.SECP256R1, name="idp.example"):
        return cls._certified(ec.generate_private_key(curve()), name)

    @classmethod
    def _certified(cls, private, name):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(subject, subject, private.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(days=1))
        builder = builder.not_valid_after(now + datetime.timedelta(days=365))
        return cls(private, builder.sign(private, hashes.SHA256()))

    @property
    def kind(self):
        return "rsa" if isinstance(self.private, rsa.RSAPrivateKey) else "ecdsa"

    @property
    def pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def base64(self):
        return base64.b64encode(self.certificate.public_bytes(serialization.Encoding.DER)).decode()

    @property
    def public_pem(self):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form)

    def sign(self, data, digest):
        algorithm = DIGESTS[digest][1]()
        if self.kind == "rsa":
            return self.private.sign(data, padding.PKCS1v15(), algorithm)
        r, s = utils.decode_dss_signature(self.private.sign(data, ec.ECDSA(algorithm)))
        size = (self.private.curve.key_size + 7) // 8
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def new_id():
    return "_" + secrets.token_hex(20)


def instant(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def at(seconds):
    return instant(datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds))


@dataclass
class Claims:
    """What a response says. Each is what the product expects, unless an attack says otherwise; None leaves it out."""

    issuer: str
    acs: str
    audience: str
    in_response_to: str | None
    name_id: str = "ann@idp.example"
    format: str | None = EMAIL
    response_issuer: str | None = ""
    assertion_issuer: str | None = ""
    destination: str | None = ""
    recipient: str | None = ""
    method: str = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
    confirmation_request: str | None = ""
    response_request: str | None = ""
    not_before: str | None = ""
    not_on_or_after: str | None = ""
    confirmation_not_before: str | None = None
    confirmation_ends: str | None = ""
    issue_instant: str = ""
    authn_instant: str = ""
    session_ends: str | None = None
    status: str | None = SUCCESS
    version: str | None = "2.0"
    # Of the assertion alone, if they are not the response's.
    assertion_version: str | None = ""
    assertion_instant: str | None = ""
    audiences: list | None = None
    authn_statement: bool = True
    conditions: bool = True
    subject: bool = True
    confirmation: bool = True
    attributes: dict = field(default_factory=lambda: {"first_name": ["Ann"]})
    response_id: str = field(default_factory=new_id)
    assertion_id: str = field(default_factory=new_id)
    session_index: str | None = field(default_factory=new_id)
    extra_conditions: str = ""
    extra_confirmation: str = ""
    more: str = ""

    def __post_init__(self):
        defaults = {
            "response_issuer": self.issuer,
            "assertion_issuer": self.issuer,
            "destination": self.acs,
            "recipient": self.acs,
            "confirmation_request": self.in_response_to,
            "response_request": self.in_response_to,
            "not_before": at(-30),
            "not_on_or_after": at(300),
            "confirmation_ends": at(300),
            "issue_instant": at(0),
            "authn_instant": at(0),
            "assertion_version": self.version,
        }
        for name, value in defaults.items():
            if getattr(self, name) == "":
                setattr(self, name, value)
        if self.assertion_instant == "":
            self.assertion_instant = self.issue_instant

    def assertion(self):
        """The assertion, unsigned, as text."""
        c = self
        parts = [f'<saml:Assertion xmlns:saml="{SAML}" ID={quoteattr(c.assertion_id)}']
        parts.append(f"{attr('Version', c.assertion_version)}{attr('IssueInstant', c.assertion_instant)}>")
        if c.assertion_issuer is not None:
            parts.append(f"<saml:Issuer>{escape(c.assertion_issuer)}</saml:Issuer>")
        if c.subject:
            parts.append(f"<saml:Subject><saml:NameID{attr('Format', c.format)}>{escape(c.name_id)}</saml:NameID>")
            if c.confirmation:
                parts.append(self._confirmation())
            parts.append(f"{c.extra_confirmation}</saml:Subject>")
        if c.conditions:
            parts.append(f"<saml:Conditions{attr('NotBefore', c.not_before)}{attr('NotOnOrAfter', c.not_on_or_after)}>")
            for restriction in [[c.audience]] if c.audiences is None else c.audiences:
                inside = "".join(f"<saml:Audience>{escape(one)}</saml:Audience>" for one in restriction)
                parts.append(f"<saml:AudienceRestriction>{inside}</saml:AudienceRestriction>")
            parts.append(f"{c.extra_conditions}</saml:Conditions>")
        if c.authn_statement:
            parts.append(self._authn_statement())
        if c.attributes:
            parts.append(attribute_statement(c.attributes))
        return "".join([*parts, c.more, "</saml:Assertion>"])

    def _confirmation(self):
        data = attr("InResponseTo", self.confirmation_request) + attr("NotBefore", self.confirmation_not_before)
        data += attr("NotOnOrAfter", self.confirmation_ends) + attr("Recipient", self.recipient)
        inside = f"<saml:SubjectConfirmationData{data}/>"
        return f"<saml:SubjectConfirmation{attr('Method', self.method)}>{inside}</saml:SubjectConfirmation>"

    def _authn_statement(self):
        attributes = attr("AuthnInstant", self.authn_instant) + attr("SessionIndex", self.session_index)
        attributes += attr("SessionNotOnOrAfter", self.session_ends)
        context = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport"
        context = f"<saml:AuthnContextClassRef>{context}</saml:AuthnContextClassRef>"
        return (
            f"<saml:AuthnStatement{attributes}><saml:AuthnContext>{context}</saml:AuthnContext></saml:AuthnStatement>"
        )

    def response(self, assertion):
        """The response around an assertion, unsigned, as text."""
        c = self
        head = attr("ID", c.response_id) + attr("Version", c.version) + attr("IssueInstant", c.issue_instant)
        head += attr("Destination", c.destination) + attr("InResponseTo", c.response_request)
        issuer = (
            ""
            if c.response_issuer is None
            else f'<saml:Issuer xmlns:saml="{SAML}">{escape(c.response_issuer)}</saml:Issuer>'
        )
        status = ""
        if c.status is not None:
            status = f'<samlp:Status><samlp:StatusCode Value="{c.status}"/></samlp:Status>'
        return f'<samlp:Response xmlns:samlp="{SAMLP}"{head}>{issuer}{status}{assertion}</samlp:Response>'


def attr(name, value):
    return "" if value is None else f" {name}={quoteattr(value)}"


def attribute_statement(attributes):
    parts = []
    for name, values in attributes.items():
        inside = "".join(f"<saml:AttributeValue>{escape(value)}</saml:AttributeValue>" for value in values)
        parts.append(f"<saml:Attribute Name={quoteattr(name)}>{inside}</saml:Attribute>")
    return f"<saml:AttributeStatement>{''.join(parts)}</saml:AttributeStatement>"


@dataclass
class How:
    """How an element is signed."""

    key: Key
    digest: str = "sha256"
    signature: str | None = None  # the digest of the signature, if another
    c14n: str = EXC_C14N
    reference_c14n: str | None = None
    transforms: str | None = None  # in place of both
    uri: str | None = None  # in place of the id of what is signed
    prefixes: str | None = None  # an InclusiveNamespaces list
    key_info: str | None = ""  # None: none; "": the certificate of the key
    hmac_secret: bytes | None = None
    more_references: str = ""
    objects: str = ""
    after_issuer: bool = True
    bend: object = None  # changes the text of the signature before anything in it is signed


def c14n(element, how=EXC_C14N, prefixes=None):
    exclusive = how.startswith(EXC_C14N)
    names = prefixes.split() if prefixes and exclusive else None
    options = {"exclusive": exclusive, "with_comments": how.lower().endswith("withcomments")}
    canonical = etree.tostring(element, method="c14n", inclusive_ns_prefixes=names, with_tail=False, **options)
    if how == EXC_C14N and not names and not is_ambiguous(element):
        text = etree.tostring(element, encoding="unicode", with_tail=False)
        # Of version 2, which writes without options what the exclusive one of version 1 does.
        assert canonical == ElementTree.canonicalize(text).encode(), f"two canonicalizations of {text}"
    return canonical


def is_ambiguous(element):
    """Whether two prefixes stand for one namespace: version 2 takes the first of them."""
    declared = {(prefix, uri) for node in element.iter(etree.Element) for prefix, uri in node.nsmap.items()}
    return len({uri for _, uri in declared}) < len(declared)


def signed(text, id_, how):
    """The document, with the element of this id signed in it. Answers text."""
    root = parse(text)
    element = next(e for e in root.iter(etree.Element) if e.get("ID") == id_)
    reference_c14n = how.reference_c14n or how.c14n
    content = hash_of(how.digest, c14n(element, reference_c14n, how.prefixes))
    kind = "hmac" if how.hmac_secret is not None else how.key.kind
    algorithm = method(kind, how.signature or how.digest)
    list_ = f'<ec:InclusiveNamespaces xmlns:ec="{EXC_C14N}" PrefixList="{how.prefixes}"/>' if how.prefixes else ""
    transforms = how.transforms
    if transforms is None:
        transforms = (
            f'<ds:Transform Algorithm="{ENVELOPED}"/><ds:Transform Algorithm="{reference_c14n}">{list_}</ds:Transform>'
        )
    uri = "#" + id_ if how.uri is None else how.uri
    reference = (
        f'<ds:Reference URI="{uri}"><ds:Transforms>{transforms}</ds:Transforms>'
        f'<ds:DigestMethod Algorithm="{DIGESTS[how.digest][0]}"/><ds:DigestValue>{content}</ds:DigestValue></ds:Reference>'
    )
    key_info = how.key_info
    if key_info == "":
        key_info = f"<ds:X509Data><ds:X509Certificate>{how.key.base64}</ds:X509Certificate></ds:X509Data>"
    key_info = "" if key_info is None else f"<ds:KeyInfo>{key_info}</ds:KeyInfo>"
    template = (
        f'<ds:Signature xmlns:ds="{DS}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{how.c14n}"/>'
        f'<ds:SignatureMethod Algorithm="{algorithm}"/>{reference}{how.more_references}</ds:SignedInfo>'
        f"<ds:SignatureValue/>{key_info}{how.objects}</ds:Signature>"
    )
    signature = parse(how.bend(template) if how.bend else template)
    has_issuer = how.after_issuer and len(element) and element[0].tag == f"{{{SAML}}}Issuer"
    element.insert(1 if has_issuer else 0, signature)
    info = c14n(signature[0], how.c14n)
    if how.hmac_secret is not None:
        value = hmac.new(how.hmac_secret, info, how.signature or how.digest).digest()
    else:
        value = how.key.sign(info, how.signature or how.digest)
    signature[1].text = base64.b64encode(value).decode()
    return etree.tostring(root, encoding="unicode")


def hash_of(digest, data):
    return base64.b64encode(hashlib.new(digest, data).digest()).decode()


def parse(text):
    # What hostile messages are made of must not stop their own maker.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, strip_cdata=False)
    return etree.fromstring(text.encode() if isinstance(text, str) else text, parser)


@dataclass
class Envelope:
    """How an assertion is encrypted."""

    recipient: object  # the service provider's public key
    cipher: str = "http://www.w3.org/2009/xmlenc11#aes256-gcm"
    transport: str = XENC + "rsa-oaep-mgf1p"
    oaep: str = "sha1"
    said_oaep: str | None = None  # what the message says in its place
    bend: object = None  # changes the ciphertext
    bend_key: object = None  # changes the encrypted key
    key_size: int | None = None
    key_beside: bool = False  # EncryptedKey as a sibling of EncryptedData, by reference: how ADFS does it


def encrypted(plain, envelope):
    """An EncryptedAssertion around these bytes, as text."""
    plain = plain.encode() if isinstance(plain, str) else plain
    size = envelope.key_size or (16 if "128" in envelope.cipher else 24 if "192" in envelope.cipher else 32)
    key = os.urandom(size)
    cipher = encrypt(plain, key, envelope.cipher)
    if envelope.transport.endswith("rsa-1_5"):
        wrapped = envelope.recipient.encrypt(key, padding.PKCS1v15())
        inside = ""
    else:
        hash_ = DIGESTS[envelope.oaep][1]()
        mask = hash_ if "xmlenc11" in envelope.transport else hashes.SHA1()
        wrapped = envelope.recipient.encrypt(key, padding.OAEP(padding.MGF1(mask), hash_, None))
        said = DIGESTS[envelope.said_oaep or envelope.oaep][0]
        inside = f'<ds:DigestMethod xmlns:ds="{DS}" Algorithm="{said}"/>'
        if "xmlenc11" in envelope.transport:
            mgf = f"http://www.w3.org/2009/xmlenc11#mgf1{envelope.oaep}"
            inside += f'<xenc11:MGF xmlns:xenc11="http://www.w3.org/2009/xmlenc11#" Algorithm="{mgf}"/>'
    cipher = envelope.bend(cipher) if envelope.bend else cipher
    wrapped = envelope.bend_key(wrapped) if envelope.bend_key else wrapped
    return encrypted_data(cipher, wrapped, envelope, inside)


def encrypted_data(cipher, wrapped, envelope, inside):
    b64 = lambda data: base64.b64encode(data).decode()
    key_id, data_id = new_id(), new_id()
    back = (
        f'<xenc:ReferenceList><xenc:DataReference URI="#{data_id}"/></xenc:ReferenceList>'
        if envelope.key_beside
        else ""
    )
    key = (
        f'<xenc:EncryptedKey xmlns:xenc="{XENC}" Id="{key_id}"><xenc:EncryptionMethod Algorithm="{envelope.transport}">{inside}</xenc:EncryptionMethod>'
        f"<xenc:CipherData><xenc:CipherValue>{b64(wrapped)}</xenc:CipherValue></xenc:CipherData>{back}</xenc:EncryptedKey>"
    )
    where = key
    if envelope.key_beside:
        where = f'<ds:RetrievalMethod Type="{XENC}EncryptedKey" URI="#{key_id}"/>'
    data = (
        f'<xenc:EncryptedData xmlns:xenc="{XENC}" Id="{data_id}" Type="{XENC}Element"><xenc:EncryptionMethod Algorithm="{envelope.cipher}"/>'
        f'<ds:KeyInfo xmlns:ds="{DS}">{where}</ds:KeyInfo>'
        f"<xenc:CipherData><xenc:CipherValue>{b64(cipher)}</xenc:CipherValue></xenc:CipherData></xenc:EncryptedData>"
    )
    beside = key if envelope.key_beside else ""
    return f'<saml:EncryptedAssertion xmlns:saml="{SAML}">{data}{beside}</saml:EncryptedAssertion>'


def encrypt(plain, key, cipher):
    if cipher.endswith("gcm"):
        nonce = os.urandom(12)
        return nonce + AESGCM(key).encrypt(nonce, plain, None)
    if "tripledes" in cipher:
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES

        algorithm, block = TripleDES(key), 8
    else:
        algorithm, block = algorithms.AES(key), 16
    pad = block - len(plain) % block
    iv = os.urandom(block)
    encryptor = Cipher(algorithm, modes.CBC(iv)).encryptor()
    # XML Encryption's padding: only the last byte counts.
    return iv + encryptor.update(plain + os.urandom(pad - 1) + bytes([pad])) + encryptor.finalize()
