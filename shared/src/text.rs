//! Making text of other people's safe to put into a line of ours, and refusing what is not fit for one.

use crate::error::Check;

/// One line of at most `longest` characters: controls and line breaks become spaces, what would turn the reading
/// direction or hide is dropped, and what is too long ends with "…".
#[must_use]
pub fn single_line(text: &str, longest: usize) -> String {
    let visible = text.chars().filter(|char| !is_trick(*char));
    let spaced: String = visible.map(|char| if is_break(char) { ' ' } else { char }).collect();
    let words = spaced.split(is_space).filter(|word| !word.is_empty());
    shorten(&words.collect::<Vec<_>>().join(" "), longest)
}

/// Lines of at most `longest` characters in all, each treated like [`single_line`]. Outer empty lines are dropped.
#[must_use]
pub fn lines(text: &str, longest: usize) -> Vec<String> {
    let text = shorten(&text.replace("\r\n", "\n").replace('\r', "\n"), longest);
    let lines = text.trim().split('\n').map(|line| single_line(line, longest));
    lines.collect()
}

/// The name that somebody gives to something: one line, 1 to 200 characters.
pub(crate) fn check_name(check: &mut Check, name: &str) -> String {
    check_line(check, "name", name)
}

/// The same in a field that is called otherwise.
pub(crate) fn check_line(check: &mut Check, field: &'static str, name: &str) -> String {
    let name = name.trim();
    check.that(!name.is_empty(), field, "required", "A name is needed.");
    check.that(name.chars().count() <= 200, field, "too_long", "A name has at most 200 characters.");
    check.that(!name.chars().any(char::is_control), field, "invalid", "A name is one line of text.");
    name.to_owned()
}

/// Whether a text is one of the lines of another, which are sorted by bytes: looked for by halves, where they lie.
pub(crate) fn has_line(sorted: &str, wanted: &str) -> bool {
    let mut rest = sorted;
    while !rest.is_empty() {
        let bytes = rest.as_bytes();
        let before = |byte: &u8| *byte == b'\n';
        let begin = bytes[..bytes.len() / 2].iter().rposition(before).map_or(0, |at| at + 1);
        let end = bytes[begin..].iter().position(before).map_or(bytes.len(), |at| begin + at);
        match wanted.cmp(&rest[begin..end]) {
            std::cmp::Ordering::Equal => return !wanted.is_empty(),
            std::cmp::Ordering::Less => rest = &rest[..begin],
            std::cmp::Ordering::Greater => rest = rest.get(end + 1..).unwrap_or_default(),
        }
    }
    false
}

fn is_break(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

/// Space where a line may end. The one between a number and what it counts stays.
fn is_space(char: char) -> bool {
    char.is_whitespace() && !matches!(char, '\u{a0}' | '\u{202f}')
}

/// Overrides of the reading direction, and characters without width but for the joiners that scripts and emoji need.
fn is_trick(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// Cuts at a word if one ends in the last third, else anywhere.
fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let cut: String = text.chars().take(longest.saturating_sub(1)).collect();
    let word_end = cut.rfind(char::is_whitespace).filter(|end| *end >= cut.len() * 2 / 3);
    let kept = cut[..word_end.unwrap_or(cut.len())].trim_end();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_and_controls_become_spaces() {
        assert_eq!(single_line("Acme\r\nBcc: x@y\0\t z\u{2028}", 99), "Acme Bcc: x@y z");
        assert_eq!(single_line("29.\u{a0}November  2026", 99), "29.\u{a0}November 2026");
    }

    #[test]
    fn the_reading_direction_cannot_be_turned() {
        assert_eq!(single_line("invoice\u{202e}fdp.exe", 99), "invoicefdp.exe");
        assert_eq!(single_line("👩\u{200d}💻", 99), "👩\u{200d}💻");
    }

    #[test]
    fn a_long_name_is_cut_at_a_word_and_says_so() {
        assert_eq!(single_line("Société Générale de Surveillance", 28), "Société Générale de…");
        assert_eq!(single_line(&"x".repeat(30), 10), format!("{}…", "x".repeat(9)));
        assert_eq!(single_line("just fits", 9), "just fits");
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(lines("\nDear Bob,\r\n\r\nsee you\u{7}\n", 99), ["Dear Bob,", "", "see you"]);
    }
}
