//! `ganforge presets`.

use ganforge::gan::config::{Preset, presets};

use super::failure::Failure;
use super::output::say;

/// The configurations that come with the program.
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Their names
    List,
    /// A preset whole, as a TOML file to train, read or change
    #[command(after_help = "Example:\n  ganforge presets show mnist > my.toml")]
    Show {
        /// The preset
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// Runs the command.
pub(super) fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::List => {
            let lines = presets().iter();
            let lines = lines.map(|p| format!("{:<16}{}", p.name, p.summary));
            say(&lines.collect::<Vec<_>>().join("\n"))
        }
        Command::Show { name } => say(Preset::find(name)?.text.trim_end()),
    }
}
