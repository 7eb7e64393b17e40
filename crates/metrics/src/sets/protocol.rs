//! What other programs do to images and features before they print a score. Scores of different protocols do not compare.

use super::SetError;
use super::kid::Draw;
use super::prdc::Ball;
use super::resize::Resize;

/// Side of the images that an Inception network takes.
pub const SIDE: usize = 299;

/// A program to agree with. Covariances have the divisor n - 1 in all of them; here all arithmetic on features is in f64, whatever it
/// is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// torch-fidelity 0.4.
    #[default]
    TorchFidelity,
    /// pytorch-fid 0.3.
    PytorchFid,
    /// clean-fid 0.1, mode "clean".
    CleanFid,
    /// compare_gan, of Kurach et al. 2019.
    CompareGan,
}

/// What a protocol sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// From an image to 299 x 299.
    pub resize: Resize,
    /// Whether images are bytes; otherwise any numbers from 0 to 255.
    pub bytes: bool,
    /// How values become the network's input.
    pub input: Input,
    /// Subsets of KID; none: it has no KID.
    pub kid: Option<Draw>,
    /// Inception score: splits, and the seed of its shuffle; none: it has none.
    pub inception: Option<(usize, Option<u32>)>,
    /// Neighbours and balls of precision and recall; none: it has none.
    pub precision: Option<(usize, Ball)>,
    /// Neighbours and balls of density and coverage; none: it has none.
    pub density: Option<(usize, Ball)>,
}

/// How values become the network's input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input {
    /// (v - 128) / 128
    Centred,
    /// v / 255 before the resize, and 2 v - 1 after it.
    Unit,
}

impl Protocol {
    /// All, the default first.
    pub const ALL: [Protocol; 4] = [
        Protocol::TorchFidelity,
        Protocol::PytorchFid,
        Protocol::CleanFid,
        Protocol::CompareGan,
    ];

    /// All under their names.
    pub const WORDS: [(&str, Protocol); 4] = [
        ("torch-fidelity", Protocol::TorchFidelity),
        ("pytorch-fid", Protocol::PytorchFid),
        ("clean-fid", Protocol::CleanFid),
        ("compare-gan", Protocol::CompareGan),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let mut words = Protocol::WORDS.iter();
        words.find(|(_, p)| *p == self).map_or("", |(name, _)| name)
    }

    /// What it sets.
    ///
    /// Density and coverage are those of prdc: 5 neighbours and open balls. clean-fid draws its subsets from a generator without a
    /// seed; here it is 2020.
    pub fn rules(self) -> Rules {
        let torch_fidelity = Rules {
            resize: Resize::Tf1,
            bytes: true,
            input: Input::Centred,
            kid: Some(Draw::SUBSETS),
            inception: Some((10, Some(2020))),
            precision: Some((3, Ball::Closed)),
            density: Some((5, Ball::Open)),
        };
        let fid_alone = Rules {
            kid: None,
            inception: None,
            precision: None,
            density: None,
            ..torch_fidelity
        };
        match self {
            Protocol::TorchFidelity => torch_fidelity,
            Protocol::PytorchFid => Rules {
                resize: Resize::HalfPixel,
                input: Input::Unit,
                ..fid_alone
            },
            Protocol::CleanFid => Rules {
                resize: Resize::Bicubic,
                bytes: false,
                kid: Some(Draw::Subsets {
                    count: 100,
                    size: 1000,
                    seed: 2020,
                    shrink: true,
                }),
                ..fid_alone
            },
            Protocol::CompareGan => Rules {
                bytes: false,
                kid: Some(Draw::Blocks { size: 1024 }),
                inception: Some((1, None)),
                ..fid_alone
            },
        }
    }

    /// An image [h, w, c] of values from 0 to 255 as the network's input [299, 299, 3]; grey is repeated.
    ///
    /// errors: an image that is not [h, w, 1] or [h, w, 3]; values beyond 0 .. 255; where the protocol takes bytes, values that are
    /// none
    pub fn prepare(self, image: &[f32], [h, w, c]: [usize; 3]) -> Result<Vec<f32>, SetError> {
        let refuse = |what: String| SetError::Setting(format!("{}: {what}", self.name()));
        if !matches!(c, 1 | 3) || image.is_empty() || image.len() != h * w * c {
            let len = image.len();
            return Err(refuse(format!(
                "an image [{h}, {w}, {c}] of {len} values, expected 1 or 3 channels"
            )));
        }
        let rules = self.rules();
        let fits = |v: f32| (0.0..=255.0).contains(&v) && !(rules.bytes && v.fract() != 0.0);
        if let Some(value) = image.iter().find(|v| !fits(**v)) {
            let whole = if rules.bytes { "whole " } else { "" };
            return Err(refuse(format!(
                "a pixel of {value}, expected {whole}numbers from 0 to 255"
            )));
        }
        let image: Vec<f32> = match rules.input {
            Input::Centred => image.to_vec(),
            Input::Unit => image.iter().map(|v| v / 255.0).collect(),
        };
        let resized = rules.resize.apply(&image, [h, w, c], [SIDE, SIDE]);
        let scaled = resized.into_iter().map(|v| match rules.input {
            Input::Centred => (v - 128.0) / 128.0,
            Input::Unit => 2.0 * v - 1.0,
        });
        Ok(scaled.flat_map(|v| std::iter::repeat_n(v, 3 / c)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::image;
    use super::*;

    #[test]
    fn inputs_are_those_of_the_programs() {
        let bytes: Vec<f32> = image("protocol", 20, 30)
            .iter()
            .map(|&x| f32::from(x))
            .collect();
        for protocol in Protocol::ALL {
            let input = protocol.prepare(&bytes, [20, 30, 3]).expect("bytes");
            assert_eq!(input.len(), SIDE * SIDE * 3);
            let first = protocol
                .rules()
                .resize
                .apply(&bytes, [20, 30, 3], [SIDE, SIDE])[0];
            let (centred, unit) = ((first - 128.0) / 128.0, 2.0 * first / 255.0 - 1.0);
            let expected = if protocol == Protocol::PytorchFid {
                unit
            } else {
                centred
            };
            assert!((input[0] - expected).abs() < 1e-6, "{protocol:?}");
            let grey: Vec<f32> = bytes.iter().copied().step_by(3).collect();
            let grey = protocol.prepare(&grey, [20, 30, 1]).expect("bytes");
            assert!(grey.chunks_exact(3).all(|p| p[0] == p[1] && p[1] == p[2]));
            assert!(
                grey.iter().step_by(3).eq(input.iter().step_by(3)),
                "{protocol:?}"
            );
        }
    }

    #[test]
    fn pixels_that_are_none_are_refused() {
        let message = |protocol: Protocol, value: f32| {
            let refused = protocol.prepare(&[0.0, value, 0.0], [1, 1, 3]);
            refused.err().map(|e| e.to_string())
        };
        assert_eq!(
            message(Protocol::TorchFidelity, 0.5).as_deref(),
            Some("torch-fidelity: a pixel of 0.5, expected whole numbers from 0 to 255")
        );
        assert_eq!(message(Protocol::CompareGan, 0.5), None);
        for protocol in Protocol::ALL {
            assert!(message(protocol, 256.0).is_some() && message(protocol, f32::NAN).is_some());
            protocol
                .prepare(&[0.0; 4], [1, 1, 4])
                .expect_err("four channels");
            protocol.prepare(&[], [0, 0, 3]).expect_err("no pixels");
        }
    }
}
