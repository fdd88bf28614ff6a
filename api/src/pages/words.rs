//! The words of the pages, one JSON file a language under `locales/`. A language more is a file and a line here.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::{DateTime, Datelike, Utc};
use poem::http::{HeaderMap, header};

/// What pages speak to someone of whom no language is known that they have.
const FALLBACK: &str = "en";

const LANGUAGES: &[(&str, &str)] = &[
    ("en", include_str!("../../locales/en.json")),
    ("de", include_str!("../../locales/de.json")),
    ("fr", include_str!("../../locales/fr.json")),
];

static ALL: LazyLock<BTreeMap<&str, Words>> = LazyLock::new(|| {
    #[expect(clippy::expect_used, reason = "the catalogues are compiled in, and tested")]
    let parse = |json| serde_json::from_str(json).expect("a catalogue");
    LANGUAGES.iter().map(|(language, json)| (*language, Words { language, strings: parse(json) })).collect()
});

/// The strings of one language, by section and name: `"accept.title"`.
#[derive(Debug)]
pub(super) struct Words {
    /// Its tag, for `lang`.
    pub(super) language: &'static str,
    strings: BTreeMap<String, BTreeMap<String, String>>,
}

impl Words {
    /// The words for a locale like `de` or `de-AT`, if there are any.
    pub(super) fn find(locale: &str) -> Option<&'static Self> {
        let language = locale.split(['-', '_']).next().unwrap_or_default().trim().to_ascii_lowercase();
        ALL.get(language.as_str())
    }

    /// The words for a locale; in English, if there are none.
    pub(super) fn of(locale: &str) -> &'static Self {
        Self::find(locale).unwrap_or_else(|| &ALL[FALLBACK])
    }

    /// The words that a browser's `Accept-Language` (RFC 9110, 12.5.4) likes best, if we have any that it names.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<&'static Self> {
        let mut best: Option<(f32, &'static Self)> = None;
        for value in headers.get_all(header::ACCEPT_LANGUAGE).iter().filter_map(|value| value.to_str().ok()) {
            for range in value.split(',') {
                let (tag, weight) = range.split_once(';').unwrap_or((range, ""));
                let weight = weight.trim().strip_prefix("q=").map_or(Some(1.0), |q| q.trim().parse().ok());
                let (Some(words), Some(weight)) = (Self::find(tag), weight) else { continue };
                // Of two alike, the first.
                if weight > best.map_or(0.0, |(best, _)| best) {
                    best = Some((weight, words));
                }
            }
        }
        best.map(|(_, words)| words)
    }

    /// The string, with its placeholders still in it.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        let (section, name) = key.split_once('.')?;
        self.strings.get(section)?.get(name).map(String::as_str)
    }

    /// What a role is called; an organization's own role has the name that it was given.
    pub(super) fn role(&self, name: &str) -> String {
        self.get(&format!("role.{name}")).unwrap_or(name).to_owned()
    }

    /// A time to the minute, as one writes it: "29 November 2026, 14:05 UTC".
    pub(super) fn date_time(&self, at: DateTime<Utc>) -> String {
        let word = |key: &str| self.get(key).unwrap_or_default();
        let day = match at.day() {
            1 => word("date.first_day").to_owned(),
            day => word("date.day").replace("{day}", &day.to_string()),
        };
        word("date.date_time")
            .replace("{day}", &day)
            .replace("{month}", word(&format!("date.month_{}", at.month())))
            .replace("{year}", &at.year().to_string())
            .replace("{time}", &at.format("%H:%M").to_string())
    }
}

/// A piece of a string: `"Hello {name},"` is a text, a placeholder and a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

/// A string in pieces.
pub(super) fn pieces(string: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = string;
    while let Some((text, (name, after))) =
        rest.split_once('{').and_then(|(text, after)| Some((text, after.split_once('}')?)))
    {
        pieces.extend([Piece::Text(text), Piece::Placeholder(name)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use chrono::TimeZone;
    use poem::http::HeaderValue;

    use super::*;

    /// Every key there is, with the placeholders of its string.
    pub(in crate::pages) fn keys(words: &Words) -> BTreeSet<(String, BTreeSet<&str>)> {
        let placeholders = |string| {
            let of = |piece| if let Piece::Placeholder(name) = piece { Some(name) } else { None };
            pieces(string).into_iter().filter_map(of).collect()
        };
        let section = |(section, strings): (&String, &'static BTreeMap<String, String>)| {
            let section = section.clone();
            strings.iter().map(move |(name, string)| (format!("{section}.{name}"), placeholders(string)))
        };
        let words: &'static Words = &ALL[words.language];
        words.strings.iter().flat_map(section).collect()
    }

    #[test]
    fn every_language_has_the_same_strings_with_the_same_placeholders() {
        let english = keys(&ALL[FALLBACK]);
        for (language, words) in &*ALL {
            let different: Vec<_> = english.symmetric_difference(&keys(words)).cloned().collect();
            assert!(different.is_empty(), "{language} and {FALLBACK} differ in {different:?}");
        }
    }

    #[test]
    fn no_string_is_empty_or_holds_markup() {
        for (language, words) in &*ALL {
            for (name, string) in words.strings.values().flatten() {
                assert!(!string.is_empty() && string.trim() == string, "{language}: {name}");
                assert!(!string.contains(['<', '>', '&', '"']), "{language}: {name}");
            }
        }
    }

    #[test]
    fn the_language_is_the_one_the_browser_likes_best() {
        let wanted = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::ACCEPT_LANGUAGE, HeaderValue::from_static(value))]);
            Words::wanted(&headers).map(|words| words.language)
        };
        assert_eq!(wanted("de-AT,de;q=0.9,en;q=0.8"), Some("de"));
        assert_eq!(wanted("it, fr-CH;q=0.9, en;q=0.8"), Some("fr"));
        assert_eq!(wanted("en;q=0.1, de;q=0.5"), Some("de"));
        assert_eq!(wanted("de;q=0, EN_us"), Some("en"));
        assert_eq!(wanted("tlh"), None);
        assert_eq!(wanted("*"), None);
        assert_eq!(wanted(";;q=,,=1,de;q=x"), None);
        assert_eq!(Words::wanted(&HeaderMap::new()).map(|words| words.language), None);
        assert_eq!(Words::of("pt-BR").language, "en");
    }

    #[test]
    fn dates_are_written_as_people_write_them() {
        let date = |locale, day| {
            let at = Utc.with_ymd_and_hms(2026, 11, day, 14, 5, 59).single().expect("a time");
            Words::of(locale).date_time(at)
        };
        assert_eq!(date("en", 29), "29 November 2026, 14:05 UTC");
        assert_eq!(date("de", 29), "29. November 2026 um 14:05 Uhr (UTC)");
        assert_eq!(date("fr", 1), "1er novembre 2026 à 14:05 UTC");
    }
}
