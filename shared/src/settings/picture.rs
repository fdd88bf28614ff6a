//! A picture that someone sends: looked at as bytes, drawn, and written anew as a PNG of ours.
//!
//! So what we hand out holds the dots and nothing else: no place where a photograph was taken, no page that a browser could be made
//! to read in it, nothing that only one decoder in the world can be broken with.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::imageops::{FilterType, resize};
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbaImage};
use tokio::sync::Semaphore;

use super::branding::fit;
use crate::error::{Error, Refusal, Result};

/// The most bytes that are looked at.
pub const LARGEST: usize = 256 * 1024;
/// The least and the most dots of a side.
const SIDES: std::ops::RangeInclusive<u32> = 16..=2048;
/// What drawing one may take: the largest in 16 bits a colour, and what its decoder needs beside it.
const MEMORY: u64 = 64 * 1024 * 1024;
/// So many are drawn at a time, however many are sent: it is the memory of this process that they take.
static DESKS: Semaphore = Semaphore::const_new(2);
/// Three dots for each pixel of the place it is shown in, for the finest screens: more would only make mails slow.
const KEPT: (u32, u32) = (720, 144);

/// A picture, drawn and written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub(super) png: Vec<u8>,
    pub(super) width: u32,
    pub(super) height: u32,
}

impl Picture {
    /// Reads a PNG, JPEG or WebP, whatever it was called. Of one that moves, the first frame.
    pub async fn read(bytes: Vec<u8>) -> Result<Self> {
        let desk = DESKS.acquire().await.map_err(|e| Error::Internal(e.to_string()))?;
        let read = move || {
            let _desk = desk;
            read(&bytes)
        };
        let read = tokio::task::spawn_blocking(read).await.map_err(|e| Error::Internal(e.to_string()))?;
        Ok(read?)
    }
}

fn refused(code: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    Refusal::invalid_field("logo", code, message)
}

fn read(bytes: &[u8]) -> Result<Picture, Refusal> {
    if bytes.is_empty() {
        return Err(refused("required", "A picture is needed."));
    }
    if bytes.len() > LARGEST {
        return Err(refused("too_large", format!("A logo has at most {} KiB.", LARGEST / 1024)));
    }
    let format = image::guess_format(bytes).ok();
    let format = format.filter(|f| matches!(f, ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP));
    let format = format.ok_or_else(|| refused("unknown_format", "A logo is a PNG, a JPEG or a WebP."))?;
    let broken = || refused("broken", "The picture is broken: it can't be read to its end.");
    if format == ImageFormat::Jpeg && !ends(bytes) {
        return Err(broken());
    }

    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MEMORY);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|_| broken())?;
    let (width, height) = decoder.dimensions();
    if !SIDES.contains(&width) || !SIDES.contains(&height) {
        let message = format!("A logo has {} to {} pixels a side.", SIDES.start(), SIDES.end());
        return Err(refused("wrong_size", message));
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut drawn = DynamicImage::from_decoder(decoder).map_err(|_| broken())?;
    drawn.apply_orientation(orientation);
    written(shrunk(drawn.into_rgba8())).map_err(|_| broken())
}

/// Whether the last scan of a JPEG comes to an end: its decoder would paint the rest grey. Neither mark can stand among the dots.
fn ends(jpeg: &[u8]) -> bool {
    let last = |mark: u8| jpeg.windows(2).rposition(|pair| pair == [0xff, mark]);
    last(0xda).is_some_and(|begin| last(0xd9).is_some_and(|end| end > begin))
}

/// As large as it is kept. Colours count as much as they can be seen, or what is transparent would be a dark rim afterwards.
fn shrunk(mut drawn: RgbaImage) -> RgbaImage {
    let (width, height) = fit(drawn.dimensions(), KEPT);
    if (width, height) == drawn.dimensions() {
        return drawn;
    }
    let scale = |color: &mut u8, by: u8, of: u8| {
        let scaled = (u32::from(*color) * u32::from(by) + u32::from(of) / 2).checked_div(u32::from(of));
        *color = scaled.map_or(0, |scaled| u8::try_from(scaled).unwrap_or(u8::MAX));
    };
    for [red, green, blue, alpha] in drawn.pixels_mut().map(|pixel| &mut pixel.0) {
        [red, green, blue].into_iter().for_each(|color| scale(color, *alpha, u8::MAX));
    }
    let mut small = resize(&drawn, width, height, FilterType::Lanczos3);
    for [red, green, blue, alpha] in small.pixels_mut().map(|pixel| &mut pixel.0) {
        [red, green, blue].into_iter().for_each(|color| scale(color, u8::MAX, *alpha));
    }
    small
}

fn written(drawn: RgbaImage) -> Result<Picture, image::ImageError> {
    let (width, height) = drawn.dimensions();
    let mut png = Vec::new();
    drawn.write_with_encoder(PngEncoder::new(&mut png))?;
    Ok(Picture { png, width, height })
}
