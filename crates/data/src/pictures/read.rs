//! Reading of PNG and JPEG files.

use std::io::Cursor;

use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::Picture;
use crate::ImageSize;

/// The most bytes that a picture may have: 512 MiB.
const MOST: usize = 1 << 29;

/// A picture that was read, and what was done to it.
pub struct Read {
    /// The picture.
    pub picture: Picture,
    /// Whether its EXIF orientation says that it is to be turned.
    pub is_turned: bool,
    /// Whether it had transparent pixels.
    pub is_transparent: bool,
    /// Whether it had 16 bits per channel.
    pub is_deep: bool,
}

/// What the head of a file says of its picture.
struct Head {
    height: usize,
    width: usize,
    /// 1 or 3, and 1 more with [`Head::has_alpha`].
    channels: usize,
    has_alpha: bool,
    /// Whether two bytes make a value, the higher one first.
    is_deep: bool,
    exif: Option<Vec<u8>>,
}

impl Picture {
    /// The picture in a PNG or JPEG file as it is to be seen, grey or RGB of 8 bits: the right side up, palettes as colours,
    /// colours laid over black where they are transparent.
    ///
    /// # Errors
    /// What the decoder says; another format; more than 512 MiB of pixels.
    pub fn decode(file: &[u8]) -> Result<Read, String> {
        let (read, orientation) = of_file(file, rounded, over_black)?;
        Ok(Read {
            picture: read.picture.turned(orientation),
            ..read
        })
    }

    /// The picture as it is stored, without its transparency and not turned, of 16 bits the higher 8: what `convert("RGB")` of
    /// Python's Pillow makes of it. But grey pictures stay so, and of 16 bits, too, where Pillow makes all above 255 white.
    ///
    /// # Errors
    /// As [`Picture::decode`].
    pub fn decode_stored(file: &[u8]) -> Result<Read, String> {
        let higher = |deep: u16| (deep >> 8) as u8;
        Ok(of_file(file, higher, |colour, _| colour)?.0)
    }

    /// The size of the picture that [`Picture::decode_stored`] makes, from the head of its file.
    ///
    /// # Errors
    /// What the decoder says; another format; more than 512 MiB of pixels.
    pub fn measure(file: &[u8]) -> Result<ImageSize, String> {
        let head = match Format::of(file)? {
            Format::Png => png_head(file)?.1,
            Format::Jpeg => jpeg_head(file)?.0,
        };
        Ok(ImageSize {
            height: head.height,
            width: head.width,
            channels: head.channels - usize::from(head.has_alpha),
        })
    }

    /// The picture as an EXIF orientation, 1 to 8, says that it is to be seen.
    fn turned(self, orientation: u16) -> Picture {
        let ImageSize { height, width, .. } = self.size;
        let (right, low) = (width.saturating_sub(1), height.saturating_sub(1));
        match orientation {
            2 => self.rearranged(height, width, |x, y| (right - x, y)),
            3 => self.rearranged(height, width, |x, y| (right - x, low - y)),
            4 => self.rearranged(height, width, |x, y| (x, low - y)),
            5 => self.rearranged(width, height, |x, y| (y, x)),
            6 => self.rearranged(width, height, |x, y| (y, low - x)),
            7 => self.rearranged(width, height, |x, y| (right - y, low - x)),
            8 => self.rearranged(width, height, |x, y| (right - y, x)),
            _ => self,
        }
    }
}

/// The picture in a file, and its EXIF orientation. `narrow` makes 8 bits of 16, `over` a colour of colour and alpha.
fn of_file(
    file: &[u8],
    narrow: impl Fn(u16) -> u8,
    over: impl Fn(u8, u8) -> u8,
) -> Result<(Read, u16), String> {
    let (head, mut bytes) = match Format::of(file)? {
        Format::Png => png(file)?,
        Format::Jpeg => jpeg(file)?,
    };
    if head.is_deep {
        let values = bytes.as_chunks::<2>().0.iter();
        bytes = values.map(|two| narrow(u16::from_be_bytes(*two))).collect();
    }
    let mut is_transparent = false;
    let mut channels = head.channels;
    if head.has_alpha {
        let mut opaque = Vec::with_capacity(bytes.len());
        for pixel in bytes.chunks_exact(channels) {
            let (alpha, colours) = pixel.split_last().expect("two channels or four");
            is_transparent |= *alpha < 255;
            opaque.extend(colours.iter().map(|colour| over(*colour, *alpha)));
        }
        (bytes, channels) = (opaque, channels - 1);
    }
    let size = ImageSize {
        height: head.height,
        width: head.width,
        channels,
    };
    let picture = Picture::new(size, bytes).ok_or("its pixel data are incomplete")?;
    // What cannot be read of it says nothing.
    let orientation = head.exif.as_deref().and_then(orientation).unwrap_or(1);
    let read = Read {
        picture,
        is_turned: orientation != 1,
        is_transparent,
        is_deep: head.is_deep,
    };
    Ok((read, orientation))
}

/// The nearest value of 8 bits: 65535 = 257 * 255.
fn rounded(deep: u16) -> u8 {
    ((u32::from(deep) + 128) / 257) as u8
}

/// A colour laid over black.
fn over_black(colour: u8, alpha: u8) -> u8 {
    ((u16::from(colour) * u16::from(alpha) + 127) / 255) as u8
}

enum Format {
    Png,
    Jpeg,
}

impl Format {
    fn of(file: &[u8]) -> Result<Format, String> {
        match file {
            [0x89, b'P', b'N', b'G', ..] => Ok(Format::Png),
            [0xff, 0xd8, 0xff, ..] => Ok(Format::Jpeg),
            _ if file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WEBP") => {
                Err("it is WebP, expected PNG or JPEG: `dwebp IN -o OUT.png` converts it".into())
            }
            _ => Err("it is neither PNG nor JPEG".into()),
        }
    }
}

/// Refuses a picture without pixels, or with more bytes than [`MOST`].
fn check_room(width: usize, height: usize, bytes_per_pixel: usize) -> Result<(), String> {
    let bytes = width.checked_mul(height);
    let bytes = bytes.and_then(|pixels| pixels.checked_mul(bytes_per_pixel));
    match bytes {
        Some(1..=MOST) => Ok(()),
        _ => Err(format!(
            "expected at least one pixel and at most 512 MiB, got {width}x{height} pixels"
        )),
    }
}

type PngReader<'f> = png::Reader<Cursor<&'f [u8]>>;

fn png_head(file: &[u8]) -> Result<(PngReader<'_>, Head), String> {
    let limits = png::Limits { bytes: MOST };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(file), limits);
    decoder.set_transformations(png::Transformations::EXPAND);
    let reader = decoder.read_info().map_err(|e| e.to_string())?;
    let (colour, depth) = reader.output_color_type();
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    let (channels, is_deep) = (colour.samples(), depth == png::BitDepth::Sixteen);
    check_room(width, height, channels * (1 + usize::from(is_deep)))?;
    let exif = reader.info().exif_metadata.as_ref().map(|e| e.to_vec());
    let has_alpha = matches!(
        colour,
        png::ColorType::GrayscaleAlpha | png::ColorType::Rgba
    );
    let head = Head {
        height,
        width,
        channels,
        has_alpha,
        is_deep,
        exif,
    };
    Ok((reader, head))
}

fn png(file: &[u8]) -> Result<(Head, Vec<u8>), String> {
    let (mut reader, head) = png_head(file)?;
    let mut bytes = vec![0; reader.output_buffer_size().ok_or("it is too large")?];
    reader.next_frame(&mut bytes).map_err(|e| e.to_string())?;
    Ok((head, bytes))
}

/// Whether a JPEG file has its end: the decoder makes up what is missing of the last rows.
///
/// source: ITU-T T.81, annex B
fn has_end(file: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[first, code]) = file.get(at..at + 2) {
        if first != 0xff {
            at += 1; // the decoder passes over a few bytes that mean nothing
            continue;
        }
        at += match code {
            0xd9 => return true,
            0xff => 1,
            // Without a length: a restart, or what is allowed to stand alone.
            0x01 | 0xd0..=0xd8 => 2,
            _ => match file.get(at + 2..at + 4) {
                Some(&[high, low]) => 2 + usize::from(u16::from_be_bytes([high, low])),
                _ => return false,
            },
        };
        // What is coded follows the head of a scan, and in it 0xff is followed by 0 or by the number of a restart.
        if code == 0xda {
            let is_marker = |w: &[u8]| w[0] == 0xff && !matches!(w[1], 0 | 0xd0..=0xd7);
            let rest = file.get(at..).unwrap_or_default();
            match rest.windows(2).position(is_marker) {
                Some(coded) => at += coded,
                None => return false,
            }
        }
    }
    false
}

fn jpeg_head(file: &[u8]) -> Result<(Head, DecoderOptions), String> {
    let options = DecoderOptions::default().set_strict_mode(true);
    let options = options.set_max_width(MOST).set_max_height(MOST);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    decoder.decode_headers().map_err(|e| e.to_string())?;
    let (width, height) = decoder.dimensions().ok_or("it has no size")?;
    let (colour, channels) = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => (ColorSpace::Luma, 1),
        _ => (ColorSpace::RGB, 3),
    };
    check_room(width, height, channels)?;
    let head = Head {
        height,
        width,
        channels,
        has_alpha: false,
        is_deep: false,
        exif: decoder.exif().cloned(),
    };
    Ok((head, options.jpeg_set_out_colorspace(colour)))
}

fn jpeg(file: &[u8]) -> Result<(Head, Vec<u8>), String> {
    if !has_end(file) {
        return Err("it is cut short: a JPEG without its end".into());
    }
    let (head, options) = jpeg_head(file)?;
    // With options of its own, as the colours of a decoder that has read the headers are settled.
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(file), options);
    let bytes = decoder.decode().map_err(|e| e.to_string())?;
    Ok((head, bytes))
}

/// The orientation, 1 to 8, that an EXIF block speaks of: one short in entry 0x112 of its first directory.
///
/// source: TIFF 6.0, section 2 and page 36
fn orientation(exif: &[u8]) -> Option<u16> {
    let is_little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let two = *exif.get(at..)?.first_chunk::<2>()?;
        Some(match is_little {
            true => u16::from_le_bytes(two),
            false => u16::from_be_bytes(two),
        })
    };
    let u32_at = |at: usize| {
        let (low, high) = if is_little { (0, 2) } else { (2, 0) };
        Some(u32::from(u16_at(at + low)?) | u32::from(u16_at(at + high)?) << 16)
    };
    let directory = u32_at(4)? as usize;
    let entries = usize::from(u16_at(directory)?);
    let entries = (0..entries).map(|i| directory + 2 + 12 * i);
    for entry in entries {
        let value = u16_at(entry + 8)?;
        if (u16_at(entry)?, u16_at(entry + 2)?, u32_at(entry + 4)?) == (0x112, 3, 1) {
            return (1..=8).contains(&value).then_some(value);
        }
    }
    None
}
