use super::super::zip_write::ZipWriter;
use super::*;

/// A pickle of tensors [2, 3] of these names, each in storage 0 of `room` floats.
fn pickle(names: &[&str], room: u8) -> Vec<u8> {
    let mut p = b"\x80\x02}(".to_vec();
    for name in names {
        p.extend(b"X\x01\x00\x00\x00");
        p.extend(name.as_bytes());
        p.extend(
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n",
        );
        p.extend(b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK");
        p.push(room);
        p.extend(b"tQK\x00K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR");
    }
    p.extend(b"u.");
    p
}

fn read(entries: &[(&str, &[u8])]) -> Result<Vec<(String, Array)>, String> {
    let mut zip = ZipWriter::with_zip64_from(Vec::new(), u64::from(u32::MAX));
    for (name, bytes) in entries {
        zip.add(name, &[bytes]).unwrap();
    }
    let input = Input::of_bytes(zip.finish().unwrap(), "w.pth".to_string());
    of_archive(&input).map_err(|error| error.to_string())
}

#[test]
fn archives_hold_what_they_announce() {
    let (good, data) = (pickle(&["w"], 6), [0; 24]);
    let longer = [&good[..], b"."].concat();
    let tensors = read(&[("data.pkl", &good), ("data/0", &data)]).unwrap();
    assert_eq!(tensors[0].1.shape, [2, 3]);
    let storage: (&str, &[u8]) = ("a/data/0", &data);
    let pickle: (&str, &[u8]) = ("a/data.pkl", &good);
    for (entries, expected) in [
        (
            &[storage][..],
            "w.pth: is not a file of torch.save: it has no entry data.pkl",
        ),
        (
            &[pickle, ("b/data.pkl", &good)],
            "w.pth: has two entries data.pkl",
        ),
        (&[pickle], "w.pth:w: there is no storage a/data/0"),
        (
            &[pickle, ("a/data/0", &data[..20])],
            "w.pth:w: its storage of 6 elements has 20 bytes",
        ),
        (
            &[pickle, storage, ("a/byteorder", b"big")],
            "w.pth: its numbers are big-endian",
        ),
        (
            &[("a/data.pkl", &longer), storage],
            "w.pth: a/data.pkl: 1 bytes follow its end",
        ),
    ] {
        assert_eq!(read(entries).unwrap_err(), expected);
    }
}

#[test]
fn tensors_of_one_storage_are_read_while_they_are_few() {
    let letters: Vec<String> = ('a'..='z').map(String::from).collect();
    let names: Vec<&str> = letters.iter().map(String::as_str).collect();
    let data: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
    let shared = |count: usize| {
        let pickle = pickle(&names[..count], 6);
        read(&[("data.pkl", &pickle), ("data/0", &data)])
    };
    let tensors = shared(16).unwrap();
    assert_eq!(tensors.len(), 16);
    let values = ArrayData::F32(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert!(tensors.iter().all(|(_, array)| array.data == values));
    assert_eq!(
        shared(17).unwrap_err(),
        "w.pth: its tensors take 408 bytes, its storages 24: more than 16 times"
    );
}
