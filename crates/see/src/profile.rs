//! The time of each kernel call of a training step, against the machine's roofline.

use ganforge_tensor::words::counted;
use std::path::Path;
use std::time::{Duration, Instant};

use ganforge_kernels::cpu::conv::Algorithm;
use ganforge_kernels::cpu::gemm::measured_peak_gflops;
use ganforge_kernels::cpu::measured_bandwidth_gbs;
use ganforge_tensor::exec::Span;
use ganforge_tensor::{Device, Plan};
use serde_json::{Value, json};

use crate::bench::random_images;
use crate::layers::{LayerTime, layers};
use crate::origin::Origin;
use ganforge_gan::config::Config;
use ganforge_gan::error::Result;
use ganforge_gan::files::write_atomic;
use ganforge_gan::penalties::Due;
use ganforge_gan::trainer::Trainer;

/// Steps before the first one that counts.
const WARM_UP: usize = 5;

/// What a machine reaches, measured: the two sides of the roofline.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Roofline {
    /// 10^9 floating-point operations per second of multiply-adds in registers.
    pub peak_gflops: f64,
    /// 10^9 bytes per second over a working set as large as the step's.
    pub bandwidth_gbs: f64,
}

impl Roofline {
    /// The microseconds that work takes at least, by this roofline.
    pub fn at_least_us(&self, flops: u64, bytes: u64) -> f64 {
        let compute = flops as f64 / self.peak_gflops;
        let memory = bytes as f64 / self.bandwidth_gbs;
        compute.max(memory) / 1e3
    }
}

/// Time and work of one kernel call, or of several.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Row {
    /// The kernel with its operands, or the kind of several.
    pub what: String,
    /// The kind of kernel.
    pub kind: String,
    /// The part of the model, `D/h0`; of several nothing.
    pub scope: String,
    /// The shape of what it writes first; of several nothing.
    pub shape: String,
    /// How many calls.
    pub calls: usize,
    /// Microseconds per training step.
    pub us: f64,
    /// The same as a share of all kernel calls.
    pub share: f64,
    /// Floating-point operations, without the zeros that the kernel leaves out.
    pub flops: u64,
    /// Bytes of the operands, each read once and written once.
    pub bytes: u64,
    /// 10^9 operations per second.
    pub gflops: f64,
    /// 10^9 bytes per second.
    pub gbs: f64,
    /// What bounds it on the roofline: "compute" or "memory".
    pub bound: &'static str,
    /// The time that the roofline allows as a share of the time it took; above 1 for data from a nearer cache than the
    /// step as a whole streams from.
    pub roofline: f64,
}

/// Where the time of a training step goes.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Profile {
    /// The configuration's name.
    pub name: String,
    /// Penalties of D that not every step has: none of the timed steps had them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Examples per minibatch.
    pub batch: usize,
    /// Program and machine.
    pub origin: Origin,
    /// Timed steps.
    pub steps: usize,
    /// Steps that the times are the means of: the faster half, which the rest of the machine disturbed least.
    pub counted: usize,
    /// Microseconds of a whole training step, minibatch and all.
    pub step_us: f64,
    /// Microseconds of all kernel calls: the sum of `calls`.
    pub kernels_us: f64,
    /// Bytes that a step works on: its buffers and the tensors of the store.
    pub working_set: usize,
    /// What the machine reaches.
    pub machine: Roofline,
    /// Every kernel call, in order.
    pub calls: Vec<Row>,
    /// The calls by kind, those that take most first.
    pub kinds: Vec<Row>,
    /// The layers of both networks, and what is beside them.
    pub layers: Vec<LayerTime>,
    /// When everything ran: of the last timed steps, at most [`TRACED`].
    #[serde(skip)]
    pub trace: Vec<Traced>,
    /// Bytes of the buffers in use during each call.
    #[serde(skip)]
    pub live_bytes: Vec<usize>,
}

/// The most steps in a trace.
pub const TRACED: usize = 20;

/// One training step of a trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Traced {
    /// Its beginning, from the first timed step.
    pub start: Duration,
    /// How long it took.
    pub length: Duration,
    /// When its kernels began, after its minibatch was gathered.
    pub run: Duration,
    /// When each kernel call ran, from `run`.
    pub spans: Vec<Span>,
}

/// Times `steps` training steps of `config` on random images, in the current thread pool, convolutions by `algorithm`. They are
/// steps without penalties that not every step has.
/// `commit` is what the program was built from.
///
/// # Errors
/// Those of [`Trainer::at`].
pub fn profile(
    commit: &str,
    algorithm: Algorithm,
    config: &Config,
    steps: usize,
) -> Result<Profile> {
    let device = Device::Cpu(algorithm);
    let origin = Origin::now(commit, device.name());
    let threads = origin.threads;
    let data_dim = config.output_dim();
    let penalties = &config.discriminator.penalties;
    let lazy = penalties.iter().filter(|p| p.every > 1);
    let without = lazy.map(|p| p.kind.name().to_owned()).collect();
    let config = config.without_other_run();
    let config = config.with_penalties(Due::usual(penalties));
    let images = random_images(&config, data_dim, 20)?;
    let mut trainer = Trainer::at(&device, &config, &images)?;
    let working_set = working_set(trainer.plan());
    let before = measured_peak_gflops(threads);
    let bandwidth_gbs = measured_bandwidth_gbs(threads, working_set);
    for _ in 0..WARM_UP {
        trainer.step()?;
    }
    let mut trace = Vec::with_capacity(steps);
    let begin = Instant::now();
    for _ in 0..steps {
        trace.push(timed_step(&mut trainer, begin)?);
    }
    let peak_gflops = before.max(measured_peak_gflops(threads));
    let bandwidth_gbs = bandwidth_gbs.max(measured_bandwidth_gbs(threads, working_set));
    let machine = Roofline {
        peak_gflops,
        bandwidth_gbs,
    };

    let mut fastest: Vec<&Traced> = trace.iter().collect();
    fastest.sort_by_key(|t| t.length);
    fastest.truncate(steps.div_ceil(2));
    let mean = |of: &dyn Fn(&Traced) -> Duration| {
        let sum: Duration = fastest.iter().map(|t| of(t)).sum();
        sum.as_secs_f64() * 1e6 / fastest.len() as f64
    };
    let us: Vec<f64> = (0..trainer.plan().calls.len())
        .map(|i| mean(&|t| t.spans[i].length))
        .collect();
    let calls = calls(trainer.plan(), &us, algorithm, machine);
    let step_us = mean(&|t| t.length);
    let call_ms: Vec<f64> = us.iter().map(|us| us / 1e3).collect();
    Ok(Profile {
        name: config.name.clone(),
        without,
        batch: config.train.batch,
        origin,
        steps,
        counted: fastest.len(),
        step_us,
        kernels_us: us.iter().sum(),
        working_set,
        machine,
        kinds: kinds(&calls, machine),
        layers: layers(
            trainer.plan(),
            &call_ms,
            step_us / 1e3,
            algorithm,
            peak_gflops,
        ),
        calls,
        trace: trace.split_off(steps.saturating_sub(TRACED)),
        live_bytes: trainer.plan().live_bytes(),
    })
}

fn timed_step(trainer: &mut Trainer, begin: Instant) -> Result<Traced> {
    let mut spans = vec![Span::default(); trainer.plan().calls.len()];
    let start = begin.elapsed();
    trainer.step_timed(&mut spans)?;
    Ok(traced(start, begin.elapsed(), spans))
}

/// A step that began at `start` and ended at `end`; a clock may have run backwards between any two looks at it.
fn traced(start: Duration, end: Duration, spans: Vec<Span>) -> Traced {
    let length = end.saturating_sub(start);
    // The kernels end with the step: what came before them was the minibatch.
    let ran = spans.last().map_or(Duration::ZERO, |s| s.start + s.length);
    Traced {
        start,
        length,
        run: length.saturating_sub(ran) + start,
        spans,
    }
}

fn working_set(plan: &Plan) -> usize {
    let states: usize = plan.states.iter().map(|s| 4 * s.shape.elements()).sum();
    plan.buffer_bytes() + states
}

fn row(
    what: String,
    kind: String,
    us: f64,
    all_us: f64,
    work: (u64, u64),
    machine: Roofline,
) -> Row {
    let (flops, bytes) = work;
    let at_least = machine.at_least_us(flops, bytes);
    Row {
        what,
        kind,
        scope: String::new(),
        shape: String::new(),
        calls: 1,
        us,
        share: us / all_us,
        flops,
        bytes,
        gflops: flops as f64 / us / 1e3,
        gbs: bytes as f64 / us / 1e3,
        bound: match machine.at_least_us(flops, 0) >= machine.at_least_us(0, bytes) {
            true => "compute",
            false => "memory",
        },
        roofline: at_least / us,
    }
}

fn calls(plan: &Plan, us: &[f64], algorithm: Algorithm, machine: Roofline) -> Vec<Row> {
    let all: f64 = us.iter().sum();
    let calls = plan.calls.iter().zip(us);
    let rows = calls.map(|(call, &us)| {
        let names = call.ins.iter().map(|o| plan.operand_name(o.loc));
        let what = format!("{}({})", call.kernel, names.collect::<Vec<_>>().join(", "));
        let work = (
            plan.call_executed_flops(call, algorithm),
            plan.call_cost(call).bytes,
        );
        Row {
            scope: plan.scope_of(call).to_string(),
            shape: call.outs[0].shape.to_string(),
            ..row(what, call.kernel.get().kind(), us, all, work, machine)
        }
    });
    rows.collect()
}

/// The calls of each kind together; of their roofline times the sum counts, for each has its own bound.
fn kinds(calls: &[Row], machine: Roofline) -> Vec<Row> {
    let all: f64 = calls.iter().map(|c| c.us).sum();
    let mut names: Vec<&String> = calls.iter().map(|c| &c.kind).collect();
    names.sort_unstable();
    names.dedup();
    let mut kinds: Vec<Row> = names
        .into_iter()
        .map(|kind| {
            let mine: Vec<&Row> = calls.iter().filter(|c| c.kind == *kind).collect();
            let us = mine.iter().map(|c| c.us).sum();
            let work = (
                mine.iter().map(|c| c.flops).sum(),
                mine.iter().map(|c| c.bytes).sum(),
            );
            let at_least: f64 = mine.iter().map(|c| c.roofline * c.us).sum();
            Row {
                calls: mine.len(),
                roofline: at_least / us,
                ..row(kind.clone(), kind.clone(), us, all, work, machine)
            }
        })
        .collect();
    kinds.sort_by(|a, b| b.us.total_cmp(&a.us));
    kinds
}

impl Profile {
    /// The trace in the Trace Event Format of Chromium, for chrome://tracing and ui.perfetto.dev: training steps, in
    /// them the minibatch and every kernel call, below them the bytes in use.
    pub fn trace_events(&self) -> Value {
        let us = |d: Duration| d.as_nanos() as f64 / 1e3;
        let name = |what: &str, text: String| json!({ "name": what, "ph": "M", "pid": 1, "tid": 1, "args": { "name": text } });
        let mut events = vec![
            name("process_name", format!("ganforge {}", self.name)),
            name(
                "thread_name",
                format!(
                    "training steps on {}",
                    counted(self.origin.threads, "thread")
                ),
            ),
        ];
        let event = |name: &str, kind: &str, start: Duration, length: Duration, args: Value| json!({ "name": name, "cat": kind, "ph": "X", "ts": us(start), "dur": us(length), "pid": 1, "tid": 1, "args": args });
        let first = self.steps - self.trace.len();
        for (i, step) in self.trace.iter().enumerate() {
            let title = format!("step {}", first + i);
            events.push(event(&title, "step", step.start, step.length, json!({})));
            events.push(event(
                "minibatch",
                "minibatch",
                step.start,
                step.run - step.start,
                json!({}),
            ));
            for ((call, span), live) in self.calls.iter().zip(&step.spans).zip(&self.live_bytes) {
                let start = step.run + span.start;
                let args = json!({
                    "kernel": call.what, "scope": call.scope, "shape": call.shape,
                    "flops": call.flops, "bytes": call.bytes,
                });
                let title = format!("{} {}", call.kind, call.scope);
                events.push(event(&title, &call.kind, start, span.length, args));
                events.push(json!({ "name": "buffers in use", "ph": "C", "ts": us(start), "pid": 1, "args": { "bytes": live } }));
            }
        }
        json!({ "displayTimeUnit": "ms", "traceEvents": events })
    }

    /// Writes [`Profile::trace_events`] to `path`, atomically.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn write_trace(&self, path: &Path) -> Result<()> {
        let text = self.trace_events().to_string();
        Ok(write_atomic(path, |w| w.write_all(text.as_bytes()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tiny(steps: usize) -> Profile {
        let config = Config::preset("tiny").and_then(|c| c.with(&["train.batch=10"]));
        let config = config.expect("valid");
        profile("unknown", Algorithm::Fastest, &config, steps).expect("runs")
    }

    #[test]
    fn a_clock_that_runs_backwards_makes_no_step_shorter_than_nothing() {
        let ms = Duration::from_millis;
        let span = Span {
            start: ms(1),
            length: ms(1),
        };
        let t = traced(ms(9), ms(8), vec![span]);
        assert_eq!((t.start, t.length, t.run), (ms(9), ms(0), ms(9)));
        let t = traced(ms(9), ms(12), vec![span]);
        assert_eq!((t.length, t.run), (ms(3), ms(10)));
    }

    #[test]
    fn shares_and_times_add_up() {
        let p = tiny(4);
        let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs();
        for rows in [&p.calls, &p.kinds] {
            assert!(close(rows.iter().map(|r| r.us).sum(), p.kernels_us));
            assert!(close(rows.iter().map(|r| r.share).sum(), 1.0));
        }
        assert_eq!(
            p.kinds.iter().map(|k| k.calls).sum::<usize>(),
            p.calls.len()
        );
        assert!(
            p.kernels_us <= p.step_us,
            "{} of {}",
            p.kernels_us,
            p.step_us
        );
        assert_eq!((p.counted, p.trace.len()), (2, 4));
        let layers = p.layers.iter().map(|l| 1e3 * l.ms);
        assert!(close(layers.sum(), p.step_us));
        assert!(p.kinds.windows(2).all(|w| w[0].us >= w[1].us));
    }

    #[test]
    fn the_roofline_is_the_slower_of_its_two_sides() {
        let machine = Roofline {
            peak_gflops: 100.0,
            bandwidth_gbs: 10.0,
        };
        assert_eq!(machine.at_least_us(1_000_000, 1_000), 10.0);
        assert_eq!(machine.at_least_us(1_000, 1_000_000), 100.0);
        let fast = row(
            "x".into(),
            "matmul".into(),
            20.0,
            20.0,
            (1_000_000, 1_000),
            machine,
        );
        assert_eq!(
            (fast.bound, fast.roofline, fast.gflops),
            ("compute", 0.5, 50.0)
        );
        let slow = row(
            "x".into(),
            "add".into(),
            200.0,
            200.0,
            (1_000, 1_000_000),
            machine,
        );
        assert_eq!((slow.bound, slow.roofline, slow.gbs), ("memory", 0.5, 5.0));
    }
}
