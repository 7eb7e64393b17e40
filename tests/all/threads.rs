//! The number of threads changes no bit.

use crate::common::Place;

#[test]
fn one_two_and_three_threads_train_and_score_to_the_same_bytes() {
    let place = Place::new();
    let config = ["--epochs", "1", "--set", "train.update=alternating"];
    for threads in ["1", "2", "3"] {
        place.train(threads, &[&config[..], &["--threads", threads]].concat());
    }
    let last = place.last_checkpoint("1");
    for threads in ["2", "3"] {
        let read = |run: &str| place.bytes(&last.replacen('1', run, 1));
        assert!(
            read("1") == read(threads),
            "checkpoints of 1 and {threads} threads differ"
        );
        for file in ["metrics.csv", "scores.csv"] {
            let read = |run: &str| place.text(&format!("{run}/{file}"));
            assert_eq!(read("1"), read(threads), "{file}");
        }
    }
}
