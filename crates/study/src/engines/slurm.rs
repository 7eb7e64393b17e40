//! Arrays of Slurm's jobs.
//!
//! An array's index is the last digits of the trial's number, so that `squeue` and `scancel 4711_7` speak of trial 7. Slurm's own
//! clients do all that is done, `sbatch` and `squeue`, and their answers are passed on as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ganforge_settings::{Maybe, Text, settings, text, whole};

use super::{Alive, Engine, EngineError, Place, Runs, quoted, spans};
use crate::folder::{Held, Submission};

mod queue;

use queue::{Queue, tasks};

const NAME: &str = "slurm";
/// Longer than Slurm's clients try by themselves.
const PATIENCE: Duration = Duration::from_secs(150);
/// Shortest and longest pause between two looks: Slurm serves others, too.
const SOON: Duration = Duration::from_secs(2);
const LATER: Duration = Duration::from_secs(30);
/// What Slurm's clients say where its controller does not answer, or not in time.
const SILENCE: [&str; 5] = [
    "Unable to contact slurm controller",
    "timed out",
    "Zero Bytes were transmitted",
    "standby mode",
    "temporarily unable",
];
/// What a study says itself, in full and in short.
const OURS: [&str; 9] = [
    "--array",
    "-a",
    "--job-name",
    "-J",
    "--parsable",
    "--wait",
    "-W",
    "--wrap",
    "--test-only",
];

settings! {
    /// Arrays of Slurm's jobs, on machines that share the study's folder.
    pub struct Slurm {
        /// Options of sbatch, as they are typed in a shell, such as "--partition=gpu --gres=gpu:1 --time=8:00:00".
        pub sbatch: String = String::new(), options();
        /// How many tasks of an array run at once.
        #[shown("as many as Slurm starts")]
        pub most: Option<usize> = None, Maybe(whole(1, 1_000_000));
        /// Most tasks of an array, no more than Slurm's MaxArraySize, and rounded down to a power of ten.
        pub longest: usize = 1000, whole(1, 1000);
        /// Options of sbatch for the small job that goes on with the study after `--detach`.
        #[shown("those of `sbatch`")]
        pub driver: Option<String> = None, Maybe(options());
    }
}

fn options() -> Text {
    let what = "options of sbatch, with quotes in pairs, and without those that the study sets itself, such as --array, --job-name \
        and --wrap";
    text(what, |s| {
        words(s).is_some_and(|w| !w.iter().any(|w| is_ours(w)))
    })
}

fn is_ours(word: &str) -> bool {
    OURS.contains(&word.split('=').next().unwrap_or(word))
}

/// The words of a command line, as a shell splits it, without its variables and patterns; none where a quote has no end.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut quote = None;
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            (c, Some(q)) if c == q => quote = None,
            ('\\', None | Some('"')) => {
                let next = rest.next()?;
                let word = word.get_or_insert_default();
                // Between double quotes a backslash stands for itself before most letters.
                if quote.is_some() && !"\"\\$`".contains(next) {
                    word.push('\\');
                }
                word.push(next);
            }
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

/// A script that is a command: with `exec`, signals to it are signals to the program.
fn script(command: &[String], rest: &str) -> String {
    format!("#!/bin/sh\nexec {} {rest}\n", quoted(command))
}

/// A path in the notation of sbatch's --output.
fn escaped(path: &Path) -> Result<PathBuf, EngineError> {
    let path = path.display().to_string();
    match path.contains('\\') {
        true => Err(refused(format!(
            "{path}: a path with a backslash, which sbatch's --output takes for its own"
        ))),
        false => Ok(path.replace('%', "%%").into()),
    }
}

impl Slurm {
    /// How many trials an array may have: their numbers differ in so many digits.
    fn digits(&self) -> usize {
        self.longest.ilog10() as usize
    }

    fn block(&self) -> usize {
        10usize.pow(self.longest.ilog10())
    }
}

impl Engine for Slurm {
    fn open(&self, place: &Place) -> Result<Box<dyn Runs>, EngineError> {
        let arrays = Arrays {
            place: place.clone(),
            settings: self.clone(),
            over: BTreeSet::new(),
            last: BTreeMap::new(),
            changed: Instant::now(),
            silences: 0,
            said: Vec::new(),
        };
        arrays.ask("sbatch", &["--version".to_owned()], "")?;
        Ok(Box::new(arrays))
    }
}

struct Arrays {
    place: Place,
    settings: Slurm,
    /// Jobs that have ended: they are not asked for again.
    over: BTreeSet<String>,
    /// The last answer on each submission, by its name, and when one was another than before it.
    last: BTreeMap<String, Alive>,
    changed: Instant,
    /// Unanswered questions in a row.
    silences: u32,
    said: Vec<String>,
}

fn refused(reason: String) -> EngineError {
    EngineError::Refused {
        engine: NAME,
        reason,
    }
}

impl Arrays {
    /// The answer of one of Slurm's clients.
    fn ask(&self, client: &str, arguments: &[String], input: &str) -> Result<String, EngineError> {
        let silent = |reason: String| EngineError::Silent {
            engine: NAME,
            reason,
        };
        let failed = |e: std::io::Error| refused(format!("{client}: {e}"));
        let mut command = Command::new(client);
        command.args(arguments);
        if std::env::var_os("SLURM_JOB_ID").is_some() {
            // In a job of its own, what that was given is not for those that it submits.
            let of_job = |name: &str| name.starts_with("SLURM_") && name != "SLURM_CONF";
            let names = std::env::vars_os().map(|(name, _)| name);
            for name in names.filter(|n| n.to_str().is_some_and(of_job)) {
                command.env_remove(name);
            }
        }
        let command = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => refused(format!(
                "{client} is not there: install Slurm's client (Debian: slurm-client) or run on a login node"
            )),
            _ => failed(e),
        })?;
        let pid = child.id();
        if let Some(mut pipe) = child.stdin.take() {
            // A client that ends without reading has more to say than that.
            let _ = pipe.write_all(input.as_bytes());
        }
        let (tell, told) = channel();
        std::thread::spawn(move || tell.send(child.wait_with_output()));
        let Ok(done) = told.recv_timeout(PATIENCE) else {
            (self.place.terminate)(pid);
            return Err(silent(format!(
                "{client} says nothing for {} seconds",
                PATIENCE.as_secs()
            )));
        };
        let done = done.map_err(failed)?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if done.status.success() {
            return Ok(said(&done.stdout));
        }
        let lines = said(&done.stderr);
        let reason: Vec<&str> = lines
            .lines()
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        let reason = match reason[..] {
            [] => format!("{client}: {}", done.status),
            _ => reason.join("; "),
        };
        // One without an exit code was ended from outside.
        let is_silence = done.status.code().is_none() || SILENCE.iter().any(|s| reason.contains(s));
        Err(match is_silence {
            true => silent(reason),
            false => refused(reason),
        })
    }

    /// The number of what sbatch submits.
    fn sbatch(&self, arguments: &[String], script: &str) -> Result<String, EngineError> {
        let answer = self.ask("sbatch", arguments, script)?;
        let line = answer.lines().last().unwrap_or_default();
        // Where there are several clusters, its name follows.
        let job = line.split(';').next().unwrap_or_default();
        match !job.is_empty() && job.bytes().all(|b| b.is_ascii_digit()) {
            true => Ok(job.to_owned()),
            false => Err(refused(format!(
                "sbatch says {answer:?}, expected the number of a job"
            ))),
        }
    }

    /// The trials of a submission with these indexes.
    fn trials_of(&self, submission: &Submission, indexes: &BTreeSet<usize>) -> Vec<usize> {
        let block = self.settings.block();
        let trials = submission.trials.iter().copied();
        trials.filter(|n| indexes.contains(&(n % block))).collect()
    }

    /// What the queue has of a submission's trials.
    fn trials(&self, submission: &Submission, queue: &Queue) -> Alive {
        let of = |indexes| self.trials_of(submission, indexes);
        let job = submission.job.as_deref().unwrap_or("JOB");
        let held = queue.held.iter().map(|(reason, indexes)| Held {
            trials: of(indexes),
            why: format!(
                "{reason}; to let go on: scontrol release {}",
                tasks(job, indexes)
            ),
        });
        Alive {
            queued: of(&queue.queued).into_iter().collect(),
            running: of(&queue.running).into_iter().collect(),
            held: held.collect(),
        }
    }

    /// Where the output of a task goes, in sbatch's notation.
    fn log(&self, first: usize) -> Result<PathBuf, EngineError> {
        let folder = escaped(&self.place.folder)?;
        let place = Place {
            folder,
            ..self.place.clone()
        };
        let digits = self.settings.digits();
        let index = match digits {
            0 => String::new(),
            _ => format!("%{digits}a"),
        };
        let width = 4 - digits;
        Ok(place.log_of(&format!("{:0width$}{index}", first / self.settings.block())))
    }
}

impl Runs for Arrays {
    fn parts(&self, trials: Vec<usize>) -> Vec<Vec<usize>> {
        let block = self.settings.block();
        let mut parts: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for trial in trials {
            parts.entry(trial / block).or_default().push(trial);
        }
        parts.into_values().collect()
    }

    fn submit(&mut self, submission: &Submission) -> Result<Option<String>, EngineError> {
        for trial in &submission.trials {
            if let Some(folder) = self.place.log(*trial).parent() {
                let made = std::fs::create_dir_all(folder);
                made.map_err(|e| refused(format!("{}: {e}", folder.display())))?;
            }
        }
        let block = self.settings.block();
        let first = submission.trials.first().map_or(0, |n| n - n % block);
        let indexes: Vec<usize> = submission.trials.iter().map(|n| n % block).collect();
        let mut array = spans(&indexes);
        if let Some(most) = self.settings.most {
            array += &format!("%{most}");
        }
        let mut arguments = vec![
            "--requeue".to_owned(),
            "--signal=B:TERM@60".to_owned(),
            "--open-mode=append".to_owned(),
            format!("--output={}", self.log(first)?.display()),
        ];
        arguments.extend(self.place.threads.map(|n| format!("--cpus-per-task={n}")));
        arguments.extend(words(&self.settings.sbatch).unwrap_or_default());
        arguments.push("--parsable".to_owned());
        arguments.push(format!("--job-name={}", submission.name));
        arguments.push(format!("--array={array}"));
        let threads = match self.place.threads {
            Some(n) => n.to_string(),
            None => "\"$SLURM_CPUS_ON_NODE\"".to_owned(),
        };
        let rest = format!("\"$(({first} + SLURM_ARRAY_TASK_ID))\" --threads {threads}");
        self.changed = Instant::now();
        self.sbatch(&arguments, &script(&self.place.work(), &rest))
            .map(Some)
    }

    fn alive(&mut self, submission: &Submission) -> Result<Alive, EngineError> {
        let job = submission.job.as_ref();
        if job.is_some_and(|j| self.over.contains(j)) {
            return Ok(Alive::default());
        }
        let which = match job {
            Some(job) => format!("--jobs={job}"),
            None => format!("--name={}", submission.name),
        };
        let arguments = ["--noheader", "--array", "--format=%K %T %r", &which].map(str::to_owned);
        let answer = match self.ask("squeue", &arguments, "") {
            Err(EngineError::Refused { reason, .. }) if reason.contains("Invalid job id") => {
                String::new()
            }
            Err(error) => {
                self.silences += 1;
                return Err(error);
            }
            Ok(answer) => answer,
        };
        self.silences = 0;
        let queue = Queue::of(&answer);
        let mut alive = self.trials(submission, &queue);
        for (reason, indexes) in &queue.put_back {
            let Some(job) = job else {
                // It cannot be named before its number is known.
                alive.queued.extend(self.trials_of(submission, indexes));
                continue;
            };
            let tasks = tasks(job, indexes);
            let told = format!("{tasks} was requeued and held ({reason})");
            match self.ask("scancel", std::slice::from_ref(&tasks), "") {
                Ok(_) => {
                    let told = format!("engine slurm: {told}: cancelled, to be submitted again");
                    self.said.push(told);
                }
                // It may have ended meanwhile.
                Err(EngineError::Refused { reason, .. }) if reason.contains("Invalid job id") => {}
                Err(EngineError::Refused { reason, .. }) => {
                    let trials = self.trials_of(submission, indexes);
                    alive.queued.extend(&trials);
                    let why = format!("{told}, and scancel says: {reason}");
                    alive.held.push(Held { trials, why });
                }
                Err(error) => return Err(error),
            }
        }
        if alive.is_empty() {
            self.over.extend(job.cloned());
        }
        let before = self.last.insert(submission.name.clone(), alive.clone());
        if before.as_ref() != Some(&alive) {
            self.changed = Instant::now();
        }
        Ok(alive)
    }

    fn find(&mut self, name: &str) -> Result<Option<String>, EngineError> {
        let name = format!("--name={name}");
        let arguments = ["--noheader", "--states=all", "--format=%F", &name].map(str::to_owned);
        let answer = self.ask("squeue", &arguments, "")?;
        Ok(answer.lines().next().map(|job| job.trim().to_owned()))
    }

    fn after(
        &mut self,
        submissions: &[Submission],
        command: &[String],
    ) -> Result<Option<String>, EngineError> {
        let mut mine = submissions.iter().filter(|s| s.engine == NAME);
        let jobs = mine.clone().filter_map(|s| s.job.as_ref());
        let jobs: Vec<&str> = jobs
            .filter(|j| !self.over.contains(*j))
            .map(String::as_str)
            .collect();
        let Some(last) = mine.next_back().filter(|_| !jobs.is_empty()) else {
            return Ok(None);
        };
        let name = format!("{}-next", last.name);
        // Another call may have submitted it: one is enough.
        let arguments = ["--noheader", "--format=%A", &format!("--name={name}")].map(str::to_owned);
        let answer = self.ask("squeue", &arguments, "")?;
        let this = std::env::var("SLURM_JOB_ID").ok();
        if let Some(job) = answer
            .lines()
            .map(str::trim)
            .find(|job| this.as_deref() != Some(*job))
        {
            return Ok(Some(job.to_owned()));
        }
        let output = escaped(&self.place.folder)?.join("driver.txt");
        let mut arguments = vec![
            "--requeue".to_owned(),
            "--open-mode=append".to_owned(),
            format!("--output={}", output.display()),
        ];
        let options = self
            .settings
            .driver
            .as_ref()
            .unwrap_or(&self.settings.sbatch);
        arguments.extend(words(options).unwrap_or_default());
        arguments.push("--parsable".to_owned());
        arguments.push(format!("--job-name={name}"));
        arguments.push(format!("--dependency=afterany:{}", jobs.join(":")));
        self.sbatch(&arguments, &script(command, "")).map(Some)
    }

    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    fn leave(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn every(&self) -> Duration {
        let since = self.changed.elapsed() / 20 + SOON * self.silences;
        since.clamp(SOON, LATER)
    }
}

#[cfg(test)]
mod tests;
