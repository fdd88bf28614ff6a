//! The first look at a document, before any parser sees it: is it plain, and small in every direction?

use crate::Reason;

/// How much a document may have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    elements: usize,
    /// Bytes between `<` and `>`.
    tag: usize,
    /// Of one element, declarations of namespaces included.
    attributes: usize,
    depth: usize,
    /// Declarations in force at one place: canonicalization takes time with their number times that of elements.
    namespaces: usize,
    /// Comments and processing instructions, which are skipped.
    comments: bool,
}

impl Limits {
    /// What identity providers send through browsers.
    pub(crate) const MESSAGE: Self =
        Self { elements: 4000, tag: 16_000, attributes: 50, depth: 40, namespaces: 60, comments: false };
    /// What administrators hand over, or an identity provider publishes for many.
    pub(crate) const METADATA: Self =
        Self { elements: 100_000, tag: 16_000, attributes: 50, depth: 40, namespaces: 60, comments: true };
}

/// What a document has too much of, or must not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("the XML declaration asks for something else than UTF-8")]
    Declaration,
    #[error("markup that begins with <! or <?")]
    Markup,
    #[error("a NUL character")]
    Nul,
    #[error("too many elements")]
    Elements,
    #[error("a tag is too long")]
    Tag,
    #[error("too many attributes")]
    Attributes,
    #[error("too many namespaces")]
    Namespaces,
    #[error("elements are nested too deeply")]
    Depth,
    #[error("a tag is not closed")]
    Unclosed,
}

impl Fault {
    pub(crate) fn reason(self) -> Reason {
        match self {
            Self::Declaration | Self::Markup | Self::Nul => Reason::ForbiddenMarkup,
            Self::Elements | Self::Tag | Self::Attributes | Self::Namespaces | Self::Depth => Reason::TooComplex,
            Self::Unclosed => Reason::BadXml,
        }
    }
}

/// Looks through it once, from the beginning to the end. Whether it is well-formed is the parser's question.
pub(crate) fn check(text: &str, limits: &Limits) -> Result<(), Fault> {
    if text.contains('\0') {
        return Err(Fault::Nul);
    }
    let mut rest = without_declaration(text)?;
    let mut elements = 0_usize;
    // How many namespaces each open element declares, and all of them.
    let (mut open, mut namespaces) = (Vec::new(), 0_usize);
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if rest.starts_with(['!', '?']) {
            rest = skipped(rest).filter(|_| limits.comments).ok_or(Fault::Markup)?;
            continue;
        }
        let (tag, after) = tag(rest, limits)?;
        rest = after;
        if tag.starts_with('/') {
            namespaces -= open.pop().unwrap_or_default();
            continue;
        }
        elements += 1;
        if elements > limits.elements {
            return Err(Fault::Elements);
        }
        if open.len() >= limits.depth {
            return Err(Fault::Depth);
        }
        // One that stands in a value is counted, too.
        let declared = tag.matches("xmlns").count();
        if namespaces + declared > limits.namespaces {
            return Err(Fault::Namespaces);
        }
        if !tag.ends_with('/') {
            open.push(declared);
            namespaces += declared;
        }
    }
    Ok(())
}

/// What follows a declaration, if there is one, which is short and asks for what we take.
fn without_declaration(text: &str) -> Result<&str, Fault> {
    let Some(declared) = text.strip_prefix("<?xml").filter(|rest| rest.starts_with([' ', '\t', '\r', '\n'])) else {
        return Ok(text);
    };
    let (declaration, rest) = declared.split_once("?>").ok_or(Fault::Declaration)?;
    let declaration = declaration.to_ascii_lowercase();
    let encoding = declaration.split_once("encoding").map(|(_, value)| value);
    let is_utf8 = encoding.is_none_or(|value| value.contains("\"utf-8\"") || value.contains("'utf-8'"));
    let is_1_0 = declaration.contains("\"1.0\"") || declaration.contains("'1.0'");
    if declaration.len() <= 100 && is_utf8 && is_1_0 { Ok(rest) } else { Err(Fault::Declaration) }
}

/// What follows a comment or a processing instruction, whose `<` was taken; nothing if it is something else.
fn skipped(rest: &str) -> Option<&str> {
    let end = match rest.strip_prefix("!--") {
        Some(comment) => comment.split_once("-->"),
        None => rest.strip_prefix('?')?.split_once("?>"),
    };
    end.map(|(_, after)| after)
}

/// The inside of a tag, whose `<` was taken, and what follows it. A `>` in quotes is not its end.
fn tag<'t>(rest: &'t str, limits: &Limits) -> Result<(&'t str, &'t str), Fault> {
    let mut quote = None;
    let mut attributes = 0;
    for (at, byte) in rest.bytes().enumerate() {
        if at > limits.tag {
            return Err(Fault::Tag);
        }
        match (quote, byte) {
            (None, b'>') => return Ok((&rest[..at], &rest[at + 1..])),
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'=') => attributes += 1,
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        if attributes > limits.attributes {
            return Err(Fault::Attributes);
        }
    }
    Err(Fault::Unclosed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_plain_and_small_in_every_direction() {
        let check = |text: &str| super::check(text, &Limits::MESSAGE);
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        let siblings = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count));
        assert_eq!(check("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone='no' ?>\n<a b='>'>&gt;</a>"), Ok(()));
        assert_eq!(check("<?xml version='1.0'?><a/>"), Ok(()));
        assert_eq!(check(&nested(40)), Ok(()));
        assert_eq!(check(&nested(41)), Err(Fault::Depth));
        assert_eq!(check(&siblings(3999)), Ok(()));
        assert_eq!(check(&siblings(4000)), Err(Fault::Elements));
        assert_eq!(check(&format!("<a b='{}'/>", "x".repeat(15_000))), Ok(()));
        assert_eq!(check(&format!("<a b='{}'/>", "x".repeat(16_000))), Err(Fault::Tag));
        assert_eq!(check(&format!("<a {}/>", "b='' ".repeat(51))), Err(Fault::Attributes));
        let declaring = |count: usize| format!("<a{}>", " xmlns:b=''".repeat(count));
        assert_eq!(check(&format!("{}{}</a></a>", declaring(30), declaring(30))), Ok(()));
        assert_eq!(check(&format!("{}{}</a></a>", declaring(30), declaring(31))), Err(Fault::Namespaces));
        assert_eq!(check(&format!("<a>{}</a>", "<b xmlns:c='' xmlns:d=''></b>".repeat(3000))), Ok(()));
        assert_eq!(check("<a>\0</a>"), Err(Fault::Nul));
        assert_eq!(check("<a b='>"), Err(Fault::Unclosed));
        for markup in [
            "<!DOCTYPE a><a/>",
            "<a><!-- b --></a>",
            "<a><![CDATA[b]]></a>",
            "<a><?b c?></a>",
            " <?xml version='1.0'?><a/>",
        ] {
            assert_eq!(check(markup), Err(Fault::Markup), "{markup}");
        }
        for declaration in
            ["version='1.1'", "version='1.0' encoding='UTF-16'", "version='1.0' encoding='utf-7'", "encoding='utf-8'"]
        {
            assert_eq!(check(&format!("<?xml {declaration}?><a/>")), Err(Fault::Declaration), "{declaration}");
        }
        assert_eq!(check("<?xml version='1.0'"), Err(Fault::Declaration));
    }

    #[test]
    fn metadata_may_have_comments_but_no_document_type() {
        let check = |text: &str| super::check(text, &Limits::METADATA);
        assert_eq!(check("<?xml version='1.0'?><!-- <a <b --><?c d?><a><!----></a>"), Ok(()));
        assert_eq!(check("<!DOCTYPE a><a/>"), Err(Fault::Markup));
        assert_eq!(check("<a><![CDATA[b]]></a>"), Err(Fault::Markup));
        assert_eq!(check("<a><!-- "), Err(Fault::Markup));
    }
}
