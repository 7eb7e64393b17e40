use super::{run, study};
use crate::{Error, Finished, Study, Trial, propose};

const SPACE: &str = "[space.optimizer.lr]\nlo = 1e-5\nhi = 1e-2\nscale = 'log10'\n\
                     [space.train.k]\nkind = 'choice'\nvalues = [1, 5]\n\
                     [space.noise.dim]\nkind = 'whole'\nlo = 1\nhi = 4\n";

fn with(design: &str) -> Study {
    study(&format!("[design]\n{design}\n{SPACE}"))
}

fn scored(trial: &Trial) -> Option<f64> {
    let [dim, lr, k] = trial.point.as_slice() else {
        panic!("{trial:?}");
    };
    Some((lr - 0.4).powi(2) + (dim - 0.9).powi(2) + 0.1 * k)
}

fn first(study: &Study) -> Vec<Trial> {
    propose(study, &[]).expect("no faults").expect("a round")
}

fn options(trials: &[Trial]) -> Vec<String> {
    trials.iter().map(|t| t.options.join(" ")).collect()
}

#[test]
fn a_grid_is_all_combinations_with_all_seeds() {
    let space = SPACE.replace("scale = 'log10'", "scale = 'log10'\npoints = 4");
    let grid = study(&format!(
        "set = ['train.epochs=2']\nseeds = [7, 8]\n[design]\nkind = 'grid'\n{space}"
    ));
    assert_eq!(grid.size(), [1, 64]);
    let trials = first(&grid);
    let shown = options(&trials);
    assert_eq!(
        shown[0],
        "train.epochs=2 noise.dim=1 optimizer.lr=1e-5 train.k=1"
    );
    assert_eq!(shown[1], shown[0]);
    assert_eq!(
        shown[2],
        "train.epochs=2 noise.dim=1 optimizer.lr=1e-5 train.k=5"
    );
    assert_eq!(
        shown[4],
        "train.epochs=2 noise.dim=1 optimizer.lr=0.0001 train.k=1"
    );
    assert_eq!(
        shown[63],
        "train.epochs=2 noise.dim=4 optimizer.lr=0.01 train.k=5"
    );
    let numbers: Vec<(usize, u64)> = trials.iter().map(|t| (t.number, t.seed)).take(3).collect();
    assert_eq!(numbers, [(0, 7), (1, 8), (2, 7)]);
    let mut settings = shown;
    settings.dedup();
    assert_eq!(settings.len(), 32);
    assert_eq!(run(&grid, |_| None).len(), 64);
}

#[test]
fn the_24_settings_of_the_large_study_are_a_grid() {
    let grid = study(
        "[design]\nkind = 'grid'\n\
         [space.optimizer]\nlr = { kind = 'choice', values = [0.0002, 0.0001, 0.001] }\n\
         [space.discriminator.penalty.gp]\nweight = { kind = 'choice', values = [1, 10] }\n\
         [space.updates]\nkind = 'cases'\ncases = [\n\
         ['optimizer.beta1=0.5', 'optimizer.beta2=0.9', 'train.k=5'],\n\
         ['optimizer.beta1=0.5', 'optimizer.beta2=0.999', 'train.k=1'],\n\
         ['optimizer.beta1=0.5', 'optimizer.beta2=0.999', 'train.k=5'],\n\
         ['optimizer.beta1=0.9', 'optimizer.beta2=0.999', 'train.k=5']]\n",
    );
    let trials = first(&grid);
    assert_eq!(trials.len(), 24);
    assert_eq!(
        options(&trials)[23],
        "discriminator.penalty.gp.weight=10 optimizer.lr=0.001 optimizer.beta1=0.9 optimizer.beta2=0.999 train.k=5"
    );
}

#[test]
fn a_latin_hypercube_has_one_setting_in_each_part() {
    let cube = with("kind = 'latin-hypercube'\nsettings = 40");
    let trials = first(&cube);
    let mut lr: Vec<f64> = trials.iter().map(|t| t.point[1] * 40.0).collect();
    lr.sort_by(f64::total_cmp);
    for (part, lr) in lr.iter().enumerate() {
        assert_eq!(lr.floor() as usize, part, "{lr}");
    }
    let count = |option: &str| {
        options(&trials)
            .iter()
            .filter(|o| o.contains(option))
            .count()
    };
    for n in 1..5 {
        assert_eq!(count(&format!("noise.dim={n}")), 10, "{n}");
    }
    assert_eq!((count("train.k=1"), count("train.k=5")), (20, 20));
}

/// The numbers of a named generator: they stay what they are, or a study cannot go on.
#[test]
fn the_first_draws_of_a_seed_are_known() {
    let drawn = with("kind = 'random'\nsettings = 3\nseed = 7");
    assert_eq!(options(&first(&drawn)), KNOWN);
    assert_ne!(
        options(&first(&with("kind = 'random'\nsettings = 3\nseed = 8"))),
        KNOWN
    );
}

const KNOWN: [&str; 3] = [
    "noise.dim=4 optimizer.lr=0.0023182614 train.k=5",
    "noise.dim=4 optimizer.lr=0.0014364276 train.k=1",
    "noise.dim=4 optimizer.lr=1.1790831e-5 train.k=1",
];

#[test]
fn rounds_depend_on_results_and_not_on_their_order() {
    let ucb = with("kind = 'gp-ucb'\nrounds = 3\nbatch = 6");
    let finished = run(&ucb, scored);
    assert_eq!(finished.len(), 18);
    let trials: Vec<Trial> = finished.iter().map(|f| f.trial.clone()).collect();
    // What else is known of the round itself changes nothing, whatever it is, and the order does not.
    let mut known = finished[..15].to_vec();
    known[13].score = Some(1e6);
    known.reverse();
    known.swap(1, 9);
    known.remove(2);
    assert_eq!(propose(&ucb, &known).unwrap().unwrap(), trials[12..]);
    // Without one of the round before it is that round.
    known.retain(|f| f.trial.number != 11 && f.trial.number < 12);
    assert_eq!(propose(&ucb, &known).unwrap().unwrap(), trials[6..12]);
    // Another score is another proposal.
    let mut other = finished[..12].to_vec();
    other[0].score = Some(-3.0);
    assert_ne!(propose(&ucb, &other).unwrap().unwrap(), trials[12..]);
    assert_eq!(propose(&ucb, &finished).unwrap(), None);
    let known = finished[..12].to_vec();
    let reseeded = with("kind = 'gp-ucb'\nrounds = 3\nbatch = 6\nseed = 2");
    assert_ne!(propose(&reseeded, &known).unwrap().unwrap(), trials[12..]);
    // None is tried twice while there are others.
    for (i, trial) in trials.iter().enumerate() {
        assert!(trials[..i].iter().all(|t| t.options != trial.options));
    }
}

#[test]
fn more_is_better_is_less_of_the_negative() {
    let text = format!("[design]\nkind = 'gp-ucb'\nrounds = 2\nbatch = 6\n{SPACE}");
    let lower = run(&study(&text), scored);
    let higher = study(&format!("direction = 'higher'\n{text}"));
    let higher = run(&higher, |t| scored(t).map(|s| -s));
    assert!(lower.iter().zip(&higher).all(|(a, b)| a.trial == b.trial));
}

#[test]
fn a_failed_trial_counts_as_the_worst_or_as_what_the_file_says() {
    let text = format!("[design]\nkind = 'gp-ucb'\nrounds = 2\nbatch = 6\n{SPACE}");
    let next = |study: &Study, score: Option<f64>| {
        let mut finished = run(&with("kind = 'gp-ucb'\nrounds = 1\nbatch = 6"), scored);
        finished[2].score = score;
        propose(study, &finished).unwrap().unwrap()
    };
    let plain = study(&text);
    let first = run(&with("kind = 'gp-ucb'\nrounds = 1\nbatch = 6"), scored);
    let scores = first
        .iter()
        .filter(|f| f.trial.number != 2)
        .filter_map(|f| f.score);
    let worst = scores.fold(f64::NEG_INFINITY, f64::max);
    let failed = next(&plain, None);
    assert_eq!(failed, next(&plain, Some(worst)));
    assert_eq!(failed, next(&plain, Some(f64::NAN)));
    assert_eq!(failed, next(&plain, Some(f64::INFINITY)));
    let said = study(&format!("failed_score = 9\n{text}"));
    assert_eq!(next(&said, None), next(&plain, Some(9.0)));
    assert_ne!(next(&said, None), failed);
    // All failed: there is nothing to learn, and the study goes on.
    let none = run(&plain, |_| None);
    assert_eq!(none.len(), 12);
}

#[test]
fn settings_with_several_seeds_have_the_median_of_their_scores() {
    let text = format!("[design]\nkind = 'gp-ucb'\nrounds = 2\nbatch = 4\n{SPACE}");
    let one = run(&study(&text), scored);
    let three = study(&format!("seeds = [1, 2, 3]\n{text}"));
    let finished = run(&three, |t| match t.seed {
        1 => None, // counts as the worst
        2 => scored(t),
        _ => Some(-1.0),
    });
    assert_eq!(finished.len(), 24);
    for (i, f) in finished.iter().enumerate() {
        assert_eq!(f.trial.number, i);
        assert_eq!(f.trial.seed, i as u64 % 3 + 1);
        assert_eq!(f.trial.point, one[i / 3].trial.point);
    }
}

#[test]
fn trials_of_another_study_are_errors() {
    let ucb = with("kind = 'gp-ucb'\nrounds = 2\nbatch = 3");
    let all = run(&ucb, scored);
    let error = |finished: &[Finished]| propose(&ucb, finished).unwrap_err();
    let twice = [all[1].clone(), all[0].clone(), all[1].clone()];
    assert_eq!(error(&twice), Error::Twice { number: 1 });
    let early = [all[0].clone(), all[3].clone()];
    let out_of_turn = Error::OutOfTurn {
        number: 3,
        missing: 1,
    };
    assert_eq!(error(&early), out_of_turn);
    let mut more = all.clone();
    more.push(all[0].clone());
    more[6].trial.number = 6;
    assert_eq!(error(&more), Error::Beyond { number: 6, n: 6 });
    let mut other = all[..3].to_vec();
    other[1].trial.point.pop();
    assert_eq!(error(&other), Error::Point { number: 1, d: 3 });
    let mut outside = all[..3].to_vec();
    outside[2].trial.point[0] = 1.5;
    assert_eq!(error(&outside), Error::Point { number: 2, d: 3 });
}

#[test]
fn a_score_without_a_logarithm_counts_as_a_failure() {
    let log = study(&format!(
        "score_scale = 'log10'\n[design]\nkind = 'gp-ucb'\nrounds = 2\nbatch = 4\n{SPACE}"
    ));
    let with = |odd: Option<f64>| {
        let scores = [Some(20.0), odd, Some(3.0), Some(7.0)];
        let each = first(&log).into_iter().zip(scores);
        let finished: Vec<Finished> = each
            .map(|(trial, score)| Finished { trial, score })
            .collect();
        propose(&log, &finished).expect("in turn").expect("a round")
    };
    let failed = with(None);
    for odd in [0.0, -0.25, f64::NAN, f64::INFINITY] {
        assert_eq!(with(Some(odd)), failed, "{odd}");
    }
    assert_ne!(with(Some(1.0)), failed);
}

#[test]
fn values_keep_to_their_range_and_come_back_to_their_place() {
    let drawn = study(
        "[design]\nkind = 'random'\nsettings = 300\n\
         [space.a]\nlo = 0.1\nhi = 0.9999\n\
         [space.b]\nlo = 1e-4\nhi = 10\nscale = 'log10'\n\
         [space.c]\nkind = 'whole'\nlo = 3\nhi = 5\n\
         [space.d]\nkind = 'whole'\nlo = 1\nhi = 1024\nscale = 'log2'\n",
    );
    let mut counts = [0; 6];
    for trial in first(&drawn) {
        let value = |i: usize| -> f64 { trial.options[i][2..].parse().expect("a number") };
        assert!((0.1..=0.9999).contains(&value(0)) && (1e-4..=10.0).contains(&value(1)));
        assert!(trial.options[0].contains('.') || trial.options[0].contains('e'));
        assert!((1.0..=1024.0).contains(&value(3)));
        counts[value(2) as usize] += 1;
        for (dimension, u) in drawn.space.iter().zip(&trial.point) {
            assert!((dimension.snapped(*u) - u).abs() < 1e-12);
        }
    }
    assert!(
        counts[3..].iter().all(|n| (70..130).contains(n)),
        "{counts:?}"
    );
}

/// With scores whose best learning rate differs between k = 1 and k = 5, each has its own search: the first is that of a
/// study without the other, and both find their best.
#[test]
fn cells_are_searched_apart() {
    const LR: &str = "[space.optimizer.lr]\nlo = 1e-5\nhi = 1e-2\nscale = 'log10'\n";
    const K: &str = "[space.train.k]\nkind = 'choice'\nvalues = [1, 5]\n";
    const DESIGN: &str = "[design]\nkind = 'gp-ucb'\nrounds = 3\nbatch = 4\n";
    let both = study(&format!("seeds = [1, 2]\n{DESIGN}apart = true\n{LR}{K}"));
    let one = study(&format!("seeds = [1, 2]\n{DESIGN}{LR}"));
    assert_eq!((both.size(), one.size()), ([3, 16], [3, 8]));
    let score = |trial: &Trial| {
        let best = [0.2, 0.8][usize::from(trial.point.get(1).is_some_and(|k| *k > 0.5))];
        Some((trial.point[0] - best).powi(2))
    };
    let (all, alone) = (run(&both, score), run(&one, score));
    let of = |k: f64| all.iter().filter(move |f| f.trial.point[1] == k);
    let lr = |f: &Finished| f.trial.point[0];
    let first: Vec<f64> = of(0.25).map(lr).collect();
    assert_eq!(first, alone.iter().map(lr).collect::<Vec<f64>>());
    for k in [0.25, 0.75] {
        let low = of(k).filter_map(|f| f.score).fold(1.0, f64::min);
        assert!(low < 1e-3, "{low} with k at {k}");
    }
    // The first of each cell, with both seeds, before the second of any.
    let places: Vec<f64> = all.iter().take(6).map(|f| f.trial.point[1]).collect();
    assert_eq!(places, [0.25, 0.25, 0.75, 0.75, 0.25, 0.25]);
}
