//! What training computes does not change by accident: hashes of every stored tensor after three steps, as commit d5f05c1
//! computed them, the last one before the redesign. A change on purpose changes a hash here and is named in CHANGELOG.

use ganforge_gan::data::{GAUSSIAN, GRID, Images, RING};
use ganforge_gan::{Config, Trainer};

/// Preset, order of the updates, stored tensors, their hash. Preset `mnist-2014` was called `mnist` then, and `mnist` was
/// `mnist-best`.
const EXPECTED: [(&str, &str, usize, u64); 13] = [
    ("tiny", "simultaneous", 16, 0x8e6c_8ed3_5b14_4110),
    ("tiny", "alternating", 16, 0x96e8_c30e_959f_2caa),
    ("ring", "simultaneous", 48, 0xc757_614b_f8a9_aaeb),
    ("ring", "alternating", 48, 0x4d37_2ff5_2887_80a3),
    ("grid", "simultaneous", 48, 0x73f9_e751_8166_8787),
    ("grid", "alternating", 48, 0x62b6_cd46_3a9a_d612),
    ("mnist-2014", "simultaneous", 24, 0xd2b6_5922_4796_67a6),
    ("mnist-2014", "alternating", 24, 0xb8ff_fd0c_369c_2179),
    ("mnist", "simultaneous", 30, 0x997f_4dad_9d46_6e30),
    ("mnist", "alternating", 30, 0x53fa_b875_084f_c932),
    ("keras-tutorial", "simultaneous", 36, 0xcf92_8708_f997_c7ee),
    ("keras-tutorial", "alternating", 36, 0xef80_0f19_0d06_4937),
    ("fig1", "simultaneous", 36, 0x3d6c_8a72_affe_65b6),
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
