//! Where a training step's time goes, by the layers of both networks and what is beside them.

use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_tensor::Plan;

/// What one layer takes of a training step, with all that its gradients take.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LayerTime {
    /// `D/h0`, or what it is beside the networks: `loss`, `update` (the optimiser), `monitor`, `minibatch` (and the rest).
    pub layer: String,
    /// Milliseconds of a step.
    pub ms: f64,
    /// Those of them that gradients take.
    pub gradient_ms: f64,
    /// 10^9 operations of a step, as executed.
    pub gflop_executed: f64,
    /// 10^9 operations per second.
    pub gflops: f64,
    /// `gflops` as a share of the machine's peak.
    pub share_of_peak: f64,
}

/// The layers of a plan in the order of its calls, which took `call_ms` each, of `step_ms` for the whole step: the rest is the last
/// row. What a layer's product does on its way out is the layer's, an optimiser's update too.
pub(crate) fn layers(
    plan: &Plan,
    call_ms: &[f64],
    step_ms: f64,
    algorithm: Algorithm,
    peak_gflops: f64,
) -> Vec<LayerTime> {
    let mut layers: Vec<LayerTime> = Vec::new();
    let mut add = |name: &str, ms: f64, is_gradient: bool, gflop: f64| {
        let at = layers.iter().position(|l| l.layer == name);
        let at = at.unwrap_or_else(|| {
            layers.push(LayerTime {
                layer: name.to_string(),
                ms: 0.0,
                gradient_ms: 0.0,
                gflop_executed: 0.0,
                gflops: 0.0,
                share_of_peak: 0.0,
            });
            layers.len() - 1
        });
        let layer = &mut layers[at];
        layer.ms += ms;
        layer.gradient_ms += if is_gradient { ms } else { 0.0 };
        layer.gflop_executed += gflop;
    };
    for (call, &ms) in plan.calls.iter().zip(call_ms) {
        let node = plan.worker(call);
        let is_gradient = plan.nodes()[node.index()].origin.is_some();
        let gflop = plan.call_executed_flops(call, algorithm) as f64 / 1e9;
        add(&layer_of(plan.scope(node)), ms, is_gradient, gflop);
    }
    let rest = step_ms - call_ms.iter().sum::<f64>();
    add("minibatch", rest.max(0.0), false, 0.0);
    for layer in &mut layers {
        layer.gflops = layer.gflop_executed / layer.ms.max(f64::MIN_POSITIVE) * 1e3;
        layer.share_of_peak = layer.gflops / peak_gflops;
    }
    layers
}

/// `D/h0` of `D/h0/conv1` and of `loss/d/D/h0`, a penalty's pass; `update` of `update/D.h0.w`.
fn layer_of(scope: &str) -> String {
    let parts: Vec<&str> = scope.split('/').collect();
    let net = parts
        .iter()
        .position(|p| matches!(*p, "D" | "G" | "C" | "E"));
    match net {
        Some(at) => parts[at..parts.len().min(at + 2)].join("/"),
        None => parts[0].to_string(),
    }
}

/// As a table, a line each.
pub fn table(layers: &[LayerTime]) -> String {
    let row = |l: &LayerTime| {
        let share = format!("{:.1} %", 100.0 * l.share_of_peak);
        format!(
            "\n{:<14}{:>10.4}{:>12.4}{:>10.3}{:>10.1}{:>10}",
            l.layer, l.ms, l.gradient_ms, l.gflop_executed, l.gflops, share
        )
    };
    let header = format!(
        "{:<14}{:>10}{:>12}{:>10}{:>10}{:>10}",
        "layer", "ms/step", "gradients", "GFLOP", "GFLOP/s", "of peak"
    );
    header + &layers.iter().map(row).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_what_stands_below_its_network() {
        let scopes = [
            "D/h0/conv1",
            "G/out",
            "loss/d/D/h1",
            "update/D.h0.w",
            "loss/d",
            "G",
        ];
        assert_eq!(
            scopes.map(layer_of),
            ["D/h0", "G/out", "D/h1", "update", "loss", "G"]
        );
    }
}
