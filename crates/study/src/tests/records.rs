//! What a folder says of its trials.

use crate::drive::{look, records};
use crate::folder::{End, Folder, Outcome, Try};
use crate::lease::Holder;
use crate::{State, propose};

const STUDY: &str = "base = 'tiny'\nscore = 'kid'\nscore_scale = 'log10'\n[design]\nkind = 'random'\nsettings = 4\n\
    [space.optimizer.lr]\nlo = 1e-4\nhi = 1.0\nscale = 'log10'\n";

#[test]
fn records_have_the_times_of_the_tries_and_scores_that_can_be_compared() {
    let temp = tempfile::tempdir().expect("a folder");
    std::fs::write(temp.path().join("study.toml"), STUDY).expect("written");
    let folder = Folder::open(temp.path()).expect("a study");
    let trials = propose(&folder.study, &[]).expect("in turn");
    let round = folder.new_round(trials.expect("a round"), &[]);
    folder
        .write_round(&round.expect("a base"))
        .expect("written");
    let done = |trial: usize, score: f64| Outcome {
        state: End::Done,
        score: Some(score),
        message: None,
        seconds: Some(60.0),
        began: 1500,
        ended: 90_000,
        ..Outcome::failed(trial, "kid", String::new())
    };
    // Killed, then started again the next day; given up, as it never began; without a logarithm; not finished.
    for (k, began) in [1000, 89_900].into_iter().enumerate() {
        let one = Try {
            holder: Holder::this(None),
            began,
            ended: None,
            exit: None,
            message: None,
        };
        folder.write_try(0, k, &one).expect("written");
    }
    let lost = Outcome::failed(
        1,
        "kid",
        "3 tries, none with a result: it never began".to_owned(),
    );
    for outcome in [done(0, 0.25), lost.clone(), done(2, -0.5)] {
        folder.write_outcome(&outcome).expect("written");
    }
    let now = look(&folder).expect("read");
    let found = records(&folder, &now);
    let times = |i: usize| (found[i].begun, found[i].ended, found[i].seconds);
    assert_eq!(times(0), (Some(1000.0), Some(90_000.0), Some(60.0)));
    assert_eq!(times(1), (None, Some(lost.ended as f64), None));
    let states: Vec<State> = found.iter().map(|r| r.state).collect();
    let failed = State::Failed;
    assert_eq!(states, [State::Done(0.25), failed, failed, State::Waiting]);
    let notes: Vec<Option<&str>> = found.iter().map(|r| r.note.as_deref()).collect();
    let refused = "its kid is -0.5, which has no logarithm for score_scale = \"log10\"";
    assert_eq!(notes, [None, lost.message.as_deref(), Some(refused), None]);
}
