//! The origin of a result: version, commit, machine, data. The content of run.json.

use std::time::SystemTime;

use ganforge::gan::data::{DataSet, Dataset, ImageSize, Origin, time};
use ganforge::gan::extractors::Identity;
use ganforge::gan::metrics::{MetricKind, Scores};
use ganforge::gan::pretrained::Source;
use ganforge::kernels::cpu;
use ganforge::tensor::Device;
use serde_json::{Map, Value, json};

use super::failure::Failure;
use super::output::framed;
use super::progress::duration;

/// The program's version.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit it was built from, or "unknown".
pub(super) const COMMIT: &str = env!("GANFORGE_COMMIT");
/// The compiler that built it.
pub(super) const RUSTC: &str = env!("GANFORGE_RUSTC");

/// The warning beside a result that is not on the full data.
const SAMPLE_CAVEAT: [&str; 2] = [
    "THIS IS A RESULT ON THE BUNDLED SAMPLE, NOT ON THE FULL DATA",
    "it cannot be compared with the paper's or any other published result",
];

/// "mnist, full data set (SHA-256 626406b879f8...): 50000 images to train, ...".
pub(super) fn of_data(data: &Dataset) -> String {
    data_line(&facts_of(data))
}

/// The warning beside a result on data of this origin, if it is not the full data.
pub(super) fn caveat(origin: Origin) -> Option<String> {
    (origin == Origin::BundledSample).then(|| framed(&SAMPLE_CAVEAT.map(String::from)))
}

/// The facts about data: `data` in run.json.
pub(super) fn facts_of(data: &Dataset) -> Value {
    json!({
        "name": data.name,
        "origin": data.origin.to_string(),
        "sha256": data.sha256,
        "height": data.height,
        "width": data.width,
        "channels": data.channels,
        "classes": data.classes,
        "n_train": data.train.n(),
        "n_valid": data.valid.n(),
        "n_test": data.test.n(),
        "folds": data.folds().count(),
    })
}

/// Those facts in one line.
fn data_line(facts: &Value) -> String {
    let text = |key| facts.get(key).and_then(Value::as_str).unwrap_or("unknown");
    let count = |key| match facts.get(key) {
        Some(n) => n.to_string(),
        None => "?".to_string(),
    };
    format!(
        "{}, {} (SHA-256 {:.12}...): {} {} to train, {} to validate, {} to test{}",
        text("name"),
        text("origin"),
        text("sha256"),
        count("n_train"),
        match matches!(DataSet::of(text("name")), Some(DataSet::Toy(_))) {
            true => "points",
            false => "images",
        },
        count("n_valid"),
        count("n_test"),
        match facts.get("folds").and_then(Value::as_u64) {
            Some(folds) if folds > 1 => format!(" in the first of {folds} folds"),
            _ => String::new(),
        }
    )
}

/// The time in UTC: "2026-11-29T21:30:05Z".
fn now() -> String {
    time::date(SystemTime::now())
}

/// The content of run.json.
pub(super) struct About(Map<String, Value>);

impl About {
    /// A new run.
    pub(super) fn new(seed: u64, device: &Device, threads: usize, data: &Dataset) -> About {
        let Value::Object(map) = json!({
            "version": VERSION,
            "commit": COMMIT,
            "rustc": RUSTC,
            "started": now(),
            "seed": seed,
            "threads": threads,
            "device": device.name(),
            "system": format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            "processor": cpu::processor(),
            "cpu_features": cpu::cpu_features(),
            "gemm_isa": cpu::isa().name(),
            "data": facts_of(data),
        }) else {
            unreachable!("an object was written down")
        };
        About(map)
    }

    /// Parses a run.json; `None` if the text is not a JSON object.
    pub(super) fn parse(text: &str) -> Option<About> {
        match serde_json::from_str(text) {
            Ok(Value::Object(map)) => Some(About(map)),
            _ => None,
        }
    }

    /// Records that there is a checkpoint after `step` steps.
    pub(super) fn has_checkpoint(&mut self, step: u64) {
        self.0.insert("step".into(), json!(step));
    }

    /// Records that training took `seconds` so far, over all resumes.
    pub(super) fn took(&mut self, seconds: f64) {
        let tenths = (seconds * 10.0).round() / 10.0;
        self.0.insert("ended".into(), json!(now()));
        self.0.insert("seconds".into(), json!(tenths));
    }

    /// Seconds of training, over all resumes; 0 if an older program did not record it.
    pub(super) fn seconds(&self) -> f64 {
        self.0.get("seconds").and_then(Value::as_f64).unwrap_or(0.0)
    }

    /// Records why the training failed.
    pub(super) fn failed(&mut self, error: &str) {
        self.0.insert("failure".into(), json!(error));
    }

    /// Why the training failed, if it did.
    pub(super) fn failure(&self) -> Option<&str> {
        self.0.get("failure")?.as_str()
    }

    /// Records that a run is resumed after `step` steps, maybe with another version or machine.
    pub(super) fn resumed(&mut self, step: u64, device: &Device, threads: usize) {
        let entry = json!({
            "step": step, "version": VERSION, "commit": COMMIT, "threads": threads,
            "device": device.name(), "gemm_isa": cpu::isa().name(),
        });
        self.has_checkpoint(step);
        match self.0.get_mut("resumed") {
            Some(Value::Array(entries)) => entries.push(entry),
            _ => drop(self.0.insert("resumed".into(), json!([entry]))),
        }
        self.0.remove("score");
        self.0.remove("failure");
    }

    /// Records the runs whose parameters this one starts from.
    pub(super) fn begun_from(&mut self, sources: &[Source]) {
        for source in sources {
            self.0.insert(source.key.into(), json!(source));
        }
    }

    /// Records the networks that its metrics look at images with.
    pub(super) fn looks_through(&mut self, networks: &[Identity]) {
        match networks {
            [] => drop(self.0.remove("extractors")),
            _ => drop(self.0.insert("extractors".into(), json!(networks))),
        }
    }

    /// Refuses networks that are not those of the scores that the run in `place` has already.
    pub(super) fn check_networks(&self, place: &str, networks: &[Identity]) -> Result<(), Failure> {
        let before = self.0.get("extractors").and_then(Value::as_array);
        let before = before.into_iter().flatten();
        let before = before.filter_map(|n| serde_json::from_value::<Identity>(n.clone()).ok());
        for old in before {
            let is_it =
                |new: &&Identity| new.extractor == old.extractor && new.weights == old.weights;
            if let Some(new) = networks
                .iter()
                .find(is_it)
                .filter(|new| new.sha256 != old.sha256)
            {
                return Err(Failure::input(format!(
                    "{place}: its scores so far are of {} with the SHA-256 {:.12}..., which is {:.12}... now, and scores of \
                     different networks do not compare: bring the old one back, or begin again with --restart",
                    old.extractor, old.sha256, new.sha256
                )));
            }
        }
        Ok(())
    }

    /// Records the final score.
    pub(super) fn finished(&mut self, score: &Scores) {
        self.0.insert("score".into(), json!(score));
    }

    /// The version of the program that started the run.
    pub(super) fn version(&self) -> Option<&str> {
        self.0.get("version")?.as_str()
    }

    /// The score of a finished run by these metrics.
    pub(super) fn score(&self, metrics: &[MetricKind]) -> Option<Scores> {
        Scores::read(metrics, self.0.get("score")?)
    }

    /// The run's data, as [`of_data`] has it.
    pub(super) fn data(&self) -> String {
        data_line(self.0.get("data").unwrap_or(&Value::Null))
    }

    /// "mnist, full data set, 626406b879f8", with the number of training images if there is no published checksum.
    pub(super) fn data_in_short(&self) -> String {
        let text = |key| self.data_text(key).unwrap_or("unknown");
        let origin = text("origin");
        let count = match (
            origin == Origin::File.to_string(),
            self.data_entry("n_train"),
        ) {
            (true, Some(n)) => format!(" of {n} training images"),
            _ => String::new(),
        };
        format!("{}, {origin}{count}, {:.12}", text("name"), text("sha256"))
    }

    /// The warning beside a result that is not on the full data.
    pub(super) fn caveat(&self) -> Option<String> {
        self.is_on_sample()
            .then_some(Origin::BundledSample)
            .and_then(caveat)
    }

    /// The same warning in one line.
    pub(super) fn caveat_line(&self) -> Option<String> {
        self.is_on_sample().then(|| SAMPLE_CAVEAT.join(": "))
    }

    /// The origin of the run, for its report.
    pub(super) fn facts(&self) -> Vec<(&'static str, String)> {
        let text = |key: &str| match self.0.get(key) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(parts)) => parts
                .iter()
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
                .join(" "),
            Some(value) => value.to_string(),
            None => "unknown".to_string(),
        };
        let mut facts = vec![
            ("Data", self.data()),
            ("Seed", text("seed")),
            (
                "Program",
                format!(
                    "ganforge {}, commit {:.12}",
                    text("version"),
                    text("commit")
                ),
            ),
            ("Compiler", text("rustc")),
            (
                "Machine",
                format!(
                    "{}, {}, {}",
                    text("processor"),
                    text("system"),
                    text("cpu_features")
                ),
            ),
            (
                "Device",
                format!(
                    "{}, threads: {}, matrix products: {}",
                    text("device"),
                    text("threads"),
                    text("gemm_isa")
                ),
            ),
        ];
        if let (Some(Value::String(start)), Some(Value::String(end))) =
            (self.0.get("started"), self.0.get("ended"))
        {
            let training = duration(self.seconds());
            let time = format!("{start} to {end}, {training} of training");
            facts.push(("Time", time));
        }
        if let Some(Value::Array(times)) = self.0.get("resumed") {
            // A resume at step 0, before the first checkpoint, was a new start.
            let steps = times.iter().filter_map(|t| t.get("step"));
            let steps = steps.filter(|step| **step != json!(0));
            let steps: Vec<String> = steps.map(Value::to_string).collect();
            if !steps.is_empty() {
                facts.push(("Resumed", format!("after step {}", steps.join(", "))));
            }
        }
        facts
    }

    /// Images to train on.
    pub(super) fn n_train(&self) -> Option<usize> {
        usize::try_from(self.data_entry("n_train")?.as_u64()?).ok()
    }

    /// Whether the run trains on the bundled sample.
    pub(super) fn is_on_sample(&self) -> bool {
        self.data_text("origin") == Some(Origin::BundledSample.to_string().as_str())
    }

    /// The SHA-256 of the run's data.
    pub(super) fn sha256(&self) -> Option<&str> {
        self.data_text("sha256")
    }

    /// Height, width and channels of the images.
    pub(super) fn image_size(&self) -> Option<ImageSize> {
        let side = |key| usize::try_from(self.data_entry(key)?.as_u64()?).ok();
        Some(ImageSize {
            height: side("height")?,
            width: side("width")?,
            channels: side("channels")?,
        })
    }

    fn data_entry(&self, key: &str) -> Option<&Value> {
        self.0.get("data")?.get(key)
    }

    fn data_text(&self, key: &str) -> Option<&str> {
        self.data_entry(key)?.as_str()
    }
}

impl std::fmt::Display for About {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{:#}", Value::Object(self.0.clone()))
    }
}
