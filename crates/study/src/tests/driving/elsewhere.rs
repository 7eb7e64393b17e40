//! What an engine has without the driver, or no longer has.

use super::*;
use crate::folder::WORKER;
use crate::lease::Lease;

#[test]
fn a_submission_that_is_taken_without_an_answer_is_not_made_again() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(good);
    let study = folder(temp.path(), STUDY, &fake);
    fake.jobs.lock().unwrap().unanswered = 2;
    let mut looks = Looks::default();
    assert_eq!(drive(&study, &mut looks).unwrap(), Ended::Done);
    assert_eq!(fake.submitted().len(), 3);
    assert!(
        looks
            .said
            .contains(&"engine fake: no answer: timeout; it is asked what it has".to_owned())
    );
}

#[test]
fn trials_that_wait_for_their_turn_do_not_fail_however_often_the_driver_stops() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(|folder, number, start| match (number, start) {
        (0, 0..5) => Happens::GoesOn,
        _ => Happens::Ends(score(folder, number)),
    });
    let study = folder(temp.path(), STUDY, &fake);
    fake.jobs.lock().unwrap().ends_with_driver = true;
    for _ in 0..4 {
        let left = Some(1);
        let mut looks = Looks {
            left,
            ..Looks::default()
        };
        let stopped = drive(&study, &mut looks);
        assert!(matches!(stopped, Err(Problem::Stopped)), "{stopped:?}");
    }
    assert_eq!(drive(&study, &mut Looks::default()).unwrap(), Ended::Done);
    assert_eq!(look(&study).unwrap().failed(), 0);
}

#[test]
fn what_another_engine_had_is_neither_asked_for_nor_counted() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(good);
    let study = folder(temp.path(), STUDY, &fake);
    let mut looks = Looks {
        left: Some(1),
        ..Looks::default()
    };
    assert!(matches!(drive(&study, &mut looks), Err(Problem::Stopped)));
    let mut round = study.round(0).unwrap().unwrap();
    round.submissions[0].engine = "another".to_owned();
    round.submissions.push(round.submissions[0].clone());
    study.write_round(&round).unwrap();
    *fake.jobs.lock().unwrap() = Jobs::default();
    assert_eq!(drive(&study, &mut Looks::default()).unwrap(), Ended::Done);
    assert_eq!(look(&study).unwrap().failed(), 0);
    assert_eq!(study.round(0).unwrap().unwrap().submissions.len(), 3);
}

#[test]
fn what_is_due_is_a_round_without_what_is_finished() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(good);
    let study = folder(temp.path(), STUDY, &fake);
    let driver = driver(&study, &|_, _| Ok(()));
    let due = driver.due(&study).unwrap().unwrap();
    assert_eq!((due.round.round, due.trials), (0, vec![0, 1, 2, 3]));
    let score = score(&study, 1);
    study.write_outcome(&done(1, score)).unwrap();
    let tries = study.tries_of(2);
    fs::create_dir_all(&tries).unwrap();
    let worker = Lease::take(&tries, WORKER, Holder::this(None), || {}).unwrap();
    let due = driver.due(&study).unwrap().unwrap();
    assert_eq!((due.trials, due.running), (vec![0, 3], vec![2]));
    drop(worker);
    for number in 0..4 {
        study.write_outcome(&done(number, score)).unwrap();
    }
    let due = driver.due(&study).unwrap().unwrap();
    assert_eq!((due.round.round, due.trials), (1, vec![4, 5, 6, 7]));
    assert!(fake.submitted().is_empty());
    for number in 4..12 {
        driver.due(&study).unwrap();
        study.write_outcome(&done(number, score)).unwrap();
    }
    assert!(driver.due(&study).unwrap().is_none());
}

#[test]
fn what_an_engine_holds_back_is_told_once_written_down_and_shown() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(good);
    let study = folder(temp.path(), STUDY, &fake);
    fake.jobs.lock().unwrap().held = [1, 2].into();
    let mut looks = Looks {
        left: Some(8),
        ..Looks::default()
    };
    assert!(matches!(drive(&study, &mut looks), Err(Problem::Stopped)));
    let told = "engine fake: trials 1-2 are held: somebody said so";
    let of = |looks: &Looks| looks.said.iter().filter(|s| *s == told).count();
    assert_eq!(of(&looks), 1, "{:?}", looks.said);
    let held = look(&study).unwrap().held;
    assert_eq!(
        held.iter().map(Held::to_string).collect::<Vec<_>>(),
        ["trials 1-2 are held: somebody said so"]
    );
    assert_eq!(look(&study).unwrap().held(), 2);
    // Somebody lets them go on: the study ends, and nothing is held any more.
    fake.jobs.lock().unwrap().held.clear();
    assert_eq!(drive(&study, &mut Looks::default()).unwrap(), Ended::Done);
    let now = look(&study).unwrap();
    assert_eq!((now.held(), now.failed()), (0, 0));
}

/// An engine without jobs of its own at which other processes work.
#[test]
fn an_engine_is_told_how_many_others_work_here() {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(|_, _, _| Happens::GoesOn);
    let study = folder(temp.path(), STUDY, &fake);
    let others = [1, 3].map(|n| {
        let tries = study.tries_of(n);
        fs::create_dir_all(&tries).unwrap();
        let host = match n {
            1 => crate::lease::host(),
            _ => "another".to_owned(),
        };
        let holder = Holder {
            host,
            ..Holder::this(None)
        };
        Lease::take(&tries, WORKER, holder, || {}).unwrap()
    });
    let stop = || Looks {
        left: Some(1),
        ..Looks::default()
    };
    assert!(matches!(drive(&study, &mut stop()), Err(Problem::Stopped)));
    assert_eq!(fake.submitted(), [vec![0, 2]]);
    assert_eq!(fake.jobs.lock().unwrap().others, 1, "those of this machine");
    drop(others);
    assert!(matches!(drive(&study, &mut stop()), Err(Problem::Stopped)));
    assert_eq!(fake.jobs.lock().unwrap().others, 0);
}
