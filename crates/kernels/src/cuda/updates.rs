//! The optimiser's update of all tensors with the same rule, in one launch.

use std::rc::Rc;

use super::elementwise::{self, Program};
use super::{Buffer, Device, Launch, Result};

/// A launch, or what will be one.
pub enum Command {
    /// A launch.
    Launch(Launch),
    /// An element-wise program that updates tensors which outlive the step, and its launch by itself.
    Update(Program, Launch),
}

impl Command {
    fn launch(&self) -> &Launch {
        match self {
            Command::Launch(launch) | Command::Update(_, launch) => launch,
        }
    }
}

/// The launches of `commands`: updates that are alike run together at the place of the last one, where nothing between needs
/// one earlier. Also the memory that they need.
///
/// # Errors
/// No memory.
pub fn merge(device: &Device, commands: Vec<Command>) -> Result<(Vec<Launch>, Vec<Buffer<u64>>)> {
    let mut group_of = vec![None; commands.len()];
    for group in groups(&commands).into_iter().filter(|g| g.len() > 1) {
        let group = Rc::new(group);
        group
            .iter()
            .for_each(|&i| group_of[i] = Some(Rc::clone(&group)));
    }
    let (mut launches, mut tables) = (Vec::new(), Vec::new());
    for (at, command) in commands.iter().enumerate() {
        match &group_of[at] {
            None => launches.push(command.launch().clone()),
            Some(group) if group.last() == Some(&at) => {
                let programs = group.iter().filter_map(|&i| program(&commands[i]));
                let programs: Vec<&Program> = programs.collect();
                let table = device.copy_of(&elementwise::table(&programs))?;
                launches.push(elementwise::many(&programs, table.slice()));
                tables.push(table);
            }
            Some(_) => {}
        }
    }
    Ok((launches, tables))
}

fn program(command: &Command) -> Option<&Program> {
    match command {
        Command::Update(program, _) => Some(program),
        Command::Launch(_) => None,
    }
}

/// The places of updates that may run together.
fn groups(commands: &[Command]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for (at, command) in commands.iter().enumerate() {
        let Some(mine) = program(command) else {
            continue;
        };
        let fits = |group: &&mut Vec<usize>| {
            // With all of them: programs of one element are like those of different kinds.
            let mut others = group.iter().filter_map(|&i| program(&commands[i]));
            others.all(|other| elementwise::alike(other, mine)) && may_run_at(commands, group, at)
        };
        match groups.iter_mut().find(fits) {
            Some(group) => group.push(at),
            None => groups.push(vec![at]),
        }
    }
    groups
}

/// Whether those of `group`, which may run together at the last one's place, may run at `at`.
fn may_run_at(commands: &[Command], group: &[usize], at: usize) -> bool {
    let after = group.last().map_or(0, |last| last + 1);
    let mut between = commands[after..=at].iter().map(Command::launch);
    let mine = group.iter().map(|&i| commands[i].launch());
    between.all(|other| mine.clone().all(|launch| !launch.conflicts_with(other)))
}
