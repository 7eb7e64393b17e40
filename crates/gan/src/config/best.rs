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
    /// Whether more or less of the number is better.
    fn judges(&self) -> bool {
        matches!(self.column.better, Some(Better::Higher | Better::Lower))
    }

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
        let kind = MetricKind::named(best).map(|kind| kind.name().to_owned());
        let of_kind = |n: &Choice| Some(self.metrics[n.metric].name()) == kind.as_deref();
        let all = self.numbers();
        let (judging, others): (Vec<&Choice>, Vec<&Choice>) = all.iter().partition(|n| n.judges());
        let is_first = |n: &Choice| {
            let first = judging.iter().find(|other| other.metric == n.metric);
            first.is_some_and(|first| first.number == n.number)
        };
        // Its whole name; a metric, whose first number it is; a column without the name of the network.
        let ways: [&dyn Fn(&Choice) -> bool; 3] =
            [&|n| n.name == *best, &|n| of_kind(n) && is_first(n), &|n| {
                n.column.name == best
            }];
        let found = |is: &dyn Fn(&Choice) -> bool| -> Vec<&Choice> {
            judging.iter().filter(|n| is(n)).copied().collect()
        };
        let found = ways.into_iter().map(found).find(|found| !found.is_empty());
        let choice = match found.unwrap_or_default()[..] {
            [one] => one.clone(),
            [] => {
                let other = others.iter().find(|n| n.name == *best || of_kind(n));
                return Err(match other {
                    Some(other) => format!(
                        "is {best:?}, {}, of which neither more nor less is better",
                        other.column.label
                    ),
                    None => format!("is {best:?}, no score of eval.metrics{}", self.hint(best)),
                });
            }
            ref several => {
                let names: Vec<&str> = several.iter().map(|n| n.name.as_str()).collect();
                let names = names.join(", ");
                return Err(format!(
                    "is {best:?}, which could be {names}: name one of them"
                ));
            }
        };
        match choice.on {
            BestOn::Test => Ok(Some(choice)),
            BestOn::Valid if matches!(self.metrics[choice.metric], MetricKind::Parzen(_)) => {
                Err(format!(
                    "is {best:?}, whose width is chosen on the validation images: expected another score, or \
                     eval.best_on = \"test\""
                ))
            }
            BestOn::Valid => Ok(Some(Choice {
                name: format!("valid_{}", choice.name),
                ..choice
            })),
        }
    }

    /// All numbers of the metrics, under the names of their columns.
    fn numbers(&self) -> Vec<Choice> {
        let mut columns = Scores::columns(&self.metrics).into_iter();
        let mut all = Vec::new();
        for (metric, kind) in self.metrics.iter().enumerate() {
            let own = columns.by_ref().take(kind.columns().len()).enumerate();
            all.extend(own.map(|(number, (name, column))| Choice {
                metric,
                number,
                name,
                column,
                on: self.best_on,
            }));
        }
        all
    }

    /// What a name that no score has may have meant, or what there is.
    fn hint(&self, name: &str) -> String {
        let mut all = self.numbers();
        all.retain(Choice::judges);
        let kinds = self.metrics.iter().map(|kind| kind.name());
        let known = all.iter().flat_map(|n| [n.name.as_str(), n.column.name]);
        if let Some(near) = nearest(name, &known.chain(kinds).collect::<Vec<_>>()) {
            return format!(": did you mean {near:?}?");
        }
        let names: Vec<&str> = all.iter().map(|n| n.name.as_str()).collect();
        format!(", which are {}", names.join(", "))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_number_is_the_higher_or_the_lower_one_and_never_an_equal_one_or_none() {
        let choice = |better| Choice {
            metric: 0,
            number: 0,
            name: "x".to_owned(),
            column: Column::score("x", "x", better, [1, 1]),
            on: BestOn::Valid,
        };
        for (better, expected) in [(Better::Higher, true), (Better::Lower, false)] {
            let choice = choice(better);
            assert_eq!(choice.is_better(2.0, 1.0), expected);
            assert_eq!(choice.is_better(1.0, 2.0), !expected);
            assert!(!choice.is_better(1.0, 1.0));
            assert!(!choice.is_better(f64::NAN, 1.0));
        }
    }
}
