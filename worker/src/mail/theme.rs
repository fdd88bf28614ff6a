//! Colours made of an organization's one, such that everything can be read, by day and by night.
//!
//! How, `shared` knows.

use tenantry_shared::color::{Color, READABLE};

/// Where an organization has chosen none, or one that is no colour.
const DEFAULT: Color = Color([0x34, 0x54, 0xd1]);
/// What the text stands on in dark mode. The style sheet in `base.html` has the same.
const DARK_CARD: Color = Color([0x1b, 0x1e, 0x25]);

/// Below these, a button can't be told well from what it stands on, and gets a border. Dark on dark needs more.
const VISIBLE: f64 = 1.6;
const VISIBLE_IN_THE_DARK: f64 = 2.5;

/// All `#rrggbb`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Theme {
    pub(super) brand: String,
    pub(super) on_brand: String,
    pub(super) border: String,
    pub(super) link: String,
    pub(super) dark_border: String,
    pub(super) dark_link: String,
}

impl Theme {
    pub(super) fn of(color: Option<&str>) -> Self {
        let brand = color.and_then(Color::parse).unwrap_or(DEFAULT);
        Self {
            brand: brand.hex(),
            on_brand: brand.ink().hex(),
            border: brand.until(VISIBLE, Color::WHITE, Color::BLACK).hex(),
            link: brand.until(READABLE, Color::WHITE, Color::BLACK).hex(),
            dark_border: brand.until(VISIBLE_IN_THE_DARK, DARK_CARD, Color::WHITE).hex(),
            dark_link: brand.until(READABLE, DARK_CARD, Color::WHITE).hex(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn color(hex: &str) -> Color {
        Color::parse(hex).expect("a colour")
    }

    #[test]
    fn everything_can_be_read_whatever_the_colour() {
        for red in (0..=255).step_by(51) {
            for green in (0..=255).step_by(51) {
                for blue in (0..=255).step_by(51) {
                    let brand = Color([red, green, blue]).hex();
                    let theme = Theme::of(Some(&brand));
                    assert!(color(&theme.on_brand).contrast(color(&theme.brand)) >= READABLE, "{brand}");
                    assert!(color(&theme.link).contrast(Color::WHITE) >= READABLE, "{brand}");
                    assert!(color(&theme.dark_link).contrast(DARK_CARD) >= READABLE, "{brand}");
                }
            }
        }
    }

    #[test]
    fn a_colour_that_can_be_read_stays_as_it_is() {
        let theme = Theme::of(Some("#0B6E4F"));
        assert_eq!([&*theme.brand, &theme.link, &theme.border], ["#0b6e4f"; 3]);
        assert_eq!(theme.on_brand, "#ffffff");
    }

    #[test]
    fn what_is_no_colour_is_not_let_into_the_style_sheet() {
        let default = Theme::of(None);
        for text in ["red", "#fff", "#12345g", "#+12345", "#123456;}", "#ä1234", ""] {
            assert_eq!(Theme::of(Some(text)), default, "{text}");
        }
    }
}
