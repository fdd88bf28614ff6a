//! An organization's colour as a style sheet of a few lines, such that everything can be read, by day and by night.
//!
//! It is a sheet of its own because the content security policy allows no inline style. Contrast is that of WCAG 2.2: 4.5
//! for text, 3 for the shape of a button.

const WHITE: Color = Color([255, 255, 255]);
const BLACK: Color = Color([0, 0, 0]);
/// What links stand on, at worst: `--ground` by day and `--card` by night, as in `app.css`.
const GROUND: Color = Color([0xf2, 0xf4, 0xf7]);
const DARK_CARD: Color = Color([0x1b, 0x1e, 0x25]);

const READABLE: f64 = 4.5;
const VISIBLE: f64 = 3.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Color([u8; 3]);

/// The digits of a colour that is written `#rrggbb`.
pub(super) fn digits(color: &str) -> Option<String> {
    color.strip_prefix('#').and_then(Color::parse).map(Color::hex)
}

/// The sheet for the colour of these six digits.
pub(super) fn sheet(digits: &str) -> Option<String> {
    let brand = Color::parse(digits)?;
    // White as long as it can be read, for that is what one expects; one of the two always can.
    let on_brand = if brand.contrast(WHITE) >= READABLE { WHITE } else { BLACK };
    let by_day = brand.standing_out(GROUND, BLACK);
    let by_night = brand.standing_out(DARK_CARD, WHITE);
    Some(format!(
        ":root {{ --brand: #{}; --on-brand: #{}; --edge: #{}; --link: #{} }}\n\
         @media (prefers-color-scheme: dark) {{ :root {{ --edge: #{}; --link: #{} }} }}\n",
        brand.hex(),
        on_brand.hex(),
        by_day(VISIBLE).hex(),
        by_day(READABLE).hex(),
        by_night(VISIBLE).hex(),
        by_night(READABLE).hex()
    ))
}

impl Color {
    fn parse(digits: &str) -> Option<Self> {
        if digits.len() != 6 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        Some(Self([part(0)?, part(2)?, part(4)?]))
    }

    fn hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Itself, or as little nearer to `pole` as it takes to stand out from `ground`.
    fn standing_out(self, ground: Self, pole: Self) -> impl Fn(f64) -> Self {
        move |contrast| {
            let mut shades = (0..=20).map(|step| self.towards(pole, step));
            shades.find(|shade| shade.contrast(ground) >= contrast).unwrap_or(pole)
        }
    }

    /// So many twentieths of the way to `pole`.
    fn towards(self, pole: Self, step: u16) -> Self {
        let mut mixed = self.0;
        for (byte, to) in mixed.iter_mut().zip(pole.0) {
            let sum = u16::from(*byte) * (20 - step) + u16::from(to) * step;
            *byte = u8::try_from(sum / 20).unwrap_or(to);
        }
        Self(mixed)
    }

    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = self.0.map(|byte| {
            let share = f64::from(byte) / 255.0;
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours of a sheet, in its order.
    fn colors(sheet: &str) -> Vec<Color> {
        sheet.split('#').skip(1).filter_map(|rest| Color::parse(&rest[..6])).collect()
    }

    #[test]
    fn everything_can_be_read_whatever_the_colour() {
        let steps = [0x00, 0x33, 0x66, 0x99, 0xcc, 0xff];
        for (red, green, blue) in steps.iter().flat_map(|r| steps.iter().flat_map(move |g| steps.map(|b| (*r, *g, b))))
        {
            let brand = Color([red, green, blue]);
            let colors = colors(&sheet(&brand.hex()).expect("a sheet"));
            let [is, on, edge, link, dark_edge, dark_link] = colors[..] else { panic!("{colors:?}") };
            assert_eq!(is, brand);
            assert!(on.contrast(brand) >= READABLE, "{brand:?}");
            assert!(edge.contrast(GROUND) >= VISIBLE && link.contrast(GROUND) >= READABLE, "{brand:?}");
            assert!(dark_edge.contrast(DARK_CARD) >= VISIBLE && dark_link.contrast(DARK_CARD) >= READABLE, "{brand:?}");
        }
    }

    #[test]
    fn what_is_no_colour_gets_no_sheet() {
        assert_eq!(digits("#0B6E4F").as_deref(), Some("0b6e4f"));
        for text in ["", "#", "0b6e4f", "#fff", "#0b6e4fff", "#ggg000", "#+1+1+1", "red", "#0b6e4\u{e9}", "#123456;}"] {
            assert_eq!(digits(text), None, "{text:?}");
        }
        assert_eq!(sheet("../etc"), None);
    }
}
