//! An earlier result of a benchmark, for comparison.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::origin::Origin;
use ganforge_gan::error::{Error, Result};
use ganforge_gan::files::FileError;

/// Times of an earlier measurement.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Baseline {
    /// The file that they were read from.
    pub file: String,
    /// Program and machine that they are of.
    pub origin: Origin,
    /// Whether that measurement called itself unusable.
    pub is_usable: bool,
    /// Microseconds by what was timed.
    #[serde(skip)]
    times: BTreeMap<String, f64>,
}

impl Baseline {
    /// Reads what `bench step --json` or `bench kernels --format json` printed, or another program in the form of the former.
    ///
    /// # Errors
    /// A file that cannot be read, or is no such output.
    pub fn read(path: &Path) -> Result<Baseline> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path);
        let text = text.map_err(|e| FileError::io(path, "read", e))?;
        let bad = |reason: String| {
            Error::Mismatch(format!(
                "{file}: expected output of `bench step --json` or `bench kernels --format json`: {reason}"
            ))
        };
        let value: Value = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        let origin = serde_json::from_value(value["origin"].clone());
        let origin = origin.map_err(|e| bad(format!("its \"origin\": {e}")))?;
        let times = times(&value);
        if times.is_empty() {
            return Err(bad("it contains no times".into()));
        }
        Ok(Baseline {
            file,
            origin,
            is_usable: value["is_usable"].as_bool().unwrap_or(true),
            times,
        })
    }

    /// The microseconds that `what` took.
    pub fn us(&self, what: &str) -> Option<f64> {
        self.times.get(what).copied()
    }

    /// The microseconds that `what` took.
    ///
    /// # Errors
    /// A baseline of something else.
    pub fn us_of(&self, what: &str) -> Result<f64> {
        self.us(what).ok_or_else(|| {
            let known: Vec<&str> = self.times.keys().take(3).map(String::as_str).collect();
            let more = if self.times.len() > 3 { ", ..." } else { "" };
            Error::Mismatch(format!(
                "{}: contains no time of \"{what}\", only of \"{}\"{more}",
                self.file,
                known.join("\", \"")
            ))
        })
    }

    /// The file and what it is of, in words.
    pub fn about(&self) -> String {
        let o = &self.origin;
        format!("{}: {} {} of {}", self.file, o.program, o.version, o.date)
    }

    /// What makes a comparison with it doubtful.
    pub fn warnings(&self, now: &Origin) -> Vec<String> {
        let mut warnings = now.differences(&self.origin);
        if !self.is_usable {
            warnings.push("that measurement is marked unusable".into());
        }
        let file = &self.file;
        warnings
            .iter()
            .map(|w| format!("baseline {file}: {w}"))
            .collect()
    }
}

/// The name of a kernel's time.
pub(crate) fn kernel_key(family: &str, size: &str, device: &str, kernel: &str) -> String {
    format!("{family} {size}, {kernel} on {device}")
}

/// A step's median, or each kernel's time; only positive numbers.
fn times(value: &Value) -> BTreeMap<String, f64> {
    let mut times = BTreeMap::new();
    if let (Some(what), Some(ms)) = (value["what"].as_str(), value["median_ms"].as_f64()) {
        times.insert(what.to_string(), ms * 1e3);
    }
    for row in value["rows"].as_array().into_iter().flatten() {
        let text = |key: &str| row[key].as_str();
        let names = [text("family"), text("size"), text("device"), text("kernel")];
        if let ([Some(family), Some(size), Some(device), Some(kernel)], Some(us)) =
            (names, row["us"].as_f64())
        {
            times.insert(kernel_key(family, size, device, kernel), us);
        }
    }
    times.retain(|_, us| us.is_finite() && *us > 0.0);
    times
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::origin::made_up;
    use serde_json::json;

    fn read(value: &Value) -> Result<Baseline> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("base.json");
        std::fs::write(&path, value.to_string()).expect("written");
        Baseline::read(&path)
    }

    #[test]
    fn times_of_steps_and_kernels_are_found_by_name() {
        let step =
            json!({"origin": made_up(), "what": "a step", "median_ms": 1.5, "is_usable": false});
        let base = read(&step).expect("a baseline");
        assert_eq!(base.us("a step"), Some(1500.0));
        assert!(base.us_of("another").is_err());
        let warnings = base.warnings(&made_up());
        assert!(
            warnings.len() == 1 && warnings[0].contains("unusable"),
            "{warnings:?}"
        );

        let row = json!({"family": "matmul", "size": "NN 1x2 k=3", "device": "cpu", "kernel": "avx2", "us": 7.0});
        let base = read(&json!({"origin": made_up(), "rows": [row]})).expect("a baseline");
        assert_eq!(
            base.us(&kernel_key("matmul", "NN 1x2 k=3", "cpu", "avx2")),
            Some(7.0)
        );
        assert!(base.is_usable);
    }

    #[test]
    fn another_machine_is_told() {
        let mut origin = made_up();
        origin.threads = 1;
        let base = read(&json!({"origin": origin, "what": "w", "median_ms": 1.0})).expect("read");
        let warnings = base.warnings(&made_up());
        assert!(warnings.len() == 1 && warnings[0].ends_with("threads: 2 here, 1 there"));
    }

    #[test]
    fn what_is_no_output_of_a_bench_is_refused() {
        for bad in [
            json!({}),
            json!([1]),
            json!({"origin": made_up()}),
            json!({"what": "w", "median_ms": 1.0}),
            json!({"origin": made_up(), "what": "w", "median_ms": 0.0}),
            json!({"origin": made_up(), "rows": [{"us": 1.0}]}),
        ] {
            let message = read(&bad).expect_err("refused").to_string();
            assert!(message.contains("bench step --json"), "{message}");
        }
    }
}
