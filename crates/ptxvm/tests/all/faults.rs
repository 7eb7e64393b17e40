//! Every fault that the machine knows, planted in a kernel of a few lines, and found where it was planted.

use crate::common::{Run, error, module};
use ganforge_ptxvm::{Arg, Launch};

#[track_caller]
fn finds(blocks: u32, threads: u32, body: &str, parts: &[&str]) {
    let found = error(blocks, threads, body);
    for part in parts {
        assert!(found.contains(part), "{part:?} is not in {found:?}");
    }
}

#[track_caller]
fn runs(blocks: u32, threads: u32, body: &str) {
    if let Err(error) = Run::new().launch(blocks, threads, body) {
        panic!("{error}");
    }
}

#[test]
fn a_load_past_the_end() {
    let body = "ld.global.f32 %f0, [%xp];\n\n st.global.f32 [%yp], %f0;";
    runs(1, 64, body);
    finds(
        1,
        65,
        body,
        &[
            "k (t.ptx:25, ld.global.f32)",
            "thread (64, 0, 0) of block (0, 0, 0)",
            "4 bytes at 0x10000000100",
            "0 bytes past the end of x (256 bytes)",
        ],
    );
    finds(
        1,
        33,
        "ld.global.f32 %f0, [%xp+132];",
        &["thread (31, 0, 0)", "past the end of x"],
    );
}

#[test]
fn what_no_device_launches_is_refused() {
    let refused = |grid: [u32; 3], shared: usize, granted: usize| {
        let launch = Launch {
            grid,
            shared,
            granted,
            ..Launch::new(1, 1)
        };
        let run = Run::new();
        let args = [Arg::Pointer(run.x), Arg::Pointer(run.y), Arg::U32(1)];
        let mut memory = run.memory;
        let done = module("ret;").and_then(|m| m.launch("k", &launch, &args, &mut memory));
        done.err().map_or(String::new(), |e| e.to_string())
    };
    // The kernel declares 64 bytes itself.
    assert_eq!(refused([1; 3], 49_088, 0), "");
    assert!(refused([1; 3], 49_089, 0).contains("at most 49152 bytes of shared memory, got 49153"));
    // A driver grants more where it is asked before.
    assert_eq!(refused([1; 3], 49_089, 49_089), "");
    assert!(refused([1; 3], 227 * 1024 + 1, 1 << 20).contains("at most 232448 bytes"));
    for grid in [[1 << 31, 1, 1], [1, 65_536, 1], [1, 1, 65_536]] {
        assert!(
            refused(grid, 0, 0).contains("65535 along y and z"),
            "{grid:?}"
        );
    }
    assert_eq!(refused([1, 65_535, 1], 0, 0), "");
}

#[test]
fn an_asynchronous_copy_of_nothing_still_has_an_address_that_is_aligned() {
    let body = |from: &str| {
        format!(
            "mov.u32 %r0, s; mov.u32 %r1, 0;
             cp.async.cg.shared.global [%r0], [{from}], 16, %r1; cp.async.wait_all;"
        )
    };
    runs(1, 1, &body("%xp"));
    finds(1, 1, &body("%xp+4"), &["cp.async"]);
}

#[test]
fn a_store_before_the_start() {
    finds(
        1,
        1,
        "\n  st.global.u32 [%yp+-8], %t;",
        &[
            "k (t.ptx:26, st.global.u32)",
            "8 bytes before y (256 bytes)",
        ],
    );
    finds(
        1,
        1,
        "mov.u64 %rd0, 16; ld.global.u32 %r0, [%rd0];",
        &["not near any allocation"],
    );
    // The last element of a vector may be the one outside.
    finds(
        1,
        1,
        "ld.global.v4.f32 {%f0, %f1, %f2, %f3}, [%xp+256];",
        &["16 bytes"],
    );
}

#[test]
fn shared_memory_out_of_bounds() {
    let store = "mov.u32 %r0, s; add.s32 %r0, %r0, %t4; st.shared.u32 [%r0], %t;";
    runs(1, 16, store);
    finds(
        1,
        17,
        store,
        &[
            "thread (16, 0, 0)",
            "4 bytes at 0x40 (shared memory, 64 bytes)",
        ],
    );
}

#[test]
fn parameters_out_of_bounds() {
    finds(
        1,
        1,
        "ld.param.u32 %r0, [n+4];",
        &["4 bytes at 0x14 (parameters, 20 bytes)"],
    );
}

#[test]
fn misaligned_accesses() {
    finds(
        1,
        2,
        "ld.global.v2.f32 {%f0, %f1}, [%xp];",
        &[
            "thread (1, 0, 0)",
            "8 bytes at 0x10000000004 (byte 4 of x, 256 bytes), which is not a multiple of 8",
        ],
    );
    finds(
        1,
        1,
        "mov.u32 %r0, s; st.shared.u32 [%r0+2], %t;",
        &["not a multiple of 4"],
    );
}

#[test]
fn global_memory_that_nothing_wrote() {
    finds(
        1,
        4,
        "setp.lt.u32 %p0, %t, 3; @%p0 st.global.u32 [%yp], %t; ld.global.u32 %r0, [%yp];",
        &[
            "thread (3, 0, 0)",
            "reads 4 uninitialised bytes",
            "byte 12 of y, 256 bytes",
        ],
    );
    // Two of four bytes are written.
    finds(
        1,
        1,
        "st.global.u16 [%y], 1; ld.global.u32 %r0, [%y];",
        &["uninitialised bytes"],
    );
    runs(
        1,
        1,
        "st.global.u16 [%y], 1; st.global.u16 [%y+2], 1; ld.global.u32 %r0, [%y];",
    );
    let mut run = Run::new();
    run.launch(1, 32, "st.global.u32 [%yp], %t;").unwrap();
    let host = run.memory.read_f32(run.y).unwrap_err().to_string();
    assert_eq!(host, "y: byte 128 of 256 is uninitialised");
}

#[test]
fn shared_memory_that_nothing_wrote() {
    finds(
        1,
        2,
        "mov.u32 %r0, s; ld.shared.f32 %f0, [%r0+8];",
        &["reads 4 uninitialised bytes at 0x8"],
    );
}

#[test]
fn local_memory_that_nothing_wrote() {
    let body = |load: &str| {
        format!(
            ".local .align 4 .b8 l[8]; mov.u64 %rd0, l; cvta.local.u64 %rd1, %rd0; st.u32 [%rd1], %t;
             cvta.to.local.u64 %rd2, %rd1; ld.local.u32 %r1, [%rd2+{load}]; st.global.u32 [%yp], %r1;"
        )
    };
    let mut run = Run::new();
    run.launch(1, 64, &body("0")).unwrap();
    let each: Vec<u32> = (0..64).collect();
    assert_eq!(run.memory.read_u32(run.y).unwrap(), each);
    finds(1, 1, &body("4"), &["local memory", "uninitialised"]);
    finds(1, 1, &body("8"), &["8 bytes"]);
}

#[test]
fn writes_to_constants() {
    let text = ".version 8.4 .target sm_70 .address_size 64
        .const .align 4 .f32 c[2] = {0f3F800000, 0f40000000};
        .visible .entry k() { .reg .f32 %f<2>; ld.const.f32 %f0, [c+4]; st.global.f32 [c], %f0; ret; }";
    let module = ganforge_ptxvm::Module::parse("t.ptx", text).unwrap();
    let launch = ganforge_ptxvm::Launch::new(1, 1);
    let error = module.launch("k", &launch, &[], &mut ganforge_ptxvm::Memory::new());
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("byte 0 of c, 8 bytes), which is read-only")
    );
}

/// Writes s[t], then reads s[t ^ `other`] after `between`.
fn exchange(between: &str, other: u32) -> String {
    format!(
        "and.b32 %r0, %t, 15; shl.b32 %r0, %r0, 2; mov.u32 %r1, s; add.s32 %r2, %r0, %r1;
         setp.lt.u32 %p0, %t, 16; @%p0 st.shared.u32 [%r2], %t;
         {between}
         xor.b32 %r3, %r0, {}; add.s32 %r3, %r3, %r1; ld.shared.u32 %r4, [%r3];",
        4 * other
    )
}

#[test]
fn a_read_that_races_with_a_write() {
    runs(1, 64, &exchange("bar.sync 0;", 1));
    // Without a barrier, lanes of one warp race as well: they need not run in step.
    finds(
        1,
        16,
        &exchange("", 1),
        &[
            "(t.ptx:28, ld.shared.u32)",
            "thread (0, 0, 0)",
            "reads 4 bytes",
            "that thread (1, 0, 0) writes",
        ],
    );
    // A barrier of the warp orders its own lanes, not those of the next one.
    runs(1, 16, &exchange("bar.warp.sync -1;", 1));
    finds(
        1,
        64,
        &exchange("bar.warp.sync -1;", 1),
        &["thread (32, 0, 0)", "no barrier between"],
    );
}

#[test]
fn a_write_that_races_with_a_read() {
    let body = |between: &str| {
        let write = "mov.u32 %r5, s; setp.eq.u32 %p1, %t, 63; @%p1 st.shared.u32 [%r5+12], %t;";
        exchange("bar.sync 0;", 0) + between + write
    };
    runs(1, 64, &body("bar.sync 0;"));
    finds(
        1,
        64,
        &body(""),
        &[
            "thread (63, 0, 0)",
            "writes 4 bytes of shared memory at 0xc",
            "that thread",
            "reads",
        ],
    );
}

#[test]
fn two_writes_to_one_word() {
    finds(
        1,
        2,
        "mov.u32 %r0, s; st.shared.u32 [%r0], %t;",
        &[
            "thread (1, 0, 0)",
            "writes 4 bytes",
            "that thread (0, 0, 0) writes",
        ],
    );
    // Bytes of one word are not the same place.
    runs(
        1,
        2,
        "mov.u32 %r0, s; add.s32 %r0, %r0, %t; st.shared.u8 [%r0], %t;",
    );
}

#[test]
fn blocks_that_use_each_others_results() {
    let fill = "setp.eq.u32 %p0, %r0, 0; @%p0 st.global.u32 [%y], 7;";
    let body = format!("mov.u32 %r0, %ctaid.x; {fill} @!%p0 ld.global.u32 %r1, [%y];");
    let found = error(2, 1, &body);
    let early = found.contains("uninitialised"); // where block 1 happens to run first
    assert!(
        early || found.contains("that block 0 wrote in the same launch"),
        "{found}"
    );
    finds(
        9,
        1,
        "st.global.u32 [%y], 7;",
        &["writes 4 bytes", "wrote in the same launch"],
    );
    // The block that finds itself the last one by an atomic operation may read what all wrote.
    let mut run = Run::new();
    let zero = "st.global.u32 [%y], 0;";
    run.launch(1, 1, zero).unwrap();
    let last = "mov.u32 %r0, %ctaid.x; add.s32 %r1, %r0, 1; mul.wide.u32 %rd0, %r1, 4; add.s64 %rd0, %rd0, %y;
        st.global.u32 [%rd0], %r1; membar.gl; atom.global.add.u32 %r2, [%y], 1; setp.ne.u32 %p0, %r2, 8; @%p0 bra $END;
        membar.gl; ld.global.u32 %r3, [%y+4]; ld.global.u32 %r4, [%y+36]; add.u32 %r3, %r3, %r4; st.global.u32 [%y+40], %r3;
        st.global.u32 [%y], 0;
        $END:";
    run.launch(9, 1, last).unwrap();
    // Across launches everything is ordered.
    run.launch(1, 1, "ld.global.u32 %r0, [%y+40]; st.global.u32 [%x], %r0;")
        .unwrap();
    assert_eq!(run.memory.read_u32(run.x).unwrap()[0], 10);
}

/// Blocks of two warps that store a word per thread; the block that comes last reads all of them.
fn tail(before: &str, after: &str) -> String {
    let each =
        "mov.u32 %r0, %ctaid.x; shl.b32 %r1, %r0, 6; add.s32 %r1, %r1, %t; add.s32 %r1, %r1, 1;
        mul.wide.u32 %rd0, %r1, 4; add.s64 %rd0, %rd0, %y; st.global.u32 [%rd0], %r1;
        mov.u32 %r9, s; setp.eq.u32 %p1, %t, 0;";
    format!(
        "{each} {before} @%p1 atom.global.add.u32 %r2, [%y], 1; {after}
         @%p1 st.shared.u32 [%r9], %r2; bar.sync 0; ld.shared.u32 %r2, [%r9];
         setp.ne.u32 %p2, %r2, 2; @%p2 bra $END;
         add.s64 %rd1, %y, %o; ld.global.u32 %r3, [%rd1+4]; ld.global.u32 %r4, [%rd1+260]; ld.global.u32 %r5, [%rd1+516];
         $END:"
    )
}

#[test]
fn a_fence_is_missing_before_or_after_the_atomic_operation_by_which_blocks_meet() {
    let run = |before: &str, after: &str| {
        let mut run = Run::with_results(1 + 3 * 64);
        run.launch(1, 1, "st.global.u32 [%y], 0;").expect("counter");
        let done = run.launch(3, 64, &tail(before, after));
        done.err().map_or(String::new(), |error| error.to_string())
    };
    let fence = "@%p1 fence.acq_rel.gpu;";
    assert_eq!(run(&format!("bar.sync 0; {fence}"), fence), "");
    // Every thread by itself, or with the atomic operation as its own fence.
    let each = "fence.acq_rel.gpu; bar.sync 0;";
    assert_eq!(run(each, "membar.gl;"), "");
    let (writer, reader) = (
        "wrote in the same launch, with no fence between that write and the atomic operation of its block",
        "wrote in the same launch, with no fence between the atomic operation of this block and this access",
    );
    for (before, after, missing) in [
        ("bar.sync 0;".to_string(), fence, writer),
        (format!("bar.sync 0; {fence}"), "", reader),
        // One of a block is not enough.
        ("bar.sync 0; @%p1 fence.acq_rel.cta;".into(), fence, writer),
        // The other warp writes after it.
        (fence.to_string(), fence, writer),
    ] {
        let found = run(&before, after);
        assert!(found.contains("ld.global.u32"), "{before}: {found}");
        let early = found.contains("uninitialised"); // where the other warp had not come so far
        assert!(early || found.contains(missing), "{before}: {found}");
    }
}

#[test]
fn tails_of_cut_products_need_both_of_their_fences() {
    use ganforge_kernels::ptx;
    use ganforge_ptxvm::{Memory, Module};
    let name = "matmul_v3_block_nn_f32";
    let shipped = ptx::family("matmul").and_then(|family| family.kernel(name));
    let shipped = shipped.expect("it ships");
    let places: Vec<usize> = shipped.match_indices("\tfence.").map(|m| m.0).collect();
    assert_eq!(places.len(), 2);
    let run = |text: &str| {
        let module = Module::parse("matmul.ptx", text).expect("still PTX");
        let mut memory = Memory::new();
        let [a, b] = ["a", "b"].map(|name| memory.alloc_f32(name, &[0.5; 64 * 64]));
        let (c, partial) = (
            memory.alloc("c", 4 * 4096),
            memory.alloc("sums", 4 * 4 * 4096),
        );
        let arrived = memory.alloc_u32("arrived", &[0]);
        let longs = |longs: &[u64]| longs.iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut args = [a, b, c].map(Arg::Pointer).to_vec();
        args.extend([64; 3].map(Arg::U32));
        args.push(Arg::Bytes(longs(&[
            16,
            partial.address(),
            arrived.address(),
        ])));
        args.push(Arg::Bytes(longs(&[0; 6])));
        let grid = [1, 1, 4];
        let launch = Launch {
            grid,
            ..Launch::new(1, 128)
        };
        let done = module.launch(name, &launch, &args, &mut memory);
        done.err().map_or(String::new(), |error| error.to_string())
    };
    assert_eq!(run(&shipped), "");
    for (place, missing) in places
        .into_iter()
        .zip(["of its block", "of this block and this access"])
    {
        let (before, after) = shipped.split_at(place);
        let found = run(&format!("{before}\t//{after}"));
        assert!(
            found.contains("with no fence between") && found.contains(missing),
            "{found}"
        );
    }
}

#[test]
fn a_launch_that_may_begin_early_waits_first() {
    let run = |body: &str, is_early: bool| {
        let Run { mut memory, x, y } = Run::new();
        let launch = Launch {
            is_early,
            ..Launch::new(1, 64)
        };
        let args = [Arg::Pointer(x), Arg::Pointer(y), Arg::U32(64)];
        let done = module(body).and_then(|m| m.launch("k", &launch, &args, &mut memory));
        done.err().map_or(String::new(), |error| error.to_string())
    };
    let (wait, on) = ("griddepcontrol.wait;", "griddepcontrol.launch_dependents;");
    let (load, store) = ("ld.global.u32 %r0, [%xp];", "st.global.u32 [%yp], %t;");
    let count = "atom.global.add.u32 %r0, [%x], 1;";
    let copy = "mov.u32 %r1, s; cp.async.ca.shared.global [%r1], [%x], 4;";
    for access in [load, store, count, copy] {
        let early = run(&format!("{access} {wait}"), true);
        let is_found = early.contains("accesses global memory before griddepcontrol.wait");
        assert!(is_found, "{access}: {early}");
    }
    assert_eq!(run(&format!("{wait} {on} {load} {store}"), true), "");
    assert_eq!(run(&format!("{load} {store}"), false), "");
    // Who follows a launch relies on it for those before.
    assert!(run("", true).contains("ends before griddepcontrol.wait"));
    // Each thread for itself.
    let some = format!("setp.lt.u32 %p0, %t, 40; @%p0 {wait} {load}");
    assert!(run(&some, true).contains("thread (40, 0, 0)"));
}

#[test]
fn a_barrier_that_a_lane_skips() {
    finds(
        1,
        32,
        "setp.gt.u32 %p0, %t, 7;\n @%p0 bra $AFTER;\n bar.sync 0;\n $AFTER:\n mov.u32 %r0, 0;",
        &[
            "(t.ptx:27, bar.sync)",
            "thread (0, 0, 0)",
            "waits at a barrier; thread (8, 0, 0) is on its way to line 29",
        ],
    );
    finds(
        1,
        32,
        "setp.gt.u32 %p0, %t, 7; @%p0 bar.sync 0;",
        &["thread (0, 0, 0) does not reach it"],
    );
}

#[test]
fn a_barrier_that_a_warp_skips() {
    finds(
        1,
        64,
        "setp.gt.u32 %p0, %t, 31; @%p0 ret;\n bar.sync 0;",
        &["(t.ptx:26, bar.sync)", "thread (32, 0, 0) has ended"],
    );
    finds(
        1,
        32,
        "setp.eq.u32 %p0, %t, 5; @%p0 ret; bar.sync 0;",
        &["thread (5, 0, 0) has ended"],
    );
    finds(
        1,
        64,
        "setp.gt.u32 %p0, %t, 31; @%p0 bra $OTHER;\n bar.sync 0;\n ret;\n $OTHER:\n bar.sync 0;",
        &["thread (0, 0, 0)", "thread (32, 0, 0) waits at line 29"],
    );
}

#[test]
fn exchanges_with_lanes_that_are_not_there() {
    let shuffle = "shfl.sync.bfly.b32 %r0, %t, 1, 31, -1;";
    runs(1, 32, shuffle);
    finds(
        1,
        32,
        &format!("setp.eq.u32 %p0, %t, 3; @%p0 bra $AFTER; {shuffle} $AFTER: mov.u32 %r0, 0;"),
        &["lane 3 is in the mask 0xffffffff but not active"],
    );
    finds(
        1,
        32,
        "setp.lt.u32 %p0, %t, 4; @%p0 shfl.sync.bfly.b32 %r0, %t, 4, 31, 15;",
        &["lane 4"],
    );
    finds(
        1,
        16,
        "setp.lt.u32 %p0, %t, 4; @%p0 bar.warp.sync 0xff;",
        &["lane 4"],
    );
    let zero = "{0f00000000}";
    let zeros = [zero; 4].map(|z| &z[1..11]).join(", ");
    let mma = format!(
        "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {{%f0, %f1, %f2, %f3}}, {{{zeros}}}, {{0f00000000, 0f00000000}}, {{{zeros}}};"
    );
    runs(1, 32, &mma);
    finds(1, 31, &mma, &["lane 31"]);
}

#[test]
fn copies_that_have_not_arrived() {
    let body = |wait: &str| {
        format!(
            "mov.u32 %r0, s; add.s32 %r0, %r0, %t4; cp.async.ca.shared.global [%r0], [%xp], 4; cp.async.commit_group;
             {wait} ld.shared.f32 %f0, [%r0]; st.global.f32 [%yp], %f0;"
        )
    };
    runs(1, 16, &body("cp.async.wait_group 0;"));
    runs(1, 16, &body("cp.async.wait_all;"));
    finds(
        1,
        16,
        &body(""),
        &["reads 4 bytes of shared memory", "is still copying to"],
    );
    finds(
        1,
        16,
        &body("cp.async.wait_group 1;"),
        &["is still copying to"],
    );
}

#[test]
fn loops_without_end_and_traps() {
    finds(
        1,
        1,
        "$L: bra $L;",
        &["still running after 10000 instructions"],
    );
    finds(
        1,
        4,
        "setp.eq.u32 %p0, %t, 2; @%p0 trap;",
        &["thread (2, 0, 0)", "trap"],
    );
    finds(
        1,
        1,
        "mov.u32 %r0, 2; $T: .branchtargets $A, $B; brx.idx %r0, $T; $A: ret; $B: ret;",
        &["index 2 of 2 branch targets"],
    );
}

#[test]
fn unknown_instructions_are_refused_by_name_and_line() {
    let refuse = |body: &str, parts: &[&str]| {
        let error = module(body).unwrap_err().to_string();
        for part in parts {
            assert!(error.contains(part), "{part:?} is not in {error:?}");
        }
    };
    for name in [
        "add.ftz.f32 %f0, %f0, %f0",
        "add.rn.sat.f32 %f0, %f0, %f0",
        "ld.global.v3.f32 %f0, [%x]",
        "atom.global.add.f32 %f0, [%x], %f0",
        "setp.lt.f16 %p0, %h0, %h1",
        "cvt.f32.s32 %f0, %r0",
        "wgmma.fence.sync.aligned",
        "cp.async.bulk.commit_group",
        "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 %d0, %d1, %d2, %d3",
        "shl.f32 %f0, %f1, %f2",
        "mul.s32 %r0, %r1, %r2",
    ] {
        let word = name.split(' ').next().unwrap();
        refuse(
            &format!("mov.u32 %r0, 0;\n{name};"),
            &["t.ptx:26: unknown instruction", word],
        );
    }
    refuse(
        "call.uni (%r0), f, (%r1);",
        &["t.ptx:25", "unknown instruction call.uni"],
    );
    refuse("bra $NOWHERE;", &["t.ptx:25: no label $NOWHERE"]);
    refuse("mov.u32 %r0, %clock;", &["unknown name %clock"]);
    refuse("mov.u32 %r99, 0;", &["expected a register"]);
    refuse("bar.sync 1;", &["only barrier 0"]);
    refuse(
        "add.s32 %r0, %r1;",
        &["add: expected 2 operands after the result, got 1"],
    );
    refuse(".reg .b128 %q;", &["unknown type"]);
    refuse("mov.u32 %r0 0;", &["expected \",\""]);
}

#[test]
fn launches_that_do_not_fit() {
    use ganforge_ptxvm::{Arg, Launch, Memory, Module};
    let text = ".version 8.4 .target sm_70 .address_size 64
        .visible .entry k(.param .u64 x, .param .u32 n) .maxntid 64, 1, 1 { ret; }";
    let module = Module::parse("t.ptx", text).unwrap();
    let mut memory = Memory::new();
    let x = memory.alloc("x", 4);
    let good = [Arg::Pointer(x), Arg::U32(1)];
    let mut launch = |kernel: &str, launch: Launch, args: &[Arg]| {
        module
            .launch(kernel, &launch, args, &mut memory)
            .map_err(|e| e.to_string())
    };
    assert!(launch("k", Launch::new(1, 64), &good).is_ok());
    let error = |r: Result<_, String>| r.map(|_| ()).unwrap_err();
    assert_eq!(
        error(launch("q", Launch::new(1, 64), &good)),
        "q: no such kernel in t.ptx, which has k"
    );
    assert!(error(launch("k", Launch::new(1, 65), &good)).contains("1 to 64 threads"));
    assert!(error(launch("k", Launch::new(0, 64), &good)).contains("blocks"));
    assert!(
        error(launch("k", Launch::new(1, 64), &good[..1])).contains("expected 2 arguments, got 1")
    );
    assert!(
        error(launch("k", Launch::new(1, 64), &[Arg::U32(1), Arg::U32(1)]))
            .contains("argument 0: expected 8 bytes")
    );
    let shared = Launch {
        shared: 1 << 20,
        ..Launch::new(1, 64)
    };
    assert!(error(launch("k", shared, &good)).contains("bytes of shared memory"));
}
