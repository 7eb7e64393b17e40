//! What the folders of pictures mean: parts, then classes.
//!
//! | names | |
//! |---|---|
//! | `x.png` | no labels, split by name |
//! | `CLASS/x.png` | labels, each class split by name |
//! | `train/x.png`, `test/x.png` | parts, no labels |
//! | `train/CLASS/x.png`, `val/CLASS/x.png` | parts and labels |
//!
//! A folder around all of them means nothing. Where CelebA's list of parts is there, folders mean nothing at all. Of a part that is not there the train part gives a share.

use std::collections::BTreeSet;

use super::members::Members;
use super::partition::{self, Partition};
use crate::HeldOut;
use crate::arrays::SHARE;
use crate::files::{FileError, listed, shown};

/// The names of the parts, in small letters or capitals, and what other names they have.
const PARTS: [(&str, usize); 5] = [
    ("train", 0),
    ("valid", 1),
    ("val", 1),
    ("validation", 1),
    ("test", 2),
];
/// Parts in words.
const NAMES: [&str; 3] = ["train", "valid", "test"];
/// Labels are bytes.
const MOST_CLASSES: usize = 256;

/// Which pictures are in which part, and of which class each is.
pub(super) struct Layout {
    /// Of train, valid and test, the numbers of the pictures among the members, in their order.
    pub(super) parts: [Vec<usize>; 3],
    /// Of each member, where there are classes.
    pub(super) labels: Option<Vec<u8>>,
    pub(super) classes: Vec<String>,
    /// Whether parts are as for one array without labels.
    pub(super) is_plain: bool,
    /// How they are split, for people.
    pub(super) notice: String,
}

/// Where a picture lies.
struct Seen<'a> {
    part: usize,
    class: Option<&'a str>,
}

impl Layout {
    /// errors: no pictures; pictures beside folders of pictures; folders of which some are parts; a class without pictures, in
    /// the folder or in one of the parts; more than 256 classes; too few pictures to split them; a picture that the list of
    /// parts lacks; a part without pictures; counts of what is held out, where there are parts or classes
    pub(super) fn of(
        members: &Members,
        partition: Option<&Partition>,
        held_out: HeldOut,
    ) -> Result<Layout, FileError> {
        let place = &members.place;
        let refuse = |reason: String| Err(FileError::malformed(place, reason));
        let names: Vec<Vec<&str>> = members
            .all
            .iter()
            .map(|m| m.name.split('/').collect())
            .collect();
        if names.is_empty() {
            let file = place.clone();
            let what = match members.is_archive() {
                true => "images (.png, .jpg, .jpeg)",
                false => "images (.png, .jpg, .jpeg) and no data_batch_1.bin of CIFAR-10",
            };
            return Err(FileError::Empty { file, what });
        }
        if let Some(partition) = partition {
            held_out.refuse(place, partition::NAME)?;
            return Layout::listed(members, partition);
        }
        let around = folders_around(&names);
        let top = |name: &[&'_ str]| name.len() > around + 1;
        let tops: BTreeSet<&str> = names
            .iter()
            .filter(|name| top(name))
            .map(|name| name[around])
            .collect();
        let part_of = |name: &str| {
            let part = PARTS.iter().find(|(n, _)| n.eq_ignore_ascii_case(name));
            part.map(|(_, p)| *p)
        };
        let present: BTreeSet<usize> = tops.iter().filter_map(|t| part_of(t)).collect();
        let others: Vec<&str> = tops
            .iter()
            .copied()
            .filter(|t| part_of(t).is_none())
            .collect();
        let is_split = !present.is_empty() && others.is_empty();
        if is_split && !present.contains(&0) {
            let tops = listed(tops);
            return refuse(format!("has the folders {tops} and no folder train"));
        }
        if present.len() > 1 && !others.is_empty() {
            let tops = listed(tops);
            return refuse(format!(
                "has the folders {tops}: expected parts alone (train, valid or val, test) or classes alone"
            ));
        }
        let mut outer = names[0][..around].iter();
        let alone = outer.find(|name| part_of(name).is_some_and(|part| NAMES[part] != "train"));
        if let (false, Some(part)) = (is_split, alone) {
            let part = shown(part);
            return refuse(format!(
                "has images in the folder {part} alone: expected a folder train beside it, or no folders of parts"
            ));
        }
        let first = around + usize::from(is_split);
        let mut seen = Vec::with_capacity(names.len());
        for (name, member) in names.iter().zip(&members.all) {
            if is_split && !top(name) {
                let name = shown(&member.name);
                return refuse(format!(
                    "{name} lies beside the folders of the parts, train and others"
                ));
            }
            seen.push(Seen {
                part: match is_split {
                    true => part_of(name[around]).expect("parts alone"),
                    false => 0,
                },
                class: (name.len() > first + 1).then(|| name[first]),
            });
        }
        let classes: BTreeSet<&str> = seen.iter().filter_map(|s| s.class).collect();
        if let (Some(class), Some(beside)) =
            (classes.first(), seen.iter().position(|s| s.class.is_none()))
        {
            let (name, class) = (shown(&members.all[beside].name), shown(class));
            return refuse(format!(
                "{name} is in no folder of a class, but others are, as in {class}: expected all or none"
            ));
        }
        if classes.len() > MOST_CLASSES {
            let n = classes.len();
            return refuse(format!("has {n} classes: expected at most {MOST_CLASSES}"));
        }
        if !classes.is_empty() {
            let is_class_folder = |folder: &[&str]| {
                let is_within = folder.len() == first + 1 && folder[..around] == names[0][..around];
                is_within && (!is_split || part_of(folder[around]).is_some())
            };
            check_folders(members, &names, is_class_folder)?;
            check_classes(place, &seen, &classes)?;
        }
        let classes: Vec<&str> = classes.into_iter().collect();
        let labels = (!classes.is_empty()).then(|| {
            let label = |s: &Seen| {
                let class = s.class.expect("all have one");
                classes.binary_search(&class).expect("a class") as u8
            };
            seen.iter().map(label).collect::<Vec<u8>>()
        });
        let mut layout = Layout {
            parts: [0, 1, 2]
                .map(|part| (0..seen.len()).filter(|&i| seen[i].part == part).collect()),
            labels,
            classes: classes.into_iter().map(str::to_string).collect(),
            is_plain: false,
            notice: String::new(),
        };
        layout.is_plain = !is_split && layout.labels.is_none();
        if !layout.is_plain {
            held_out.refuse(place, "folders of parts or classes")?;
        }
        let present = if is_split { present } else { BTreeSet::new() };
        layout.fill(place, present, held_out)?;
        Ok(layout)
    }

    /// The parts that a list gives.
    fn listed(members: &Members, partition: &Partition) -> Result<Layout, FileError> {
        let mut parts = [const { Vec::new() }; 3];
        for (i, member) in members.all.iter().enumerate() {
            parts[partition.part(&member.name)?].push(i);
        }
        let [train, valid, test] = [0, 1, 2].map(|part| parts[part].len());
        let list = partition::NAME;
        if let Some(part) = parts.iter().position(Vec::is_empty) {
            let reason = format!("{list} has none of the pictures here in {}", NAMES[part]);
            return Err(FileError::malformed(&members.place, reason));
        }
        let missing = partition.n().saturating_sub(members.all.len());
        let missing = match missing {
            0 => String::new(),
            n => format!("; {n} that it lists are not there"),
        };
        Ok(Layout {
            parts,
            labels: None,
            classes: Vec::new(),
            is_plain: false,
            notice: format!(
                "parts as in {list}: {train} images train, {valid} validate, {test} test{missing}"
            ),
        })
    }

    /// Takes the parts that are not there from the train part: of each class the last seventh, and before it, where that is
    /// missing too, the seventh that validates.
    fn fill(
        &mut self,
        place: &str,
        present: BTreeSet<usize>,
        held_out: HeldOut,
    ) -> Result<(), FileError> {
        let missing: Vec<usize> = [1, 2]
            .into_iter()
            .filter(|p| !present.contains(p))
            .collect();
        let all = std::mem::take(&mut self.parts[0]);
        let class = |i: usize| self.labels.as_ref().map_or(0, |labels| labels[i]);
        let mut groups = vec![Vec::new(); self.classes.len().max(1)];
        for &i in &all {
            groups[usize::from(class(i))].push(i);
        }
        for group in groups {
            let [valid, test] = held_out.of(group.len(), place)?;
            let share = |part: &usize| if *part == 1 { valid } else { test };
            let all_shares: usize = missing.iter().map(share).sum();
            let (train, mut rest) = group.split_at(group.len() - all_shares);
            self.parts[0].extend(train);
            for part in &missing {
                let (taken, left) = rest.split_at(share(part));
                self.parts[*part].extend(taken);
                rest = left;
            }
        }
        self.parts.iter_mut().for_each(|part| part.sort_unstable());
        if self.parts.iter().any(Vec::is_empty) {
            let of_class = if self.labels.is_some() {
                " of a class"
            } else {
                ""
            };
            let reason = format!(
                "{} images cannot be split: expected at least {SHARE}{of_class}",
                all.len()
            );
            return Err(FileError::malformed(place, reason));
        }
        let [train, valid, test] = [0, 1, 2].map(|p| self.parts[p].len());
        let n = train + valid + test;
        self.notice = match (self.is_plain, &self.classes[..]) {
            (true, _) => format!(
                "one set of {n} images: 0..{} train, {train}..{} validate, {}..{} test",
                train - 1,
                train + valid - 1,
                train + valid,
                n - 1,
            ),
            (false, classes) => {
                let of = match classes.len() {
                    0 => "no classes".to_string(),
                    1 => format!("one class, {}", shown(&classes[0])),
                    k => format!(
                        "{k} classes ({})",
                        listed(classes.iter().map(String::as_str))
                    ),
                };
                let each = if classes.is_empty() {
                    "of train"
                } else {
                    "of each class in train"
                };
                let taken: Vec<&str> = missing.iter().map(|p| NAMES[*p]).collect();
                let how = match taken[..] {
                    [] => String::new(),
                    [part] => format!("; {part} is the last seventh {each}"),
                    _ => format!("; test is the last seventh {each}, valid the one before"),
                };
                let how = if present.is_empty() {
                    how.replace(" in train", "")
                } else {
                    how
                };
                format!("{of}: {train} images train, {valid} validate, {test} test{how}")
            }
        };
        Ok(())
    }
}

/// How many folders lie around all pictures: those that all of them are in, but for the parts' own.
fn folders_around(names: &[Vec<&str>]) -> usize {
    let first = &names[0];
    let is_shared = |depth: &usize| {
        let of = |name: &Vec<&str>| name.len() > depth + 1 && name[*depth] == first[*depth];
        names.iter().all(of)
    };
    (0..first.len()).take_while(is_shared).count()
}

/// Refuses a folder that should be a class's and has no picture.
fn check_folders(
    members: &Members,
    names: &[Vec<&str>],
    is_class: impl Fn(&[&str]) -> bool,
) -> Result<(), FileError> {
    for folder in &members.folders {
        let parts: Vec<&str> = folder.split('/').collect();
        if is_class(&parts) && !names.iter().any(|name| name.starts_with(&parts)) {
            let file = format!("{}: {}", members.place, shown(folder));
            let what = "images (.png, .jpg, .jpeg), and other folders beside it do";
            return Err(FileError::Empty { file, what });
        }
    }
    Ok(())
}

/// Refuses parts of unlike classes.
fn check_classes(place: &str, seen: &[Seen], all: &BTreeSet<&str>) -> Result<(), FileError> {
    let of = |part: usize| -> BTreeSet<&str> {
        let in_part = seen.iter().filter(|s| s.part == part);
        in_part.filter_map(|s| s.class).collect()
    };
    let train = of(0);
    for part in [1, 2] {
        let classes = of(part);
        if classes.is_empty() {
            continue;
        }
        let name = NAMES[part];
        for class in all {
            let shown = shown(class);
            let reason = match (train.contains(class), classes.contains(class)) {
                (true, false) => {
                    format!("{name} has no images of the class {shown}, which train has")
                }
                (false, true) => {
                    format!("train has no images of the class {shown}, which {name} has")
                }
                _ => continue,
            };
            return Err(FileError::malformed(place, reason));
        }
    }
    Ok(())
}
