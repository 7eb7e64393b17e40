//! The tables of a run: CSV files with a header, whose rows begin with the step.

/// A table that goes on after `step`, with the columns of `header`: without the rows of later steps and those that
/// were cut off. Columns that it does not have, written by an older program, are empty.
pub(super) fn rewound(text: &str, header: &str, step: u64) -> String {
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap_or("").split(',').collect();
    let places = header.split(',');
    let places: Vec<Option<usize>> = places
        .map(|name| columns.iter().position(|c| *c == name))
        .collect();
    let mut kept = format!("{header}\n");
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let is_kept = fields[0].parse::<u64>().is_ok_and(|s| s <= step);
        if is_kept && fields.len() == columns.len() {
            let row: Vec<&str> = places.iter().map(|p| p.map_or("", |p| fields[p])).collect();
            kept += &format!("{}\n", row.join(","));
        }
    }
    kept
}

/// Whether a table has a row of `step`.
pub(super) fn has_step(text: &str, step: u64) -> bool {
    let start = format!("{step},");
    text.lines().any(|line| line.starts_with(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_after_the_step_and_rows_cut_off_are_repeated() {
        let text = "step,epoch,a\n5,1,0.5\n10,1,0.25\n15,2,1\n20,2\n1";
        assert_eq!(
            rewound(text, "step,epoch,a", 10),
            "step,epoch,a\n5,1,0.5\n10,1,0.25\n"
        );
        for nothing in ["", "step,epoch,a", "step,epoch,a\n", "damaged\n5,1,2\n"] {
            assert_eq!(rewound(nothing, "step,epoch,a", 10), "step,epoch,a\n");
        }
    }

    #[test]
    fn rows_of_an_older_version_keep_their_values_under_their_columns() {
        let text = "step,epoch,a,b\n5,1,0.5,7\n10,1,0.25,\n";
        let header = "step,epoch,b,new,a";
        assert_eq!(
            rewound(text, header, 10),
            "step,epoch,b,new,a\n5,1,7,,0.5\n10,1,,,0.25\n"
        );
    }
}
