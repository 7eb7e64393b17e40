//! What is said to a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::{Agent, Body, http};

use super::super::quoted;
use super::{Ray, refused};
use crate::engines::{Alive, EngineError, Place, Runs};
use crate::folder::Submission;

/// The oldest version with all that is asked for: cores and GPUs of a job.
const OLDEST: [u32; 2] = [2, 2];
const PATIENCE: Duration = Duration::from_secs(20);
/// What Ray says of a job that found no room in time, and the variable that sets the time.
const NO_ROOM: [&str; 2] = [
    "JOB_SUPERVISOR_ACTOR_START_TIMEOUT",
    "RAY_JOB_START_TIMEOUT_SECONDS",
];
/// What it says of one whose command failed, which the worker itself says better.
const OF_COMMAND: &str = "Job entrypoint command failed";
/// Where Ray's own programs look for the token of a cluster that wants one.
const TOKEN: &str = "RAY_AUTH_TOKEN";
/// Letters of a message that are shown.
const MOST_SHOWN: usize = 300;

pub(super) struct Cluster {
    agent: Agent,
    base: String,
    token: Option<String>,
    /// What all jobs have in common.
    job: Value,
    work: Vec<String>,
    /// Which start of a trial is the newest, where it is not the first; of each submission.
    starts: BTreeMap<(String, usize), usize>,
    /// Jobs that have ended.
    ended: BTreeSet<String>,
    said: Vec<String>,
}

#[derive(Deserialize)]
struct Job {
    submission_id: Option<String>,
    status: String,
    message: Option<String>,
    error_type: Option<String>,
}

impl Cluster {
    pub(super) fn open(ray: &Ray, place: &Place) -> Result<Cluster, EngineError> {
        let cpus = ray.cpus.or(place.threads).unwrap_or(1);
        let mut job = json!({ "entrypoint_num_cpus": cpus });
        if let Some(gpus) = ray.gpus {
            job["entrypoint_num_gpus"] = json!(gpus);
        }
        if let Some(env) = &ray.runtime_env {
            // That it is JSON was checked as it was read.
            job["runtime_env"] = serde_json::from_str(env).unwrap_or_default();
        }
        let threads = place.threads.unwrap_or(cpus).to_string();
        let mut work = place.work();
        let last = work.len() - 1;
        work.splice(last..last, ["--threads".to_owned(), threads]);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None);
        let config = config.timeout_global(Some(PATIENCE));
        let base = ray.address.trim_end_matches('/');
        let cluster = Cluster {
            agent: config.build().new_agent(),
            base: match base.contains("://") {
                true => base.to_owned(),
                false => format!("http://{base}"),
            },
            token: std::env::var(TOKEN).ok().filter(|t| !t.is_empty()),
            job,
            work,
            starts: BTreeMap::new(),
            ended: BTreeSet::new(),
            said: Vec::new(),
        };
        cluster.check_version()?;
        Ok(cluster)
    }

    fn check_version(&self) -> Result<(), EngineError> {
        let base = &self.base;
        let answer = self.ask("/api/version", None).map_err(|e| match e {
            EngineError::Silent { reason, .. } => refused(format!(
                "nothing answers at {base}: {reason}; start a cluster with `pip install \"ray[default]\"` and `ray start --head`, or give the address of its dashboard with --address HOST:8265"
            )),
            other => other,
        })?;
        let version: Option<Value> = answer.and_then(|text| serde_json::from_str(&text).ok());
        let Some(version) = version.as_ref().and_then(|v| v["ray_version"].as_str()) else {
            return Err(refused(format!(
                "what answers at {base} is not the dashboard of Ray, whose port is 8265 where nothing else was chosen"
            )));
        };
        let mut numbers = version.split('.').map_while(|n| n.parse::<u32>().ok());
        let numbers = [(); 2].map(|()| numbers.next().unwrap_or(0));
        match numbers < OLDEST {
            true => Err(refused(format!(
                "{base} is Ray {version}, which cannot give a job cores of its own: {}.{} or later can",
                OLDEST[0], OLDEST[1]
            ))),
            false => Ok(()),
        }
    }

    /// Asks for a path, or sends JSON to it: the text of the answer, none where there is no such thing.
    fn ask(&self, path: &str, send: Option<&Value>) -> Result<Option<String>, EngineError> {
        let url = format!("{}{path}", self.base);
        let silent = |e: &dyn std::fmt::Display| EngineError::Silent {
            engine: "ray",
            reason: e.to_string(),
        };
        let authorised = self.token.as_ref().map(|t| format!("Bearer {t}"));
        let answer: Result<http::Response<Body>, ureq::Error> = match send {
            None => {
                let request = self.agent.get(&url);
                let request = match &authorised {
                    Some(token) => request.header("Authorization", token),
                    None => request,
                };
                request.call()
            }
            Some(json) => {
                let request = self.agent.post(&url);
                let request = match &authorised {
                    Some(token) => request.header("Authorization", token),
                    None => request,
                };
                let request = request.header("Content-Type", "application/json");
                request.send(json.to_string())
            }
        };
        let mut answer = match answer {
            Err(e @ ureq::Error::BadUri(_)) => return Err(refused(format!("{url}: {e}"))),
            other => other.map_err(|e| silent(&e))?,
        };
        let code = answer.status().as_u16();
        let text = answer.body_mut().read_to_string();
        let text = text.map_err(|e| silent(&e))?;
        match code {
            200..300 => Ok(Some(text)),
            404 => Ok(None),
            401 | 403 => Err(refused(format!(
                "{} wants a token: its variable is {TOKEN}",
                self.base
            ))),
            // The dashboard is there, but not what it asks itself.
            500.. if send.is_none() => {
                Err(silent(&format_args!("HTTP {code}: {}", last_line(&text))))
            }
            _ => Err(refused(format!("{url}: HTTP {code}: {}", last_line(&text)))),
        }
    }

    fn job(&self, id: &str) -> Result<Option<Job>, EngineError> {
        let Some(text) = self.ask(&format!("/api/jobs/{id}"), None)? else {
            return Ok(None);
        };
        let job = serde_json::from_str(&text);
        job.map(Some)
            .map_err(|e| refused(format!("its answer on job {id} cannot be read: {e}")))
    }

    /// Submits a job, unless it is there. Ray answers a second one of the same name with HTTP 500.
    fn submit_job(&self, id: &str, trial: usize) -> Result<(), EngineError> {
        if self.job(id)?.is_some() {
            return Ok(());
        }
        let mut job = self.job.clone();
        let words = [&self.work[..], &[trial.to_string()]].concat();
        // Ray does not tell a job its name.
        job["entrypoint"] = json!(format!(
            "exec env RAY_SUBMISSION_ID={id} {}",
            quoted(&words)
        ));
        job["submission_id"] = json!(id);
        let answer = self.ask("/api/jobs/", Some(&job));
        match answer {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(refused(format!("{} has no jobs API", self.base))),
            // An answer that was lost, or an error after the job was taken.
            Err(error) => match self.job(id) {
                Ok(Some(_)) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// The state of a trial's newest job; one that found no room in time is submitted again.
    fn state(&mut self, name: &str, trial: usize, alive: &mut Alive) -> Result<(), EngineError> {
        let key = (name.to_owned(), trial);
        let mut start = self.starts.get(&key).copied().unwrap_or(1);
        loop {
            let id = format!("{name}-{trial}-{start}");
            if self.ended.contains(&id) {
                return Ok(());
            }
            let Some(job) = self.job(&id)? else {
                return Ok(());
            };
            match job.status.as_str() {
                "PENDING" => drop(alive.queued.insert(trial)),
                "RUNNING" => drop(alive.running.insert(trial)),
                "FAILED" if had_no_room(&job) => {
                    start += 1;
                    let next = format!("{name}-{trial}-{start}");
                    self.submit_job(&next, trial)?;
                    self.starts.insert(key.clone(), start);
                    continue;
                }
                "SUCCEEDED" | "STOPPED" => drop(self.ended.insert(id)),
                "FAILED" => {
                    let message = job.message.unwrap_or_default();
                    if !message.starts_with(OF_COMMAND) {
                        self.said.push(format!(
                            "engine ray: job {id} failed: {}",
                            shortened(&message)
                        ));
                    }
                    self.ended.insert(id);
                }
                other => {
                    let reason =
                        format!("job {id} is {other:?}, which is no state that Ray documents");
                    return Err(refused(reason));
                }
            }
            return Ok(());
        }
    }
}

fn had_no_room(job: &Job) -> bool {
    let told = [job.error_type.as_deref(), job.message.as_deref()];
    let mut told = told.into_iter().flatten();
    told.any(|text| NO_ROOM.iter().any(|sign| text.contains(sign)))
}

/// The last line of an answer: that of a traceback says what it is.
fn last_line(text: &str) -> String {
    let line = text.lines().rfind(|l| !l.trim().is_empty());
    shortened(line.unwrap_or("no message"))
}

/// The first line, not too long.
fn shortened(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    line.chars().take(MOST_SHOWN).collect()
}

impl Runs for Cluster {
    fn submit(&mut self, submission: &Submission) -> Result<Option<String>, EngineError> {
        let name = &submission.name;
        for (done, trial) in submission.trials.iter().enumerate() {
            let submitted = self.submit_job(&format!("{name}-{trial}-1"), *trial);
            match submitted {
                Ok(()) => {}
                Err(error) if done == 0 => return Err(error),
                // Those that are there go on; the others are found missing.
                Err(error) => {
                    self.said.push(error.to_string());
                    break;
                }
            }
        }
        Ok(Some(name.clone()))
    }

    fn alive(&mut self, submission: &Submission) -> Result<Alive, EngineError> {
        let mut alive = Alive::default();
        for trial in &submission.trials {
            self.state(&submission.name, *trial, &mut alive)?;
        }
        Ok(alive)
    }

    fn find(&mut self, name: &str) -> Result<Option<String>, EngineError> {
        let text = self.ask("/api/jobs/", None)?.unwrap_or_default();
        let jobs: Vec<Job> = serde_json::from_str(&text)
            .map_err(|e| refused(format!("its list of jobs cannot be read: {e}")))?;
        let prefix = format!("{name}-");
        let mut ids = jobs.iter().filter_map(|j| j.submission_id.as_deref());
        Ok(ids
            .any(|id| id.starts_with(&prefix))
            .then(|| name.to_owned()))
    }

    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said)
    }

    fn leave(&mut self) -> Result<(), EngineError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
