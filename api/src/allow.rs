//! Which methods a path takes: what a 405 says in `Allow` (RFC 9110, 15.5.6).

use serde_json::Value;

use crate::pages;

/// The paths of the document with their methods, those with more words of their own first.
#[derive(Clone, Debug)]
pub(crate) struct Allow(Vec<(String, String)>);

impl Allow {
    /// Reads the document.
    pub(crate) fn new(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let paths = document["paths"].as_object().into_iter().flatten();
        let mut known: Vec<(String, String)> = paths
            .map(|(path, operations)| {
                let methods = operations.as_object().into_iter().flatten().map(|(method, _)| match method.as_str() {
                    "get" => "GET, HEAD".to_owned(),
                    method => method.to_ascii_uppercase(),
                });
                (path.clone(), methods.collect::<Vec<_>>().join(", "))
            })
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
