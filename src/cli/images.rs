//! Images that any program made: the options that say how to read them, and looking at them.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use ganforge::gan::config::Contrast;
use ganforge::gan::data::image_files::{ImageOptions, ValueRange};
use ganforge::gan::data::{self, DataSet, FetchPolicy, ImageSize, Origin};
use ganforge::gan::extractors::{Extractor, ImageSet, Keep};
use ganforge::gan::metrics::sets::files::Source;
use ganforge::gan::metrics::sets::protocol::Protocol;
use indicatif::{ProgressBar, ProgressStyle};

use super::failure::Failure;
use super::output::{framed, set_bar, tell};
use super::progress::duration;

/// Time between two lines of progress where there is no terminal.
const SILENCE: Duration = Duration::from_secs(10);

/// How images are read.
#[derive(clap::Args)]
pub(super) struct Reading {
    /// Where the values of float arrays lie: unit, 0 to 1; signed, -1 to 1; bytes, 0 to 255 [default: unit]
    #[arg(long, value_enum)]
    range: Option<Range>,
    /// The size of images in arrays [N, d], as in 32x32x3 [default: a square, grey or of three colours]
    #[arg(long, value_name = "HxWxC", value_parser = size)]
    size: Option<ImageSize>,
    /// Of a data set that is named, as mnist, this part [default: test]
    #[arg(long, value_parser = ["train", "valid", "test"])]
    part: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Range {
    Unit,
    Signed,
    Bytes,
}

/// What a path stands for.
#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Named,
    Pictures,
    Array,
}

impl Sort {
    fn of(path: &Path) -> Sort {
        let name = path.to_string_lossy().to_ascii_lowercase();
        let is_picture = [".tar", ".zip", ".mdb"].iter().any(|e| name.ends_with(e));
        match path.to_str().and_then(DataSet::of) {
            Some(DataSet::Published(_)) if !path.exists() => Sort::Named,
            _ if path.is_dir() || is_picture => Sort::Pictures,
            _ => Sort::Array,
        }
    }
}

fn size(text: &str) -> Result<ImageSize, String> {
    let sides: Result<Vec<usize>, _> = text.split('x').map(str::parse).collect();
    match sides.as_deref() {
        Ok(&[height, width, channels @ (1 | 3)]) if height > 0 && width > 0 => Ok(ImageSize {
            height,
            width,
            channels,
        }),
        _ => Err("expected height, width and 1 or 3 channels, as in 32x32x3".to_owned()),
    }
}

impl Reading {
    /// The names of the options that were given.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("range", self.range.is_some()),
            ("size", self.size.is_some()),
            ("part", self.part.is_some()),
        ];
        let given = all.into_iter().filter(|(_, given)| *given);
        given.map(|(name, _)| name)
    }

    /// Refuses an option but `--range` that was given and that no set of images of these paths uses.
    pub(super) fn check_used(&self, paths: &[&Path]) -> Result<(), Failure> {
        for option in self.given() {
            let (sort, takes) = match option {
                "part" => (Sort::Named, "the name of a data set"),
                "size" => (Sort::Array, "an array"),
                _ => continue,
            };
            if !paths.iter().any(|path| Sort::of(path) == sort) {
                let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
                return Err(Failure::input(format!(
                    "--{option}: expected {takes}, and got {}",
                    paths.join(" and ")
                )));
            }
        }
        Ok(())
    }

    /// Refuses `--range` where none of these sets, whose range it says, has one.
    pub(super) fn check_range(&self, sets: &[&ImageSet]) -> Result<(), Failure> {
        match self.range {
            Some(_) => check_range("range", sets),
            None => Ok(()),
        }
    }

    /// So many of the images, evenly spaced, as a generator of images of this size sees them: [n, d].
    pub(super) fn images(
        &self,
        path: &Path,
        n: usize,
        size: ImageSize,
        contrast: Contrast,
    ) -> Result<Vec<f32>, Failure> {
        self.check_used(&[path])?;
        let mut set = self.open(path, Protocol::default(), None)?;
        self.check_range(&[&set])?;
        if set.size() != Some(size) {
            let found = set.size().map(|size| size.to_string());
            return Err(Failure::input(format!(
                "{}: images of {}, and the generator makes images of {size}",
                path.display(),
                found.as_deref().unwrap_or("several sizes")
            )));
        }
        let rows = set.rows(Some(n));
        let mut x = set.units(&rows)?;
        let d = size.height * size.width * size.channels;
        x.chunks_exact_mut(d).for_each(|x| contrast.apply(x));
        Ok(x)
    }

    /// Opens files of images as the protocol reads them, or the part of a data set where `path` is the name of one and no file;
    /// `range` is in the place of that of the options.
    pub(super) fn open(
        &self,
        path: &Path,
        protocol: Protocol,
        range: Option<Range>,
    ) -> Result<ImageSet, Failure> {
        if let Some(DataSet::Published(set)) = path.to_str().and_then(DataSet::of)
            && !path.exists()
        {
            let policy = FetchPolicy::from_env();
            let (data, notices) = data::load(set.name, policy, &mut |line| tell(line))?;
            match data.origin {
                Origin::BundledSample => tell(&framed(&notices)),
                _ => notices.iter().for_each(|line| tell(line)),
            }
            return Ok(ImageSet::of_part(
                &data,
                self.part.as_deref().unwrap_or("test"),
            )?);
        }
        let options = ImageOptions {
            size: self.size,
            range: match range.or(self.range) {
                None | Some(Range::Unit) => ValueRange::Unit,
                Some(Range::Signed) => ValueRange::Signed,
                Some(Range::Bytes) => ValueRange::Bytes,
            },
            mixed: protocol == Protocol::CleanFid,
            arrays: protocol == Protocol::CleanFid,
            // Those two read the pictures of a folder itself alone.
            deep: !matches!(protocol, Protocol::TorchFidelity | Protocol::PytorchFid),
        };
        Ok(ImageSet::open(path, &options)?)
    }
}

/// Refuses the option, which says where floats lie, where none of these sets has floats.
pub(super) fn check_range(option: &str, sets: &[&ImageSet]) -> Result<(), Failure> {
    match sets.iter().any(|set| set.has_range()) {
        true => Ok(()),
        false => {
            let names: Vec<&str> = sets.iter().map(|set| set.name()).collect();
            Err(Failure::input(format!(
                "--{option}: expected an array of floats, and there are bytes in {}",
                names.join(" and ")
            )))
        }
    }
}

/// Refuses images that the network does not take, and says what is done to them for it.
pub(super) fn check_fit(network: &Extractor, images: &ImageSet) -> Result<(), Failure> {
    let taken = match images.size() {
        Some(size) => network.takes(size).ok(),
        None => network.image().is_none().then_some(None),
    };
    let Some(note) = taken else {
        let found = images.size().map(|size| size.to_string());
        let takes = network.image().map(|size| size.to_string());
        return Err(Failure::input(format!(
            "{}: images of {}, and {} takes {}",
            images.name(),
            found.as_deref().unwrap_or("several sizes"),
            network.name(),
            takes
                .as_deref()
                .unwrap_or("grey ones or such of three channels")
        )));
    };
    if let Some(note) = note {
        tell(&format!("{}: {note}", images.name()));
    }
    Ok(())
}

/// What a network sees in the images `rows`, of which [`check_fit`] was asked; shows how far it is.
pub(super) fn look(
    network: &mut Extractor,
    images: &mut ImageSet,
    rows: &[usize],
    keep: Keep,
) -> Result<Source, Failure> {
    let mut shown = Shown::new(format!("{}: {}", network.name(), images.name()), rows.len());
    let source = network.features_of(images, rows, keep, &mut |done| shown.at(done));
    set_bar(None);
    drop(shown);
    images.notices().iter().for_each(|line| tell(line));
    Ok(source?)
}

/// Progress: a bar on a terminal, else a line from time to time.
struct Shown {
    what: String,
    total: usize,
    bar: Option<ProgressBar>,
    begin: Instant,
    last: Instant,
}

impl Shown {
    fn new(what: String, total: usize) -> Shown {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{msg} {wide_bar}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total as u64).with_style(style.progress_chars("=>."))
        });
        set_bar(bar.as_ref());
        let begin = Instant::now();
        Shown {
            what,
            total,
            bar,
            begin,
            last: begin,
        }
    }

    fn at(&mut self, done: usize) {
        let elapsed = self.begin.elapsed().as_secs_f64();
        let left = elapsed * (self.total - done) as f64 / done.max(1) as f64;
        let line = format!(
            "{}: {done} of {} images, {} left",
            self.what,
            self.total,
            duration(left)
        );
        match &self.bar {
            Some(bar) => {
                bar.set_position(done as u64);
                bar.set_message(line);
            }
            None if self.last.elapsed() >= SILENCE => {
                self.last = Instant::now();
                tell(&line);
            }
            None => {}
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
