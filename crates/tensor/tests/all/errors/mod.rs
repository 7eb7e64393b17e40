//! Every error, with what its message says; and that nothing a caller can write panics.

mod planning;
mod recording;
mod running;

use ganforge_tensor::{Cpu, Error, Executor, Feed, Graph, Plan, Reference, Store, Var};

/// `<file>:<line of the call>`, as messages end.
#[track_caller]
pub fn site(lines_above: u32) -> String {
    let caller = std::panic::Location::caller();
    format!("{}:{}:", caller.file(), caller.line() - lines_above)
}

#[track_caller]
fn assert_says(error: &Error, parts: &[&str]) {
    let message = error.to_string();
    assert_eq!(format!("{error:?}"), message, "what main prints of it");
    for part in parts {
        assert!(message.contains(part), "expected {part:?} in {message:?}");
    }
}

/// What compiling a plan that fetches `y` says.
fn fault<'g>(g: &'g Graph, y: Var<'g>) -> Error {
    match Plan::of(g).fetch("y", y).compile() {
        Ok(_) => panic!("the plan compiles"),
        Err(error) => error,
    }
}

/// Runs `plan` on both executors, which must fail alike and leave the store as it was.
#[track_caller]
fn run_fails(plan: &Plan, store: &Store, feeds: &[Feed]) -> Error {
    let (mut of_cpu, mut of_reference) = (store.clone(), store.clone());
    let cpu = Cpu::new(plan).run(plan, &mut of_cpu, feeds);
    let reference = Reference::new().run(plan, &mut of_reference, feeds);
    let error = cpu.expect_err("the run fails");
    assert_eq!(reference.expect_err("the run fails"), error);
    assert!(of_cpu == *store && of_reference == *store);
    error
}
