//! The second look: has the document the one structure that we take?

use std::collections::HashSet;

use roxmltree::{Document, Node};

use crate::xml::{ASSERTION, DSIG, PROTOCOL, attribute, is, is_ncname, only_child};
use crate::{Reason, Refusal, refusal::shown};

/// What a response brings.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content<'a, 'i> {
    Plain(Node<'a, 'i>),
    Encrypted(Node<'a, 'i>),
}

/// No id is there twice and no element has two, however their attributes are spelt: whoever looks something up by id finds the
/// same.
pub(crate) fn check_ids(document: &Document<'_>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for node in document.descendants() {
        let mut ids = node.attributes().filter(|attribute| attribute.name().eq_ignore_ascii_case("id"));
        let Some(id) = ids.next() else { continue };
        if ids.next().is_some() {
            return Err(Reason::BadId.because("an element has two"));
        }
        if !seen.insert(id.value()) {
            return Err(Reason::DuplicateId.refuse());
        }
        // These are the ones that signatures refer to.
        if id.name() == "ID" && !is_ncname(id.value()) {
            return Err(Reason::BadId.refuse());
        }
    }
    Ok(())
}

/// Nothing leads out of the document, or to another place in it.
pub(crate) fn check_references(document: &Document<'_>) -> Result<(), Refusal> {
    for node in document.descendants().filter(Node::is_element) {
        match node.tag_name().name() {
            "RetrievalMethod" | "CipherReference" | "Manifest" => return Err(Reason::BadReference.refuse()),
            "Object" if node.tag_name().namespace() == Some(DSIG) => return Err(Reason::BadSignature.refuse()),
            _ => {}
        }
    }
    Ok(())
}

/// A response with one assertion, which is its direct child and the only one anywhere.
pub(crate) fn response<'a, 'i>(document: &'a Document<'i>) -> Result<Content<'a, 'i>, Refusal> {
    let root = document.root_element();
    if !is(root, PROTOCOL, "Response") {
        return Err(Reason::UnexpectedMessage.refuse());
    }
    let mut found = document.descendants().filter(|node| is_assertion(*node));
    let Some(assertion) = found.next() else {
        // Without an assertion it usually says why there is none.
        check_status(root)?;
        return Err(Reason::NoAssertion.refuse());
    };
    if found.next().is_some() {
        return Err(Reason::SeveralAssertions.refuse());
    }
    if assertion.parent() != Some(root) {
        return Err(Reason::MisplacedAssertion.refuse());
    }
    if is(assertion, ASSERTION, "Assertion") {
        Ok(Content::Plain(assertion))
    } else if is(assertion, ASSERTION, "EncryptedAssertion") {
        Ok(Content::Encrypted(assertion))
    } else {
        Err(Reason::NoAssertion.refuse())
    }
}

/// An assertion by itself, with no other inside.
pub(crate) fn assertion(document: &Document<'_>) -> Result<(), Refusal> {
    if !is(document.root_element(), ASSERTION, "Assertion") {
        return Err(Reason::UnexpectedMessage.refuse());
    }
    let found = document.descendants().filter(|node| is_assertion(*node)).count();
    if found == 1 { Ok(()) } else { Err(Reason::SeveralAssertions.refuse()) }
}

/// Of whatever namespace: some library might not look.
fn is_assertion(node: Node<'_, '_>) -> bool {
    node.is_element() && matches!(node.tag_name().name(), "Assertion" | "EncryptedAssertion")
}

/// Success, and nothing else.
pub(crate) fn check_status(message: Node<'_, '_>) -> Result<(), Refusal> {
    const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
    let status = only_child(message, PROTOCOL, "Status").ok_or_else(|| Reason::Status.because("there is no status"))?;
    let codes: Vec<_> = status
        .descendants()
        .filter(|node| is(*node, PROTOCOL, "StatusCode"))
        .filter_map(|node| attribute(node, "Value"))
        .collect();
    let top = only_child(status, PROTOCOL, "StatusCode").and_then(|code| attribute(code, "Value"));
    if top == Some(SUCCESS) { Ok(()) } else { Err(Reason::Status.because(shown(&codes.join(", ")))) }
}
