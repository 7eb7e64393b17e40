//! The driver, with an engine whose trials are done by the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::Trial;
use crate::drive::{Driver, Ended, Problem, Snapshot, Watch, look};
use crate::engines::{Alive, Brought, Engine, EngineError, EngineKind, Place, Runs};
use crate::folder::{End, Folder, Held, Outcome, Round, Submission, Try};
use crate::lease::{Holder, now};

mod elsewhere;
mod large;
mod refused;

const STUDY: &str = "base = 'tiny'\nscore = 'fid'\ntries = 2\n[design]\nkind = 'gp-ucb'\nrounds = 3\nbatch = 4\n\
    [space.optimizer.lr]\nlo = 1e-4\nhi = 1.0\nscale = 'log10'\n";

/// What happens to a trial when its turn comes.
type Deed = dyn Fn(&Folder, usize, usize) -> Happens + Send + Sync;

enum Happens {
    /// It ends with this score.
    Ends(f64),
    /// It is killed; the engine has it no longer.
    Killed,
    /// It ends with an exit code and no result.
    Exits(u8),
    /// It never begins.
    Lost,
    /// It goes on.
    GoesOn,
}

/// What the engine has: it lives on where the driver dies, as Slurm does.
#[derive(Default)]
struct Jobs {
    submissions: Vec<Submission>,
    /// Those that have not ended, in the order in which they were submitted.
    alive: Vec<usize>,
    starts: BTreeMap<usize, usize>,
    silences: usize,
    refuses: bool,
    forgets_numbers: bool,
    /// Submissions that are taken without an answer.
    unanswered: usize,
    /// What the driver has started ends with it.
    ends_with_driver: bool,
    /// Those that wait until somebody lets them go on.
    held: BTreeSet<usize>,
    /// Processes of this machine that it has not started.
    others: usize,
    /// What is to be done after which submissions.
    after: Vec<(usize, Vec<String>)>,
}

#[derive(Clone)]
struct Fake {
    jobs: Arc<Mutex<Jobs>>,
    deed: Arc<Deed>,
    folder: Arc<Mutex<Option<Folder>>>,
    is_last_first: bool,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl Engine for Fake {
    fn open(&self, _: &Place) -> Result<Box<dyn Runs>, EngineError> {
        Ok(Box::new(self.clone()))
    }
}

impl Fake {
    fn new(deed: impl Fn(&Folder, usize, usize) -> Happens + Send + Sync + 'static) -> Fake {
        Fake {
            jobs: Arc::default(),
            deed: Arc::new(deed),
            folder: Arc::default(),
            is_last_first: false,
        }
    }

    fn submitted(&self) -> Vec<Vec<usize>> {
        let jobs = self.jobs.lock().unwrap();
        jobs.submissions.iter().map(|s| s.trials.clone()).collect()
    }

    /// One trial has its turn.
    fn turn(&self, jobs: &mut Jobs) {
        let folder = self.folder.lock().unwrap().clone().expect("it is told");
        let mut free = jobs.alive.iter().filter(|n| !jobs.held.contains(n));
        let next = match self.is_last_first {
            true => free.next_back(),
            false => free.next(),
        };
        let Some(number) = next.copied() else {
            return;
        };
        let start = *jobs
            .starts
            .entry(number)
            .and_modify(|n| *n += 1)
            .or_insert(0);
        let tried = |exit: Option<u8>| {
            let one = Try {
                holder: Holder::this(None),
                began: now(),
                ended: exit.map(|_| now()),
                exit,
                message: exit.map(|code| format!("code {code}")),
            };
            let k = folder.tries(number).unwrap().len();
            folder.write_try(number, k, &one).unwrap();
        };
        match (self.deed)(&folder, number, start) {
            Happens::GoesOn => return,
            Happens::Killed => tried(None),
            Happens::Exits(code) => tried(Some(code)),
            Happens::Lost => {}
            Happens::Ends(score) => {
                tried(Some(0));
                folder.write_outcome(&done(number, score)).unwrap();
            }
        }
        jobs.alive.retain(|n| *n != number);
    }
}

fn done(number: usize, score: f64) -> Outcome {
    Outcome {
        state: End::Done,
        score: Some(score),
        message: None,
        seconds: Some(2.0),
        ..Outcome::failed(number, "fid", String::new())
    }
}

impl Runs for Fake {
    fn submit(&mut self, submission: &Submission) -> Result<Option<String>, EngineError> {
        let mut jobs = self.jobs.lock().unwrap();
        if jobs.refuses {
            return Err(EngineError::Refused {
                engine: "fake",
                reason: "the queue is closed".to_owned(),
            });
        }
        jobs.submissions.push(submission.clone());
        jobs.alive.extend(&submission.trials);
        if jobs.unanswered > 0 {
            jobs.unanswered -= 1;
            return Err(EngineError::Silent {
                engine: "fake",
                reason: "timeout".to_owned(),
            });
        }
        Ok((!jobs.forgets_numbers).then(|| jobs.submissions.len().to_string()))
    }

    fn alive(&mut self, submission: &Submission) -> Result<Alive, EngineError> {
        let mut jobs = self.jobs.lock().unwrap();
        if jobs.silences > 0 {
            jobs.silences -= 1;
            return Err(EngineError::Silent {
                engine: "fake",
                reason: "timeout".to_owned(),
            });
        }
        let of: BTreeSet<usize> = submission.trials.iter().copied().collect();
        let all = jobs.alive.iter().copied();
        let (held, running) = all
            .filter(|n| of.contains(n))
            .partition(|n| jobs.held.contains(n));
        let why = "somebody said so".to_owned();
        let trials: Vec<usize> = BTreeSet::iter(&held).copied().collect();
        let alive = Alive {
            held: match trials[..] {
                [] => Vec::new(),
                _ => vec![Held { trials, why }],
            },
            queued: held,
            running,
        };
        self.turn(&mut jobs);
        Ok(alive)
    }

    fn find(&mut self, name: &str) -> Result<Option<String>, EngineError> {
        let jobs = self.jobs.lock().unwrap();
        let found = jobs.submissions.iter().position(|s| s.name == name);
        Ok(found.map(|i| (i + 1).to_string()))
    }

    fn beside(&mut self, others: usize) {
        self.jobs.lock().unwrap().others = others;
    }

    fn after(
        &mut self,
        submissions: &[Submission],
        command: &[String],
    ) -> Result<Option<String>, EngineError> {
        let mut jobs = self.jobs.lock().unwrap();
        jobs.after.push((submissions.len(), command.to_vec()));
        Ok(Some("7".to_owned()))
    }

    fn leave(&mut self) -> Result<(), EngineError> {
        Ok(())
    }

    fn goes_on_alone(&self) -> bool {
        !self.jobs.lock().unwrap().ends_with_driver
    }

    fn every(&self) -> Duration {
        Duration::ZERO
    }

    fn settles(&self) -> Duration {
        Duration::ZERO
    }
}

/// Stops after so many looks, and sees that Optuna's journal only grows.
#[derive(Default)]
struct Looks {
    left: Option<usize>,
    said: Vec<String>,
    journal: String,
}

fn journal_of(folder: &Folder) -> String {
    fs::read_to_string(folder.path().join(crate::journal::FILE)).unwrap_or_default()
}

impl Watch for Looks {
    fn look(&mut self, folder: &Folder, _: &Snapshot) {
        let before = std::mem::replace(&mut self.journal, journal_of(folder));
        assert!(self.journal.starts_with(&before), "the journal is cut");
        self.left = self.left.map(|n| n.saturating_sub(1));
    }

    fn message(&mut self, text: &str) {
        self.said.push(text.to_owned());
    }

    fn should_stop(&self) -> bool {
        self.left == Some(0)
    }
}

fn folder(path: &Path, text: &str, fake: &Fake) -> Folder {
    fs::write(path.join("study.toml"), text).unwrap();
    let mut folder = Folder::open(path).unwrap();
    folder.study.engine.kind = EngineKind::Own(Brought {
        name: "fake".to_owned(),
        settings: String::new(),
        value: Arc::new(fake.clone()),
    });
    *fake.folder.lock().unwrap() = Some(folder.clone());
    folder
}

fn drive(folder: &Folder, watch: &mut Looks) -> Result<Ended, Problem> {
    drive_checked(folder, watch, &|_, _| Ok(()))
}

fn drive_checked(
    folder: &Folder,
    watch: &mut Looks,
    check: &dyn Fn(&Folder, &Trial) -> Result<(), String>,
) -> Result<Ended, Problem> {
    watch.journal = journal_of(folder);
    driver(folder, check).run(folder, watch)
}

fn driver<'a>(
    folder: &Folder,
    check: &'a dyn Fn(&Folder, &Trial) -> Result<(), String>,
) -> Driver<'a> {
    Driver {
        place: Place {
            program: "ganforge".into(),
            folder: folder.path().to_path_buf(),
            name: folder.name(),
            device: None,
            threads: None,
            terminate: |_| {},
        },
        check,
        detach: None,
    }
}

/// A score that depends on the settings alone.
fn score(folder: &Folder, number: usize) -> f64 {
    let trial = folder.proposed(number).unwrap().expect("it was proposed");
    20.0 + (trial.point[0] - 0.3).powi(2)
}

fn good(folder: &Folder, number: usize, _: usize) -> Happens {
    Happens::Ends(score(folder, number))
}

fn trials_of(folder: &Folder) -> Vec<Trial> {
    let rounds = folder.rounds().unwrap();
    rounds.into_iter().flat_map(|r: Round| r.trials).collect()
}

#[test]
fn a_study_runs_to_its_end_and_proposes_the_same_in_whatever_order_trials_end() {
    let [a, b] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let first = Fake::new(good);
    let last = Fake {
        is_last_first: true,
        ..Fake::new(good)
    };
    let [a, b] = [
        folder(a.path(), STUDY, &first),
        folder(b.path(), STUDY, &last),
    ];
    for folder in [&a, &b] {
        assert_eq!(drive(folder, &mut Looks::default()).unwrap(), Ended::Done);
        let now = look(folder).unwrap();
        assert_eq!(
            (now.outcomes.len(), now.failed(), now.proposed.len()),
            (12, 0, 12)
        );
        assert!(now.running.is_empty() && now.queued.is_empty());
    }
    assert_eq!(trials_of(&a), trials_of(&b));
    let by_rounds = vec![vec![0, 1, 2, 3], vec![4, 5, 6, 7], vec![8, 9, 10, 11]];
    assert_eq!(
        (first.submitted(), last.submitted()),
        (by_rounds.clone(), by_rounds)
    );
    // Once more: nothing is left to do.
    assert_eq!(drive(&a, &mut Looks::default()).unwrap(), Ended::Done);
    assert_eq!(first.submitted().len(), 3);
}

#[test]
fn a_driver_that_stops_anywhere_goes_on_and_submits_nothing_twice() {
    let whole = tempfile::tempdir().unwrap();
    let fake = Fake::new(good);
    let whole = folder(whole.path(), STUDY, &fake);
    drive(&whole, &mut Looks::default()).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(good);
    let stopped = folder(temp.path(), STUDY, &fake);
    let mut stops = 0;
    for looks in (1..).map(|i| i % 3 + 1) {
        let left = Some(looks);
        match drive(
            &stopped,
            &mut Looks {
                left,
                ..Looks::default()
            },
        ) {
            Ok(ended) => {
                assert_eq!(ended, Ended::Done);
                break;
            }
            Err(Problem::Stopped) => stops += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(stops > 3, "{stops}");
    assert_eq!(fake.submitted().len(), 3);
    assert_eq!(trials_of(&stopped), trials_of(&whole));
}

#[test]
fn a_submission_whose_number_was_not_noted_is_found_by_its_name_or_made_anew() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(|_, _, _| Happens::GoesOn);
    let study = folder(temp.path(), STUDY, &fake);
    fake.jobs.lock().unwrap().forgets_numbers = true;
    let stop = || Looks {
        left: Some(1),
        ..Looks::default()
    };
    assert!(matches!(drive(&study, &mut stop()), Err(Problem::Stopped)));
    assert_eq!(study.round(0).unwrap().unwrap().submissions[0].job, None);
    assert!(matches!(drive(&study, &mut stop()), Err(Problem::Stopped)));
    let found = study.round(0).unwrap().unwrap().submissions;
    assert_eq!((found.len(), found[0].job.as_deref()), (1, Some("1")));
    assert_eq!(fake.submitted().len(), 1);
    // One that the engine never had.
    let mut round = study.round(0).unwrap().unwrap();
    round.submissions[0].job = None;
    study.write_round(&round).unwrap();
    *fake.jobs.lock().unwrap() = Jobs::default();
    assert!(matches!(drive(&study, &mut stop()), Err(Problem::Stopped)));
    assert_eq!(study.round(0).unwrap().unwrap().submissions.len(), 1);
    assert_eq!(fake.submitted().len(), 1);
}

#[test]
fn what_is_killed_or_lost_is_tried_again_and_given_up_after_so_many_tries() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(|folder, number, start| match (number, start) {
        (0, 0) | (1, _) => Happens::Killed,
        (2, _) => Happens::Lost,
        // Asked to stop again and again, as on nodes that are taken away.
        (3, 0..5) => Happens::Exits(130),
        (4, _) => Happens::Exits(3),
        _ => Happens::Ends(score(folder, number)),
    });
    let study = folder(temp.path(), STUDY, &fake);
    let mut looks = Looks::default();
    assert_eq!(drive(&study, &mut looks).unwrap(), Ended::Done);
    let message = |n: usize| {
        study
            .outcome(n)
            .unwrap()
            .unwrap()
            .message
            .unwrap_or_default()
    };
    assert_eq!(study.outcome(0).unwrap().unwrap().state, End::Done);
    assert!(
        message(1).starts_with("2 tries, none with a result: the last, process"),
        "{}",
        message(1)
    );
    assert!(message(1).ends_with("was killed"), "{}", message(1));
    assert!(message(2).contains("it never began"), "{}", message(2));
    assert_eq!(study.outcome(3).unwrap().unwrap().state, End::Done);
    assert_eq!(study.tries(3).unwrap().len(), 6);
    let code = "2 tries, none with a result: the last ended with exit code 3: code 3";
    assert_eq!(message(4), code);
    let now = look(&study).unwrap();
    assert_eq!((now.outcomes.len(), now.failed()), (12, 3));
    let said = looks.said.join("\n");
    assert!(
        said.contains("trial 0 ended without a result: again"),
        "{said}"
    );
    assert!(
        said.contains("trials that had not begun: 1, again"),
        "{said}"
    );
    assert!(!said.contains("trial 2 ended without"), "{said}");
    assert!(said.contains(&format!("trial 4 failed: {code}")), "{said}");
}

#[test]
fn bad_input_stops_the_study_and_once_mended_it_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let is_mended = Arc::new(Mutex::new(false));
    let mended = Arc::clone(&is_mended);
    let fake = Fake::new(move |folder, number, _| match *mended.lock().unwrap() {
        false if number == 1 => Happens::Exits(2),
        _ => Happens::Ends(score(folder, number)),
    });
    let study = folder(temp.path(), STUDY, &fake);
    let error = drive(&study, &mut Looks::default())
        .unwrap_err()
        .to_string();
    assert_eq!(error, "trial 1 cannot be trained: code 2");
    *is_mended.lock().unwrap() = true;
    assert_eq!(drive(&study, &mut Looks::default()).unwrap(), Ended::Done);
    assert_eq!(look(&study).unwrap().failed(), 0);
}

#[test]
fn an_engine_may_be_silent_for_a_while_and_its_refusal_leaves_no_trace() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(good);
    let study = folder(temp.path(), STUDY, &fake);
    fake.jobs.lock().unwrap().refuses = true;
    let error = drive(&study, &mut Looks::default())
        .unwrap_err()
        .to_string();
    assert_eq!(error, "engine fake: the queue is closed");
    assert!(study.round(0).unwrap().unwrap().submissions.is_empty());
    *fake.jobs.lock().unwrap() = Jobs {
        silences: 20,
        ..Jobs::default()
    };
    assert_eq!(drive(&study, &mut Looks::default()).unwrap(), Ended::Done);
    let temp = tempfile::tempdir().unwrap();
    let study = folder(temp.path(), STUDY, &fake);
    *fake.jobs.lock().unwrap() = Jobs {
        silences: 1000,
        ..Jobs::default()
    };
    let error = drive(&study, &mut Looks::default())
        .unwrap_err()
        .to_string();
    assert_eq!(error, "engine fake: no answer: timeout");
}

#[test]
fn who_does_not_stay_leaves_a_command_once_all_trials_are_with_the_engine() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(|folder, number, start| match (number, start) {
        (1, 0) => Happens::Killed,
        (1, _) => Happens::GoesOn,
        _ => Happens::Ends(score(folder, number)),
    });
    let study = folder(temp.path(), STUDY, &fake);
    let check = |_: &Folder, _: &Trial| -> Result<(), String> { Ok(()) };
    let stays_not = || Driver {
        detach: Some(vec!["again".to_owned()]),
        ..driver(&study, &check)
    };
    // What was killed is submitted again before.
    for n in [1, 2, 2] {
        let mut looks = Looks::default();
        let ended = stays_not().run(&study, &mut looks).unwrap();
        assert_eq!(ended, Ended::Submitted);
        let told = "job 7 goes on with the study when they are over";
        assert_eq!(looks.said.last().map(String::as_str), Some(told));
        let after = fake.jobs.lock().unwrap().after.pop();
        assert_eq!(after, Some((n, vec!["again".to_owned()])));
        for _ in 0..4 {
            let mut jobs = fake.jobs.lock().unwrap();
            fake.turn(&mut jobs);
        }
    }
    assert_eq!(fake.submitted(), [vec![0, 1, 2, 3], vec![1]]);
}

#[test]
fn what_contradicts_the_base_is_told_before_anything_is_submitted() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(good);
    let text = format!("{STUDY}[space.loss.kind]\nkind = 'choice'\nvalues = ['ns', 'no-such']\n");
    let study = folder(temp.path(), &text, &fake);
    let check = |_: &Folder, trial: &Trial| match trial.options[0].contains("no-such") {
        true => Err("no such loss".to_owned()),
        false => Ok(()),
    };
    let error = driver(&study, &check)
        .run(&study, &mut Looks::default())
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("study.toml: space.loss.kind contradicts the base: no such loss"),
        "{error}"
    );
    assert!(fake.submitted().is_empty() && study.rounds().unwrap().is_empty());
}

#[test]
fn a_score_that_cannot_be_compared_is_that_of_a_trial_that_failed() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(|folder, number, _| match number {
        0 => Happens::Ends(-0.001),
        _ => Happens::Ends(score(folder, number)),
    });
    let text = STUDY.replace("tries = 2", "score_scale = 'log10'");
    let study = folder(temp.path(), &text, &fake);
    assert_eq!(drive(&study, &mut Looks::default()).unwrap(), Ended::Done);
    let now = look(&study).unwrap();
    assert_eq!(now.failed(), 1);
    let first = &now.outcomes[&0];
    assert!(first.score.is_none());
    let message = first.message.as_deref().unwrap_or("");
    assert!(message.contains("has no logarithm"), "{message}");
    assert_ne!(now.ranked(study.study.direction)[0].0, &0);
}
