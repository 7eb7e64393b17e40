//! Numbers and images that a rule makes, so that scripts in other languages make the same (`rule.py`, beside this crate's
//! Cargo.toml) and what other programs say of them can be compared.

/// 32 bits for element `index` of the array `name`: a hash of both.
pub fn noise(name: &str, index: u32) -> u32 {
    fn mixed(mut x: u32) -> u32 {
        for (shift, factor) in [(16, 0x7FEB_352D), (15, 0x846C_A68B), (16, 1)] {
            x = (x ^ (x >> shift)).wrapping_mul(factor);
        }
        x
    }
    let seed = name.bytes().fold(0x811C_9DC5u32, |seed, byte| {
        (seed ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    mixed(mixed(index).wrapping_add(seed))
}

/// A number in [-1, 1) for element `index` of the array `name`, a multiple of 2^-23.
pub fn unit(name: &str, index: u32) -> f64 {
    f64::from(noise(name, index) >> 8) / f64::from(1 << 23) - 1.0
}

/// The image `name` [h, w, 3]: a ramp in each channel, each in a direction of its own, and noise.
pub fn image(name: &str, h: usize, w: usize) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(h * w * 3);
    for y in 0..h {
        for x in 0..w {
            for c in 0..3 {
                let ramp = 255 * x / (w - 1) * (c + 1) + 255 * y / (h - 1) * (3 - c);
                let grain = noise(name, ((c * h + y) * w + x) as u32) % 64;
                let value = (ramp / 4) as i32 + grain as i32 - 32;
                pixels.push(value.clamp(0, 255) as u8);
            }
        }
    }
    pixels
}
