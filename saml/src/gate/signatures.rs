//! The one form of a signature that the engine may see.
//!
//! XML signatures can refer to files and addresses, run programs over what they refer to (XSLT, XPath), and refer to
//! thousands of things. Verifying means doing all that before anything is known of who signed. So what is not this form
//! is refused unseen.

use roxmltree::{Document, Node};

use crate::algorithms;
use crate::xml::{DSIG, EXC_C14N, attribute, is, only_attribute};
use crate::{Reason, Refusal, refusal::shown};

const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
/// Bytes of the prefixes that are canonicalized inclusively; more than any message declares.
const MAX_PREFIXES: usize = 500;

/// Looks at every signature of the document. Each must be a direct child of one of `parents`, and the only one there.
/// Answers which of them are signed.
pub(crate) fn check(document: &Document<'_>, parents: &[Node<'_, '_>]) -> Result<Vec<bool>, Refusal> {
    let mut signed = vec![false; parents.len()];
    for signature in document.descendants().filter(|node| is(*node, DSIG, "Signature")) {
        let at = parents.iter().position(|parent| signature.parent() == Some(*parent));
        let Some(at) = at.filter(|at| !signed[*at]) else {
            return Err(Reason::MisplacedSignature.refuse());
        };
        check_form(signature, parents[at])?;
        signed[at] = true;
    }
    Ok(signed)
}

fn check_form(signature: Node<'_, '_>, parent: Node<'_, '_>) -> Result<(), Refusal> {
    let signed_info = match parts(signature)?[..] {
        [("SignedInfo", info), ("SignatureValue", _)] => info,
        [("SignedInfo", info), ("SignatureValue", _), ("KeyInfo", _)] => info,
        _ => return Err(Reason::BadSignature.refuse()),
    };
    let [("CanonicalizationMethod", canonicalization), ("SignatureMethod", method), ("Reference", reference)] =
        parts(signed_info)?[..]
    else {
        return Err(Reason::BadSignature.because("not exactly one canonicalization, one algorithm and one reference"));
    };
    check_canonicalization(canonicalization)?;
    let algorithm = only_attribute(method, "Algorithm").unwrap_or_default();
    // A length of output, as HMAC has, would be inside.
    if !algorithms::is_signature(algorithm) || !is_empty(method) {
        return Err(Reason::SignatureAlgorithm.because(shown(algorithm)));
    }
    check_reference(reference, parent)
}

fn check_reference(reference: Node<'_, '_>, parent: Node<'_, '_>) -> Result<(), Refusal> {
    let id = attribute(parent, "ID").ok_or_else(|| Reason::BadId.refuse())?;
    let target = only_attribute(reference, "URI").unwrap_or_default();
    if target.strip_prefix('#') != Some(id) {
        return Err(Reason::BadReference.refuse());
    }
    let [("Transforms", transforms), ("DigestMethod", digest), ("DigestValue", _)] = parts(reference)?[..] else {
        return Err(Reason::BadSignature.refuse());
    };
    let [("Transform", enveloped), ("Transform", canonicalization)] = parts(transforms)?[..] else {
        return Err(Reason::BadSignature
            .because("other transforms than the enveloped signature and exclusive canonicalization"));
    };
    if only_attribute(enveloped, "Algorithm") != Some(ENVELOPED) || !is_empty(enveloped) {
        return Err(Reason::BadSignature.because("the first transform is not the enveloped signature"));
    }
    check_canonicalization(canonicalization)?;
    let algorithm = only_attribute(digest, "Algorithm").unwrap_or_default();
    if !algorithms::is_digest(algorithm) || !is_empty(digest) {
        return Err(Reason::SignatureAlgorithm.because(shown(algorithm)));
    }
    Ok(())
}

/// Exclusive, without comments; at most with a list of prefixes.
fn check_canonicalization(method: Node<'_, '_>) -> Result<(), Refusal> {
    if only_attribute(method, "Algorithm") != Some(EXC_C14N) {
        return Err(Reason::BadSignature.because("the canonicalization is not the exclusive one, without comments"));
    }
    let mut inside = method.children().filter(Node::is_element);
    match (inside.next(), inside.next()) {
        (None, _) => Ok(()),
        (Some(prefixes), None) if is_prefix_list(prefixes) => Ok(()),
        _ => Err(Reason::BadSignature.because("a canonicalization has parameters that are not taken")),
    }
}

fn is_prefix_list(node: Node<'_, '_>) -> bool {
    is(node, EXC_C14N, "InclusiveNamespaces")
        && is_empty(node)
        && (node.attributes().len() == 0
            || only_attribute(node, "PrefixList").is_some_and(|list| list.len() <= MAX_PREFIXES))
}

fn is_empty(node: Node<'_, '_>) -> bool {
    !node.children().any(|child| child.is_element())
}

/// Its child elements, which must all be of XML signatures.
fn parts<'a, 'i>(node: Node<'a, 'i>) -> Result<Vec<(&'a str, Node<'a, 'i>)>, Refusal> {
    let elements = node.children().filter(Node::is_element);
    let named = elements.map(|child| match child.tag_name().namespace() {
        Some(DSIG) => Ok((child.tag_name().name(), child)),
        _ => Err(Reason::BadSignature.refuse()),
    });
    named.collect()
}
