//! Colours made of an organization's one, such that everything can be read, by day and by night.
//!
//! Contrast is that of WCAG 2: 4.5 for text.

/// Where an organization has chosen none, or one that is no colour.
const DEFAULT: Color = Color([0x34, 0x54, 0xd1]);
const WHITE: Color = Color([255, 255, 255]);
const BLACK: Color = Color([0, 0, 0]);
/// What the text stands on in dark mode. The style sheet in `base.html` has the same.
const DARK_CARD: Color = Color([0x1b, 0x1e, 0x25]);

const READABLE: f64 = 4.5;
/// Below these, a button can't be told well from what it stands on, and gets a border. Dark on dark needs more.
const VISIBLE: f64 = 1.6;
const VISIBLE_IN_THE_DARK: f64 = 2.5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Color([u8; 3]);

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
        // White as long as it can be read, for that is what one expects; one of the two always can.
        let on_brand = if brand.contrast(WHITE) >= READABLE { WHITE } else { BLACK };
        Self {
            brand: brand.hex(),
            on_brand: on_brand.hex(),
            border: brand.until(VISIBLE, WHITE, BLACK).hex(),
            link: brand.until(READABLE, WHITE, BLACK).hex(),
            dark_border: brand.until(VISIBLE_IN_THE_DARK, DARK_CARD, WHITE).hex(),
            dark_link: brand.until(READABLE, DARK_CARD, WHITE).hex(),
        }
    }
}

impl Color {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let part = |at: usize| digits.get(at..at + 2).and_then(|part| u8::from_str_radix(part, 16).ok());
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_hex.then_some(Self([part(0)?, part(2)?, part(4)?]))
    }

    fn hex(self) -> String {
        let Self([red, green, blue]) = self;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// Itself, or as little nearer to `pole` as it takes to stand out from `ground`.
    fn until(self, contrast: f64, ground: Self, pole: Self) -> Self {
        let shades = (0..=20).map(|step| self.towards(pole, f64::from(step) / 20.0));
        shades.into_iter().find(|shade| shade.contrast(ground) >= contrast).unwrap_or(pole)
    }

    fn towards(self, pole: Self, share: f64) -> Self {
        let mix = |index: usize| {
            let (from, to) = (f64::from(self.0[index]), f64::from(pole.0[index]));
            // Between two bytes, so it is one.
            (from + (to - from) * share).round() as u8
        };
        Self([mix(0), mix(1), mix(2)])
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = self.0.map(|byte| {
            let share = f64::from(byte) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
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
                    assert!(color(&theme.link).contrast(WHITE) >= READABLE, "{brand}");
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
