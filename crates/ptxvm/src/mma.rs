//! mma.sync: D = A · B + C by a warp, each lane holding a fragment of every matrix.

use crate::alu::Lanes;
use crate::number::{Round, bf16_value, f16_value, f32_of};

/// D [16, 8] = A [16, k] · B [k, 8] + C, C and D in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// k = 8, tf32: f32 with only 10 fraction bits used.
    Tf32,
    /// k = 16, bf16, two per register.
    Bf16,
    /// k = 16, f16, two per register.
    F16,
}

impl Shape {
    pub(crate) fn parse(mods: &[&str]) -> Option<Shape> {
        Some(match mods {
            [
                "sync",
                "aligned",
                "m16n8k8",
                "row",
                "col",
                "f32",
                "tf32",
                "tf32",
                "f32",
            ] => Shape::Tf32,
            [
                "sync",
                "aligned",
                "m16n8k16",
                "row",
                "col",
                "f32",
                "bf16",
                "bf16",
                "f32",
            ] => Shape::Bf16,
            [
                "sync",
                "aligned",
                "m16n8k16",
                "row",
                "col",
                "f32",
                "f16",
                "f16",
                "f32",
            ] => Shape::F16,
            _ => return None,
        })
    }

    fn k(self) -> usize {
        match self {
            Shape::Tf32 => 8,
            _ => 16,
        }
    }

    pub(crate) fn flops_per_lane(self) -> u32 {
        2 * 16 * 8 * self.k() as u32 / 32
    }

    /// Element `half` of a register.
    fn value(self, register: u64, half: usize) -> f64 {
        let bits = (register >> (16 * half)) as u16;
        match self {
            Shape::Tf32 => f64::from(f32::from_bits(register as u32 & 0xffff_e000)),
            Shape::Bf16 => bf16_value(bits),
            Shape::F16 => f16_value(bits),
        }
    }

    /// Numbers per register.
    fn packed(self) -> usize {
        match self {
            Shape::Tf32 => 1,
            _ => 2,
        }
    }

    /// The fragments of D from those of A, B and C; the layout is that of the ISA's tables, lane = 4 group + member.
    pub(crate) fn run(self, a: [&Lanes; 4], b: [&Lanes; 2], c: [&Lanes; 4]) -> [Lanes; 4] {
        let (k, packed) = (self.k(), self.packed());
        let (mut am, mut bm) = ([[0.0; 16]; 16], [[0.0; 8]; 16]);
        for lane in 0..32 {
            let (group, member) = (lane / 4, lane % 4);
            for half in 0..packed {
                let column = packed * member + half;
                for (i, register) in a.iter().enumerate() {
                    let (row, k) = (group + 8 * (i % 2), column + k / 2 * (i / 2));
                    am[row][k] = self.value(register[lane], half);
                }
                for (i, register) in b.iter().enumerate() {
                    bm[column + k / 2 * i][group] = self.value(register[lane], half);
                }
            }
        }
        let mut d = [[0; 32]; 4];
        for lane in 0..32 {
            let (group, member) = (lane / 4, lane % 4);
            for i in 0..4 {
                let (row, column) = (group + 8 * (i / 2), 2 * member + i % 2);
                let mut sum = f64::from(f32::from_bits(c[i][lane] as u32));
                for p in 0..k {
                    sum += am[row][p] * bm[p][column];
                }
                d[i][lane] = u64::from(f32_of(sum, Round::Nearest).to_bits());
            }
        }
        d
    }
}
