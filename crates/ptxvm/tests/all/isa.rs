//! Instructions against what the PTX ISA says of them.

use crate::common::Run;
use ganforge_ptxvm::{Class, Counts};

fn run(threads: u32, body: &str) -> (Vec<u32>, Counts) {
    let mut run = Run::with_results(threads);
    let counts = match run.launch(1, threads, &format!("{body}\n st.global.u32 [%yp], %r0;")) {
        Ok(counts) => counts,
        Err(error) => panic!("{error}"),
    };
    let results = run
        .memory
        .read_u32(run.y)
        .expect("every thread writes its word");
    (results, counts)
}

/// What each of `threads` threads leaves in the 32-bit register %r0.
fn results(threads: u32, body: &str) -> Vec<u32> {
    run(threads, body).0
}

#[track_caller]
fn check(cases: &[(&str, u32)]) {
    for (body, expected) in cases {
        let got = results(1, body)[0];
        assert_eq!(got, *expected, "{body}: {got:#x}, expected {expected:#x}");
    }
}

fn float(body: &str) -> f32 {
    f32::from_bits(results(1, &format!("{body} mov.b32 %r0, %f0;"))[0])
}

#[test]
fn whole_numbers() {
    check(&[
        ("add.s32 %r0, 2147483647, 1;", 0x8000_0000),
        ("sub.u32 %r0, 3, 5;", (-2i32) as u32),
        ("mul.lo.s32 %r0, -7, 6;", (-42i32) as u32),
        (
            "mul.hi.u32 %r0, 0xD2511F53, 0x87654321;",
            ((0xD251_1F53u64 * 0x8765_4321) >> 32) as u32,
        ),
        ("mul.hi.s32 %r0, -3, 5;", u32::MAX),
        ("mad.lo.s32 %r0, 3, 4, -5;", 7),
        ("mad.hi.u32 %r0, -1, -1, 2;", 0),
        (
            "mul.wide.s32 %rd0, -3, 5; shr.u64 %rd0, %rd0, 32; cvt.u32.u64 %r0, %rd0;",
            u32::MAX,
        ),
        (
            "mul.wide.u32 %rd0, -3, 5; shr.u64 %rd0, %rd0, 32; cvt.u32.u64 %r0, %rd0;",
            4,
        ),
        ("mul.wide.u16 %r0, 65535, 65535;", 65535 * 65535),
        ("mad.wide.s32 %rd0, -3, 5, 16; cvt.u32.u64 %r0, %rd0;", 1),
        ("mul.hi.u64 %rd0, -1, 16; cvt.u32.u64 %r0, %rd0;", 15),
        ("div.s32 %r0, -7, 2;", (-3i32) as u32),
        ("rem.s32 %r0, -7, 2;", u32::MAX),
        ("div.u32 %r0, -7, 2;", 0x7fff_fffc),
        ("min.s32 %r0, -7, 2;", (-7i32) as u32),
        ("max.u32 %r0, -7, 2;", (-7i32) as u32),
        ("abs.s32 %r0, -7;", 7),
        ("neg.s32 %r0, 7;", (-7i32) as u32),
        ("add.s16 %h0, 32767, 1; cvt.s32.s16 %r0, %h0;", 0xffff_8000),
    ]);
}

#[test]
fn bits() {
    check(&[
        ("shl.b32 %r0, 3, 31;", 0x8000_0000),
        ("shl.b32 %r0, 3, 32;", 0),
        ("shr.u32 %r0, -1, 32;", 0),
        ("shr.s32 %r0, -8, 1;", (-4i32) as u32),
        ("shr.s32 %r0, -8, 99;", u32::MAX),
        ("shr.b32 %r0, -8, 28;", 15),
        ("xor.b32 %r0, 12, 10;", 6),
        ("not.b32 %r0, 12;", !12),
        ("popc.b32 %r0, 0xff0f;", 12),
        ("clz.b32 %r0, 1;", 31),
        ("clz.b64 %r0, 1;", 63),
        ("brev.b32 %r0, 1;", 0x8000_0000),
        ("bfind.u32 %r0, 0x100;", 8),
        ("bfind.u32 %r0, -1;", 31),
        ("bfind.u32 %r0, 0;", u32::MAX), // no bit
        ("bfe.u32 %r0, 0xabcd, 4, 8;", 0xbc),
        ("bfe.u32 %r0, 0xabcd, 40, 8;", 0),
        ("bfe.s32 %r0, 0xabcd, 4, 8;", 0xffff_ffbc),
        ("bfe.s32 %r0, 0x80000000, 28, 8;", 0xffff_fff8),
        ("bfi.b32 %r0, 0xab, 0xffffffff, 8, 8;", 0xffff_abff),
        ("bfi.b32 %r0, 5, 0, 30, 27;", 0x4000_0000),
        ("bfi.b32 %r0, 5, 7, 0, 32;", 5),
        ("bfi.b32 %r0, 5, 7, 40, 4;", 7),
        (
            "bfi.b64 %rd0, 9, 7, 32, 32; mov.b64 {%r1, %r2}, %rd0; mad.lo.u32 %r0, %r1, 16, %r2;",
            0x79,
        ),
        ("mov.pred %p0, -1; selp.b32 %r0, 5, 6, %p0;", 5),
        ("prmt.b32 %r0, 0x33221100, 0x77665544, 0x7250;", 0x7722_5500),
        ("prmt.b32 %r0, 0x80, 0, 0x4448;", 0x0000_00ff),
        ("lop3.b32 %r0, 0xf0, 0xcc, 0xaa, 0x96;", 0xf0 ^ 0xcc ^ 0xaa),
        (
            "lop3.b32 %r0, 0xf0, 0xcc, 0xaa, 0xca;",
            (0xf0 & 0xcc) | (!0xf0 & 0xaa),
        ),
        ("shf.l.wrap.b32 %r0, 0x80000000, 1, 33;", 3),
        ("shf.r.wrap.b32 %r0, 0x80000000, 1, 31;", 3),
        ("shf.l.clamp.b32 %r0, 0x80000000, 1, 33;", 0x8000_0000),
        (
            "mov.b64 %rd0, {5, 6}; mov.b64 {%r1, %r2}, %rd0; mad.lo.s32 %r0, %r1, 16, %r2;",
            0x56,
        ),
        (
            "mov.b32 {%h0, %h1}, 0x12345678; mov.b32 %r0, {%h1, %h0};",
            0x5678_1234,
        ),
    ]);
}

#[test]
fn choices() {
    check(&[
        ("setp.lt.s32 %p0, -1, 1; selp.b32 %r0, 5, 6, %p0;", 5),
        ("setp.lt.u32 %p0, -1, 1; selp.b32 %r0, 5, 6, %p0;", 6),
        ("setp.gt.s32 %p0|%p1, 1, 2; selp.b32 %r0, 5, 6, %p1;", 5),
        (
            "setp.eq.s32 %p0, 1, 1; setp.lt.and.s32 %p1, 1, 2, !%p0; selp.b32 %r0, 5, 6, %p1;",
            6,
        ),
        (
            "setp.eq.s32 %p0, 1, 1; setp.lt.or.s32 %p1, 2, 1, %p0; selp.b32 %r0, 5, 6, %p1;",
            5,
        ),
        (
            "setp.eq.s32 %p0, 1, 1; not.pred %p1, %p0; xor.pred %p2, %p0, %p1; selp.b32 %r0, 5, 6, %p2;",
            5,
        ),
        (
            "setp.lt.f32 %p0, 0f7FFFFFFF, 0f3F800000; selp.b32 %r0, 5, 6, %p0;",
            6,
        ),
        (
            "setp.ltu.f32 %p0, 0f7FFFFFFF, 0f3F800000; selp.b32 %r0, 5, 6, %p0;",
            5,
        ),
        (
            "setp.ne.f32 %p0, 0f7FFFFFFF, 0f7FFFFFFF; selp.b32 %r0, 5, 6, %p0;",
            6,
        ),
        (
            "setp.neu.f32 %p0, 0f7FFFFFFF, 0f7FFFFFFF; selp.b32 %r0, 5, 6, %p0;",
            5,
        ),
        (
            "setp.nan.f32 %p0, 0f7FFFFFFF, 0f3F800000; selp.b32 %r0, 5, 6, %p0;",
            5,
        ),
        (
            "setp.eq.f32 %p0, 0f80000000, 0f00000000; selp.b32 %r0, 5, 6, %p0;",
            5,
        ),
        (
            "mov.u32 %r0, 6; setp.eq.s32 %p0, 1, 1; @%p0 mov.u32 %r0, 5; @!%p0 mov.u32 %r0, 7;",
            5,
        ),
    ]);
}

/// With NaN a comparison is false, and true where its name ends in u.
#[test]
fn comparisons_of_floats_know_nan() {
    let numbers = [1.0, 2.0, f32::NAN, -0.0, 0.0, f32::INFINITY];
    type Compare = fn(&f32, &f32) -> bool;
    let ordered: [(&str, Compare); 6] = [
        ("eq", f32::eq),
        ("ne", |a, b| a.partial_cmp(b).is_some_and(|o| o.is_ne())),
        ("lt", f32::lt),
        ("le", f32::le),
        ("gt", f32::gt),
        ("ge", f32::ge),
    ];
    for (a, b) in numbers.iter().flat_map(|a| numbers.map(|b| (*a, b))) {
        let is_nan = a.is_nan() || b.is_nan();
        let mut expected = vec![("num".to_string(), !is_nan), ("nan".to_string(), is_nan)];
        for (name, holds) in ordered {
            expected.push((name.to_string(), holds(&a, &b)));
            expected.push((format!("{name}u"), holds(&a, &b) || is_nan));
        }
        for (name, holds) in expected {
            for ty in ["f32", "f64"] {
                let [x, y] = [a, b].map(|v| match ty {
                    "f32" => format!("0f{:08X}", v.to_bits()),
                    _ => format!("0d{:016X}", f64::from(v).to_bits()),
                });
                let body = format!("setp.{name}.{ty} %p0, {x}, {y}; selp.u32 %r0, 1, 0, %p0;");
                let got = results(1, &body)[0];
                assert_eq!(got, u32::from(holds), "{name}.{ty} of {a} and {b}");
            }
        }
    }
}

#[test]
fn floats() {
    assert_eq!(float("add.rn.f32 %f0, 0f3F800000, 0f33800000;"), 1.0); // 1 + 2^-24, a tie
    assert_eq!(
        float("add.rp.f32 %f0, 0f3F800000, 0f00000001;"),
        1.0f32.next_up()
    );
    assert_eq!(
        float("mul.rz.f32 %f0, 0fBF800001, 0f3F800001;"),
        -f32::from_bits(0x3f80_0002)
    );
    assert_eq!(
        float("fma.rn.f32 %f0, 0f3F800001, 0f3F800001, 0fBF800002;"),
        2f32.powi(-46)
    );
    assert_eq!(float("div.rn.f32 %f0, 0f3F800000, 0f40400000;"), 1.0 / 3.0);
    assert_eq!(float("sqrt.rn.f32 %f0, 0f40000000;"), 2f32.sqrt());
    assert_eq!(
        float("mul.rn.f32 %f0, 0f00000001, 0f3F000000;").to_bits(),
        0
    ); // 2^-150: a tie to even
    assert_eq!(
        float("mul.rn.f32 %f0, 0f00000003, 0f3F000000;").to_bits(),
        2
    ); // subnormals are kept
    assert_eq!(float("min.f32 %f0, 0f7FFFFFFF, 0f3F800000;"), 1.0);
    assert_eq!(float("max.f32 %f0, 0f80000000, 0f00000000;").to_bits(), 0);
    assert_eq!(
        float("min.f32 %f0, 0f00000000, 0f80000000;").to_bits(),
        0x8000_0000
    );
    assert_eq!(
        float("sub.rn.f32 %f0, 0f7F800000, 0f7F800000;").to_bits(),
        0x7fff_ffff
    );
    assert_eq!(float("neg.f32 %f0, 0f7FC00001;").to_bits(), 0xffc0_0001);
    assert_eq!(float("copysign.f32 %f0, 0f80000000, 0f40000000;"), -2.0);
    assert_eq!(float("ex2.approx.f32 %f0, 0f40400000;"), 8.0);
    assert_eq!(float("ex2.approx.ftz.f32 %f0, 0fC3020000;"), 0.0); // 2^-130
    assert_eq!(float("lg2.approx.f32 %f0, 0f41000000;"), 3.0);
    assert_eq!(float("rsqrt.approx.f32 %f0, 0f40800000;"), 0.5);
    assert_eq!(
        float("cvt.f64.f32 %d0, 0f3F800001; mul.rn.f64 %d0, %d0, %d0; cvt.rn.f32.f64 %f0, %d0;"),
        f32::from_bits(0x3f80_0002)
    );
    assert_eq!(
        float("cvt.rn.bf16x2.f32 %r1, 0f40000000, 0f3F800000; mov.b32 %f0, %r1;").to_bits(),
        0x4000_3f80
    );
}

#[test]
fn lanes_exchange_values() {
    let own: Vec<u32> = (0..32).collect();
    let from = |f: fn(u32) -> u32| own.iter().map(|&t| f(t)).collect::<Vec<_>>();
    let shuffle = |how: &str| results(32, &format!("shfl.sync.{how}, -1;"));
    assert_eq!(shuffle("bfly.b32 %r0, %t, 5, 31"), from(|t| t ^ 5));
    assert_eq!(
        shuffle("up.b32 %r0, %t, 3, 0"),
        from(|t| if t < 3 { t } else { t - 3 })
    );
    assert_eq!(
        shuffle("down.b32 %r0, %t, 3, 31"),
        from(|t| if t > 28 { t } else { t + 3 })
    );
    assert_eq!(shuffle("idx.b32 %r0, %t, 7, 31"), from(|_| 7));
    // Segments of 8 lanes: mask 0x18 in bits 8 to 12.
    assert_eq!(
        shuffle("down.b32 %r0, %t, 3, 0x181f"),
        from(|t| if t % 8 > 4 { t } else { t + 3 })
    );
    assert_eq!(
        shuffle("idx.b32 %r0, %t, 2, 0x181f"),
        from(|t| t / 8 * 8 + 2)
    );
    let inside = results(
        32,
        "shfl.sync.down.b32 %r1|%p0, %t, 3, 31, -1; selp.u32 %r0, 1, 0, %p0;",
    );
    assert_eq!(inside, from(|t| u32::from(t <= 28)));
    let ballot = "setp.gt.u32 %p0, %t, 4; vote.sync.ballot.b32 %r0, %p0, -1;";
    assert_eq!(results(8, ballot), [0xe0; 8]);
    let any = "setp.gt.u32 %p0, %t, 40; vote.sync.any.pred %p1, %p0, -1; selp.u32 %r0, 1, 0, %p1;";
    assert_eq!(results(64, any), [[0; 32], [1; 32]].concat());
    let all = "setp.gt.u32 %p0, %t, 3; vote.sync.all.pred %p1, !%p0, -1; selp.u32 %r0, 1, 0, %p1;";
    assert_eq!(results(8, all), [0; 8]);
    assert_eq!(results(20, "activemask.b32 %r0;"), [0xf_ffff; 20]);
}

#[test]
fn lanes_part_and_meet_again() {
    // Collatz: each lane leaves the loop at its own time; afterwards all are together.
    let body = "
        add.u32 %r1, %t, 1; mov.u32 %r0, 0;
        $LOOP: setp.eq.u32 %p0, %r1, 1; @%p0 bra $DONE;
        and.b32 %r2, %r1, 1; setp.eq.u32 %p1, %r2, 1; @%p1 bra $ODD;
        shr.u32 %r1, %r1, 1; bra.uni $NEXT;
        $ODD: mad.lo.u32 %r1, %r1, 3, 1;
        $NEXT: add.u32 %r0, %r0, 1; bra $LOOP;
        $DONE: activemask.b32 %r3; setp.ne.u32 %p2, %r3, -1; @%p2 trap;";
    let steps = |n: u32| {
        let (mut x, mut steps) = (n + 1, 0);
        while x != 1 {
            x = if x % 2 == 1 { 3 * x + 1 } else { x / 2 };
            steps += 1;
        }
        steps
    };
    assert_eq!(results(32, body), (0..32).map(steps).collect::<Vec<_>>());
    let table = "
        $T: .branchtargets $A, $B, $C;
        and.b32 %r1, %t, 3; min.u32 %r1, %r1, 2; brx.idx %r1, $T;
        $C: mov.u32 %r0, 30; bra $E;
        $A: mov.u32 %r0, 10; bra $E;
        $B: mov.u32 %r0, 20;
        $E: activemask.b32 %r2; add.u32 %r0, %r0, %r2;";
    assert_eq!(results(4, table), [25, 35, 45, 45]);
}

#[test]
fn three_dimensions_of_threads_and_blocks() {
    use ganforge_ptxvm::{Arg, Launch, Memory, Module};
    let text = ".version 8.4 .target sm_70 .address_size 64
        .visible .entry k(.param .u64 y) {
        .reg .b32 %r<20>; .reg .b64 %rd<4>;
        ld.param.u64 %rd1, [y];
        mov.u32 %r1, %tid.x; mov.u32 %r2, %tid.y; mov.u32 %r3, %tid.z;
        mov.u32 %r4, %ctaid.x; mov.u32 %r5, %ctaid.y; mov.u32 %r6, %ctaid.z;
        mov.u32 %r7, %ntid.x; mov.u32 %r8, %nctaid.y;
        mad.lo.u32 %r10, %r3, 2, %r2; mad.lo.u32 %r10, %r10, %r7, %r1; // thread of 3 x 2 x 2
        mad.lo.u32 %r11, %r6, %r8, %r5; mad.lo.u32 %r11, %r11, 2, %r4; // block of 2 x 3 x 2
        mad.lo.u32 %r12, %r11, 12, %r10;
        mul.wide.u32 %rd2, %r12, 4; add.s64 %rd1, %rd1, %rd2; st.global.u32 [%rd1], %r12; ret; }";
    let mut memory = Memory::new();
    let y = memory.alloc("y", 4 * 144);
    let launch = Launch {
        grid: [2, 3, 2],
        block: [3, 2, 2],
        ..Launch::new(1, 1)
    };
    let module = Module::parse("t.ptx", text).unwrap();
    module
        .launch("k", &launch, &[Arg::Pointer(y)], &mut memory)
        .unwrap();
    assert_eq!(memory.read_u32(y).unwrap(), (0..144).collect::<Vec<_>>());
}

#[test]
fn loads_extend_and_stores_cut_off() {
    check(&[
        ("st.global.u32 [%y], 0x80ff; ld.global.u8 %r0, [%y];", 0xff),
        (
            "st.global.u32 [%y], 0x80ff; ld.global.s8 %r0, [%y+1];",
            0xffff_ff80,
        ),
        (
            "st.global.u32 [%y], 0x80ff; ld.global.s16 %r0, [%y];",
            0xffff_80ff,
        ),
        (
            "st.global.u32 [%y], 0; st.global.u8 [%y+2], 0x1ff; ld.global.u32 %r0, [%y];",
            0xff_0000,
        ),
        (
            "mov.u32 %r1, s; st.shared.v2.u32 [%r1+8], {7, 9}; ld.shared.u64 %rd0, [%r1+8]; shr.u64 %rd0, %rd0, 32; cvt.u32.u64 %r0, %rd0;",
            9,
        ),
        (
            "mov.u64 %rd1, s; cvta.shared.u64 %rd2, %rd1; st.u32 [%rd2+4], 3; ld.shared.u32 %r0, [s+4];",
            3,
        ),
        ("ld.u32 %r0, [%x+8];", 2.0f32.to_bits()),
        ("ld.param.u32 %r0, [n];", 1),
        (
            "ld.global.nc.v2.f32 {_, %f1}, [%x+8]; mov.b32 %r0, %f1;",
            3.0f32.to_bits(),
        ),
    ]);
}

#[test]
fn atomic_operations_add_up() {
    let body = "st.global.u32 [%yp], 0; atom.global.add.u32 %r1, [%y], 2; atom.global.inc.u32 %r2, [%y], 1000;
        red.global.max.u32 [%y], 7; atom.global.cas.b32 %r3, [%y], 95, 5; atom.global.exch.b32 %r4, [%y], 77; ld.global.u32 %r0, [%y];";
    // Only thread 0's word is used, after all have written theirs.
    let (got, _) = run(1, body);
    assert_eq!(got, [77]);
}

#[test]
fn products_of_a_warp() {
    // A[i, k] = i + k, B[k, j] = 1 if k = j: D = A where j < 8. tf32 and bf16 hold such numbers exactly.
    let fragments = "
        shr.u32 %r1, %t, 2; and.b32 %r2, %t, 3;"; // group, member
    let tf32 = format!(
        "{fragments}
        add.u32 %r3, %r1, %r2; cvt.rn.f32.u32 %f0, %r3; add.rn.f32 %f1, %f0, 0f41000000; // A[g, m], A[g + 8, m]
        add.rn.f32 %f2, %f0, 0f40800000; add.rn.f32 %f3, %f1, 0f40800000; // columns m + 4
        setp.eq.u32 %p0, %r1, %r2; selp.f32 %f4, 0f3F800000, 0f00000000, %p0;
        add.u32 %r4, %r2, 4; setp.eq.u32 %p1, %r1, %r4; selp.f32 %f5, 0f3F800000, 0f00000000, %p1;
        mov.f32 %f6, 0f3F000000;
        mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {{%f8, %f9, %f10, %f11}}, {{%f0, %f1, %f2, %f3}}, {{%f4, %f5}}, {{%f6, %f6, %f6, %f6}};"
    );
    for (register, row, column) in [("%f8", 0, 0), ("%f9", 0, 1), ("%f10", 8, 0), ("%f11", 8, 1)] {
        let got = results(32, &format!("{tf32} mov.b32 %r0, {register};"));
        for (lane, got) in got.into_iter().enumerate() {
            let (i, j) = (lane / 4 + row, 2 * (lane % 4) + column);
            assert_eq!(
                f32::from_bits(got),
                (i + j) as f32 + 0.5,
                "{register} of lane {lane}"
            );
        }
    }
    // bf16, k = 16: all of A and B are 1 + 2^-7, C = 0.
    let pair = "0x3f813f81";
    let body = format!(
        "mov.u32 %r1, {pair};
        mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {{%f0, %f1, %f2, %f3}}, {{%r1, %r1, %r1, %r1}}, {{%r1, %r1}},
            {{0f00000000, 0f00000000, 0f00000000, 0f00000000}}; mov.b32 %r0, %f2;"
    );
    let one = 1.0 + 1.0 / 128.0;
    assert_eq!(results(32, &body), [(16.0f32 * one * one).to_bits(); 32]);
}

#[test]
fn coalescing_is_counted_in_sectors() {
    let counts = |body: &str| run(32, body).1.global_loads;
    let dense = counts("ld.global.u32 %r0, [%xp];");
    assert_eq!((dense.requests, dense.sectors, dense.bytes), (1, 4, 128));
    let same = counts("ld.global.u32 %r0, [%x];");
    assert_eq!((same.requests, same.sectors, same.bytes), (1, 1, 128));
    let strided = counts(
        "and.b32 %r1, %t, 7; mul.wide.u32 %rd0, %r1, 32; add.s64 %rd0, %rd0, %x; ld.global.u32 %r0, [%rd0];",
    );
    assert_eq!((strided.requests, strided.sectors), (1, 8));
    let half = counts("mov.u32 %r0, 0; setp.lt.u32 %p0, %t, 16; @%p0 ld.global.u32 %r0, [%xp];");
    assert_eq!((half.requests, half.sectors, half.bytes), (1, 2, 64));
    let shifted = counts("mov.u32 %r0, 0; ld.global.u32 %r0, [%xp+4];");
    assert_eq!((shifted.sectors, shifted.efficiency()), (5, 0.8));
}

#[test]
fn bank_conflicts_are_counted_in_passes() {
    let fill = "mov.u32 %r5, s; setp.lt.u32 %p0, %t, 16; add.u32 %r6, %r5, %t4; @%p0 st.shared.u32 [%r6], %t; bar.sync 0;";
    let counts = |load: &str| {
        let c = run(32, &format!("{fill} {load}")).1;
        assert_eq!(
            (
                c.shared_stores.passes,
                c.shared_stores.conflicts(),
                c.barriers
            ),
            (1, 0, 1)
        );
        (c.shared_loads.passes, c.shared_loads.conflicts())
    };
    assert_eq!(counts("ld.shared.u32 %r0, [s];"), (1, 0));
    assert_eq!(
        counts("and.b32 %r1, %t4, 63; add.u32 %r1, %r1, %r5; ld.shared.u32 %r0, [%r1];"),
        (1, 0)
    );
    // 16-byte loads go in quarters: 8 lanes on 4 different quads, no bank twice.
    let wide = "and.b32 %r1, %t4, 12; shl.b32 %r1, %r1, 2; add.u32 %r1, %r1, %r5; ld.shared.v4.u32 {%r0, %r2, %r3, %r4}, [%r1];";
    assert_eq!(counts(wide), (4, 0));
    // A column of a matrix with rows of 32 words: one bank for all.
    let text = "
        .shared .align 4 .b8 m[4096]; mov.u32 %r5, m; shl.b32 %r1, %t, 7; add.u32 %r1, %r1, %r5; st.shared.u32 [%r1], %t; ld.shared.u32 %r0, [%r1];";
    let c = run(32, text).1;
    assert_eq!(
        (c.shared_stores.conflicts(), c.shared_loads.conflicts()),
        (31, 31)
    );
}

#[test]
fn instructions_are_counted_by_class() {
    let body = "ld.global.f32 %f0, [%xp]; fma.rn.f32 %f1, %f0, %f0, %f0; setp.lt.u32 %p0, %t, 8;
        @%p0 add.rn.f32 %f1, %f1, %f0; sqrt.rn.f32 %f1, %f1; cvt.rzi.u32.f32 %r0, %f1;";
    let c = run(32, body).1;
    let of = |class| (c.class(class).warps, c.class(class).threads);
    assert_eq!(of(Class::Fma), (1, 32));
    assert_eq!(of(Class::Float), (1, 8));
    assert_eq!(of(Class::Special), (1, 32));
    assert_eq!(of(Class::Global), (2, 64));
    assert_eq!(c.flops, 2 * 32 + 8);
    assert!(c.to_string().contains("fma"));
}
