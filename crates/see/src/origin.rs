//! The origin of a measurement: the program and machine, which must be known before it is compared with another.

use std::time::SystemTime;

use ganforge_gan::data::time::date;
use ganforge_kernels::cpu;

/// Program, machine and moment of a measurement.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Origin {
    /// What was measured: "ganforge", or a program that it is compared with.
    pub program: String,
    /// The program's version.
    pub version: String,
    /// The commit that it was built from, or "unknown".
    pub commit: String,
    /// When the measurement began, in UTC: "2026-11-29T21:30:05Z".
    pub date: String,
    /// The processor: "AMD EPYC 9654 96-Core Processor (family 25, model 17)".
    pub processor: String,
    /// Its vector extensions that the kernels make use of.
    pub cpu_features: Vec<String>,
    /// The instruction set of the kernels on the CPU: "avx512", "avx2" or "portable".
    pub isa: String,
    /// Threads that compute.
    pub threads: usize,
    /// Threads that the machine runs at once.
    pub cores: usize,
    /// Architecture and operating system: "x86_64 linux".
    pub system: String,
    /// Where it was computed: "cpu", or the names of devices.
    pub device: String,
    /// The machine's load average over the minute before, where the system tells it.
    pub load: Option<f64>,
}

impl Origin {
    /// Of a measurement that begins now, on `device`, in the current thread pool, by the program built from `commit`.
    pub fn now(commit: &str, device: String) -> Origin {
        Origin {
            program: "ganforge".to_string(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            commit: commit.to_string(),
            date: date(SystemTime::now()),
            processor: cpu::processor(),
            cpu_features: cpu::cpu_features().iter().map(|f| f.to_string()).collect(),
            isa: cpu::isa().name().to_string(),
            threads: rayon::current_num_threads(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::ARCH, std::env::consts::OS),
            device,
            load: load(),
        }
    }

    /// The same for people: what, and its value.
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let features = match self.cpu_features.is_empty() {
            true => "none that the kernels use".to_string(),
            false => self.cpu_features.join(" "),
        };
        let load = match self.load {
            Some(load) => format!("{load:.2} before the start"),
            None => "unknown".to_string(),
        };
        vec![
            ("processor", format!("{}, {}", self.processor, self.system)),
            ("features", features),
            ("kernels", self.isa.clone()),
            (
                "threads",
                format!("{} (of {} cores)", self.threads, self.cores),
            ),
            ("device", self.device.clone()),
            (
                "program",
                format!(
                    "{} {}, commit {:.12}",
                    self.program, self.version, self.commit
                ),
            ),
            ("date", self.date.clone()),
            ("load average", load),
        ]
    }

    /// What makes figures of two origins differ, whatever the program: a sentence for each, empty where nothing does.
    pub fn differences(&self, earlier: &Origin) -> Vec<String> {
        let texts = |o: &Origin| {
            [
                ("processor", o.processor.clone()),
                ("instruction set", o.isa.clone()),
                ("threads", o.threads.to_string()),
                ("device", o.device.clone()),
            ]
        };
        let pairs = texts(self).into_iter().zip(texts(earlier));
        pairs
            .filter(|((_, now), (_, then))| now != then)
            .map(|((what, now), (_, then))| format!("{what}: {now} here, {then} there"))
            .collect()
    }
}

/// Processes that ran or waited to, on average over the last minute; of Linux alone.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
pub(crate) use tests::made_up;

#[cfg(test)]
mod tests {
    use super::*;

    /// An origin to change in tests.
    pub(crate) fn made_up() -> Origin {
        Origin {
            program: "ganforge".into(),
            version: "0.1.0".into(),
            commit: "0123456789abcdef".into(),
            date: "2026-11-29T21:30:05Z".into(),
            processor: "Some Processor (family 1, model 2)".into(),
            cpu_features: vec!["avx2".into(), "fma".into()],
            isa: "avx2".into(),
            threads: 2,
            cores: 4,
            system: "x86_64 linux".into(),
            device: "cpu".into(),
            load: Some(0.25),
        }
    }

    #[test]
    fn only_what_moves_figures_is_a_difference() {
        let (now, mut then) = (made_up(), made_up());
        then.date = "2020-01-01T00:00:00Z".into();
        then.commit = "other".into();
        then.load = None;
        assert_eq!(now.differences(&then), Vec::<String>::new());
        then.threads = 1;
        then.isa = "avx512".into();
        then.processor = "Another".into();
        let told = now.differences(&then);
        assert_eq!(told.len(), 3);
        assert!(
            told.contains(&"threads: 2 here, 1 there".to_string()),
            "{told:?}"
        );
    }

    #[test]
    fn here_and_now_is_known() {
        let here = Origin::now("abc", "cpu".into());
        assert!(here.threads >= 1 && here.cores >= 1);
        assert_eq!((here.date.len(), here.commit.as_str()), (20, "abc"));
        let json = serde_json::to_string(&here).expect("JSON");
        let back: Origin = serde_json::from_str(&json).expect("the same fields");
        assert_eq!(back, here);
        assert_eq!(here.differences(&back), Vec::<String>::new());
    }
}
