//! `cargo xtask ptx` compiles `kernels/*.cu` to `kernels/ptx/*.ptx`; `cargo xtask ptxas` assembles those for each device
//! generation and prints what their kernels take.
//!
//! NVRTC and ptxas come from their packages on PyPI, at a pinned version, into the target folder; no CUDA toolkit and no
//! GPU is needed. `GANFORGE_CUDA_TOOLS` names a `site-packages` folder that has them already.

#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::LazyLock;
use std::time::Instant;

use xtask::{Family, Result, families, resource_table, resources, root, table_head};

/// CUDA 12.4 writes PTX 8.4, which drivers from 550 on read; the assembler of 12.9 knows all devices from sm_70 to sm_120.
const PACKAGES: [&str; 2] = [
    "nvidia-cuda-nvrtc-cu12==12.4.127",
    "nvidia-cuda-nvcc-cu12==12.9.86",
];
/// Calls NVRTC, whose interface is C: so no unsafe code is needed here.
const NVRTC: &str = include_str!("nvrtc.py");

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let done = match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ptx"] => ptx(),
        ["ptxas"] => ptxas(),
        _ => Err("usage: cargo xtask ptx | ptxas".to_string()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Compiles every family whose PTX is not of its source, and writes down what the kernels take.
fn ptx() -> Result<()> {
    let families = families()?;
    let table = fs::read_to_string(resource_table()).unwrap_or_default();
    let mut old = !table.starts_with(&table_head(&families));
    let mut tools = None;
    for family in &families {
        let (path, first) = (family.ptx(), family.first_line());
        if fs::read_to_string(&path).is_ok_and(|t| t.lines().next() == Some(first.as_str())) {
            println!("{:<20} up to date", family.name);
            continue;
        }
        let tools = match &tools {
            Some(tools) => tools,
            None => tools.insert(Tools::find()?),
        };
        let text = tools.compile(family)?;
        write(&path, &format!("{first}\n{text}"))?;
        println!("{:<20} compiled for compute_{}", family.name, family.arch());
        old = true;
    }
    if old {
        let tools = tools.map_or_else(Tools::find, Ok)?;
        write(&resource_table(), &table_of(&tools, &families)?)?;
    }
    Ok(())
}

/// Assembles every PTX, and fails where a kernel spills registers, keeps a stack, or takes other than what is written down.
fn ptxas() -> Result<()> {
    let table = table_of(&Tools::find()?, &families()?)?;
    print!("{table}");
    match fs::read_to_string(resource_table()).is_ok_and(|t| t == table) {
        true => Ok(()),
        false => Err("kernels/ptx/resources.txt says something else: run `cargo xtask ptx`".into()),
    }
}

/// The most seconds that ptxas may take for a kernel of a family on average: a driver compiles each before its first use.
const MOST_SECONDS: f64 = 2.0;

/// What every kernel takes on every device; none may spill or keep a stack, nor take long to compile.
fn table_of(tools: &Tools, families: &[Family]) -> Result<String> {
    let (mut table, mut bad) = (table_head(families), Vec::new());
    let row = |cells: [&str; 6]| {
        let [kernel, device, registers, shared, stack, spills] = cells;
        format!("{kernel:<32} {device:>6} {registers:>9} {shared:>8} {stack:>5} {spills:>6}\n")
    };
    table += &row([
        "kernel",
        "device",
        "registers",
        "shared/B",
        "stack",
        "spills",
    ]);
    for family in families {
        for device in family.devices() {
            let begin = seconds();
            let found = resources(&tools.assemble(family, device)?)?;
            let (seconds, name) = (seconds() - begin, &family.name);
            let (n, each) = (found.len(), seconds / found.len().max(1) as f64);
            eprintln!(
                "{name:<20} sm_{device}: {seconds:.1} s of ptxas for {n} kernels, {each:.2} s each"
            );
            if each > MOST_SECONDS {
                return Err(format!(
                    "{name} takes {each:.1} s for a kernel on sm_{device}, at most {MOST_SECONDS} are allowed"
                ));
            }
            for r in found {
                let device = format!("sm_{device}");
                let numbers = [r.registers, r.shared, r.stack, r.spills].map(|n| n.to_string());
                let [registers, shared, stack, spills] = numbers.each_ref().map(String::as_str);
                table += &row([&r.kernel, &device, registers, shared, stack, spills]);
                if r.stack > 0 || r.spills > 0 {
                    bad.push(format!("{} on {device}", r.kernel));
                }
            }
        }
    }
    match bad.is_empty() {
        true => Ok(table),
        false => Err(format!(
            "{table}registers do not suffice for {}",
            bad.join(", ")
        )),
    }
}

/// The processor's time that commands have taken so far, which others' work does not lengthen; where the system does not say, that
/// of the clock.
fn seconds() -> f64 {
    /// Of those after the command's name: user and system time of children that have ended, in hundredths of a second.
    const TIMES: [usize; 2] = [13, 14];
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    let time = |i: usize| fields.get(i).and_then(|t| t.parse::<f64>().ok());
    match TIMES.map(time) {
        [Some(user), Some(system)] => 0.01 * (user + system),
        _ => START.elapsed().as_secs_f64(),
    }
}

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Where NVRTC and ptxas are.
struct Tools {
    python: PathBuf,
    folder: PathBuf,
    packages: PathBuf,
}

impl Tools {
    fn find() -> Result<Tools> {
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
        let folder = target.join("cuda-tools");
        fs::create_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        if let Some(packages) = env::var_os("GANFORGE_CUDA_TOOLS") {
            let (python, packages) = (PathBuf::from("python3"), PathBuf::from(packages));
            return Ok(Tools {
                python,
                folder,
                packages,
            });
        }
        let (python, packages) = (folder.join("venv/bin/python"), folder.join("packages"));
        let installed = folder.join("installed");
        let wanted = PACKAGES.join(" ");
        if fs::read_to_string(&installed).is_ok_and(|t| t == wanted) {
            return Ok(Tools {
                python,
                folder,
                packages,
            });
        }
        eprintln!("fetching {wanted}");
        run(Command::new("python3")
            .args(["-m", "venv"])
            .arg(folder.join("venv")))?;
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--upgrade",
            "--no-deps",
            "--target",
        ];
        run(Command::new(&python)
            .args(pip)
            .arg(&packages)
            .args(PACKAGES))?;
        write(&installed, &wanted)?;
        Ok(Tools {
            python,
            folder,
            packages,
        })
    }

    /// The PTX of a family.
    fn compile(&self, family: &Family) -> Result<String> {
        let (script, source) = (
            self.folder.join("nvrtc.py"),
            self.folder.join(format!("{}.cu", family.name)),
        );
        write(&script, NVRTC)?;
        write(&source, &family.source)?;
        let library = self.packages.join("nvidia/cuda_nvrtc/lib/libnvrtc.so.12");
        let arch = format!("compute_{}", family.arch());
        run(Command::new(&self.python)
            .arg(script)
            .arg(library)
            .arg(source)
            .arg(arch))
        .map(|out| out.0)
    }

    /// The assembler's messages for a family's PTX.
    fn assemble(&self, family: &Family, device: &str) -> Result<String> {
        let ptxas = self.packages.join("nvidia/cuda_nvcc/bin/ptxas");
        let arch = format!("-arch=sm_{device}");
        let source = self.folder.join("in.ptx");
        write(&source, &family.ptx_for(device)?)?;
        let mut command = Command::new(ptxas);
        command
            .args(["-v", &arch, "-o"])
            .arg(self.folder.join("out.cubin"))
            .arg(source);
        run(&mut command).map(|out| out.1)
    }
}

/// Runs a command to its success; its output and its messages.
fn run(command: &mut Command) -> Result<(String, String)> {
    let name = command.get_program().to_string_lossy().to_string();
    let output = command.output().map_err(|e| format!("{name}: {e}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_string();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    if output.status.success() {
        Ok((out, err))
    } else {
        Err(format!("{name} failed ({}):\n{out}{err}", output.status))
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}
