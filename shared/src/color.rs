//! Colours that can be read: an organization's own, adapted to what it stands on. Contrast is that of WCAG 2.2.

/// What text needs to be read (WCAG 2.2, 1.4.3).
pub const READABLE: f64 = 4.5;

/// A colour in sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

impl Color {
    /// White.
    pub const WHITE: Self = Self([255, 255, 255]);
    /// Black.
    pub const BLACK: Self = Self([0, 0, 0]);

    /// Reads `#rrggbb`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        // For the number parser would take a sign, too.
        digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then_some(())?;
        let part = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
        Some(Self([part(0)?, part(2)?, part(4)?]))
    }

    /// `#rrggbb`.
    #[must_use]
    pub fn hex(self) -> String {
        let Self([red, green, blue]) = self;
        format!("#{red:02x}{green:02x}{blue:02x}")
    }

    /// What to write on it: white as long as that can be read, for that is what one expects; one of the two always can.
    #[must_use]
    pub fn ink(self) -> Self {
        if self.contrast(Self::WHITE) >= READABLE { Self::WHITE } else { Self::BLACK }
    }

    /// Itself, or as little nearer to `pole` as it takes to stand out from `ground`.
    #[must_use]
    pub fn until(self, contrast: f64, ground: Self, pole: Self) -> Self {
        let mut shades = (0..=20).map(|step| self.towards(pole, step));
        shades.find(|shade| shade.contrast(ground) >= contrast).unwrap_or(pole)
    }

    /// So many twentieths of the way to `pole`, rounded.
    fn towards(self, pole: Self, step: u16) -> Self {
        let mut mixed = self.0;
        for (byte, to) in mixed.iter_mut().zip(pole.0) {
            let sum = u16::from(*byte) * (20 - step) + u16::from(to) * step;
            *byte = u8::try_from((sum + 10) / 20).unwrap_or(to);
        }
        Self(mixed)
    }

    /// From 1 (the same) to 21 (black on white).
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
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

    #[test]
    fn what_is_no_colour_is_not_read() {
        assert_eq!(Color::parse("#0B6E4F").map(Color::hex).as_deref(), Some("#0b6e4f"));
        for text in ["", "#", "0b6e4f", "#fff", "#0b6e4fff", "#ggg000", "#+1+1+1", "red", "#0b6e4\u{e9}", "#123456;}"] {
            assert_eq!(Color::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn contrast_is_that_of_the_standard() {
        assert!((Color::BLACK.contrast(Color::WHITE) - 21.0).abs() < 0.001);
        assert!((Color::WHITE.contrast(Color::WHITE) - 1.0).abs() < 0.001);
        // The grey that every checker calls the lightest that can be read on white.
        assert!(Color([0x76, 0x76, 0x76]).contrast(Color::WHITE) >= READABLE);
        assert!(Color([0x77, 0x77, 0x77]).contrast(Color::WHITE) < READABLE);
    }
}
