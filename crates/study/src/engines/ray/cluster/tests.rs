//! A conversation with Ray as it was recorded (tests/fixtures/make_ray.py), and answers that are not Ray's.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

use super::super::Ray;
use super::Cluster;
use crate::engines::{Alive, EngineError, Place, Runs};
use crate::folder::Submission;

/// A question and its answer.
#[derive(Clone, Debug, Deserialize)]
struct Turn {
    method: String,
    path: String,
    sent: String,
    code: u16,
    text: String,
}

fn turn(method: &str, path: &str, code: u16, text: &str) -> Turn {
    Turn {
        method: method.to_owned(),
        path: path.to_owned(),
        sent: String::new(),
        code,
        text: text.to_owned(),
    }
}

/// A server that answers as a conversation says, each question with its own answers in their order, the last one again and
/// again; its address, and what it was asked that is not in the conversation.
fn server(conversation: Vec<Turn>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let unexpected = Arc::new(Mutex::new(Vec::new()));
    let complaints = Arc::clone(&unexpected);
    std::thread::spawn(move || {
        let mut left: VecDeque<Turn> = conversation.into();
        for stream in listener.incoming() {
            let _ = answer(stream.unwrap(), &mut left, &complaints);
        }
    });
    (address, unexpected)
}

fn answer(
    stream: TcpStream,
    left: &mut VecDeque<Turn>,
    unexpected: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut length, mut is_first) = (String::new(), 0, true);
    let mut question = String::new();
    while reader.read_line(&mut line)? > 2 {
        if is_first {
            question = line.trim().to_owned();
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        is_first = false;
        line.clear();
    }
    let mut sent = vec![0; length];
    reader.read_exact(&mut sent)?;
    let sent: Option<Value> = serde_json::from_slice(&sent).ok();
    let is_asked = |t: &&Turn| {
        question == format!("{} {} HTTP/1.1", t.method, t.path)
            && (t.method == "GET" || sent == serde_json::from_str(&t.sent).ok())
    };
    let mut fitting = left.iter().enumerate().filter(|(_, t)| is_asked(t));
    let (first, is_last) = (
        fitting.next().map(|(i, t)| (i, t.clone())),
        fitting.next().is_none(),
    );
    let (code, text) = match first {
        Some((i, turn)) => {
            if !is_last {
                left.remove(i);
            }
            (turn.code, turn.text)
        }
        None => {
            unexpected
                .lock()
                .unwrap()
                .push(format!("{question} {sent:?}"));
            (400, "this was not asked".to_owned())
        }
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {code} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{text}",
        text.len()
    )
}

const NAME: &str = "ganforge-0123abcd-1764575000-0";

fn place(program: &str) -> Place {
    Place {
        program: program.into(),
        folder: "/tmp/a study".into(),
        name: "a study".to_owned(),
        device: None,
        threads: None,
        terminate: |_| {},
    }
}

fn open(address: &str, program: &str, cpus: Option<usize>) -> Result<Cluster, EngineError> {
    let ray = Ray {
        address: address.to_owned(),
        cpus,
        ..Ray::default()
    };
    Cluster::open(&ray, &place(program))
}

fn submission(k: usize, trials: &[usize]) -> Submission {
    Submission {
        name: format!("{NAME}-{k}"),
        engine: "ray".to_owned(),
        job: None,
        trials: trials.to_vec(),
        at: 0,
        held: Vec::new(),
    }
}

/// Asks until the answer is as it should be, for at most two minutes.
fn until(cluster: &mut Cluster, submission: &Submission, is_good: impl Fn(&Alive) -> bool) {
    let begin = Instant::now();
    loop {
        let alive = cluster.alive(submission).unwrap();
        if is_good(&alive) {
            return;
        }
        let waited = begin.elapsed();
        assert!(waited < Duration::from_secs(120), "{alive:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn conversation(address: &str) {
    let ended = |alive: &Alive| *alive == Alive::default();
    // Of an echo, whose words are those of a trial.
    let mut cluster = open(address, "/bin/echo", None).unwrap();
    let good = submission(0, &[0, 3]);
    assert_eq!(cluster.find(&good.name).unwrap(), None);
    let job = cluster.submit(&good).unwrap();
    assert_eq!(job.as_deref(), Some(&*good.name));
    until(&mut cluster, &good, ended);
    assert_eq!(cluster.said(), Vec::<String>::new());
    // Another driver finds it, and that it has ended.
    let mut other = open(address, "/bin/echo", None).unwrap();
    assert_eq!(other.find(&good.name).unwrap(), job);
    assert_eq!(other.alive(&good).unwrap(), Alive::default());
    // What was submitted is not submitted again: Ray would refuse it.
    other.submit(&good).unwrap();
    // A command that fails: that is told by the worker.
    let mut failing = open(address, "/bin/false", None).unwrap();
    let bad = submission(1, &[4]);
    failing.submit(&bad).unwrap();
    until(&mut failing, &bad, ended);
    assert_eq!(failing.said(), Vec::<String>::new());
    // One that finds no room in Ray's time waits again, as the second job of its trial.
    let mut large = open(address, "/bin/echo", Some(1000)).unwrap();
    let waits = submission(2, &[5]);
    large.submit(&waits).unwrap();
    let key = (waits.name.clone(), 5);
    while large.starts.get(&key) != Some(&2) {
        until(&mut large, &waits, |alive| alive.queued.contains(&5));
    }
}

#[test]
fn a_conversation_with_ray() {
    let recorded = include_str!("../../../../tests/fixtures/ray.json");
    let (address, unexpected) = server(serde_json::from_str(recorded).unwrap());
    conversation(&address);
    assert_eq!(*unexpected.lock().unwrap(), Vec::<String>::new());
}

#[test]
#[ignore = "needs a cluster: see tests/fixtures/make_ray.py"]
fn a_conversation_with_a_real_ray() {
    conversation(&std::env::var("GANFORGE_RAY").expect("GANFORGE_RAY is its address"));
}

const VERSION: &str = r#"{"version": "4", "ray_version": "2.60.0"}"#;

#[test]
fn what_is_not_a_cluster_is_told_in_one_line() {
    let refusal = |conversation: Vec<Turn>| {
        let (address, _) = server(conversation);
        let error = open(&address, "/bin/echo", None).map(drop).unwrap_err();
        let text = error.to_string();
        assert!(!text.contains('\n'), "{text}");
        text
    };
    let of = |code, text: &str| refusal(vec![turn("GET", "/api/version", code, text)]);
    assert!(of(200, "<html>").contains("is not the dashboard of Ray"));
    assert!(of(404, "nothing").contains("is not the dashboard of Ray"));
    let old = of(200, r#"{"version": "4", "ray_version": "1.13.0"}"#);
    assert!(
        old.contains("is Ray 1.13.0") && old.contains("2.2 or later"),
        "{old}"
    );
    assert!(of(401, "no").contains("RAY_AUTH_TOKEN"));
    // A port that nobody listens at.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let error = open(&address, "/bin/echo", None).map(drop).unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("nothing answers at http://127.0.0.1:"),
        "{error}"
    );
    assert!(error.contains("pip install \"ray[default]\""), "{error}");
}

#[test]
fn errors_of_the_head_are_silence_or_refusals() {
    let id = format!("/api/jobs/{NAME}-0-0-1");
    let traceback = "Traceback (most recent call last):\n  File \"job_head.py\"\nValueError: no such resource\n";
    let (address, unexpected) = server(vec![
        turn("GET", "/api/version", 200, VERSION),
        turn("GET", &id, 404, "Job does not exist"),
        turn("GET", &id, 404, "Job does not exist"),
        turn("GET", &id, 503, "gateway\ncannot reach the head"),
        turn("GET", &id, 200, r#"{"status": "DANCING"}"#),
    ]);
    let mut cluster = open(&address, "/bin/echo", None).unwrap();
    let one = submission(0, &[0]);
    // The post is not in the conversation: the server answers with 400.
    let refused = cluster.submit(&one).unwrap_err().to_string();
    assert!(
        refused.ends_with("/api/jobs/: HTTP 400: this was not asked"),
        "{refused}"
    );
    assert_eq!(unexpected.lock().unwrap().len(), 1);
    match cluster.alive(&one) {
        Err(EngineError::Silent { reason, .. }) => {
            assert_eq!(reason, "HTTP 503: cannot reach the head");
        }
        other => panic!("{other:?}"),
    }
    let error = cluster.alive(&one).unwrap_err().to_string();
    assert!(
        error.contains("is \"DANCING\", which is no state"),
        "{error}"
    );
    assert_eq!(super::last_line(traceback), "ValueError: no such resource");
}
