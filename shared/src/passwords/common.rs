//! The most common passwords, as they are in every list that is tried first.

use unicode_normalization::UnicodeNormalization;

use crate::text::has_line;

/// In lower case and NFC, sorted by bytes, one a line: searched where it lies in the program, so it takes no memory of its
/// own. `shared/data/common_passwords/README.md` says where it is from.
static LIST: &str = include_str!("../../data/common_passwords/list.txt");

/// Whether a password is among the most common, whatever its case, or one of them repeated, or with digits and signs put
/// before or behind it.
pub(super) fn is_common(password: &str) -> bool {
    let password: String = password.to_lowercase().nfc().collect();
    let word = password.trim_matches(|c: char| !c.is_alphabetic());
    [password.as_str(), word, unit(&password), unit(word)].into_iter().any(|word| has_line(LIST, word))
}

/// What a text repeats from its beginning to its end; the text itself, if nothing.
fn unit(text: &str) -> &str {
    let ends = text.char_indices().map(|(at, _)| at).filter(|at| *at > 0 && text.len().is_multiple_of(*at));
    let repeats = |end: &usize| text.as_bytes().chunks(*end).all(|part| part == &text.as_bytes()[..*end]);
    ends.clone().find(repeats).map_or(text, |end| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_long_and_each_of_it_is_found() {
        let lines: Vec<&str> = LIST.lines().collect();
        assert!(lines.is_sorted_by(|a, b| a < b), "sorted by bytes, none twice");
        for (length, least) in [(8, 25_000), (15, 3_000)] {
            let long_enough = lines.iter().filter(|line| line.chars().count() >= length).count();
            assert!(long_enough >= least, "{long_enough} of {length} characters or more");
        }
        for line in &lines {
            assert!(has_line(LIST, line), "{line}");
            assert!(line.nfc().eq(line.chars()) && line.to_lowercase() == **line, "{line}");
            let longer = format!("{line}\u{1}");
            assert!(!has_line(LIST, &longer), "{longer}");
        }
        assert!(!has_line(LIST, "") && !has_line(LIST, "\n"));
    }

    #[test]
    fn a_common_password_is_common_in_any_case_repeated_and_padded() {
        for common in [
            "Password1",
            "QWERTYUIOP",
            "iLoveYouiLoveYou",
            "2026!sunshine!!!",
            "monkeymonkeymonkey",
            "1Qaz2wsx3edc4rfv",
        ] {
            assert!(is_common(common), "{common}");
        }
        for rare in
            ["", "7", "several unrelated zebras", "sunshine xylophone", "correct horse battery xylophone", "…………"]
        {
            assert!(!is_common(rare), "{rare}");
        }
    }

    #[test]
    fn what_a_text_repeats_is_found_between_whole_characters() {
        assert_eq!(unit("abcabcabc"), "abc");
        assert_eq!(unit("abcab"), "abcab");
        assert_eq!(unit("ääää"), "ä");
        assert_eq!(unit(""), "");
    }
}
