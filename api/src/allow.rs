//! Which methods a path takes: what a 405 says in `Allow` (RFC 9110, 15.5.6).

use crate::{openapi, pages};

/// The paths of the document with their methods, those with more words of their own first.
#[derive(Clone, Debug)]
pub(crate) struct Allow(Vec<(&'static str, String)>);

impl Allow {
    /// Reads the document.
    pub(crate) fn new() -> Self {
        let method = |method: &String| match method.as_str() {
            "get" => "GET, HEAD".to_owned(),
            method => method.to_ascii_uppercase(),
        };
        let known = openapi::paths();
        let mut known: Vec<(&str, String)> = known
            .map(|(path, operations)| (path.as_str(), operations.keys().map(method).collect::<Vec<_>>().join(", ")))
            .collect();
        // As the router does: a word is preferred to a parameter.
        known.sort_by_key(|(path, _)| path.matches('{').count());
        Self(known)
    }

    /// What this path takes.
    pub(crate) fn methods(&self, path: &str) -> &str {
        let found = self.0.iter().find(|(template, _)| is_of(path, template));
        found.map_or_else(|| pages::methods(path), |(_, methods)| methods)
    }
}

fn is_of(path: &str, template: &str) -> bool {
    let (mut words, mut parts) = (path.split('/'), template.split('/'));
    parts.by_ref().all(|part| words.next().is_some_and(|word| part.starts_with('{') || part == word))
        && words.next().is_none()
}
