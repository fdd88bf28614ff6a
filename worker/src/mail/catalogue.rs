//! The words of the mails, one JSON file a language under `locales/`. A language more is a file and a line here.

use std::{collections::BTreeMap, sync::LazyLock};

use chrono::{DateTime, Datelike, NaiveDate, Utc};

/// What a locale falls back to that has no catalogue.
const FALLBACK: &str = "en";

const LANGUAGES: &[(&str, &str)] = &[
    ("de", include_str!("../../locales/de.json")),
    ("en", include_str!("../../locales/en.json")),
    ("fr", include_str!("../../locales/fr.json")),
];

static CATALOGUES: LazyLock<BTreeMap<&str, Catalogue>> = LazyLock::new(|| {
    let parse = |json| serde_json::from_str(json).expect("the catalogues are compiled in, and tested");
    LANGUAGES.iter().map(|(language, json)| (*language, Catalogue(parse(json)))).collect()
});

/// The strings of one language, by section and name: `"invitation.heading"`.
pub(super) struct Catalogue(BTreeMap<String, BTreeMap<String, String>>);

#[derive(Debug, thiserror::Error)]
#[error("the catalogue has no {0:?}")]
pub(super) struct MissingString(String);

/// A piece of a string: `"Hello {name},"` is a text, a placeholder and a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Text(&'a str),
    Placeholder(&'a str),
}

impl Catalogue {
    /// The catalogue for a locale like `de`, `de-AT` or `de_AT.UTF-8`; that of its language, or the English one.
    pub(super) fn of(locale: &str) -> &'static Self {
        let language = locale.split(['-', '_', '.']).next().unwrap_or_default().to_ascii_lowercase();
        let catalogues = &*CATALOGUES;
        catalogues.get(language.as_str()).unwrap_or_else(|| &catalogues[FALLBACK])
    }

    /// The string with its placeholders still in it.
    pub(super) fn get(&self, key: &str) -> Result<&str, MissingString> {
        let (section, name) = key.split_once('.').unwrap_or_default();
        let string = self.0.get(section).and_then(|section| section.get(name));
        string.map(String::as_str).ok_or_else(|| MissingString(key.to_owned()))
    }

    /// The name of a built-in role; of another one, what it is called.
    pub(super) fn role<'a>(&'a self, role: &'a str) -> &'a str {
        self.0.get("role").and_then(|roles| roles.get(role)).map_or(role, String::as_str)
    }

    /// A time to the minute, as one writes it: "29 November 2026, 14:05 UTC".
    pub(super) fn date_time(&self, at: DateTime<Utc>) -> Result<String, MissingString> {
        self.written("date.date_time", at.date_naive(), &at.format("%H:%M").to_string())
    }

    /// A day, as one writes it: "29 November 2026".
    pub(super) fn date(&self, day: NaiveDate) -> Result<String, MissingString> {
        self.written("date.date", day, "")
    }

    fn written(&self, key: &str, on: NaiveDate, time: &str) -> Result<String, MissingString> {
        let day = match on.day() {
            1 => self.get("date.first_day")?.to_owned(),
            day => fill(self.get("date.day")?, |_| day.to_string()),
        };
        let month = self.get(&format!("date.month_{}", on.month()))?;
        Ok(fill(self.get(key)?, |placeholder| match placeholder {
            "day" => day.clone(),
            "month" => month.to_owned(),
            "year" => on.year().to_string(),
            _ => time.to_owned(),
        }))
    }
}

pub(super) fn pieces(string: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = string;
    while let Some((text, (placeholder, after))) =
        rest.split_once('{').and_then(|(text, after)| Some((text, after.split_once('}')?)))
    {
        pieces.extend([Piece::Text(text), Piece::Placeholder(placeholder)]);
        rest = after;
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn fill(string: &str, value: impl Fn(&str) -> String) -> String {
    let fill_in = |piece| match piece {
        Piece::Text(text) => text.to_owned(),
        Piece::Placeholder(name) => value(name),
    };
    pieces(string).into_iter().map(fill_in).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use chrono::TimeZone;

    use super::*;

    fn keys_and_placeholders(catalogue: &Catalogue) -> BTreeSet<(String, BTreeSet<&str>)> {
        let strings = catalogue.0.iter().flat_map(|(section, strings)| {
            strings.iter().map(move |(name, string)| (format!("{section}.{name}"), string))
        });
        strings
            .map(|(key, string)| {
                let placeholders = pieces(string).into_iter().filter_map(|piece| match piece {
                    Piece::Placeholder(name) => Some(name),
                    Piece::Text(_) => None,
                });
                (key, placeholders.collect())
            })
            .collect()
    }

    #[test]
    fn every_language_has_the_same_strings_with_the_same_placeholders() {
        let english = keys_and_placeholders(&CATALOGUES[FALLBACK]);
        for (language, catalogue) in &*CATALOGUES {
            let other = keys_and_placeholders(catalogue);
            let different: Vec<_> = english.symmetric_difference(&other).collect();
            assert!(different.is_empty(), "{language} and {FALLBACK} differ in {different:?}");
            assert_eq!(catalogue.get("locale.language").ok(), Some(*language));
        }
    }

    #[test]
    fn no_string_is_empty_or_shouts_or_has_stray_braces_or_space() {
        for (language, catalogue) in &*CATALOGUES {
            for (name, string) in catalogue.0.values().flatten() {
                assert!(!string.is_empty() && string.trim() == string, "{language}: {name}");
                for piece in pieces(string) {
                    let (Piece::Text(text) | Piece::Placeholder(text)) = piece;
                    assert!(!text.contains(['{', '}', '<', '!']), "{language}: {name}");
                }
            }
        }
    }

    #[test]
    fn a_locale_falls_back_to_its_language_and_then_to_english() {
        let language = |locale| Catalogue::of(locale).get("locale.language").map(str::to_owned).expect("there");
        assert_eq!(["de", "de-AT", "DE_ch.UTF-8"].map(language), ["de", "de", "de"]);
        assert_eq!(["en-GB", "tlh", ""].map(language), ["en", "en", "en"]);
    }

    #[test]
    fn dates_are_written_as_people_write_them() {
        let date = |locale, day| {
            let at = Utc.with_ymd_and_hms(2026, 11, day, 14, 5, 59).single().expect("a time");
            Catalogue::of(locale).date_time(at).expect("there")
        };
        // No line ends between a number and what it counts.
        assert_eq!(date("en", 29), "29\u{a0}November 2026, 14:05\u{a0}UTC");
        assert_eq!(date("de", 29), "29.\u{a0}November 2026 um 14:05\u{a0}Uhr (UTC)");
        assert_eq!(date("fr", 29), "29\u{a0}novembre 2026 à 14:05\u{a0}UTC");
        assert_eq!(date("fr", 1), "1er\u{a0}novembre 2026 à 14:05\u{a0}UTC");
        let day = |locale, day| {
            let day = NaiveDate::from_ymd_opt(2026, 11, day).expect("a day");
            Catalogue::of(locale).date(day).expect("there")
        };
        assert_eq!(
            [day("en", 29), day("de", 29), day("fr", 1)],
            ["29\u{a0}November 2026", "29.\u{a0}November 2026", "1er\u{a0}novembre 2026"]
        );
    }
}
