//! A command line that does trials and returns when they are done, for programs that no engine is for: GNU parallel, HyperQueue,
//! PBS.

use std::fs::{self, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ganforge_data::files::write_atomic;
use ganforge_settings::{Reader, settings, text};

use super::{Alive, Engine, EngineError, Place, Runs, quoted, spans};
use crate::folder::Submission;

/// What stands in a template for something else, and what for.
const PLACEHOLDERS: [(&str, &str); 7] = [
    (
        "work",
        "the command that does a trial, its number to follow",
    ),
    ("trials", "the trials' numbers, as in 0,3-5"),
    ("list", "a file of the trials' numbers, one a line"),
    ("n", "how many trials"),
    ("name", "a name of letters, digits and -"),
    ("log", "a folder for output"),
    ("threads", "threads of a trial"),
];
/// Exit codes of a shell that did not find the program, or may not run it.
const NOT_RUN: [i32; 2] = [126, 127];
/// How long a command is watched for ending at once.
const AT_ONCE: Duration = Duration::from_millis(500);
const A_MOMENT: Duration = Duration::from_millis(10);

settings! {
    /// A command line of yours that does trials and returns when they are done.
    pub struct Template {
        /// The command line, which `sh` runs in the study's folder. In it stand {work} for the command that does a trial, whose
        /// number follows, {trials} for the trials' numbers as in 0,3-5, {list} for a file of them, one a line, {n} for how many
        /// there are, {name} for a name, {log} for a folder for output, {threads} for `threads`, else 1.
        #[shown("none: it must be given")]
        pub template: String = String::new(), text("a command line", |t| !t.trim().is_empty());
        /// Whether it goes on where the driver ends. Else it is sent SIGTERM then, with all of its process group, and waited for.
        pub detached: bool = false;
    }
    check Template::check;
}

impl Template {
    fn check(&mut self, table: &Reader<'_>) {
        if self.template.is_empty() {
            table.fault(
                "template",
                "must be given: a command line such as \"xargs -P 4 -n 1 -a {list} {work}\"",
            );
        }
        if let Err(unknown) = filled(&self.template, |name| {
            let is_known = PLACEHOLDERS.iter().any(|(known, _)| *known == name);
            is_known.then(String::new)
        }) {
            let known = PLACEHOLDERS.map(|(name, what)| format!("{{{name}}}, {what}"));
            let message = format!(
                "has {{{unknown}}}, which stands for nothing: there are {}; what is not a placeholder needs a space, {{ {unknown} }}",
                known.join("; ")
            );
            table.fault("template", &message);
        }
    }
}

/// The template with `{name}` replaced. Other braces stay: `{}`, `{1}`, `${name}`.
///
/// errors: a name that stands for nothing
fn filled(template: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut all, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        all.push_str(before);
        let name = after.split_once('}').filter(|(name, _)| {
            let is_word = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase());
            is_word && !before.ends_with('$')
        });
        rest = match name {
            Some((name, after)) => {
                all += &value(name).ok_or_else(|| name.to_owned())?;
                after
            }
            None => {
                all.push('{');
                after
            }
        };
    }
    Ok(all + rest)
}

impl Engine for Template {
    fn open(&self, place: &Place) -> Result<Box<dyn Runs>, EngineError> {
        Ok(Box::new(Commands {
            place: place.clone(),
            template: self.clone(),
            running: Vec::new(),
            said: Vec::new(),
        }))
    }
}

struct Commands {
    place: Place,
    template: Template,
    running: Vec<(String, Child)>,
    said: Vec<String>,
}

fn refused(reason: String) -> EngineError {
    EngineError::Refused {
        engine: "command",
        reason,
    }
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> EngineError {
    move |e| refused(format!("{}: {e}", path.display()))
}

impl Commands {
    fn file(&self, name: &str, ending: &str) -> PathBuf {
        self.place.logs().join(format!("{name}.{ending}"))
    }

    /// The template for a submission, whose trials are listed in the file `list`.
    fn line(&self, submission: &Submission, list: &Path) -> Result<String, EngineError> {
        let threads = self.place.threads.unwrap_or(1).to_string();
        let mut work = self.place.work();
        let last = work.len() - 1;
        work.splice(last..last, ["--threads".to_owned(), threads.clone()]);
        let path = |path: &Path| quoted(&[path.display().to_string()]);
        let value = |name: &str| match name {
            "work" => Some(quoted(&work)),
            "trials" => Some(spans(&submission.trials)),
            "list" => Some(path(list)),
            "n" => Some(submission.trials.len().to_string()),
            "name" => Some(submission.name.clone()),
            "log" => Some(path(&self.place.logs())),
            "threads" => Some(threads.clone()),
            _ => None,
        };
        // What stands for nothing was found as the study was read.
        filled(&self.template.template, value)
            .map_err(|unknown| refused(format!("{{{unknown}}} stands for nothing")))
    }

    /// What is to be said of a command that has ended.
    fn told(&mut self, name: &str, status: ExitStatus) -> Result<(), EngineError> {
        if status.success() {
            return Ok(());
        }
        let log = self.file(name, "txt");
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let last = text.lines().rfind(|l| !l.trim().is_empty());
        let last = last.map_or(String::new(), |l| format!(": {}", l.trim()));
        let reason = format!(
            "the command ended with {status}{last} ({} has all of it)",
            log.display()
        );
        match status.code() {
            Some(code) if NOT_RUN.contains(&code) => Err(refused(reason)),
            _ => {
                self.said.push(format!("engine command: {reason}"));
                Ok(())
            }
        }
    }

    /// Buries commands that have ended.
    fn turn(&mut self) -> Result<(), EngineError> {
        let mut ended = Vec::new();
        self.running.retain_mut(|(name, child)| {
            let status = child.try_wait().ok().flatten();
            ended.extend(status.map(|status| (name.clone(), status)));
            status.is_none()
        });
        let told = ended.iter().map(|(name, status)| self.told(name, *status));
        // All are told, also after one that stops the study.
        told.collect::<Vec<_>>().into_iter().collect()
    }
}

/// Whether a process has this file locked: a command has its output so from its start to its end, whoever started it.
fn is_locked(path: &Path) -> bool {
    // For writing, as network file systems want it.
    let file = OpenOptions::new().append(true).open(path);
    file.is_ok_and(|f| matches!(f.try_lock(), Err(TryLockError::WouldBlock)))
}

impl Runs for Commands {
    fn submit(&mut self, submission: &Submission) -> Result<Option<String>, EngineError> {
        let name = &submission.name;
        let [log, list] = ["txt", "list"].map(|ending| self.file(name, ending));
        let folder = self.place.logs();
        fs::create_dir_all(&folder).map_err(io(&folder))?;
        let numbers: String = submission.trials.iter().map(|n| format!("{n}\n")).collect();
        write_atomic(&list, |w| w.write_all(numbers.as_bytes()))
            .map_err(|e| refused(e.to_string()))?;
        let out = OpenOptions::new().create(true).append(true).open(&log);
        let out = out.map_err(io(&log))?;
        // Its descendants inherit the lock with the file. Where there are no locks, workers tell that they are there.
        let _ = out.try_lock();
        let mut command = Command::new("sh");
        command.args(["-c", &self.line(submission, &list)?]);
        command.current_dir(&self.place.folder).stdin(Stdio::null());
        command
            .stderr(out.try_clone().map_err(io(&log))?)
            .stdout(out);
        // Ctrl-C in a terminal is for the driver, which passes it on.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|e| refused(format!("sh: {e}")))?;
        let begin = Instant::now();
        while matches!(child.try_wait(), Ok(None)) && begin.elapsed() < AT_ONCE {
            std::thread::sleep(A_MOMENT);
        }
        self.running.push((name.clone(), child));
        self.turn()?;
        Ok(self.template.detached.then(|| log.display().to_string()))
    }

    fn alive(&mut self, submission: &Submission) -> Result<Alive, EngineError> {
        self.turn()?;
        let name = &submission.name;
        let is_mine = self.running.iter().any(|(n, _)| n == name);
        match is_mine || is_locked(&self.file(name, "txt")) {
            true => Ok(self.place.going_on(submission)),
            false => Ok(Alive::default()),
        }
    }

    fn find(&mut self, name: &str) -> Result<Option<String>, EngineError> {
        let log = self.file(name, "txt");
        Ok(log.is_file().then(|| log.display().to_string()))
    }

    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    fn leave(&mut self) -> Result<(), EngineError> {
        if self.template.detached {
            return Ok(());
        }
        for (_, child) in &self.running {
            // All of its process group: a shell does not pass a signal on to what it runs.
            let mut kill = Command::new("sh");
            kill.args(["-c", "kill -s TERM -- -$0", &child.id().to_string()]);
            let _ = kill.stderr(Stdio::null()).status();
        }
        for (name, mut child) in std::mem::take(&mut self.running) {
            let _ = child.wait();
            while is_locked(&self.file(&name, "txt")) {
                std::thread::sleep(A_MOMENT);
            }
        }
        Ok(())
    }

    fn goes_on_alone(&self) -> bool {
        self.template.detached
    }

    fn every(&self) -> Duration {
        Duration::from_secs(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_a_shells_braces_are_not() {
        let value = |name: &str| (name == "list").then(|| "'a b'".to_owned());
        let of = |template: &str| filled(template, value);
        assert_eq!(of("xargs -a {list}").unwrap(), "xargs -a 'a b'");
        let kept = "parallel {} {1} ${list} { list } {a,b} {LIST} {";
        assert_eq!(of(kept).unwrap(), kept);
        assert_eq!(of("x {list}{lsit}").unwrap_err(), "lsit");
    }
}
