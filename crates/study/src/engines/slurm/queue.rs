//! What squeue says.

use std::collections::{BTreeMap, BTreeSet};

use super::super::spans;

/// Reasons of a job that waits until somebody releases it.
const HELD: [&str; 2] = ["JobHeldAdmin", "JobHeldUser"];

/// What squeue says of a submission's tasks, an index, a state and a reason a line.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Queue {
    pub queued: BTreeSet<usize>,
    pub running: BTreeSet<usize>,
    /// Indexes that wait until somebody releases them, by the reason.
    pub held: BTreeMap<String, BTreeSet<usize>>,
    /// Those that Slurm itself has put back and holds, by the reason: it never starts them again.
    pub put_back: BTreeMap<String, BTreeSet<usize>>,
}

impl Queue {
    pub(super) fn of(answer: &str) -> Queue {
        let mut queue = Queue::default();
        for line in answer.lines() {
            let mut fields = line.trim().splitn(3, ' ');
            // A task that is no part of an array is none of a study.
            let Some(index) = fields.next().and_then(|i| i.parse().ok()) else {
                continue;
            };
            let state = fields.next().unwrap_or_default();
            // Newer versions have no spaces in a reason.
            let reason = fields.next().unwrap_or_default().trim().replace('_', " ");
            match state {
                "RUNNING" | "COMPLETING" | "SUSPENDED" | "STOPPED" | "SIGNALING" | "STAGE_OUT" => {
                    queue.running.insert(index);
                }
                _ if is_put_back(state, &reason) => {
                    queue.put_back.entry(reason).or_default().insert(index);
                }
                _ => {
                    queue.queued.insert(index);
                    if HELD.contains(&&*reason) {
                        queue.held.entry(reason).or_default().insert(index);
                    }
                }
            }
        }
        queue
    }
}

/// Whether Slurm holds a task that it has put back into the queue, as after a node that could not start it.
fn is_put_back(state: &str, reason: &str) -> bool {
    let is_said = reason.contains("requeued") && reason.contains("held");
    let is_state = ["REQUEUE_HOLD", "SPECIAL_EXIT"].contains(&state);
    is_said || is_state || reason == "JobHoldMaxRequeue"
}

/// Tasks of an array, as Slurm's clients take them: "4711_7", "4711_[0-2,7]".
pub(super) fn tasks(job: &str, indexes: &BTreeSet<usize>) -> String {
    let indexes: Vec<usize> = indexes.iter().copied().collect();
    match indexes[..] {
        [index] => format!("{job}_{index}"),
        _ => format!("{job}_[{}]", spans(&indexes)),
    }
}
