//! The book's pages with code: `ganforge explain` shows them, and every block of Rust in them is compiled and run as a
//! test. `docs/book/src/SUMMARY.md` is where to read it.

macro_rules! pages {
    ($($name:ident: $path:literal;)*) => {
        /// The pages, by their paths below `docs/book/src`, with their text.
        pub const PAGES: &[(&str, &str)] =
            &[$(($path, include_str!(concat!("../docs/book/src/", $path)))),*];
        $(
            #[cfg(doctest)]
            #[doc = include_str!(concat!("../docs/book/src/", $path))]
            mod $name {}
        )*
    };
}

pages! {
    adding_a_layer: "adding-a-layer.md";
    adding_a_loss: "adding-a-loss.md";
    adding_an_op: "adding-an-op.md";
    batch_norm: "batch-norm.md";
    chain_rule: "chain-rule.md";
    conditional: "conditional.md";
    conv: "conv.md";
    convolution: "convolution.md";
    cuda: "cuda.md";
    energy_based: "energy-based.md";
    game: "game.md";
    gemm: "gemm.md";
    hinge_loss: "hinge-loss.md";
    inference: "inference.md";
    inpainting: "inpainting.md";
    layer: "layer.md";
    less_work: "less-work.md";
    loss_from_logits: "loss-from-logits.md";
    loss_sensitive: "loss-sensitive.md";
    maxout: "maxout.md";
    multiplication: "multiplication.md";
    optimisers: "optimisers.md";
    paper: "paper.md";
    parzen: "parzen.md";
    penalties: "penalties.md";
    plan: "plan.md";
    randomness: "randomness.md";
    relativistic: "relativistic.md";
    scores: "scores.md";
    second_derivatives: "second-derivatives.md";
    semi_supervised: "semi-supervised.md";
    spectral_norm: "spectral-norm.md";
    step: "step.md";
    vjp: "vjp.md";
    wasserstein: "wasserstein.md";
    your_own_gan: "your-own-gan.md";
    your_own_op: "your-own-op.md";
    ops_abs: "ops/abs.md";
    ops_add: "ops/add.md";
    ops_add_scalar: "ops/add_scalar.md";
    ops_arg_max: "ops/arg_max.md";
    ops_bernoulli: "ops/bernoulli.md";
    ops_all_reduce: "ops/all_reduce.md";
    ops_all_gather: "ops/all_gather.md";
    ops_own_shard: "ops/own_shard.md";
    ops_broadcast_to: "ops/broadcast_to.md";
    ops_clip: "ops/clip.md";
    ops_clip_mul: "ops/clip_mul.md";
    ops_concat: "ops/concat.md";
    ops_constant: "ops/constant.md";
    ops_conv2d: "ops/conv2d.md";
    ops_conv2d_dw: "ops/conv2d_dw.md";
    ops_conv2d_dx: "ops/conv2d_dx.md";
    ops_detach: "ops/detach.md";
    ops_div: "ops/div.md";
    ops_exp: "ops/exp.md";
    ops_flip: "ops/flip.md";
    ops_gather_rows: "ops/gather_rows.md";
    ops_input: "ops/input.md";
    ops_leaky_relu: "ops/leaky_relu.md";
    ops_log: "ops/log.md";
    ops_matmul: "ops/matmul.md";
    ops_moments: "ops/moments.md";
    ops_mul: "ops/mul.md";
    ops_mul_scalar: "ops/mul_scalar.md";
    ops_neg: "ops/neg.md";
    ops_normal: "ops/normal.md";
    ops_pad: "ops/pad.md";
    ops_param: "ops/param.md";
    ops_pool: "ops/pool.md";
    ops_pool_arg_max: "ops/pool_arg_max.md";
    ops_pool_put: "ops/pool_put.md";
    ops_pool_take: "ops/pool_take.md";
    ops_put: "ops/put.md";
    ops_relu: "ops/relu.md";
    ops_reshape: "ops/reshape.md";
    ops_resize_bilinear: "ops/resize_bilinear.md";
    ops_resize_bilinear_adjoint: "ops/resize_bilinear_adjoint.md";
    ops_rsqrt: "ops/rsqrt.md";
    ops_scalar: "ops/scalar.md";
    ops_scatter_rows: "ops/scatter_rows.md";
    ops_sigmoid: "ops/sigmoid.md";
    ops_sign: "ops/sign.md";
    ops_slice: "ops/slice.md";
    ops_softplus: "ops/softplus.md";
    ops_sqrt: "ops/sqrt.md";
    ops_square: "ops/square.md";
    ops_step_mul: "ops/step_mul.md";
    ops_sub: "ops/sub.md";
    ops_sum_to: "ops/sum_to.md";
    ops_take: "ops/take.md";
    ops_tanh: "ops/tanh.md";
    ops_transpose: "ops/transpose.md";
    ops_uniform: "ops/uniform.md";
    ops_unpool: "ops/unpool.md";
}
