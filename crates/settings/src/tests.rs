//! The macros on small structs of every form.

use std::sync::Arc;

use super::{
    Brought, Change, Choice, ConfigError, OnOneLine, Settings, Table, Tables, above, list, merge,
    page, parse, read, read_over, settings, whole, write,
};

settings! {
    /// A penalty on the slope.
    pub struct Slope {
        /// Its factor.
        pub weight: f64 = 10.0, above(0.0, 1000.0);
    }
}

settings! {
    /// Without settings.
    pub struct Plain {}
}

list! {
    /// Penalties.
    pub enum Penalty: dyn Term by "kind" { "plain" => Plain(Plain), "slope" was "steepness" => Slope(Slope) }
}

/// What a penalty does.
pub trait Term: std::fmt::Debug + Send + Sync {
    /// Its factor.
    fn weight(&self) -> f64;
}

impl Term for Slope {
    fn weight(&self) -> f64 {
        self.weight
    }
}

impl Term for Plain {
    fn weight(&self) -> f64 {
        1.0
    }
}

settings! {
    /// An inner table.
    pub struct Inner {
        /// A number.
        pub n: usize = 3, whole(1, 9);
    }
}

settings! {
    /// A penalty among other keys.
    pub struct Counted {
        /// The penalty.
        pub kind: Penalty = Penalty::default();
        /// How often.
        pub times: usize = 1, whole(1, 9);
    }
}

settings! {
    /// All.
    pub struct All {
        /// On one line.
        pub short: Vec<Penalty> = vec![Penalty::Plain(Plain {})], OnOneLine;
        /// One.
        pub one: Penalty = Penalty::Slope(Slope::default());
        /// Perhaps.
        pub inner: Option<Inner> = None;
        /// As tables.
        #[was("old")]
        pub many as "penalty": Vec<Counted> = Vec::new(), Tables;
    }
}

fn table(text: &str) -> Table {
    let mut root = Table::new();
    merge(
        &mut root,
        parse(text, "a.toml").unwrap(),
        &All::keys(),
        &mut Vec::new(),
    );
    root
}

fn laid(texts: &[&str], options: &[&str]) -> Result<All, ConfigError> {
    let (mut root, mut faults) = (Table::new(), Vec::new());
    for text in texts {
        merge(&mut root, parse(text, "a.toml")?, &All::keys(), &mut faults);
    }
    for option in options {
        Change::parse(option)?.apply(&mut root, &All::keys(), &mut faults);
    }
    match faults.is_empty() {
        true => read(&root, "a.toml"),
        false => Err(ConfigError::new(faults)),
    }
}

#[test]
fn lists_of_alternatives_are_read_changed_and_written() {
    let text = "short = ['slope', { kind = 'plain' }]\n[[penalty]]\nkind = 'slope'\nweight = 2\n";
    let all = laid(&[text], &[]).unwrap();
    let weights: Vec<f64> = all.short.iter().map(|p| p.weight()).collect();
    assert_eq!((weights, all.many[0].kind.weight()), (vec![10.0, 1.0], 2.0));
    let written = "short = [{ kind = \"slope\", weight = 10.0 }, \"plain\"]\nkind = \"slope\"\nweight = 10.0\n\n\
                   [[penalty]]\nkind = \"slope\"\nweight = 2.0\ntimes = 1\n";
    assert_eq!(write(&all), written);
    assert_eq!(laid(&[written], &[]).unwrap(), all);
    let changed = laid(
        &[text, "[old.slope]\nweight = 3"],
        &["short.slope.weight=4", "short-=plain"],
    );
    let changed = changed.unwrap();
    assert_eq!(
        (changed.many[0].kind.weight(), changed.short.len()),
        (3.0, 1)
    );
    assert_eq!(changed.short[0].weight(), 4.0);
    let wrong = laid(&["short = ['slop', 3, { weight = 1 }]"], &[]).unwrap_err();
    let expected = "\
3 errors in the configuration:
  a.toml:1: short[1] must be a table, got 3
  a.toml:1: short.slop.kind must be one of \"plain\", \"slope\", got \"slop\", did you mean \"slope\"?
  a.toml:1: short[2].weight is not used here, only with kind = \"slope\"";
    assert_eq!(wrong.to_string(), expected);
}

#[test]
fn alternatives_are_read_by_the_names_that_they_had_once() {
    let text =
        "kind = 'steepness'\nweight = 4\nshort = ['steepness']\n[[penalty]]\nkind = 'steepness'\n";
    let options = ["short.steepness.weight=5", "old.steepness.weight=6"];
    let all = laid(&[text, "kind = 'slope'"], &options).unwrap();
    let weights = [&all.one, &all.short[0], &all.many[0].kind].map(|p| p.weight());
    assert_eq!(weights, [4.0, 5.0, 6.0]);
    assert!(!write(&all).contains("steepness"));
}

#[test]
fn a_table_that_need_not_be_there_is_written_where_it_is() {
    assert_eq!(laid(&[""], &[]).unwrap().inner, None);
    let all = laid(&["[inner]\n"], &["inner.n=5"]).unwrap();
    assert_eq!(all.inner, Some(Inner { n: 5 }));
    assert!(write(&all).contains("\n[inner]\nn = 5\n"));
}

/// One that no list has.
#[derive(Debug)]
struct Mine;

impl Term for Mine {
    fn weight(&self) -> f64 {
        7.0
    }
}

#[test]
fn an_alternative_from_outside_is_written_by_name_and_read_by_who_has_it() {
    let mine = |settings: &str| {
        Penalty::Own(Brought {
            name: "mine".into(),
            settings: settings.into(),
            value: Arc::new(Mine),
        })
    };
    let all = All {
        one: mine("a = 1"),
        ..All::default()
    };
    assert!(all.one.clone().get_mut().is_none() && Penalty::default().get_mut().is_some());
    let text = write(&all);
    assert!(
        text.contains("kind = \"own:mine\"\nsettings = \"a = 1\"\n"),
        "{text}"
    );
    let table = table(&text);
    let again = read_over(&table, "a.toml", &all).unwrap();
    assert_eq!((again.one.weight(), &again), (7.0, &all));
    let other = All {
        one: mine("a = 2"),
        ..All::default()
    };
    for error in [
        read::<All>(&table, "a.toml"),
        read_over(&table, "a.toml", &other),
    ] {
        let expected = "a.toml:2: kind = \"own:mine\" is of the program that wrote it, this one has no such thing";
        assert_eq!(error.unwrap_err().to_string(), expected);
    }
}

settings! {
    /// With or without a penalty.
    pub struct Optional {
        /// One, or none.
        pub penalty: Option<Penalty> = None, Choice;
    }
}

/// `text`, changed by options.
fn optional(text: &str, options: &[&str]) -> Result<Optional, ConfigError> {
    let (mut root, mut faults, keys) = (Table::new(), Vec::new(), Optional::keys());
    merge(&mut root, parse(text, "a.toml")?, &keys, &mut faults);
    for option in options {
        Change::parse(option)?.apply(&mut root, &keys, &mut faults);
    }
    assert_eq!(faults, []);
    read(&root, "a.toml")
}

#[test]
fn a_choice_that_may_be_none_is_a_kind_or_a_table_and_is_not_written_where_it_is_none() {
    let read = |text: &str, options: &[&str]| optional(text, options).unwrap();
    assert_eq!(write(&read("", &[])), "");
    assert_eq!(write(&read("penalty = 'none'", &[])), "");
    let plain = read("penalty = 'plain'", &[]);
    assert_eq!(write(&plain), "penalty = \"plain\"\n");
    let slope = "penalty = { kind = \"slope\", weight = 2.0 }\n";
    assert_eq!(write(&read(slope, &[])), slope);
    assert_eq!(
        read("penalty = 'steepness'", &[]),
        read("penalty = 'slope'", &[])
    );
    for options in [
        &["penalty=slope", "penalty.weight=2"][..],
        &["penalty.kind=slope", "penalty.weight=2"],
        &["penalty={kind=\"slope\", weight=2}"],
    ] {
        assert_eq!(write(&read("penalty = 'plain'", options)), slope);
    }
    assert_eq!(read(slope, &["penalty=none"]).penalty, None);
    assert_eq!(read(slope, &["penalty=plain"]), plain);
    assert_eq!(read(slope, &["penalty.kind=plain"]), plain);
    let refused = |text: &str| optional(text, &[]).unwrap_err().to_string();
    let message = refused("\npenalty = 'slop'");
    assert!(
        message.contains("a.toml:2: penalty.kind must be one of"),
        "{message}"
    );
    assert!(message.contains("did you mean \"slope\"?"), "{message}");
    let message = refused("penalty = 3");
    assert!(
        message.contains("a.toml:1: penalty must be \"none\", a kind, or"),
        "{message}"
    );
    let message = refused("penalty = { kind = 'plain', weight = 2 }");
    assert!(
        message.contains("penalty.weight is not used here"),
        "{message}"
    );
}

#[test]
fn options_that_do_not_end_are_refused_by_what_they_lack() {
    for (option, expected) in [
        ("a=\"x", "the \" after the = has no other one that ends it"),
        ("a='x", "the ' after the = has no other one that ends it"),
        (
            "a=\"x\\\"",
            "the \" after the = has no other one that ends it",
        ),
        ("a=[\"x\"", "the [ after the = is not closed"),
        ("a+={name=\"x\"", "the { after the = is not closed"),
        ("a=[x]", "text in an array or a table needs quotes"),
    ] {
        let fault = Change::parse(option).err().expect(option);
        assert!(fault.message.contains(expected), "{option}: {fault}");
    }
    assert!(Change::parse("a=['x', \"]\"]").is_ok());
}

#[test]
fn long_options_and_many_faults_are_cut() {
    let long = format!("a=[{}]", "1,".repeat(200));
    assert_eq!(
        crate::origin(&long).len(),
        "--set ".len() + 80 + "...".len()
    );
    assert_eq!(crate::origin("a=1"), "--set a=1");
    let faults = (0..200).map(|i| crate::Fault::whole("x", i.to_string()));
    let shown = ConfigError::new(faults.collect()).to_string();
    assert_eq!(shown.lines().count(), 22, "{shown}");
    assert!(shown.ends_with("\n  and 180 more"), "{shown}");
}

settings! {
    /// As steep.
    pub struct Steep {
        /// Its factor.
        pub weight: f64 = 10.0, above(0.0, 1000.0);
    }
}

settings! {
    /// Less steep.
    pub struct Flatter {
        /// Its factor.
        pub weight: f64 = 0.5, above(0.0, 1000.0);
    }
}

list! {
    /// Slopes.
    pub enum Slopes by "kind" { "slope" => Slope(Slope), "steep" => Steep(Steep), "flatter" => Flatter(Flatter) }
}

settings! {
    /// All of them.
    pub struct OneOfThem {
        /// One.
        pub one: Slopes = Slopes::default();
    }
}

#[test]
fn a_key_of_several_alternatives_is_shown_once_for_each_default() {
    let page = page(&OneOfThem::keys());
    let shown: Vec<&str> = page
        .lines()
        .filter(|l| l.starts_with("- `weight"))
        .collect();
    let takes = "Its factor. A number above 0 and at most 1000.";
    let expected = [
        format!("- `weight = 10.0`, with kind = \"slope\" or kind = \"steep\": {takes}"),
        format!("- `weight = 0.5`, with kind = \"flatter\": {takes}"),
    ];
    assert_eq!(shown, expected);
}
