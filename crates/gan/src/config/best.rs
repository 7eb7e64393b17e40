//! The score by which a run keeps its best checkpoint.

use ganforge_settings::{Reader, list};

use super::{Config, Eval, nearest};
use crate::metrics::{Better, Column, MetricKind, Scores};

list! {
    /// The images that a score is computed on, by which a checkpoint is chosen.
    pub enum BestOn {
        /// The validation images, which nobody reports on: the choice does not flatter the test score.
        "valid" => Valid,
        /// The test images: the score that is reported is then the best of several on the same images.
        "test" => Test,
    }
}

impl BestOn {
    /// Where people read it: "on validation images".
    pub fn words(self) -> &'static str {
        match self {
            BestOn::Valid => "on validation images",
            BestOn::Test => "on test images",
        }
    }
}

/// The score by which the best checkpoint of a run is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// The place of its metric in `eval.metrics`.
    pub metric: usize,
    /// The place of the number among those of the metric.
    pub number: usize,
    /// Its column in scores.csv: the number's own, or where it is of validation images one more, the last, `valid_` before that name.
    pub name: String,
    /// What the number is.
    pub column: Column,
    /// The images that it is computed on.
    pub on: BestOn,
}

impl Choice {
    /// Whether a number is better than another one.
    pub fn is_better(&self, value: f64, than: f64) -> bool {
        match self.column.better {
            Some(Better::Higher) => value > than,
            _ => value < than,
        }
    }
}

impl Eval {
    /// The score by which the best checkpoint is chosen, where one is to be kept.
    pub fn choice(&self) -> Option<Choice> {
        // What is wrong was a fault of the configuration.
        self.find_choice().ok().flatten()
    }

    /// The columns of scores.csv after step and epoch: those of the metrics, and that of the choice where it has one of its own.
    pub fn columns(&self) -> Vec<(String, Column)> {
        let own = self.choice().filter(|choice| choice.on == BestOn::Valid);
        let own = own.map(|choice| (choice.name, choice.column));
        let columns = Scores::columns(&self.metrics).into_iter();
        columns.chain(own).collect()
    }

    fn find_choice(&self) -> Result<Option<Choice>, String> {
        let Some(best) = &self.best else {
            return Ok(None);
        };
        let mut columns = Scores::columns(&self.metrics).into_iter();
        let mut all = Vec::new();
        for (metric, kind) in self.metrics.iter().enumerate() {
            let own = columns.by_ref().take(kind.columns().len()).enumerate();
            all.extend(own.map(|(number, (name, column))| (metric, number, name, column)));
        }
        let kind = MetricKind::named(best).map(|kind| kind.name().to_owned());
        let of = |is: &dyn Fn(&(usize, usize, String, Column)) -> bool| -> Vec<_> {
            all.iter().filter(|entry| is(entry)).collect()
        };
        // Its whole name; a metric, whose first column it is; a column without the name of the network.
        let ways: [&dyn Fn(&(usize, usize, String, Column)) -> bool; 3] = [
            &|(_, _, name, _)| name == best,
            &|(metric, number, ..)| {
                *number == 0 && Some(self.metrics[*metric].name()) == kind.as_deref()
            },
            &|(.., column)| column.name == best,
        ];
        let found = ways.into_iter().map(of).find(|found| !found.is_empty());
        let found = found.unwrap_or_default();
        let names = |entries: &mut dyn Iterator<Item = &(usize, usize, String, Column)>| {
            let names: Vec<&str> = entries.map(|(_, _, name, _)| name.as_str()).collect();
            names.join(", ")
        };
        let (metric, number, name, column) = match &found[..] {
            [one] => (*one).clone(),
            [] => {
                let kinds = self.metrics.iter().map(|kind| kind.name());
                let known = all
                    .iter()
                    .flat_map(|(_, _, name, column)| [name, column.name]);
                let known = known.chain(kinds);
                let judging = &mut all.iter().filter(|(.., column)| judges(column));
                return Err(match nearest(best, &known.collect::<Vec<_>>()) {
                    Some(near) => {
                        format!("is {best:?}, no score of eval.metrics: did you mean {near:?}?")
                    }
                    None => format!(
                        "is {best:?}, no score of eval.metrics, which are {}",
                        names(judging)
                    ),
                });
            }
            several => {
                let names = names(&mut several.iter().copied());
                return Err(format!(
                    "is {best:?}, which could be {names}: name one of them"
                ));
            }
        };
        if !judges(&column) {
            return Err(format!(
                "is {best:?}, {}, of which neither more nor less is better",
                column.label
            ));
        }
        let on = self.best_on;
        if on == BestOn::Valid && matches!(self.metrics[metric], MetricKind::Parzen(_)) {
            return Err(format!(
                "is {best:?}, whose width is chosen on the validation images: expected another score, or eval.best_on = \"test\""
            ));
        }
        Ok(Some(Choice {
            metric,
            number,
            name: match on {
                BestOn::Valid => format!("valid_{name}"),
                BestOn::Test => name,
            },
            column,
            on,
        }))
    }

    pub(super) fn check_best(&self, table: &Reader<'_>) {
        if self.best.is_some() && self.every == 0 {
            let message = "needs scores during training: expected eval.every, the epochs between them, above 0";
            table.fault("best", message);
        }
        if let Err(message) = self.find_choice() {
            table.fault("best", &message);
        }
    }
}

impl Config {
    /// The same with the metric alone by which the best checkpoint is chosen.
    pub(crate) fn of_choice(&self, choice: &Choice) -> Config {
        let eval = Eval {
            metrics: vec![self.eval.metrics[choice.metric].clone()],
            best: None,
            ..self.eval.clone()
        };
        Config {
            eval,
            ..self.clone()
        }
    }
}

/// Whether more or less of a number is better.
fn judges(column: &Column) -> bool {
    matches!(column.better, Some(Better::Higher | Better::Lower))
}
