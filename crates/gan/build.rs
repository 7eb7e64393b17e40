//! Makes the list of presets from the files in `presets`: the name is the file's, the summary its first line.

use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("presets");
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut list = String::from("&[\n");
    let mut paths = fs::read_dir(&folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    paths.sort();
    for path in paths
        .iter()
        .filter(|p| p.extension().is_some_and(|e| e == "toml"))
    {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(path)?;
        let first = text.lines().next().unwrap_or("");
        let summary = first.strip_prefix(&format!("# {name}: "));
        let summary = summary.ok_or(format!(
            "{}: expected `# {name}: summary` first",
            path.display()
        ))?;
        list += &format!(
            "Preset {{ name: {name:?}, summary: {summary:?}, text: include_str!({path:?}) }},\n"
        );
    }
    list += "]\n";
    fs::write(Path::new(&env::var("OUT_DIR")?).join("presets.rs"), list)?;
    Ok(())
}
