//! What Slurm's clients are told and say.

use super::*;

fn arrays(longest: usize, folder: &str) -> Arrays {
    Arrays {
        place: Place {
            program: "/opt/it's/ganforge".into(),
            folder: folder.into(),
            name: "mine".to_owned(),
            device: None,
            threads: None,
            terminate: |_| {},
        },
        settings: Slurm {
            longest,
            ..Slurm::default()
        },
        over: BTreeSet::new(),
        last: BTreeMap::new(),
        changed: Instant::now(),
        silences: 0,
        said: Vec::new(),
    }
}

#[test]
fn options_are_split_as_a_shell_splits_them() {
    let split = |line: &str| words(line).map(|w| w.join("|"));
    for (line, expected) in [
        ("", Some("")),
        ("  --a=1\t--b 2 ", Some("--a=1|--b|2")),
        (
            r#"--comment="a b" --c='"x" y' d\ e"#,
            Some(r#"--comment=a b|--c="x" y|d e"#),
        ),
        (r#""a\"b\c" '' 'a'"b""#, Some(r#"a"b\c||ab"#)),
        ("'open", None),
        (r#"a "b"#, None),
        (r"a\", None),
    ] {
        assert_eq!(split(line).as_deref(), expected, "{line}");
    }
    for word in ["", "it's", "a b", "$HOME \"x\" \\"] {
        let word = word.to_owned();
        let line = quoted(std::slice::from_ref(&word));
        assert_eq!(words(&line), Some(vec![word]));
    }
}

#[test]
fn options_that_are_the_studys_own_are_refused() {
    let refused = |options: &str| {
        let text = format!(
            "base = 'mnist'\nscore = 'fid'\n[space.optimizer.lr]\nlo = 0.1\nhi = 1\n[engine]\nkind = 'slurm'\nsbatch = {options:?}\n"
        );
        crate::Study::from_toml(&text, "s.toml").map_or_else(|e| e.to_string(), |_| String::new())
    };
    assert_eq!(refused("--partition gpu --gres=gpu:1 --arrays"), "");
    for options in ["--array=3", "-J me", "--wrap true", "--comment='x"] {
        let said = refused(options);
        assert!(
            said.starts_with("s.toml:8: engine.sbatch must be options of sbatch"),
            "{said}"
        );
    }
}

#[test]
fn what_is_held_is_told_from_what_waits_and_what_is_put_back() {
    let queue = Queue::of(
        "0 RUNNING None\n1 PENDING Resources\n2 PENDING JobHeldUser\n3 PENDING JobHeldUser\n\
         4 PENDING launch failed requeued held\n5 PENDING launch_failed_requeued_held\n\
         6 REQUEUE_HOLD job requeued in held state\n7 PENDING JobHoldMaxRequeue\n\
         8 PENDING JobHeldAdmin\n9 COMPLETING None\nN/A PENDING JobHeldUser\n 10 PENDING (null)\n",
    );
    let set = |indexes: &[usize]| indexes.iter().copied().collect::<BTreeSet<_>>();
    let by = |all: &[(&str, &[usize])]| -> BTreeMap<String, BTreeSet<usize>> {
        let one = |(why, which): &(&str, &[usize])| ((*why).to_owned(), set(which));
        all.iter().map(one).collect()
    };
    let expected = Queue {
        queued: set(&[1, 2, 3, 8, 10]),
        running: set(&[0, 9]),
        held: by(&[("JobHeldUser", &[2, 3]), ("JobHeldAdmin", &[8])]),
        put_back: by(&[
            ("launch failed requeued held", &[4, 5]),
            ("job requeued in held state", &[6]),
            ("JobHoldMaxRequeue", &[7]),
        ]),
    };
    assert_eq!(queue, expected);
    let submission = Submission {
        name: "x".to_owned(),
        engine: NAME.to_owned(),
        job: Some("4711".to_owned()),
        trials: (1000..1011).collect(),
        at: 0,
        held: Vec::new(),
    };
    let alive = arrays(1000, "/s").trials(&submission, &queue);
    assert_eq!(alive.queued, set(&[1001, 1002, 1003, 1008, 1010]));
    assert_eq!(alive.running, set(&[1000, 1009]));
    let told: Vec<String> = alive.held.iter().map(Held::to_string).collect();
    let expected = [
        "trial 1008 is held: JobHeldAdmin; to let go on: scontrol release 4711_8",
        "trials 1002-1003 are held: JobHeldUser; to let go on: scontrol release 4711_[2-3]",
    ];
    assert_eq!(told, expected);
}

#[test]
fn trials_of_an_array_have_the_same_first_digits() {
    let trials = vec![998, 5, 1003, 1000, 12_345];
    let parts = arrays(1000, "/s").parts(trials);
    assert_eq!(parts, [vec![998, 5], vec![1003, 1000], vec![12_345]]);
    let parts = arrays(30, "/s").parts(vec![5, 9, 10, 35]);
    assert_eq!(parts, [vec![5, 9], vec![10], vec![35]]);
    assert_eq!(arrays(1, "/s").parts(vec![5, 6]), [[5], [6]]);
}

/// With the index in their places, these are the logs that `Place::log` has.
#[test]
fn the_output_of_a_task_is_its_trials_log() {
    for longest in [1, 10, 99, 100, 1000] {
        let arrays = arrays(longest, "/s");
        let (digits, block) = (arrays.settings.digits(), arrays.settings.block());
        for trial in [0, 7, 40, 345, 1003, 9999, 12_345] {
            let log = arrays.log(trial - trial % block).unwrap();
            let index = format!("{:0digits$}", trial % block);
            let log = log
                .display()
                .to_string()
                .replace(&format!("%{digits}a"), &index);
            assert_eq!(
                log,
                arrays.place.log(trial).display().to_string(),
                "{longest}"
            );
        }
    }
    let log = arrays(1000, "/90%/s").log(2000).unwrap();
    assert_eq!(
        log.display().to_string(),
        "/90%%/s/trials/2%3a/tries/log.txt"
    );
    let refused = arrays(1000, r"/a\b").log(0).unwrap_err().to_string();
    assert!(
        refused.contains(r"/a\b: a path with a backslash"),
        "{refused}"
    );
}
