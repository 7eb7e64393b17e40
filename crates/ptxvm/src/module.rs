//! Modules and launches.

use std::collections::HashMap;

use rayon::prelude::*;

use crate::ast::Space;
use crate::block;
use crate::counts::Counts;
use crate::decode;
use crate::error::{Dim, Error, Result, Site};
use crate::inst::{CONSTANT_WINDOW, Kernel};
use crate::launch::{Arg, Launch};
use crate::memory::Memory;
use crate::order::Released;
use crate::parse;
use crate::state::State;

/// The shared memory of a block in bytes, unless more was granted.
const SHARED: usize = 48 * 1024;
/// The most that can be granted (compute capability 9.0).
const MAX_SHARED: usize = 227 * 1024;

/// A PTX module, checked and decoded.
#[derive(Debug)]
pub struct Module {
    file: String,
    kernels: Vec<Kernel>,
    constants: Memory,
}

impl Module {
    /// Parses and checks PTX; `file` is the name used in messages.
    ///
    /// # Errors
    /// [`Error::Parse`] if the text is not PTX, or has an unsupported instruction.
    pub fn parse(file: &str, text: &str) -> Result<Module> {
        let source = parse::parse(file, text)?;
        let mut constants = Memory::new();
        let mut addresses = HashMap::new();
        let shared: Vec<_> = source
            .variables
            .iter()
            .filter(|v| v.space == Space::Shared)
            .collect();
        for v in source
            .variables
            .iter()
            .filter(|v| v.space == Space::Constant)
        {
            let pointer = constants.alloc_constant(&v.name, &v.data);
            addresses.insert(v.name.clone(), CONSTANT_WINDOW + pointer.0);
        }
        let kernels = source.entries.iter();
        let kernels = kernels.map(|entry| decode::decode(file, entry, &shared, &addresses));
        Ok(Module {
            file: file.to_string(),
            kernels: kernels.collect::<Result<_>>()?,
            constants,
        })
    }

    /// The names of its kernels, in the order of the text.
    pub fn kernels(&self) -> impl Iterator<Item = &str> {
        self.kernels.iter().map(|k| k.name.as_str())
    }

    /// Runs a kernel on `memory`, its blocks on the current rayon pool, and returns its cost.
    ///
    /// # Errors
    /// [`Error::Launch`] if the arguments or sizes do not fit the kernel; [`Error::Fault`] for the first fault in the lowest
    /// block.
    pub fn launch(
        &self,
        kernel: &str,
        launch: &Launch,
        args: &[Arg],
        memory: &mut Memory,
    ) -> Result<Counts> {
        let Some(kernel) = self.kernels.iter().find(|k| k.name == kernel) else {
            let kernel = kernel.to_string();
            let names: Vec<&str> = self.kernels().collect();
            let reason = format!(
                "no such kernel in {}, which has {}",
                self.file,
                names.join(", ")
            );
            return Err(Error::Launch { kernel, reason });
        };
        let params = check(kernel, launch, args)?;
        let [x, y, _] = launch.grid.map(u64::from);
        let released = Released::new(launch.blocks());
        let run = |block: u64| {
            let place = [block % x, block / x % y, block / x / y].map(|i| i as u32);
            let number = block as u32;
            let state = State::new(
                kernel,
                launch,
                memory,
                &self.constants,
                &params,
                &released,
                (place, number),
            );
            block::run(state).map_err(|stopped| {
                let inst = kernel.insts.get(stopped.pc);
                Error::Fault {
                    kernel: kernel.name.clone(),
                    file: self.file.clone(),
                    line: inst.map_or(0, |i| i.line),
                    instruction: inst.map_or(String::new(), |i| i.name.clone()),
                    site: Site {
                        block: Dim(place),
                        thread: stopped.thread,
                    },
                    fault: Box::new(stopped.fault),
                }
            })
        };
        // The order of blocks is kept, so that the error is that of the lowest one.
        let total = (0..launch.blocks()).into_par_iter().map(run).reduce(
            || Ok(Counts::default()),
            |a, b| {
                let mut a = a?;
                a += b?;
                Ok(a)
            },
        );
        memory.settle();
        total
    }
}

/// The bytes of the parameters, if all arguments fit.
fn check(kernel: &Kernel, launch: &Launch, args: &[Arg]) -> Result<Vec<u8>> {
    let fail = |reason: String| {
        Err(Error::Launch {
            kernel: kernel.name.clone(),
            reason,
        })
    };
    let threads = launch.threads();
    let most = kernel.max_threads.unwrap_or(1024).min(1024);
    if threads == 0 || threads > most {
        return fail(format!(
            "expected 1 to {most} threads in a block, got {:?}",
            launch.block
        ));
    }
    let [x, y, z] = launch.grid;
    if x >= 1 << 31 || y > 65_535 || z > 65_535 {
        return fail(format!(
            "expected at most 2^31 - 1 blocks along x and 65535 along y and z, got {x} x {y} x {z}"
        ));
    }
    if launch.blocks() == 0 || launch.blocks() >= 1 << 27 {
        return fail(format!(
            "expected 1 to 2^27 - 1 blocks, got {:?}",
            launch.grid
        ));
    }
    let shared = kernel.shared + launch.shared;
    let most = match launch.shared <= launch.granted {
        true => MAX_SHARED,
        false => SHARED,
    };
    if kernel.shared > SHARED || shared > most {
        return fail(format!(
            "expected at most {most} bytes of shared memory, got {shared}, of which {} are its own",
            kernel.shared
        ));
    }
    if args.len() != kernel.params.len() {
        return fail(format!(
            "expected {} arguments, got {}",
            kernel.params.len(),
            args.len()
        ));
    }
    let mut bytes = Vec::new();
    for (i, (arg, &(size, offset))) in args.iter().zip(&kernel.params).enumerate() {
        let value = arg.bytes();
        if value.len() != size {
            return fail(format!("argument {i}: expected {size} bytes, got {arg:?}"));
        }
        bytes.resize(offset, 0);
        bytes.extend(value);
    }
    Ok(bytes)
}
