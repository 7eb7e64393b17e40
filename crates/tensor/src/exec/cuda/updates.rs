//! The optimiser's update of all tensors that follow one rule, as one launch.

use ganforge_kernels::cuda::elementwise::{self, Program};
use ganforge_kernels::cuda::{Buffer, Device, Launch};

use super::lower::Call;
use crate::error::Result;

/// The launches of `calls`: updates that are alike run together at the place of the last one, where nothing between needs
/// one earlier. Also the memory that they need.
pub(super) fn merge(device: &Device, calls: Vec<Call>) -> Result<(Vec<Launch>, Vec<Buffer<u64>>)> {
    let groups = groups(&calls);
    let (mut launches, mut tables) = (Vec::new(), Vec::new());
    for (at, call) in calls.iter().enumerate() {
        match groups.iter().find(|g| g.contains(&at)) {
            Some(group) if group.last() == Some(&at) && group.len() > 1 => {
                let programs = group.iter().filter_map(|&i| program(&calls[i]));
                let programs: Vec<&Program> = programs.collect();
                let table = device.copy_of(&elementwise::table(&programs))?;
                launches.push(elementwise::many(&programs, table.slice()));
                tables.push(table);
            }
            Some(group) if group.len() > 1 => {}
            _ => launches.push(call.launch().clone()),
        }
    }
    Ok((launches, tables))
}

fn program(call: &Call) -> Option<&Program> {
    match call {
        Call::Update(program, _) => Some(program),
        Call::Launch(_) => None,
    }
}

/// The places of updates that may run together.
fn groups(calls: &[Call]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        let Some(mine) = program(call) else { continue };
        let fits = |group: &&mut Vec<usize>| {
            let others = group.iter().filter_map(|&i| program(&calls[i]));
            others
                .into_iter()
                .all(|other| elementwise::alike(other, mine))
                && group.iter().all(|&i| may_run_at(calls, i, at, group))
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}

/// Whether the call at `i` may run together with the one at `at`, as all of `group` will.
fn may_run_at(calls: &[Call], i: usize, at: usize, group: &[usize]) -> bool {
    let between = (i + 1..=at).filter(|k| !group.contains(k));
    let (mine, mut between) = (calls[i].launch(), between);
    between.all(|k| !mine.conflicts_with(calls[k].launch()))
}
