//! Settings by the values of some keys.

use std::collections::BTreeMap;

use super::{Best, Setting, Spread, budget, lower};
use crate::Study;

/// Of a cell's settings the best part, which tells how good it can be.
const TOP: f64 = 0.05;

/// Settings that have the same values of the study's [cells](Study::cells), or all settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// For each of the cells' keys its value, in few words.
    pub values: Vec<String>,
    /// Where the cell is in the list of values of each key.
    pub places: Vec<usize>,
    /// Its settings, by their places among all.
    pub settings: Vec<usize>,
    /// How many of their runs are over, and how many of those failed.
    pub runs: [usize; 2],
    /// The scores of all its settings that have one.
    pub scores: Option<Spread>,
    /// The scores of the best 5 % of its settings, rounded up; of as many as have a score.
    pub top: Option<Spread>,
    /// What the best of so many settings may be expected to have.
    pub budget: Vec<Best>,
}

impl Cell {
    pub(super) fn all_of(study: &Study, settings: &[Setting]) -> Vec<Cell> {
        let keys = study.cells();
        let mut cells: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
        for (i, setting) in settings.iter().enumerate() {
            let place = |c: &usize| study.space[*c].value(setting.point()[*c]) as usize;
            let places = keys.iter().map(place).collect();
            cells.entry(places).or_default().push(i);
        }
        let cell = |(places, members)| Cell::of(study, settings, places, members);
        cells.into_iter().map(cell).collect()
    }

    pub(super) fn of(
        study: &Study,
        settings: &[Setting],
        places: Vec<usize>,
        members: Vec<usize>,
    ) -> Cell {
        let each = || members.iter().map(|i| &settings[*i]);
        let mut scores: Vec<f64> = each().filter_map(|s| s.score).collect();
        scores.sort_by(|a, b| lower(study, *a).total_cmp(&lower(study, *b)));
        let top = (TOP * members.len() as f64).ceil() as usize;
        let keys = study.cells();
        let of_first = members.first().map(|i| settings[*i].point());
        let value = |(c, _): (&usize, &usize)| {
            let u = of_first.map_or(0.0, |point| point[*c]);
            study.space[*c].label(u)
        };
        let runs: usize = each().map(|s| s.runs.len()).sum();
        Cell {
            values: keys.iter().zip(&places).map(value).collect(),
            places,
            runs: [runs, each().map(Setting::failed).sum()],
            top: Spread::of(&scores[..top.min(scores.len())]),
            scores: Spread::of(&scores),
            budget: budget::curve(study, settings, &members),
            settings: members,
        }
    }
}
