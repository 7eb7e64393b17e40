//! The classes of examples, as layers read them: as rows of a table, or as a vector with a one in its place.

use ganforge_tensor::Var;

use super::Build;

/// A second class of each example and how far the way to it has gone.
#[derive(Clone, Copy)]
pub(super) struct Blend<'g> {
    /// `[b]`, whole numbers.
    to: Var<'g>,
    /// `[b]`, from 0 to 1.
    share: Var<'g>,
}

impl<'g> Build<'g> {
    /// The classes of the examples that pass through networks from here on, unless a [`Pass`](super::Pass) has its own: `[b]`,
    /// whole numbers.
    pub fn set_labels(&mut self, labels: Option<Var<'g>>) {
        self.labels = labels;
    }

    /// From here on the vector of an example's class is (1 - share) times that of its label and share times that of `to`; both
    /// `[b]`.
    pub(crate) fn blend_labels(&mut self, to: Var<'g>, share: Var<'g>) {
        self.blend = Some(Blend { to, share });
    }

    /// The classes of `rows` examples: what was set, or else the graph's input `labels`, `[rows]`.
    #[track_caller]
    pub fn labels(&self, rows: usize) -> Var<'g> {
        let input = || self.graph.input("labels", [rows]);
        self.labels.unwrap_or_else(input)
    }

    /// Of a table `[classes, n]` the row of each example's class: `[rows, n]`.
    #[track_caller]
    pub fn of_class(&self, table: Var<'g>, rows: usize) -> Var<'g> {
        self.blended(rows, |labels| table.gather_rows(labels))
    }

    /// Zeros with a one in the place of each example's class: `[rows, classes]`.
    #[track_caller]
    pub fn one_hot(&self, rows: usize, classes: usize) -> Var<'g> {
        let ones = self.graph.constant(1.0, [rows, 1]);
        self.blended(rows, |labels| ones.put(labels.reshape([rows, 1]), classes))
    }

    /// What `of` makes of labels, `[rows, n]`, on the way to the other ones where there are some.
    #[track_caller]
    fn blended(&self, rows: usize, of: impl Fn(Var<'g>) -> Var<'g>) -> Var<'g> {
        let from = of(self.labels(rows));
        match self.blend {
            None => from,
            Some(Blend { to, share }) => {
                let share = share.reshape([rows, 1]);
                from * (1.0 - share) + of(to) * share
            }
        }
    }
}
