//! The progress display of a run: a bar on a terminal, else one line per epoch.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ganforge::gan::monitors::{self, Window};
use ganforge::gan::train::{Observer, Progress};
use ganforge::kernels::signals;
use indicatif::{ProgressBar, ProgressStyle};

use super::failure::{Failure, STOPPED};
use super::output;

/// The bar takes the columns left by the message.
const TEMPLATE: &str = "{msg} {wide_bar}";

/// Signals within this time count as one request: `timeout` sends SIGTERM to its program and then to the whole group.
const ONE_REQUEST: Duration = Duration::from_secs(1);

/// Prints the progress of a run, and passes on a request to stop it.
pub(super) struct Display {
    bar: Option<ProgressBar>,
    lines: bool,
    stop: Arc<AtomicBool>,
    epoch: Epoch,
}

/// The current epoch.
struct Epoch {
    number: usize,
    start: Instant,
    window: Window,
}

impl Epoch {
    fn new(number: usize) -> Epoch {
        Epoch {
            number,
            start: Instant::now(),
            window: Window::default(),
        }
    }

    fn steps_per_second(&self) -> f64 {
        self.window.steps() as f64 / self.start.elapsed().as_secs_f64().max(1e-9)
    }
}

/// Set by Ctrl-C, SIGHUP or SIGTERM, which also prints `message`; a second signal, a second or more later, ends the program
/// at once. Signals ignored at the start, such as SIGHUP under `nohup`, stay ignored.
pub(super) fn stop_flag(message: &'static str) -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    let mut asked: Option<Instant> = None;
    let handler = move || match asked {
        None => {
            asked = Some(Instant::now());
            flag.store(true, Ordering::SeqCst);
            output::tell(message);
        }
        Some(asked) if asked.elapsed() < ONE_REQUEST => {}
        Some(_) => {
            output::tell("stopped at once");
            std::process::exit(STOPPED.into());
        }
    };
    let set = signals::keep_ignored(|| ctrlc::set_handler(handler));
    set.map_err(|e| Failure::system(format!("cannot handle Ctrl-C: {e}")))?;
    Ok(stop)
}

impl Display {
    /// For a run that starts after `done` of `total` steps and ends after the step in which `stop` is set.
    pub(super) fn new(quiet: bool, done: u64, total: u64, stop: Arc<AtomicBool>) -> Display {
        let is_terminal = std::io::stderr().is_terminal();
        let bar = (!quiet && is_terminal).then(|| {
            let style = ProgressStyle::with_template(TEMPLATE);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(total).with_style(style.progress_chars("=>."));
            bar.set_position(done);
            bar
        });
        output::set_bar(bar.as_ref());
        Display {
            bar,
            lines: !quiet && !is_terminal,
            stop,
            epoch: Epoch::new(0),
        }
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        output::set_bar(None);
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Display {
    fn step(&mut self, p: &Progress) {
        if p.epoch != self.epoch.number {
            self.epoch = Epoch::new(p.epoch);
        }
        let epoch = &mut self.epoch;
        epoch.window.add(&p.report);
        // Fast steps: not before there is a meaningful rate.
        let rate = epoch.steps_per_second();
        let is_due = epoch.window.steps().is_multiple_of(10) || p.is_last_of_epoch || rate < 10.0;
        if !is_due {
            return;
        }
        let names = p.report.names().map(monitors::title);
        let means = names.zip(epoch.window.means());
        let means: Vec<String> = means
            .filter_map(|(name, mean)| Some(format!("{name} {:.3}", mean?)))
            .collect();
        let means = means.join(", ");
        let left = duration((p.total - p.step) as f64 / rate);
        let at = format!("epoch {}/{}", p.epoch, p.epochs);
        if let Some(bar) = &self.bar {
            bar.set_position(p.step);
            bar.set_message(format!("{at}, {rate:.0} steps/s, {left} left, {means}"));
        }
        if self.lines && p.is_last_of_epoch {
            output::tell(&format!(
                "{at}: step {}, {rate:.0} steps/s, {left} left, {means}",
                p.step
            ));
        }
    }

    fn message(&mut self, text: &str) {
        if self.bar.is_some() || self.lines {
            output::tell(text);
        }
    }

    fn should_stop(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

/// "45s", "12m", "3h05m".
pub(super) fn duration(seconds: f64) -> String {
    let s = seconds.round() as u64;
    match s {
        0..=119 => format!("{s}s"),
        120..=7199 => format!("{}m", s / 60),
        _ => format!("{}h{:02}m", s / 3600, s / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_have_the_unit_that_tells_most() {
        assert_eq!(duration(0.4), "0s");
        assert_eq!(duration(119.0), "119s");
        assert_eq!(duration(720.0), "12m");
        assert_eq!(duration(11_100.0), "3h05m");
    }
}
