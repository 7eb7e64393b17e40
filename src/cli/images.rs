//! Images that any program made: the options that say how to read them, and looking at them.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::ValueEnum;
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
    /// Where the values of float arrays lie: unit, 0 to 1; signed, -1 to 1; bytes, 0 to 255
    #[arg(long, value_enum, default_value = "unit", requires = "images")]
    range: Range,
    /// The size of images in arrays [N, d], as in 32x32x3 [default: a square, grey or of three colours]
    #[arg(long, value_name = "HxWxC", value_parser = size, requires = "images")]
    size: Option<ImageSize>,
    /// Of a data set that is named, as mnist, this part
    #[arg(long, default_value = "test", value_parser = ["train", "valid", "test"], requires = "images")]
    part: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Range {
    Unit,
    Signed,
    Bytes,
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
    /// Opens files of images, or the part of a data set where `path` is the name of one and no file.
    pub(super) fn open(&self, path: &Path, protocol: Protocol) -> Result<ImageSet, Failure> {
        if let Some(DataSet::Published(set)) = path.to_str().and_then(DataSet::of)
            && !path.exists()
        {
            let policy = FetchPolicy::from_env();
            let (data, notices) = data::load(set.name, policy, &mut |line| tell(line))?;
            match data.origin {
                Origin::BundledSample => tell(&framed(&notices)),
                _ => notices.iter().for_each(|line| tell(line)),
            }
            return Ok(ImageSet::of_part(&data, &self.part)?);
        }
        let options = ImageOptions {
            size: self.size,
            range: match self.range {
                Range::Unit => ValueRange::Unit,
                Range::Signed => ValueRange::Signed,
                Range::Bytes => ValueRange::Bytes,
            },
            mixed: protocol == Protocol::CleanFid,
        };
        Ok(ImageSet::open(path, &options)?)
    }
}

/// What a network sees in the images `rows`; shows how far it is.
pub(super) fn look(
    network: &mut Extractor,
    images: &mut ImageSet,
    rows: &[usize],
    keep: Keep,
) -> Result<Source, Failure> {
    if let Some(size) = images.size()
        && let Some(note) = network.takes(size)?
    {
        tell(&format!("{}: {note}", images.name()));
    }
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
