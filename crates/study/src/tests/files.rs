use std::fs;

use crate::{Range, Scale, Study};

const GOOD: &str = r#"base = "sngan-cifar10"
set = ["train.epochs=3"]
score = "fid"
score_scale = "log10"
failed_score = 500
seeds = [1, 2]
budget = 240
threads = 2
cells = ["loss.kind"]

[design]
kind = "gp-ucb"
seed = 7

[space.optimizer.lr]
lo = 1e-5
hi = 1e-2
scale = "log10"

[space."optimizer.beta1"]
lo = 0
hi = 1

[space.noise.dim]
kind = "whole"
lo = 16
hi = 256
scale = "log2"

[space.loss.kind]
kind = "choice"
values = ["ns", "ls", "hinge"]

[space.betas]
kind = "cases"
cases = [["optimizer.beta2=0.9", "train.k=5"], ["optimizer.beta2=0.999", "train.k=1"]]
"#;

#[test]
fn a_file_is_read_and_written_and_read_again() {
    let study = Study::from_toml(GOOD, "study.toml").unwrap();
    let keys: Vec<&str> = study.space.iter().map(|d| d.key.as_str()).collect();
    let sorted = [
        "betas",
        "loss.kind",
        "noise.dim",
        "optimizer.beta1",
        "optimizer.lr",
    ];
    assert_eq!(keys, sorted);
    assert_eq!(study.size(), [12, 20]);
    assert_eq!((study.tries, study.threads), (3, Some(2)));
    let Range::Real(lr) = &study.space[4].range else {
        panic!("{:?}", study.space[4]);
    };
    assert_eq!((lr.lo, lr.hi, lr.scale), (1e-5, 1e-2, Scale::Log10));
    assert_eq!(study.cells(), [1]);
    let without = GOOD.replace("cells = [\"loss.kind\"]\n", "");
    assert_eq!(
        Study::from_toml(&without, "s.toml").unwrap().cells(),
        [0, 1]
    );
    let written = study.to_toml();
    assert_eq!(Study::from_toml(&written, "again.toml").unwrap(), study);
}

#[test]
fn the_study_of_the_book_is_one() {
    let page = include_str!("../../../../docs/book/src/studies.md");
    let text = page.split("```").find_map(|b| b.strip_prefix("text\nbase"));
    let study = Study::from_toml(&format!("base{}", text.expect("a file")), "studies.md").unwrap();
    assert_eq!(study.size(), [12, 30]);
    assert_eq!((study.budget, study.failed_score), (Some(360), Some(500.0)));
}

#[test]
fn a_file_is_loaded_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("study.toml");
    let missing = Study::load(&path).unwrap_err();
    assert!(
        missing.refused.is_some() && missing.to_string().contains("study.toml: cannot be read")
    );
    fs::write(&path, GOOD).unwrap();
    assert_eq!(Study::load(&path).unwrap().seeds, [1, 2]);
    fs::write(&path, [b'#', 0xFF]).unwrap();
    assert!(
        Study::load(&path)
            .unwrap_err()
            .to_string()
            .ends_with("not UTF-8 text, which TOML requires")
    );
    fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(
        Study::load(&path)
            .unwrap_err()
            .to_string()
            .ends_with("larger than 1048576 bytes, not a study")
    );
}

/// What is wrong with a file, which begins with base and score in lines 1 and 2.
fn wrong(rest: &str) -> String {
    let text = format!("base = 'mnist'\nscore = 'fid'\n{rest}");
    Study::from_toml(&text, "s.toml").map_or_else(|e| e.to_string(), |_| panic!("{text} is read"))
}

#[test]
fn each_bad_file_is_refused_with_its_line() {
    let lr = "[space.optimizer.lr]\nlo = 0.1\nhi = 1\n";
    let cases = [
        (
            "".to_owned(),
            "s.toml:1: space must have a table for at least one key, as in [space.optimizer.lr]",
        ),
        (
            "[space]\n".to_owned(),
            "s.toml:3: space must have a table for at least one key, as in [space.optimizer.lr]",
        ),
        ("space = 3\n".to_owned(), "s.toml:3: space must be a table, got 3"),
        (
            "[space]\nlr = 3\n".to_owned(),
            "s.toml:4: space.lr must be a table, got 3",
        ),
        (
            "[space.lr]\nlo = 1\nhi = 0.5\n".to_owned(),
            "s.toml:4: space.lr.lo must be below hi = 0.5, got 1.0",
        ),
        (
            "[space.lr]\nlo = 1\nhi = 1\n".to_owned(),
            "s.toml:4: space.lr.lo must be below hi = 1.0, got 1.0",
        ),
        (
            "[space.lr]\nlo = 1\nhi = 1.00000001\n".to_owned(),
            "s.toml:4: space.lr.lo is the same in f32 as hi = 1.00000001",
        ),
        (
            "[space.lr]\nhi = 1\n".to_owned(),
            "s.toml:3: space.lr must have lo",
        ),
        (
            "[space.lr]\nkind = 'whole'\n".to_owned(),
            "s.toml:3: space.lr must have lo and hi",
        ),
        (
            "[space.lr]\n".to_owned(),
            "s.toml:3: space.lr must have lo and hi",
        ),
        (
            "[space.optimizer.lr]\nlo = 0\nhi = 1\nscale = 'log10'\n".to_owned(),
            "s.toml:4: space.optimizer.lr.lo must be above 0 with scale = \"log10\", got 0.0",
        ),
        (
            "[space.units]\nkind = 'whole'\nlo = 0\nhi = 8\nscale = 'log2'\n".to_owned(),
            "s.toml:5: space.units.lo must be above 0 with scale = \"log2\", got 0.0",
        ),
        (
            "[space.units]\nkind = 'whole'\nlo = 1.5\nhi = 8\n".to_owned(),
            "s.toml:5: space.units.lo must be a whole number from 0 to 1000000000, got 1.5",
        ),
        (
            "[space.lr]\nlo = 'a'\nhi = 1\nscale = 'log'\n".to_owned(),
            "2 errors in the configuration:\n  \
             s.toml:4: space.lr.lo must be a number at least -1000000000 and at most 1000000000, got \"a\"\n  \
             s.toml:6: space.lr.scale must be one of \"linear\", \"log10\", \"log2\", got \"log\", did you mean \"log2\"?",
        ),
        (
            "[space.lr]\nkind = 'reel'\n".to_owned(),
            "s.toml:4: space.lr.kind must be one of \"real\", \"whole\", \"choice\", \"cases\", got \"reel\", did you mean \
             \"real\"?",
        ),
        (
            "[space.lr]\nlo = 0\nhi = 1\nvalues = [1, 2]\n".to_owned(),
            "s.toml:6: space.lr.values is not used here, only with kind = \"choice\"",
        ),
        (
            "[space.lr]\nlo = 0\nhi = 1\nscal = 'linear'\n".to_owned(),
            "s.toml:6: unknown key space.lr.scal, did you mean space.lr.scale?",
        ),
        (
            "[space.'a b']\nlo = 0\nhi = 1\n".to_owned(),
            "s.toml:3: space.a b is not the name of a key, such as space.optimizer.lr",
        ),
        (
            "[space.k]\nkind = 'choice'\n".to_owned(),
            "s.toml:3: space.k.values must be an array of two values or more, each a number, a string, true or false",
        ),
        (
            "[space.k]\nkind = 'choice'\nvalues = [1]\n".to_owned(),
            "s.toml:5: space.k.values must be an array of two values or more, each a number, a string, true or false, got \
             an array of 1",
        ),
        (
            "[space.k]\nkind = 'choice'\nvalues = ['a', 'b', 'a']\n".to_owned(),
            "s.toml:5: space.k.values must be an array of two values or more, each a number, a string, true or false, got \
             an array with \"a\" twice",
        ),
        (
            "[space.k]\nkind = 'choice'\nvalues = [1, [2]]\n".to_owned(),
            "s.toml:5: space.k.values must be an array of two values or more, each a number, a string, true or false, got \
             an array with an array in it",
        ),
        (
            "[space.k]\nkind = 'choice'\nvalues = [1, nan]\n".to_owned(),
            "s.toml:5: space.k.values must be an array of two values or more, each a number, a string, true or false, got \
             an array with NaN in it",
        ),
        (
            "[space.b]\nkind = 'cases'\ncases = [['train.k'], ['train.k=2']]\n".to_owned(),
            "s.toml:5: space.b.cases must be an array of two arrays or more, each an array of options, each a string such \
             as \"train.batch=64\", got an array with \"train.k\": expected key=value, such as train.batch=64",
        ),
        (
            format!("{lr}[design]\napart = true\n"),
            "s.toml:7: design.apart needs cells, keys of the space with kind = \"choice\" or \"cases\", and keys beside them",
        ),
        (
            "[space.k]\nkind = 'choice'\nvalues = [1, 2]\n[design]\napart = true\n".to_owned(),
            "s.toml:7: design.apart needs cells, keys of the space with kind = \"choice\" or \"cases\", and keys beside them",
        ),
        (
            "[space.b]\nkind = 'cases'\ncases = [['a=1'], ['a=2']]\nnames = ['one']\n".to_owned(),
            "s.toml:6: space.b.names must have one for each of the 2 cases, got 1",
        ),
        (
            "[space.b]\nkind = 'cases'\ncases = [['a=1'], ['a=2']]\nnames = ['one', 'one']\n".to_owned(),
            "s.toml:6: space.b.names must be an array of different names of the cases, got an array with \"one\" twice",
        ),
        (
            format!("{lr}[space.b]\nkind = 'cases'\ncases = [['optimizer.lr=1'], ['train.k=2']]\n"),
            "s.toml:3: space.optimizer.lr sets optimizer.lr, as space.b does",
        ),
        (
            format!("{lr}[space.'optimizer.lr']\nlo = 0.1\nhi = 1\n"),
            "s.toml:6: space.optimizer.lr sets optimizer.lr, as space.optimizer.lr does",
        ),
        (
            format!("{lr}[space.optimizer.lr]\nlo = 0.1\nhi = 1\n"),
            "s.toml:6: not TOML: duplicate key",
        ),
        (
            format!("set = ['optimizer.lr=1']\n{lr}"),
            "s.toml:4: space.optimizer.lr sets optimizer.lr, as set does",
        ),
        (
            format!("set = ['seed=1']\n{lr}"),
            "s.toml:3: set sets seed, which is for seeds",
        ),
        (
            "[space.seed]\nkind = 'whole'\nlo = 1\nhi = 9\n".to_owned(),
            "s.toml:3: space.seed sets seed, as seeds does",
        ),
        (
            format!("[design]\nkind = 'grid'\n{lr}"),
            "s.toml:5: space.optimizer.lr needs points with design.kind = \"grid\"",
        ),
        (
            "[design]\nkind = 'grid'\n[space.n]\nkind = 'whole'\nlo = 1\nhi = 5000\n".to_owned(),
            "s.toml:5: space.n needs points with design.kind = \"grid\": from 1 to 5000 there are more than 1000",
        ),
        (
            format!("{lr}points = 3\n"),
            "s.toml:6: space.optimizer.lr.points is not used here, only with design.kind = \"grid\"",
        ),
        (
            "[design]\nkind = 'grid'\n[space]\na = { lo = 0, hi = 1, points = 1000 }\nb = { lo = 0, hi = 1, points = 1000 }\n\
             c = { lo = 0, hi = 1, points = 2 }\n"
                .to_owned(),
            "s.toml:3: design has more than 1000000 settings",
        ),
        (
            format!("budget = 0\n{lr}"),
            "s.toml:3: budget must be a whole number from 1 to 1000000000, got 0",
        ),
        (
            format!("budget = 119\n{lr}"),
            "s.toml:3: budget is 119 trials, but the design has 120 settings x 1 seeds = 120",
        ),
        (
            format!("[design]\nkind = 'random'\nsettings = 0\n{lr}"),
            "s.toml:5: design.settings must be a whole number from 1 to 1000000, got 0",
        ),
        (
            format!("[design]\nkind = 'gp-ucd'\n{lr}"),
            "s.toml:4: design.kind must be one of \"grid\", \"random\", \"latin-hypercube\", \"gp-ucb\", got \"gp-ucd\", did \
             you mean \"gp-ucb\"?",
        ),
        (
            format!("[design]\nkind = 'grid'\nbatch = 3\n{lr}points = 2\n"),
            "s.toml:5: design.batch is not used here, only with kind = \"gp-ucb\"",
        ),
        (
            format!("seeds = []\n{lr}"),
            "s.toml:3: seeds must be an array of 1 to 1000 different whole numbers from 0 to 9223372036854775807, got an array of 0",
        ),
        (
            format!("seeds = [1, 1]\n{lr}"),
            "s.toml:3: seeds must be an array of 1 to 1000 different whole numbers from 0 to 9223372036854775807, got an array with 1 \
             twice",
        ),
        (
            format!("score_scale = 'log10'\nfailed_score = 0\n{lr}"),
            "s.toml:4: failed_score must be above 0 with score_scale = \"log10\", got 0.0",
        ),
        (
            format!("direction = 'min'\n{lr}"),
            "s.toml:3: direction must be one of \"lower\", \"higher\", got \"min\"",
        ),
        (
            format!("tries = 0\n{lr}"),
            "s.toml:3: tries must be a whole number from 1 to 100, got 0",
        ),
        (
            format!("cells = ['optimizer.lr']\n{lr}"),
            "s.toml:3: cells has \"optimizer.lr\", which is no key of the space with kind = \"choice\" or \"cases\": there \
             is none",
        ),
        (
            "cells = ['train.K', 'loss']\n[space.train.k]\nkind = 'choice'\nvalues = [1, 5]\n[space.loss]\nkind = \
             'choice'\nvalues = [1, 2]\n"
                .to_owned(),
            "s.toml:3: cells has \"train.K\", which is no key of the space with kind = \"choice\" or \"cases\": there are \
             loss, train.k, did you mean \"train.k\"?",
        ),
        (
            format!("cells = ['a', 'a']\n{lr}"),
            "s.toml:3: cells must be an array of different names of keys, got an array with \"a\" twice",
        ),
        (
            format!("cells = 'a'\n{lr}"),
            "s.toml:3: cells must be an array of different names of keys, got \"a\"",
        ),
        (
            format!("sed = 0\n{lr}"),
            "s.toml:3: unknown key sed, did you mean set?",
        ),
    ];
    let wrong = cases
        .iter()
        .map(|(rest, expected)| (rest, wrong(rest), *expected));
    let others: Vec<_> = wrong
        .filter(|(_, found, expected)| found != expected)
        .collect();
    assert!(others.is_empty(), "{others:#?}");
    let bare = Study::from_toml("[space.a]\nlo = 0\nhi = 1\n", "s.toml").unwrap_err();
    let expected = "2 errors in the configuration:\n  \
                    s.toml:1: base must be given: a preset's name or the path of a TOML file\n  \
                    s.toml:1: score must be given: the name of a score's column, such as \"fid\"";
    assert_eq!(bare.to_string(), expected);
}

#[test]
fn values_are_told_in_few_words_and_as_numbers() {
    let study = Study::from_toml(GOOD, "study.toml").unwrap();
    let told = |c: usize, u: f64| (study.space[c].label(u), study.space[c].value(u));
    assert_eq!(told(0, 0.2), ("beta2=0.9 k=5".to_owned(), 0.0));
    assert_eq!(told(1, 0.9), ("hinge".to_owned(), 2.0));
    assert_eq!(told(2, 0.0), ("16".to_owned(), 16.0));
    assert_eq!(told(3, 0.25), ("0.25".to_owned(), 0.25));
    assert_eq!(study.space[4].stretch(), Some(([1e-5, 1e-2], Scale::Log10)));
    assert_eq!(study.space[2].stretch(), Some(([15.5, 256.5], Scale::Log2)));
    assert_eq!(study.space[0].stretch(), None);
    let cases = |cases: &str| {
        let text = format!("base = 'a'\nscore = 'b'\n[space.x]\nkind = 'cases'\ncases = {cases}\n");
        let study = Study::from_toml(&text, "study.toml").unwrap();
        let n = study.space[0].choices().unwrap() as f64;
        let at = |i: usize| study.space[0].label((i as f64 + 0.5) / n);
        (at(0), at(1))
    };
    let two = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    let all_the_same = cases("[[\"a.norm='bn'\", 'k=1'], ['k=1']]");
    assert_eq!(all_the_same, two("norm=bn", "as it is"));
    let named = "[['a.k=1'], ['b.k=1']]\nnames = ['no norm', 'batch']";
    assert_eq!(cases(named), two("no norm", "batch"));
    let alike = cases("[['a.k=1'], ['b.k=1']]");
    assert_eq!(alike, two("case 1: a.k=1", "case 2: b.k=1"));
}

#[test]
fn the_page_of_keys_is_that_of_the_documentation() {
    assert_eq!(
        crate::keys_page().trim_end(),
        include_str!("../../../../docs/study.md").trim_end(),
        "run: ganforge study keys > docs/study.md"
    );
}

#[test]
fn names_of_cases_are_no_part_of_what_is_searched() {
    let named = GOOD.replace(
        "kind = \"cases\"\n",
        "kind = \"cases\"\nnames = [\"five\", \"one\"]\n",
    );
    let [without, with] = [GOOD, &named].map(|text| Study::from_toml(text, "study.toml").unwrap());
    assert_eq!(with.space[0].label(0.0), "five");
    assert_eq!(without.fingerprint(), with.fingerprint());
    assert!(!without.to_toml().contains("names"));
    let written = with.to_toml();
    assert_eq!(Study::from_toml(&written, "again.toml").unwrap(), with);
}
