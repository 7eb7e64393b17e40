//! What a study searches: keys of the configuration, each with the values that it may take.

use std::collections::BTreeSet;

use ganforge_settings::{
    Change, Key, Maybe, Reader, Scalar, Setting, Shape, Takes, Value, Writer, closed, list, quoted,
    settings, whole,
};

mod lists;

use lists::{ListsOfOptions, Scalars};
pub(crate) use lists::{Names, Options};

list! {
    /// How numbers are spread between the smallest and the largest.
    pub enum Scale {
        /// Equal differences count alike.
        "linear" => Linear,
        /// Equal factors count alike; plots have their ticks at powers of ten.
        "log10" => Log10,
        /// Equal factors count alike; plots have their ticks at powers of two.
        "log2" => Log2,
    }
}

impl Scale {
    /// Where a number is on the scale; NaN or an infinity where it has no logarithm.
    pub fn of(self, x: f64) -> f64 {
        match self {
            Scale::Linear => x,
            Scale::Log10 => x.log10(),
            Scale::Log2 => x.log2(),
        }
    }

    /// The number at a place of the scale.
    pub fn back(self, place: f64) -> f64 {
        match self {
            Scale::Linear => place,
            Scale::Log10 => 10f64.powf(place),
            Scale::Log2 => place.exp2(),
        }
    }
}

settings! {
    /// A number from `lo` to `hi`, as the nearest f32 is written.
    #[derive(Copy)]
    pub struct Real {
        /// The smallest.
        #[shown("none: it must be given")]
        pub lo: f64 = 0.0, closed(-1e9, 1e9);
        /// The largest.
        #[shown("none: it must be given")]
        pub hi: f64 = 1.0, closed(-1e9, 1e9);
        /// How values are spread between them.
        pub scale: Scale = Scale::Linear;
        /// With the design `grid`, which needs it: so many values, evenly on the scale.
        pub points: Option<usize> = None, Maybe(whole(2, 1000));
    }
    check Real::check;
}

impl Real {
    fn check(&mut self, table: &Reader<'_>) {
        Ends::of(self.lo, self.hi, self.scale).check(table);
    }

    fn ends(&self) -> Ends {
        Ends::of(self.lo, self.hi, self.scale)
    }
}

settings! {
    /// A whole number from `lo` to `hi`.
    #[derive(Copy)]
    pub struct Whole {
        /// The smallest.
        #[shown("none: it must be given")]
        pub lo: usize = 0, whole(0, 1_000_000_000);
        /// The largest.
        #[shown("none: it must be given")]
        pub hi: usize = 1, whole(0, 1_000_000_000);
        /// How values are spread between them.
        pub scale: Scale = Scale::Linear;
        /// With the design `grid`: so many values, evenly on the scale, instead of all.
        pub points: Option<usize> = None, Maybe(whole(2, 1000));
    }
    check Whole::check;
}

impl Whole {
    fn check(&mut self, table: &Reader<'_>) {
        Ends::of(self.lo as f64, self.hi as f64, self.scale).check(table);
    }

    /// Each number is the middle of a stretch of length 1, so that the first and the last are drawn as often as the others.
    fn ends(&self) -> Ends {
        Ends::of(self.lo as f64 - 0.5, self.hi as f64 + 0.5, self.scale)
    }

    fn nearest(&self, u: f64) -> usize {
        let x = self.ends().at(u).round();
        (x.max(0.0) as usize).clamp(self.lo, self.hi)
    }
}

settings! {
    /// One of a list of values, whose order means nothing.
    pub struct Choice {
        /// The values: numbers, words, true or false.
        #[shown("none: it must be given")]
        pub values: Vec<String> = Vec::new(), Scalars;
    }
    check Choice::check;
}

impl Choice {
    fn check(&mut self, table: &Reader<'_>) {
        if self.values.is_empty() {
            table.fault("values", &format!("must be {}", Scalars.what()));
        }
    }
}

settings! {
    /// One of a list of cases, each of which sets several keys at once; the table's name is free.
    pub struct Cases {
        /// For each case its options, written as after `--set`.
        #[shown("none: it must be given")]
        pub cases: Vec<Vec<String>> = Vec::new(), ListsOfOptions;
        /// What reports call them, one after the other.
        #[shown("their options, in short")]
        pub names: Option<Vec<String>> = None, Maybe(Names("the cases"));
    }
    check Cases::check;
}

impl Cases {
    fn check(&mut self, table: &Reader<'_>) {
        if self.cases.is_empty() {
            table.fault("cases", &format!("must be {}", ListsOfOptions.what()));
        } else if let Some(names) = &self.names
            && names.len() != self.cases.len()
        {
            let (names, cases) = (names.len(), self.cases.len());
            table.fault(
                "names",
                &format!("must have one for each of the {cases} cases, got {names}"),
            );
        }
    }
}

list! {
    /// What values a key may take.
    pub enum Range by "kind" {
        "real" => Real(Real),
        "whole" => Whole(Whole),
        "choice" => Choice(Choice),
        "cases" => Cases(Cases),
    }
}

/// Two numbers on a scale: the stretch that the unit interval stands for.
#[derive(Clone, Copy)]
struct Ends {
    lo: f64,
    hi: f64,
    scale: Scale,
}

impl Ends {
    fn of(lo: f64, hi: f64, scale: Scale) -> Ends {
        Ends { lo, hi, scale }
    }

    fn check(&self, table: &Reader<'_>) {
        let Ends { lo, hi, scale } = self;
        let missing: Vec<&str> = ["lo", "hi"].into_iter().filter(|k| !table.has(k)).collect();
        if !missing.is_empty() {
            return table.fault("", &format!("must have {}", missing.join(" and ")));
        }
        if lo >= hi {
            table.fault("lo", &format!("must be below hi = {hi:?}, got {lo:?}"));
        } else if *lo as f32 >= *hi as f32 {
            table.fault("lo", &format!("is the same in f32 as hi = {hi:?}"));
        } else if *scale != Scale::Linear && *lo <= 0.0 {
            let name = scale.name();
            table.fault(
                "lo",
                &format!("must be above 0 with scale = {name:?}, got {lo:?}"),
            );
        }
    }

    fn at(&self, u: f64) -> f64 {
        let [lo, hi] = [self.lo, self.hi].map(|x| self.scale.of(x));
        self.scale.back(lo + (hi - lo) * u)
    }

    fn place(&self, x: f64) -> f64 {
        let [lo, hi, x] = [self.lo, self.hi, x].map(|x| self.scale.of(x));
        ((x - lo) / (hi - lo)).clamp(0.0, 1.0)
    }
}

/// A key, or a name for several, and what it may be. A place in [0, 1] stands for each of its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Dimension {
    /// The key of the configuration; of cases a free name.
    pub key: String,
    /// What it may be.
    pub range: Range,
}

impl Dimension {
    /// How many values there are, if they have no order.
    pub fn choices(&self) -> Option<usize> {
        match &self.range {
            Range::Choice(c) => Some(c.values.len()),
            Range::Cases(c) => Some(c.cases.len()),
            Range::Real(_) | Range::Whole(_) => None,
        }
    }

    /// The place of the value that stands at `u`: that of a number as it is written, the middle of a choice's share.
    pub fn snapped(&self, u: f64) -> f64 {
        match (&self.range, self.choices()) {
            (_, Some(n)) => (share(n, u) as f64 + 0.5) / n as f64,
            (Range::Whole(w), _) => w.ends().place(w.nearest(u) as f64),
            (Range::Real(r), _) => r.ends().place(as_written(r, u).1),
            _ => u,
        }
    }

    /// The options that give the value at `u`, as [`Change::parse`] takes them.
    pub fn options(&self, u: f64) -> Vec<String> {
        let one = |value: &str| vec![format!("{}={value}", self.key)];
        match &self.range {
            Range::Real(r) => one(&as_written(r, u).0),
            Range::Whole(w) => one(&w.nearest(u).to_string()),
            Range::Choice(c) => one(&c.values[share(c.values.len(), u)]),
            Range::Cases(c) => c.cases[share(c.cases.len(), u)].clone(),
        }
    }

    /// The same without what reports call its values.
    pub(crate) fn without_names(&self) -> Dimension {
        let mut bare = self.clone();
        if let Range::Cases(cases) = &mut bare.range {
            cases.names = None;
        }
        bare
    }

    /// The value at `u` in few words: a number, a word without quotes, of a case its name, else the ends of its keys and
    /// their values.
    pub fn label(&self, u: f64) -> String {
        let Range::Cases(cases) = &self.range else {
            let options = self.options(u);
            let value = options.first().and_then(|o| o.split_once('='));
            return value.map_or(String::new(), |(_, value)| bare(value));
        };
        let here = share(cases.cases.len(), u);
        if let Some(names) = &cases.names {
            return names[here].clone();
        }
        let by_all = |option: &String| cases.cases.iter().all(|c| c.contains(option));
        let short = |option: &String| match option.split_once('=') {
            Some((key, value)) => {
                let key = key.rsplit('.').next().unwrap_or(key);
                format!("{key}={}", bare(value))
            }
            None => option.clone(),
        };
        let told = |case: &Vec<String>| -> String {
            let told: Vec<String> = case.iter().filter(|o| !by_all(o)).map(short).collect();
            told.join(" ")
        };
        let all: Vec<String> = cases.cases.iter().map(told).collect();
        match all[here].as_str() {
            _ if all.iter().filter(|l| **l == all[here]).count() > 1 => {
                format!("case {}: {}", here + 1, cases.cases[here].join(" "))
            }
            "" => "as it is".to_owned(),
            label => label.to_owned(),
        }
    }

    /// The value at `u` as a number: of one of a list its place, from 0.
    pub fn value(&self, u: f64) -> f64 {
        match (&self.range, self.choices()) {
            (_, Some(n)) => share(n, u) as f64,
            (Range::Whole(w), _) => w.nearest(u) as f64,
            (Range::Real(r), _) => as_written(r, u).1,
            _ => u,
        }
    }

    /// Of numbers what the places 0 and 1 stand for, and the scale between them; a whole number is the middle of a stretch
    /// of length 1.
    pub fn stretch(&self) -> Option<([f64; 2], Scale)> {
        let ends = match &self.range {
            Range::Real(r) => r.ends(),
            Range::Whole(w) => w.ends(),
            Range::Choice(_) | Range::Cases(_) => return None,
        };
        Some(([ends.lo, ends.hi], ends.scale))
    }

    /// The places that a grid has.
    ///
    /// # Errors
    ///
    /// A number of any value without `points`.
    pub fn grid(&self) -> Result<Vec<f64>, String> {
        let evenly = |points: usize, ends: Ends| -> Vec<f64> {
            let last = (points - 1) as f64;
            (0..points).map(|i| ends.at(i as f64 / last)).collect()
        };
        match (&self.range, self.choices()) {
            (_, Some(n)) => Ok((0..n).map(|i| (i as f64 + 0.5) / n as f64).collect()),
            (Range::Real(r), _) => {
                let points = r.points.ok_or("needs points with design.kind = \"grid\"")?;
                let ends = r.ends();
                let values = evenly(points, ends);
                Ok(values.iter().map(|x| ends.place(*x)).collect())
            }
            (Range::Whole(w), _) => {
                let values: BTreeSet<usize> = match w.points {
                    None if w.hi - w.lo >= MOST_OF_A_KEY => {
                        return Err(format!(
                            "needs points with design.kind = \"grid\": from {} to {} there are more than {MOST_OF_A_KEY}",
                            w.lo, w.hi
                        ));
                    }
                    None => (w.lo..=w.hi).collect(),
                    Some(points) => {
                        let ends = Ends::of(w.lo as f64, w.hi as f64, w.scale);
                        let values = evenly(points, ends);
                        values.iter().map(|x| x.round() as usize).collect()
                    }
                };
                Ok(values.iter().map(|n| w.ends().place(*n as f64)).collect())
            }
            _ => Ok(Vec::new()),
        }
    }

    /// Whether it says how many points a grid has.
    pub fn has_points(&self) -> bool {
        match &self.range {
            Range::Real(r) => r.points.is_some(),
            Range::Whole(w) => w.points.is_some(),
            Range::Choice(_) | Range::Cases(_) => false,
        }
    }

    /// The keys of the configuration that it sets.
    pub fn keys(&self) -> BTreeSet<&str> {
        match &self.range {
            Range::Cases(c) => c.cases.iter().flatten().map(|o| key_of(o)).collect(),
            _ => [self.key.as_str()].into(),
        }
    }
}

/// Most values of a whole number in a grid.
const MOST_OF_A_KEY: usize = 1000;

/// A value of TOML, of a string what it says.
pub(crate) fn bare(value: &str) -> String {
    let inside = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    match (serde_json::from_str::<String>(value), inside('\'')) {
        (Ok(text), _) => text,
        (_, Some(text)) => text.to_owned(),
        _ => value.to_owned(),
    }
}

/// The share of [0, 1] in which `u` lies, of `n` equal ones.
fn share(n: usize, u: f64) -> usize {
    ((u * n as f64) as usize).min(n - 1)
}

/// The number at `u`, as the nearest f32 is written, and as f64: with no more digits than training can use.
fn as_written(r: &Real, u: f64) -> (String, f64) {
    let x = r.ends().at(u);
    let x: f64 = format!("{:?}", x as f32).parse().unwrap_or(x);
    let x = x.clamp(r.lo, r.hi);
    (format!("{x:?}"), x)
}

/// The key of an option.
pub(crate) fn key_of(option: &str) -> &str {
    let key = option.split('=').next().unwrap_or("");
    key.trim_end_matches(['+', '-']).trim()
}

/// Tables by the keys of a configuration, in the order of their names; `[space.optimizer.lr]` is
/// `[space."optimizer.lr"]`.
pub(crate) struct Keyed;

fn range_keys() -> Vec<Key> {
    Range::keys("", &Range::default())
}

impl Takes<Vec<Dimension>> for Keyed {
    fn keys(&self, name: &'static str, _default: &Vec<Dimension>) -> Vec<Key> {
        let takes = "a table for each key of the configuration, as in [space.optimizer.lr]";
        let shape = Shape::Named(range_keys);
        let key = Key::value(name, takes, "none: it must be given");
        vec![Key { shape, ..key }]
    }

    fn read(
        &self,
        table: &Reader<'_>,
        key: &'static str,
        default: Vec<Dimension>,
    ) -> Vec<Dimension> {
        let leaves = leaves(table, key);
        let dimension = |(key, table): &(String, Reader<'_>)| {
            let range = Range::read(table, "", Range::default());
            table.refuse_unused(&range_keys());
            let is_key =
                matches!(range, Range::Cases(_)) || Change::parse(&format!("{key}=0")).is_ok();
            if !is_key {
                table.fault("", "is not the name of a key, such as space.optimizer.lr");
            }
            Dimension {
                key: key.clone(),
                range,
            }
        };
        match leaves.as_slice() {
            [] => default,
            leaves => leaves.iter().map(dimension).collect(),
        }
    }

    fn write(&self, dimensions: &Vec<Dimension>, key: &str, to: &mut Writer) {
        to.section(key, |to| {
            for dimension in dimensions {
                to.section(&quoted(&dimension.key), |to| dimension.range.write("", to));
            }
        });
    }
}

/// The tables that are keys of the configuration, with their names.
pub(crate) fn leaves<'a>(table: &Reader<'a>, key: &str) -> Vec<(String, Reader<'a>)> {
    let mut found = Vec::new();
    if let Some(space) = table.section(key) {
        collect(&space, "", &mut found);
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn collect<'a>(table: &Reader<'a>, path: &str, found: &mut Vec<(String, Reader<'a>)>) {
    for name in table.written() {
        let Some(item) = table.get(name) else {
            continue;
        };
        let key = match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        let is_group = |inner: &ganforge_settings::Table| {
            !inner.is_empty() && inner.values().all(|i| matches!(i.value, Value::Table(_)))
        };
        let Some(inner) = table.open(item, table.full(name)) else {
            continue;
        };
        match &item.value {
            Value::Table(items) if is_group(items) => collect(&inner, &key, found),
            _ => found.push((key, inner)),
        }
    }
}
