//! A Slurm of one machine, with a controller, a node and the keys between them, in a folder and on ports of its own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Done, Place};

/// Runs until dropped. It needs root, and Debian's packages slurm-wlm and munge.
pub struct Slurm {
    folder: tempfile::TempDir,
    munged: Option<Daemon>,
    controller: Option<Daemon>,
    node: Option<Daemon>,
}

/// A process that is ended with the thread that began it, if nothing else ends it before.
struct Daemon(Child);

impl Daemon {
    fn start(program: &str, arguments: &[&str]) -> Daemon {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", program]);
        command.args(arguments).stdin(Stdio::null());
        let command = command.stdout(Stdio::null()).stderr(Stdio::null());
        let started = command.spawn();
        Daemon(started.unwrap_or_else(|e| panic!("setpriv {program}: {e}")))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        kill("TERM", self.0.id());
        let has_ended = |child: &mut Child| !matches!(child.try_wait(), Ok(None));
        for _ in 0..50 {
            if has_ended(&mut self.0) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a signal to a process.
pub fn kill(signal: &str, pid: u32) {
    let signal = format!("-{signal}");
    let _ = Command::new("kill")
        .args([&signal, &pid.to_string()])
        .output();
}

/// Waits until something is so, with a limit: machines that test are busy.
#[track_caller]
pub fn until<T>(what: &str, mut is_so: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(found) = is_so() {
            return found;
        }
        assert!(
            begin.elapsed() < Duration::from_secs(600),
            "waited in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Slurm {
    /// Starts one, whose controller gives up a node after `patience` seconds without a word.
    #[track_caller]
    pub fn start(patience: u32) -> Option<Slurm> {
        let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
        let folder = tempfile::tempdir().expect("a temporary folder");
        if !["sbatch", "slurmctld", "slurmd", "munged", "setpriv"]
            .into_iter()
            .all(has)
        {
            testkit::skip(
                "slurm",
                "Slurm's programs are not all there (Debian: slurm-wlm, munge)",
            );
            return None;
        }
        if !testkit::is_roots(folder.path()) {
            testkit::skip("slurm", "its daemons need root here");
            return None;
        }
        let mut slurm = Slurm {
            folder,
            munged: None,
            controller: None,
            node: None,
        };
        let key: Vec<u8> = (0..=255).cycle().take(1024).collect();
        let file = slurm.path("munge.key");
        fs::write(&file, key).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).expect("set");
        for folder in ["state", "spool"] {
            fs::create_dir(slurm.path(folder)).expect("made");
        }
        fs::write(slurm.path("slurm.conf"), slurm.configuration(patience)).expect("written");
        let option = |name: &str, file: &str| format!("--{name}={}", slurm.path(file).display());
        let options = [
            option("key-file", "munge.key"),
            option("socket", "munge.sock"),
            option("pid-file", "munged.pid"),
            option("log-file", "munged.log"),
            option("seed-file", "munge.seed"),
        ];
        let mut arguments = vec!["--force", "--foreground"];
        arguments.extend(options.iter().map(String::as_str));
        let munged = Daemon::start("munged", &arguments);
        slurm.munged = Some(munged);
        until("munge's socket", || {
            slurm.path("munge.sock").exists().then_some(())
        });
        slurm.controller = Some(slurm.daemon("slurmctld"));
        slurm.start_node();
        Some(slurm)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self, patience: u32) -> String {
        let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
        let host = host.trim().split('.').next().unwrap_or_default();
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let ports = ports.map(|p| p.local_addr().expect("an address").port());
        let at = |name: &str| self.path(name).display().to_string();
        let lines = [
            "ClusterName=test".to_owned(),
            format!("SlurmctldHost={host}(127.0.0.1)"),
            format!("SlurmctldPort={}", ports[0]),
            format!("SlurmdPort={}", ports[1]),
            "SlurmUser=root".to_owned(),
            "SlurmdUser=root".to_owned(),
            "AuthType=auth/munge".to_owned(),
            format!("AuthInfo=socket={}", at("munge.sock")),
            format!("StateSaveLocation={}", at("state")),
            format!("SlurmdSpoolDir={}", at("spool")),
            format!("SlurmctldPidFile={}", at("slurmctld.pid")),
            format!("SlurmdPidFile={}", at("slurmd.pid")),
            format!("SlurmctldLogFile={}", at("slurmctld.log")),
            format!("SlurmdLogFile={}", at("slurmd.log")),
            "ProctrackType=proctrack/linuxproc".to_owned(),
            "TaskPlugin=task/none".to_owned(),
            "SelectType=select/cons_tres".to_owned(),
            "SelectTypeParameters=CR_CPU".to_owned(),
            "SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=1".to_owned(),
            // As many processors as one says.
            "SlurmdParameters=config_overrides".to_owned(),
            format!("SlurmdTimeout={patience}"),
            "ReturnToService=2".to_owned(),
            format!("NodeName={host} NodeAddr=127.0.0.1 CPUs=16 State=UNKNOWN"),
            format!("PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP"),
        ];
        lines.join("\n") + "\n"
    }

    fn daemon(&self, program: &str) -> Daemon {
        let file = self.path("slurm.conf").display().to_string();
        Daemon::start(program, &["-D", "-c", "-f", &file])
    }

    /// Starts the node, and waits until it may have jobs.
    pub fn start_node(&mut self) {
        self.node = Some(self.daemon("slurmd"));
        let is_idle = || {
            self.ask("sinfo", &["-h", "-o", "%T"])
                .contains("idle")
                .then_some(())
        };
        until("an idle node", is_idle);
    }

    /// The node is lost, as by a power cut, with the process `worker` on it.
    pub fn lose_node(&mut self, worker: u32) {
        let status = fs::read_to_string(format!("/proc/{worker}/status")).expect("its state");
        let parent = status
            .lines()
            .find_map(|l| l.strip_prefix("PPid:"))
            .expect("a parent");
        let mut node = self.node.take().expect("a node");
        let _ = node.0.kill();
        // What would have told of the end of the job.
        kill("KILL", parent.trim().parse().expect("a number"));
        kill("KILL", worker);
    }

    /// The program in a folder, as somebody who may use this Slurm.
    pub fn command(&self, place: &Place, arguments: &[&str]) -> Command {
        let mut command = place.command(arguments);
        command.env("SLURM_CONF", self.path("slurm.conf"));
        command
    }

    /// What one of Slurm's clients prints.
    pub fn ask(&self, client: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(client);
        command
            .args(arguments)
            .env("SLURM_CONF", self.path("slurm.conf"));
        let done = Done::of(command.output().expect("it runs"));
        done.out
    }
}

impl Drop for Slurm {
    fn drop(&mut self) {
        if self.controller.is_some() && self.node.is_some() {
            self.ask("scancel", &["--partition=main"]);
            for _ in 0..50 {
                if self.ask("squeue", &["-h"]).is_empty() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.path("slurmctld.log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(20).collect();
            eprintln!(
                "the controller's last lines, newest first:\n{}",
                lines.join("\n")
            );
        }
        drop((self.node.take(), self.controller.take(), self.munged.take()));
    }
}
