//! What a look costs: steps in proportion to the trials, counted, not timed.

use super::*;
use crate::folder::all_counted;

/// Files that are asked for, their bytes, and trials of submissions, in three looks of a driver at a round of `n` trials: all are submitted, then lost and submitted again, then lost and given up.
fn steps(n: usize) -> usize {
    let temp = tempfile::tempdir().unwrap();
    let fake = Fake::new(|_, _, _| Happens::GoesOn);
    let text = STUDY.replace(
        "kind = 'gp-ucb'\nrounds = 3\nbatch = 4",
        &format!("kind = 'random'\nsettings = {n}"),
    );
    let study = folder(temp.path(), &text, &fake);
    let before = all_counted();
    for left in 1..=3 {
        let mut looks = Looks {
            left: Some(1),
            ..Looks::default()
        };
        let ended = drive(&study, &mut looks);
        assert_eq!(ended.is_ok(), left == 3, "{ended:?}");
        fake.jobs.lock().unwrap().alive.clear();
    }
    let times: Vec<usize> = fake.submitted().iter().map(Vec::len).collect();
    assert_eq!(times, [n, n]);
    all_counted() - before
}

#[test]
fn the_cost_of_a_look_grows_with_the_trials_not_with_their_square() {
    let [few, many] = [100, 400].map(steps);
    assert!(few >= 100, "{few}: it counts nothing");
    // Some numbers have more digits.
    assert!(
        many <= 5 * few,
        "{few} steps for 100 trials, {many} for 400"
    );
}
