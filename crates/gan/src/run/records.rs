//! The records of a run in training: rows of its tables, pictures, and both as TensorBoard events.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};

use super::events::{Events, Value};
use super::{Run, io, table};
use crate::config::{BestOn, Config, DataSet};
use crate::data::pictures::image_grid;
use crate::data::{Dataset, Picture};
use crate::error::Result;
use crate::files::durable::sync;
use crate::metrics::Scores;
use crate::optim::Schedule;
use crate::{game, probe};

/// Grey pixels around each sample of a picture.
pub(crate) const GRID_PADDING: usize = 2;

/// A row of metrics.csv: means over the steps since the row before. Such a row follows every `log_every` steps and each
/// epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricsRow {
    /// Completed steps.
    pub step: u64,
    /// The epoch, from 1.
    pub epoch: usize,
    /// The means of the monitors, as [`game::monitors`] lists them: of a penalty over the steps that had it, none where no step
    /// had.
    pub monitors: Vec<Option<f64>>,
    /// Learning rates and what else the optimisers reported of the last step, as [`Schedule::names`] lists them.
    pub rates: Vec<f64>,
    /// The gradient norms of the last step, as [`probe::names`] has them.
    pub grads: Vec<f32>,
}

/// A CSV file of a run.
pub(super) struct Table {
    /// The file is called after it: `metrics`, `scores`.
    name: &'static str,
    /// Its columns, of which the first two are step and epoch.
    header: String,
}

impl Table {
    /// The tables of a run: metrics and scores.
    pub(super) fn all(config: &Config) -> [Table; 2] {
        let rates = Schedule::of(config).names().to_vec();
        let metrics = [game::monitors(config), rates, probe::names(config)].concat();
        let scores = config.eval.columns().into_iter().map(|(name, _)| name);
        let scores = scores.collect::<Vec<_>>().join(",");
        [
            ("metrics", format!("step,epoch,{}", metrics.join(","))),
            ("scores", format!("step,epoch,{scores}")),
        ]
        .map(|(name, header)| Table { name, header })
    }

    pub(super) fn file(&self) -> String {
        format!("{}.csv", self.name)
    }

    /// The numbers of a row under their tags: `metrics/loss_d`, `grad/D.h0.w`.
    fn scalars(&self, row: &str) -> Vec<(String, Value<'static>)> {
        let fields = self.header.split(',').zip(row.split(',')).skip(2);
        let scalar = |(column, field): (&str, &str)| {
            let tag = match column.contains('/') {
                true => column.to_string(),
                false => format!("{}/{column}", self.name),
            };
            Some((tag, Value::Scalar(field.parse().ok()?)))
        };
        fields.filter_map(scalar).collect()
    }
}

impl Run {
    /// Appends a row to metrics.csv.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn log(&self, r: &MetricsRow) -> Result<()> {
        let mut row = format!("{},{}", r.step, r.epoch);
        for mean in &r.monitors {
            row += &mean.map_or(",".to_owned(), |mean| format!(",{mean:.6}"));
        }
        for rate in &r.rates {
            row += &format!(",{rate}");
        }
        for norm in &r.grads {
            row += &format!(",{norm:.5e}");
        }
        self.append(&self.tables[0], r.step, &row)
    }

    /// Appends a row to scores.csv, unless the step has its row already. `chosen` is the number by which the best checkpoint is
    /// chosen, where there is one.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn score(
        &self,
        epoch: usize,
        step: u64,
        score: &Scores,
        chosen: Option<f64>,
    ) -> Result<()> {
        let scores = &self.tables[1];
        if table::has_step(&self.text(scores)?, step) {
            return Ok(());
        }
        let mut row = format!("{step},{epoch},{}", score.row());
        if let Some(choice) = self.config.eval.choice()
            && choice.on == BestOn::Valid
        {
            row += &format!(",{}", choice.column.field(chosen.unwrap_or(f64::NAN)));
        }
        self.append(scores, step, &row)
    }

    /// The event comes first: one without its row is taken back by [`Run::rewind`].
    fn append(&self, table: &Table, step: u64, row: &str) -> Result<()> {
        Events::of(&self.folder).add(step, &table.scalars(row))?;
        let path = self.folder.join(table.file());
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let mut file = file.map_err(|e| io(&path, "open", e))?;
        file.write_all(format!("{row}\n").as_bytes())
            .map_err(|e| io(&path, "append to", e))
    }

    /// The text of a table; nothing where the file is not there yet.
    pub(super) fn text(&self, table: &Table) -> Result<String> {
        let path = self.folder.join(table.file());
        match fs::read_to_string(&path) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(String::new()),
            read => read.map_err(|e| io(&path, "read", e)),
        }
    }

    /// Step and epoch of the last row of metrics.csv; none where there is no row.
    ///
    /// # Errors
    /// A damaged table.
    pub fn last_row(&self) -> Result<Option<(u64, usize)>> {
        self.last_of(&self.tables[0])
    }

    /// The same of scores.csv.
    ///
    /// # Errors
    /// As [`Run::last_row`].
    pub fn last_score(&self) -> Result<Option<(u64, usize)>> {
        self.last_of(&self.tables[1])
    }

    fn last_of(&self, table: &Table) -> Result<Option<(u64, usize)>> {
        if self.text(table)?.is_empty() {
            return Ok(None);
        }
        let table = table::Table::read(&self.folder.join(table.file()))?;
        let last = table.rows.last();
        Ok(last.map(|row| (row[0] as u64, row[1] as usize)))
    }

    /// Whether scores.csv has the score at the end of `epoch`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(super) fn has_score(&self, epoch: usize) -> Result<bool> {
        let text = self.text(&self.tables[1])?;
        let last = table::whole_lines(&text).last();
        let last = last.and_then(|row| row.split(',').nth(1));
        Ok(last == Some(&epoch.to_string()))
    }

    /// The tables without the rows after `step`.
    pub(super) fn rewound(&self, step: u64) -> Result<Vec<String>> {
        let of = |table: &Table| {
            let text = self.text(table)?;
            let path = self.folder.join(table.file());
            table::rewound(&path, &text, &table.header, step)
        };
        self.tables.iter().map(of).collect()
    }

    /// Takes back what was recorded of steps after `step`; nothing is changed where a table is damaged.
    pub(super) fn rewind_records(&self, step: u64) -> Result<()> {
        let texts = self.rewound(step)?;
        for (table, text) in self.tables.iter().zip(&texts) {
            self.write(&table.file(), text)?;
        }
        // The score at the end of a run comes after its last checkpoint.
        let has_row =
            |at, tag: &[u8]| !tag.starts_with(b"scores/") || table::has_step(&texts[1], at);
        Events::of(&self.folder).rewind(|at, tag| at <= step && has_row(at, tag))
    }

    /// Makes sure that what was recorded lasts.
    pub(super) fn sync_records(&self) -> Result<()> {
        for table in &self.tables {
            let path = self.folder.join(table.file());
            let synced = File::open(&path).and_then(|file| sync(&file));
            synced.map_err(|e| io(&path, "sync", e))?;
        }
        Events::of(&self.folder).sync()
    }

    /// Writes the picture of an epoch's samples, [rows · cols, data], after `step`: a grid of images in [0, 1], or a plot
    /// of a toy set.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn samples(
        &self,
        epoch: usize,
        step: u64,
        samples: &[f32],
        data: &Dataset,
        config: &Config,
    ) -> Result<()> {
        #[cfg(feature = "plots")]
        if let Some(plot) = crate::toy_plot::picture(samples, &config.data.set)? {
            return self.picture(epoch, step, &plot);
        }
        if matches!(config.data.set, DataSet::Toy(_)) {
            return Ok(()); // points, and nothing to plot them with
        }
        let picture = image_grid(samples, data.image(), config.output.grid, GRID_PADDING)?;
        self.picture(epoch, step, &picture)
    }

    /// Writes the picture of an epoch, which ends with `step`.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn picture(&self, epoch: usize, step: u64, picture: &Picture) -> Result<()> {
        let path = self.sample_path(epoch);
        picture.save(&path)?;
        let bytes = fs::read(&path).map_err(|e| io(&path, "read", e))?;
        let image = Value::Png {
            size: picture.size(),
            bytes: &bytes,
        };
        Events::of(&self.folder).add(step, &[("samples".to_string(), image)])
    }
}
