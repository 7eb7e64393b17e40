//! Table 1 of the paper with our runs below it: as text, Markdown, CSV or JSON.

use serde::Serialize;

use crate::tables::{aligned, markdown, quoted};
use ganforge_gan::error::Result;
use ganforge_gan::metrics::parzen::ParzenScore;
use ganforge_gan::run::Run;
use ganforge_gan::run::table::Table;

/// Samples that a score of the table is made with (released script).
pub const SAMPLES: usize = 10_000;

/// A value and its standard error, in nats.
type Value = (f64, f64);

/// The paper's rows: model, MNIST, TFD.
///
/// source: Goodfellow et al. 2014, Table 1
const PAPER: [(&str, Value, Value); 4] = [
    ("DBN", (138.0, 2.0), (1909.0, 66.0)),
    ("Stacked CAE", (121.0, 1.6), (2110.0, 50.0)),
    ("Deep GSN", (214.0, 1.1), (1890.0, 29.0)),
    ("Adversarial nets", (225.0, 2.0), (2057.0, 26.0)),
];

/// The columns of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Column {
    /// The paper's first.
    Mnist,
    /// The paper's second: the Toronto Face Database.
    Tfd,
    /// Data that the table of the paper does not have.
    Other,
}

/// A run as the table shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its configuration's name.
    pub model: String,
    /// Its folder.
    pub run: String,
    /// Where its score stands.
    pub column: Column,
    /// Its score, if it has one.
    pub score: Option<ParzenScore>,
    /// The data: name, origin, the first digits of their SHA-256.
    pub data: String,
    /// Key of its random numbers.
    pub seed: u64,
    /// The epoch of the score, else of the last whole one that was trained.
    pub epochs: usize,
    /// Why its score cannot be compared with the paper's; empty where it can.
    pub not_comparable: Vec<String>,
    /// What else must be known.
    pub remarks: Vec<String>,
}

/// How a table is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Columns of one width.
    Text,
    /// A Markdown table.
    Markdown,
    /// Comma-separated values, an error in a column of its own.
    Csv,
}

/// The whole table, ending in a line end.
pub fn table(entries: &[Entry], format: Format) -> String {
    match format {
        Format::Csv => csv(entries),
        _ => {
            let (rows, notes) = cells(entries);
            let mut text = match format {
                Format::Markdown => markdown(&rows),
                _ => aligned(&rows),
            };
            for (i, note) in notes.iter().enumerate() {
                text += &format!("\n[{}] {note}\n", i + 1);
            }
            text
        }
    }
}

/// Header and rows as they are read, and the notes that they point at.
fn cells(entries: &[Entry]) -> (Vec<Vec<String>>, Vec<String>) {
    let with_other = entries.iter().any(|e| e.column == Column::Other);
    let mut header = vec!["model", "MNIST", "TFD"];
    header.extend(with_other.then_some("other data"));
    header.extend(["sigma", "samples", "data", "seed", "epochs"]);
    let mut rows = vec![header.iter().map(|h| h.to_string()).collect::<Vec<_>>()];
    for (model, mnist, tfd) in PAPER {
        let mut row = vec![format!("{model} (paper)")];
        row.extend([mnist, tfd].map(|(v, e)| format!("{v} ± {e}")));
        row.resize(header.len(), String::new());
        rows.push(row);
    }
    let mut notes = Vec::new();
    for entry in entries {
        let mut marks = String::new();
        let unfit = entry.not_comparable.iter();
        let unfit = unfit.map(|reason| format!("not comparable with the paper: {reason}"));
        for note in unfit.chain(entry.remarks.iter().cloned()) {
            let at = notes.iter().position(|n| *n == note).unwrap_or(notes.len());
            if at == notes.len() {
                notes.push(note);
            }
            marks += &format!(" [{}]", at + 1);
        }
        let value = match &entry.score {
            Some(s) => format!("{:.1} ± {:.1}{marks}", s.log_likelihood, s.stderr),
            None => format!("no score{marks}"),
        };
        let in_column = |column| match entry.column == column {
            true => value.clone(),
            false => String::new(),
        };
        let of_score =
            |shown: fn(&ParzenScore) -> String| entry.score.as_ref().map_or(String::new(), shown);
        let mut row = vec![format!("{} ({})", entry.model, entry.run)];
        row.extend([in_column(Column::Mnist), in_column(Column::Tfd)]);
        row.extend(with_other.then(|| in_column(Column::Other)));
        row.extend([
            of_score(ParzenScore::sigmas),
            of_score(|s| s.n_samples.to_string()),
            entry.data.clone(),
            entry.seed.to_string(),
            entry.epochs.to_string(),
        ]);
        rows.push(row);
    }
    (rows, notes)
}

fn csv(entries: &[Entry]) -> String {
    let header = "source,model,run,mnist,mnist_error,tfd,tfd_error,other,other_error,sigma,samples,data,seed,epochs,not_comparable,remarks";
    let columns = header.split(',').count();
    let mut rows = vec![header.to_string()];
    for (model, mnist, tfd) in PAPER {
        let mut row = vec!["paper".to_string(), model.to_string(), String::new()];
        row.extend([mnist.0, mnist.1, tfd.0, tfd.1].map(|v| v.to_string()));
        row.resize(columns, String::new());
        rows.push(row.join(","));
    }
    for entry in entries {
        let mut row = vec![
            "ganforge".to_string(),
            quoted(&entry.model),
            quoted(&entry.run),
        ];
        for column in [Column::Mnist, Column::Tfd, Column::Other] {
            let score = entry.score.as_ref().filter(|_| entry.column == column);
            let value = |of: fn(&ParzenScore) -> f64| {
                score.map_or(String::new(), |s| format!("{:.4}", of(s)))
            };
            row.extend([value(|s| s.log_likelihood), value(|s| s.stderr)]);
        }
        let score = entry.score.as_ref();
        row.extend([
            quoted(&score.map_or(String::new(), ParzenScore::sigmas)),
            score.map_or(String::new(), |s| s.n_samples.to_string()),
            quoted(&entry.data),
            entry.seed.to_string(),
            entry.epochs.to_string(),
            quoted(&entry.not_comparable.join("; ")),
            quoted(&entry.remarks.join("; ")),
        ]);
        rows.push(row.join(","));
    }
    rows.join("\n") + "\n"
}

/// The last log-likelihood in a run's scores.csv, with its epoch; none where there is none.
///
/// # Errors
/// A damaged table.
pub fn last_score(run: &Run) -> Result<Option<(usize, ParzenScore)>> {
    let path = run.folder().join("scores.csv");
    if !path.is_file() {
        return Ok(None);
    }
    let table = Table::read(&path)?;
    let place = |name: &str| table.names.iter().position(|n| n == name);
    let score = |row: &Vec<f64>| {
        // Where another metric has a column of that name, the metric's comes first.
        let number = |name: &str| {
            let place = place(name).or_else(|| place(&format!("parzen_{name}")));
            Some(row[place?])
        };
        let count = |name: &str| number(name).map(|n| n as usize);
        let score = ParzenScore {
            log_likelihood: number("log_likelihood")?,
            stderr: number("stderr")?,
            sigma: number("sigma")?,
            n_samples: count("n_samples")?,
            n_valid: count("n_valid")?,
            n_test: count("n_test")?,
            folds: Vec::new(),
        };
        Some((count("epoch")?, score))
    };
    Ok(table.rows.last().and_then(score))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ganforge_gan::config::Config;

    fn score(log_likelihood: f64, n_samples: usize) -> ParzenScore {
        ParzenScore {
            log_likelihood,
            stderr: 2.0,
            sigma: 0.21544,
            n_samples,
            n_valid: 1000,
            n_test: 10_000,
            folds: Vec::new(),
        }
    }

    fn entry(column: Column, score: Option<ParzenScore>, not_comparable: &[&str]) -> Entry {
        Entry {
            model: "mnist".to_string(),
            run: "runs/a,b|c".to_string(),
            column,
            score,
            data: "mnist, full data set, 626406b8".to_string(),
            seed: 3,
            epochs: 60,
            not_comparable: not_comparable.iter().map(|s| s.to_string()).collect(),
            remarks: vec![],
        }
    }

    fn entries() -> Vec<Entry> {
        let mut folds = [2000.0, 2100.0].map(|l| score(l, 10_000)).to_vec();
        folds[1].sigma = 0.16681;
        vec![
            entry(Column::Mnist, Some(score(138.84, 10_000)), &[]),
            entry(
                Column::Tfd,
                ParzenScore::over_folds(folds),
                &["on a sample"],
            ),
            entry(Column::Mnist, None, &["on a sample"]),
        ]
    }

    #[test]
    fn text_is_aligned_and_notes_are_counted_once() {
        let text = table(&entries(), Format::Text);
        let lines: Vec<&str> = text.lines().collect();
        let column = |name: &str| lines[0].find(name).unwrap();
        let at = |line: usize, name: &str| -> String {
            lines[line].chars().skip(column(name)).take(12).collect()
        };
        assert_eq!(at(4, "MNIST"), "225 ± 2     ");
        assert!(at(4, "TFD").starts_with("2057 ± 26"));
        assert!(at(5, "MNIST").starts_with("138.8 ± 2.0 "), "{text}");
        assert!(at(6, "TFD").starts_with("2050.0 ± 35."), "{text}");
        assert!(lines[6].contains("[1]") && lines[7].contains("no score [1]"));
        assert!(at(6, "sigma").starts_with("0.2154, 0.16"));
        assert!(text.ends_with("\n[1] not comparable with the paper: on a sample\n"));
        assert!(!text.contains("[2]") && !text.contains("other data"));
    }

    #[test]
    fn markdown_has_one_more_column_for_other_data() {
        let mut entries = entries();
        entries.push(entry(Column::Other, Some(score(50.0, 10_000)), &[]));
        let text = table(&entries, Format::Markdown);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("| model | MNIST | TFD | other data | sigma |"));
        assert_eq!(lines[1], "|---|---|---|---|---|---|---|---|---|");
        assert_eq!(
            lines[2],
            "| DBN (paper) | 138 ± 2 | 1909 ± 66 |  |  |  |  |  |  |"
        );
        let last = lines[9];
        assert!(
            last.starts_with(
                "| mnist (runs/a,b\\|c) |  |  | 50.0 ± 2.0 | 0.2154 | 10000 | mnist, full"
            ),
            "{last}"
        );
    }

    #[test]
    fn csv_has_as_many_fields_in_each_row() {
        let text = table(&entries(), Format::Csv);
        let mut lines = text.lines();
        let columns = lines.next().unwrap().split(',').count();
        let fields = |line: &str| {
            let is_comma_outside = |(quotes, commas): (usize, usize), c: char| match c {
                '"' => (quotes + 1, commas),
                ',' if quotes % 2 == 0 => (quotes, commas + 1),
                _ => (quotes, commas),
            };
            line.chars().fold((0, 1), is_comma_outside).1
        };
        let lines: Vec<&str> = lines.collect();
        assert!(lines.iter().all(|line| fields(line) == columns), "{text}");
        assert_eq!(lines[3], "paper,Adversarial nets,,225,2,2057,26,,,,,,,,,");
        assert!(
            lines[4].starts_with("ganforge,mnist,\"runs/a,b|c\",138.8400,2.0000,,,,,0.2154,10000,")
        );
        assert!(lines[5].ends_with(",3,60,on a sample,"));
    }

    #[test]
    fn the_last_whole_row_of_scores_counts() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::preset("tiny").unwrap();
        let run = Run::create(&folder.path().join("run"), &config, "{}").unwrap();
        let last = |text: &str| {
            run.write("scores.csv", text).unwrap();
            last_score(&run).unwrap()
        };
        let header = "step,epoch,log_likelihood,stderr,sigma,n_samples,n_valid,n_test\n";
        let rows = "500,1,-69.5,2.5,0.3,100,20,500\n1000,2,-60,2,0.2,100,20,500\n1500,3,-5";
        let (epoch, score) = last(&format!("{header}{rows}")).unwrap();
        assert_eq!((epoch, score.log_likelihood, score.n_test), (2, -60.0, 500));
        for nothing in [header, "step,epoch,covered\n1,1,8\n"] {
            assert_eq!(last(nothing), None);
        }
    }
}
