//! Scores: numbers under the names of their columns.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, json};

use crate::{Column, Error, MetricKind};

/// The numbers of a metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// One for each of [`Metric::columns`](crate::Metric::columns).
    pub values: Vec<f64>,
    /// Where the data have several folds, the numbers of each.
    pub folds: Vec<Numbers>,
}

impl Numbers {
    /// Numbers without folds.
    pub fn of(values: impl Into<Vec<f64>>) -> Numbers {
        Numbers {
            values: values.into(),
            folds: Vec::new(),
        }
    }

    /// The first N; NaN where there are fewer.
    pub fn array<const N: usize>(&self) -> [f64; N] {
        std::array::from_fn(|i| self.values.get(i).copied().unwrap_or(f64::NAN))
    }
}

/// What a metric says of a generator's samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// The metric.
    pub kind: MetricKind,
    /// Its numbers.
    pub numbers: Numbers,
}

impl Score {
    /// # Errors
    /// Other than one number for each column.
    pub fn new(kind: MetricKind, numbers: Numbers) -> Result<Score, Error> {
        let (columns, values) = (kind.columns().len(), numbers.values.len());
        match columns == values {
            true => Ok(Score { kind, numbers }),
            false => Err(Error::Other(format!(
                "{}: {values} numbers for {columns} columns",
                kind.name()
            ))),
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind.sentence(&self.numbers))
    }
}

/// One number of a run's scores.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its name among all of the run: [`Column::name`], after that of the metric where two have such a column, before what
    /// it [looks at images with](crate::Metric::extraction).
    pub name: String,
    /// What it is.
    pub column: Column,
    /// The number.
    pub value: f64,
}

/// What all metrics of a run say; JSON has them as one object, see [`Scores::read`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scores(pub Vec<Score>);

impl Scores {
    /// The columns of runs with these metrics, under their names.
    pub fn columns(metrics: &[MetricKind]) -> Vec<(String, Column)> {
        // Two metrics of a kind look at images with different networks, or one of them is refused: Scores::named_twice.
        let count = |column: Column| {
            let kinds = metrics.iter().map(|m| (m.name(), m.columns()));
            let has = kinds.filter(|(_, columns)| columns.iter().any(|c| c.name == column.name));
            has.map(|(name, _)| name).collect::<BTreeSet<_>>().len()
        };
        let named = |metric: &MetricKind, column: Column| {
            let name = match count(column) {
                0 | 1 => column.name.to_owned(),
                _ => format!("{}_{}", metric.name().replace('-', "_"), column.name),
            };
            let of_kind = metrics.iter().filter(|m| m.name() == metric.name());
            let is_of_several = of_kind.count() > 1;
            let looks = metric.extraction();
            match looks.filter(|_| is_of_several || column.better.is_some()) {
                Some(looks) => (format!("{name}_{}", looks.label()), column),
                None => (name, column),
            }
        };
        let of = |metric: &MetricKind| -> Vec<(String, Column)> {
            let columns = metric.columns().into_iter();
            columns.map(|column| named(metric, column)).collect()
        };
        metrics.iter().flat_map(of).collect()
    }

    /// A name that two columns of such runs would have.
    pub fn named_twice(metrics: &[MetricKind]) -> Option<String> {
        let mut seen = BTreeSet::new();
        let mut names = Scores::columns(metrics).into_iter().map(|(name, _)| name);
        names.find(|name| !seen.insert(name.clone()))
    }

    /// The names of [`Scores::columns`], as scores.csv has them after step and epoch.
    pub fn header(metrics: &[MetricKind]) -> String {
        let names = Scores::columns(metrics).into_iter().map(|(name, _)| name);
        names.collect::<Vec<_>>().join(",")
    }

    /// All numbers.
    pub fn values(&self) -> Vec<Value> {
        self.named(|score| Some(&score.numbers))
    }

    /// The numbers that `of` takes of each score, under the names they have among all.
    fn named<'a>(&'a self, of: impl Fn(&'a Score) -> Option<&'a Numbers>) -> Vec<Value> {
        let metrics: Vec<MetricKind> = self.0.iter().map(|s| s.kind.clone()).collect();
        let numbers = self.0.iter().flat_map(|score| {
            let numbers = of(score);
            let value = move |i: usize| numbers.and_then(|n| n.values.get(i).copied());
            (0..score.kind.columns().len()).map(value)
        });
        let columns = Scores::columns(&metrics).into_iter().zip(numbers);
        let value = |((name, column), value): ((String, Column), Option<f64>)| {
            let value = value?;
            Some(Value {
                name,
                column,
                value,
            })
        };
        columns.filter_map(value).collect()
    }

    /// The numbers that say how good samples are, without those that describe them.
    pub fn judgements(&self) -> Vec<Value> {
        let mut values = self.values();
        values.retain(|v| v.column.better.is_some());
        values
    }

    /// The numbers of the metric of that name.
    pub fn of(&self, metric: &str) -> Option<&Numbers> {
        let found = self.0.iter().find(|s| s.kind.name() == metric);
        found.map(|s| &s.numbers)
    }

    /// The values of [`Scores::header`].
    pub fn row(&self) -> String {
        let texts = self.values().into_iter().map(|v| v.column.field(v.value));
        texts.collect::<Vec<_>>().join(",")
    }

    /// Reads what was serialised, of a run with these metrics; none if a number is missing.
    pub fn read(metrics: &[MetricKind], json: &serde_json::Value) -> Option<Scores> {
        let columns = Scores::columns(metrics);
        let numbers = |object: &serde_json::Value, from: usize, n: usize| {
            let values = columns[from..from + n].iter();
            // JSON has no NaN, which a number that cannot be told is: `null`.
            let values = values.map(|(name, _)| match object.get(name)? {
                serde_json::Value::Null => Some(f64::NAN),
                value => value.as_f64(),
            });
            values.collect::<Option<Vec<f64>>>().map(Numbers::of)
        };
        let folds = json.get("folds").and_then(|folds| folds.as_array());
        let (mut scores, mut from) = (Vec::new(), 0);
        for metric in metrics {
            let n = metric.columns().len();
            let folds = folds.into_iter().flatten();
            let folds = folds.map(|fold| numbers(fold, from, n));
            let numbers = Numbers {
                folds: folds.collect::<Option<_>>().unwrap_or_default(),
                ..numbers(json, from, n)?
            };
            scores.push(Score {
                kind: metric.clone(),
                numbers,
            });
            from += n;
        }
        Some(Scores(scores))
    }
}

/// An object of all numbers under their names, and `folds`, an array of such objects, where the data have several.
impl Serialize for Scores {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let object = |values: Vec<Value>| -> Map<String, serde_json::Value> {
            let json = |v: &Value| match v.column.digits {
                0 if v.value.fract() == 0.0 => json!(v.value as i64),
                _ => json!(v.value),
            };
            values.iter().map(|v| (v.name.clone(), json(v))).collect()
        };
        let mut all = object(self.values());
        let folds = self.0.iter().map(|s| s.numbers.folds.len()).max();
        let folds = (0..folds.unwrap_or(0)).map(|i| object(self.named(|s| s.numbers.folds.get(i))));
        let folds: Vec<_> = folds.collect();
        if !folds.is_empty() {
            all.insert("folds".into(), json!(folds));
        }
        all.serialize(to)
    }
}

/// A sentence for each.
impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentences: Vec<String> = self.0.iter().map(Score::to_string).collect();
        f.write_str(&sentences.join("; "))
    }
}
