//! An organization's colour as a style sheet of a few lines, such that everything can be read, by day and by night.
//!
//! It is a sheet of its own because the content security policy allows no inline style.

use tenantry_shared::color::{Color, READABLE};

/// What links stand on, at worst: `--ground` by day and `--card` by night, as in `app.css`.
const GROUND: Color = Color([0xf2, 0xf4, 0xf7]);
const DARK_CARD: Color = Color([0x1b, 0x1e, 0x25]);

/// What the shape of a button needs to be seen (WCAG 2.2, 1.4.11).
const VISIBLE: f64 = 3.0;

/// The digits of a colour that is written `#rrggbb`.
pub(super) fn digits(color: &str) -> Option<String> {
    Color::parse(color).map(|color| color.hex().split_off(1))
}

/// The sheet for the colour of these six digits.
pub(super) fn sheet(digits: &str) -> Option<String> {
    let brand = Color::parse(&format!("#{digits}"))?;
    let by_day = |contrast| brand.until(contrast, GROUND, Color::BLACK).hex();
    let by_night = |contrast| brand.until(contrast, DARK_CARD, Color::WHITE).hex();
    Some(format!(
        ":root {{ --brand: {}; --on-brand: {}; --edge: {}; --link: {} }}\n\
         @media (prefers-color-scheme: dark) {{ :root {{ --edge: {}; --link: {} }} }}\n",
        brand.hex(),
        brand.ink().hex(),
        by_day(VISIBLE),
        by_day(READABLE),
        by_night(VISIBLE),
        by_night(READABLE)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The colours of a sheet, in its order.
    fn colors(sheet: &str) -> Vec<Color> {
        sheet.split('#').skip(1).filter_map(|rest| Color::parse(&format!("#{}", &rest[..6]))).collect()
    }

    #[test]
    fn everything_can_be_read_whatever_the_colour() {
        let steps = [0x00, 0x33, 0x66, 0x99, 0xcc, 0xff];
        for (red, green, blue) in steps.iter().flat_map(|r| steps.iter().flat_map(move |g| steps.map(|b| (*r, *g, b))))
        {
            let brand = Color([red, green, blue]);
            let colors = colors(&sheet(&brand.hex()[1..]).expect("a sheet"));
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
        assert_eq!((digits("red"), sheet("../etc")), (None, None));
    }
}
