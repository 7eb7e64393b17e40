//! Whether the library belongs to the launcher that started this process.
//!
//! Where it does not, each process is rank 0 of 1 by what the library says, and all would do the same work and write to the
//! same folder.

use crate::Error;

/// The variable of Open MPI's launcher, which serves Open MPI's library alone.
pub(super) const OPEN_MPI: &str = "OMPI_COMM_WORLD_SIZE";

/// Of a whole Slurm job: the process of its script, which no launcher started, has it, too.
const SLURM_JOB: &str = "SLURM_NTASKS";

/// Variables of launchers that say how many ranks they started, the innermost launcher first: `mpirun` within a Slurm job
/// inherits those of Slurm.
const SIZES: [&str; 4] = [OPEN_MPI, "PMI_SIZE", "SLURM_STEP_NUM_TASKS", SLURM_JOB];

/// What the launcher that started this process says: its variable, and how many ranks it started. None where no launcher is
/// known to have started it.
pub fn launched() -> Option<(&'static str, usize)> {
    said(|name| std::env::var(name).ok().filter(|_| name != SLURM_JOB))
}

/// What a launcher said: its variable, and how many ranks it started.
pub(super) fn said(variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, usize)> {
    let number = |name| Some((name, variable(name)?.trim().parse().ok()?));
    SIZES.into_iter().find_map(number)
}

/// Whether the launcher serves this library at all. Before it is initialised: MPICH ends the process then.
pub(super) fn serves(said: Option<(&'static str, usize)>, library: &str) -> Result<(), Error> {
    match said {
        Some((OPEN_MPI, _)) if !library.contains("Open MPI") => Err(Error::OpenMpiLauncher {
            variable: OPEN_MPI,
            library: library.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Compares it with the number of ranks that the library sees.
pub(super) fn check(
    said: Option<(&'static str, usize)>,
    size: usize,
    library: &str,
) -> Result<(), Error> {
    match said {
        Some((variable, started)) if started != size => Err(Error::Launcher {
            variable,
            started,
            size,
            library: library.to_string(),
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> Option<(&'static str, usize)> {
        said(|name| {
            let found = set.iter().find(|(n, _)| *n == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    #[test]
    fn the_innermost_launcher_counts() {
        let slurm = ("SLURM_NTASKS", "8");
        assert_eq!(of(&[slurm]), Some(("SLURM_NTASKS", 8)));
        let step = ("SLURM_STEP_NUM_TASKS", "4");
        assert_eq!(of(&[slurm, step]), Some(("SLURM_STEP_NUM_TASKS", 4)));
        let open = ("OMPI_COMM_WORLD_SIZE", "2");
        assert_eq!(of(&[step, open]), Some(("OMPI_COMM_WORLD_SIZE", 2)));
        assert_eq!(of(&[("PMI_SIZE", "2")]), Some(("PMI_SIZE", 2)));
        assert_eq!(of(&[("SLURM_NTASKS", "4(x2)")]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn the_launcher_of_open_mpi_serves_no_other_library() {
        let open = Some((OPEN_MPI, 1));
        assert_eq!(serves(open, "Open MPI v4.1.4 (libmpi.so.40)"), Ok(()));
        assert_eq!(
            serves(Some(("PMI_SIZE", 2)), "MPICH Version: 5.0.2 (x)"),
            Ok(())
        );
        assert_eq!(serves(None, "MPICH Version: 5.0.2 (x)"), Ok(()));
        let said = serves(open, "MPICH Version: 5.0.2 (x)").expect_err("refused");
        let expected = "OMPI_COMM_WORLD_SIZE is set, so Open MPI's mpirun started this, but the library is MPICH Version: \
                        5.0.2 (x): start with the launcher of that library, or let GANFORGE_MPI name Open MPI's libmpi.so";
        assert_eq!(said.to_string(), expected);
    }

    #[test]
    fn another_number_than_the_librarys_is_refused_with_advice() {
        assert_eq!(check(None, 1, "X"), Ok(()));
        assert_eq!(check(Some(("PMI_SIZE", 4)), 4, "X"), Ok(()));
        let said = check(Some(("PMI_SIZE", 4)), 1, "Open MPI v4.1.4");
        let said = said.expect_err("refused").to_string();
        let expected = "PMI_SIZE says that 4 ranks were started, but Open MPI v4.1.4 sees 1: no launcher started this, \
                        or one that the library does not know. Start with the launcher of that library, or let \
                        GANFORGE_MPI name the library of the launcher";
        assert_eq!(said, expected);
    }
}
