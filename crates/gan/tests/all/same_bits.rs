//! What training computes does not change by accident: hashes of every stored tensor after three steps, as commit d5f05c1
//! computed them, the last one before the redesign. A change on purpose changes a hash here and is named in CHANGELOG: products with
//! a single column have been summed in 16 chains since December 2026, which changed all but the maxout nets'.

use ganforge_gan::data::{GAUSSIAN, GRID, Images, RING};
use ganforge_gan::{Config, Trainer};

/// Preset, order of the updates, stored tensors, their hash. Preset `mnist-2014` was called `mnist` then, and `mnist` was
/// `mnist-best`.
const EXPECTED: [(&str, &str, usize, u64); 13] = [
    ("tiny", "simultaneous", 16, 0x20a7_9cb6_f980_9ced),
    ("tiny", "alternating", 16, 0x360d_dec8_79cf_ad2b),
    ("ring", "simultaneous", 48, 0x2ebf_c3a4_2e57_bd8e),
    ("ring", "alternating", 48, 0xa7d7_2430_ff04_5df6),
    ("grid", "simultaneous", 48, 0x4ae3_751b_1ed8_036f),
    ("grid", "alternating", 48, 0x0f43_e677_0d68_8a01),
    ("mnist-2014", "simultaneous", 24, 0xd2b6_5922_4796_67a6),
    ("mnist-2014", "alternating", 24, 0xb8ff_fd0c_369c_2179),
    ("mnist", "simultaneous", 30, 0x997f_4dad_9d46_6e30),
    ("mnist", "alternating", 30, 0x53fa_b875_084f_c932),
    ("keras-tutorial", "simultaneous", 36, 0xc227_0ea1_7c81_341c),
    ("keras-tutorial", "alternating", 36, 0xf205_88e5_ffaa_3b33),
    ("fig1", "simultaneous", 36, 0x67b8_4f8c_0e90_fcb1),
];

/// FNV-1a of the tensors' names and bits, in the order of their names.
fn hash(trainer: &Trainer) -> (usize, u64) {
    let mut entries: Vec<_> = trainer.store().iter().collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for entry in &entries {
        let bits = entry.data.iter().flat_map(|v| v.to_bits().to_le_bytes());
        for byte in entry.name.bytes().chain(bits) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    (entries.len(), hash)
}

/// Bytes that look like no image: no pixel is like another.
fn images() -> Images {
    let byte = |i: u64| {
        let x = i.wrapping_mul(6_364_136_223_846_793_005);
        (x.wrapping_add(1_442_695_040_888_963_407) >> 56) as u8
    };
    Images::from_bytes(784, (0..600 * 784).map(byte).collect::<Vec<u8>>())
}

#[test]
fn three_steps_of_each_preset_leave_the_bits_that_they_left_before_the_redesign() {
    let mut others = Vec::new();
    for (preset, update, tensors, expected) in EXPECTED {
        let config = Config::preset(preset).expect("a preset");
        let config = config.with(&[format!("train.update={update}")]);
        let mut config = config.expect("valid");
        // Of fig1, which has it because the rate of D falls at each of its k updates since then.
        config.discriminator.optimizer = None;
        let images = match preset {
            "ring" => RING.draw(config.seed).train,
            "grid" => GRID.draw(config.seed).train,
            "fig1" => GAUSSIAN.draw(config.seed).train,
            _ => images(),
        };
        let mut trainer = Trainer::new(&config, &images).expect("a trainer");
        for _ in 0..3 {
            trainer.step().expect("a step");
        }
        let found = hash(&trainer);
        if found != (tensors, expected) {
            let (tensors, hash) = found;
            others.push(format!(
                "({preset:?}, {update:?}, {tensors}, 0x{hash:016x})"
            ));
        }
    }
    assert!(others.is_empty(), "{others:#?}");
}
