//! Times as SAML writes them.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

/// Clocks differ.
pub(crate) const TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// Reads `2026-11-22T12:00:00Z`, with or without a fraction of a second, from 2000 to 2099: of what XML Schema allows, the
/// part that SAML asks for (UTC) and that no arithmetic overflows.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let (whole, fraction) = text.strip_suffix('Z')?.split_at_checked(19)?;
    let nanoseconds = match fraction.strip_prefix('.') {
        None if fraction.is_empty() => 0,
        Some(digits) if (1..=9).contains(&digits.len()) => number(digits)? * 10_u32.pow(9 - digits.len() as u32),
        _ => return None,
    };
    let marks = [4, 7, 10, 13, 16].map(|at| whole.as_bytes()[at]);
    if marks != *b"--T::" {
        return None;
    }
    let part = |from: usize, to: usize| number(whole.get(from..to)?);
    let year = part(0, 4).filter(|year| (2000..=2099).contains(year))?;
    let date = NaiveDate::from_ymd_opt(year as i32, part(5, 7)?, part(8, 10)?)?;
    Some(date.and_hms_nano_opt(part(11, 13)?, part(14, 16)?, part(17, 19)?, nanoseconds)?.and_utc())
}

fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// Writes it, to the second.
pub(crate) fn format(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_one_form_only() {
        let noon = DateTime::from_timestamp(1_795_348_800, 0).expect("a time");
        assert_eq!(parse("2026-11-22T12:00:00Z"), Some(noon));
        assert_eq!(parse("2026-11-22T12:00:00.5Z"), Some(noon + TimeDelta::milliseconds(500)));
        assert_eq!(parse("2026-11-22T12:00:00.123456789Z"), Some(noon + TimeDelta::nanoseconds(123_456_789)));
        assert_eq!(parse(&format(noon)), Some(noon));
        for bad in [
            "",
            "Z",
            "2026-11-22",
            "2026-11-22T12:00:00",
            "2026-11-22T12:00:00+00:00",
            "2026-11-22T12:00:00z",
            "2026-11-22 12:00:00Z",
            "2026-11-22T12:00:00.Z",
            "2026-11-22T12:00:00.1234567890Z",
            "2026-11-22T24:00:00Z",
            "2026-02-30T12:00:00Z",
            "2026-11-22T12:00:60Z",
            "1999-12-31T23:59:59Z",
            "2100-01-01T00:00:00Z",
            "-2026-11-22T12:00:00Z",
            "99999-11-22T12:00:00Z",
            "+026-11-22T12:00:00Z",
            " 2026-11-22T12:00:00Z",
            "2026-11-22T12:00:00Z ",
            "２026-11-22T12:00:00Z",
            "2026-11-2２T12:00:00Z",
            "0000-00-00T00:00:00Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
