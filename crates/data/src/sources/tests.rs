use std::io::{BufRead, Write};
use std::net::TcpListener;

use super::network::from_tgz;
use super::*;
use crate::hash::Sum;

const HELLO: PublishedFile = PublishedFile::new(
    "hello",
    5,
    Sum::Sha256,
    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
);

/// Answers one request after the other with these statuses and bodies; gives the URL prefix.
fn serve(answers: Vec<(&'static str, &'static [u8])>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            lines
                .map_while(Result::ok)
                .take_while(|line| !line.is_empty())
                .for_each(drop);
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len().max(5)
            );
            stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        }
    });
    format!("http://{address}/data/")
}

fn deliver(source: &Source, into: &Path) -> Result<(), Fault> {
    source.deliver(&[&HELLO], into, &mut |_| {})
}

#[test]
fn a_url_gives_the_plain_file_where_there_is_no_gz() {
    let folder = tempfile::tempdir().unwrap();
    let url = serve(vec![("404 Not Found", b"none!"), ("200 OK", b"hello")]);
    deliver(&Source::Files(url.into()), folder.path()).unwrap();
    assert_eq!(fs::read(folder.path().join("hello")).unwrap(), b"hello");
}

#[test]
fn what_a_url_gets_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, &[u8], &str); 3] = [
        ("500 Internal Server Error", b"oops!", "http status: 500"),
        ("200 OK", b"hallo", "damaged: SHA-256 is d3751d33"),
        ("200 OK", b"hel", ""),
    ];
    for (status, body, part) in cases {
        let reason = deliver(
            &Source::Files(serve(vec![(status, body)]).into()),
            folder.path(),
        )
        .unwrap_err()
        .reason;
        assert!(
            reason.contains(part) && !reason.contains('\n'),
            "expected `{part}` in `{reason}`"
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
    let nobody = Source::Files("http://127.0.0.1:1/".into());
    assert!(
        deliver(&nobody, folder.path())
            .unwrap_err()
            .reason
            .contains("Connection refused")
    );
}

/// A .tar.gz with the same file at two places.
fn archive() -> Vec<u8> {
    let level = flate2::Compression::fast();
    let mut tar = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), level));
    for (name, body) in [
        ("package/hello", b"other"),
        ("package/data/hello", b"hello"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(5);
        header.set_cksum();
        tar.append_data(&mut header, name, &body[..]).unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[test]
fn a_package_gives_the_files_in_its_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = archive();
    let unpack = |bytes: &[u8], inner: Option<&str>, file: &PublishedFile| {
        let inner = inner.map(Path::new);
        from_tgz(bytes, "p", inner, &[file], folder.path(), &mut |_| {})
    };
    unpack(&bytes, Some("package/data"), &HELLO).unwrap();
    assert_eq!(fs::read(folder.path().join("hello")).unwrap(), b"hello");
    let other = PublishedFile {
        name: "other",
        ..HELLO
    };
    let reason = unpack(&bytes, Some("package/data"), &other)
        .unwrap_err()
        .reason;
    assert_eq!(reason, "the archive has no other");
    assert!(unpack(&bytes[..bytes.len() / 2], Some("package/data"), &HELLO).is_err());
    // In whatever folder it is: here the first one is a wrong file.
    let reason = unpack(&bytes, None, &HELLO).unwrap_err().reason;
    assert!(
        reason.starts_with("p:package/hello: damaged: SHA-256"),
        "{reason}"
    );
}

#[test]
fn an_archive_is_unpacked_on_its_way() {
    let folder = tempfile::tempdir().unwrap();
    let body: &'static [u8] = archive().leak();
    let url = serve(vec![("200 OK", body), ("404 Not Found", b"none!")]);
    let url = format!("{url}files.tar.gz");
    let source = Source::given(&url);
    assert!(matches!(source, Source::Archive(_)) && source.needs_network());
    let sum = "795f3202b17cb6bc3d4b771d8c6c9eaf"; // of "other", which comes first
    let md5 = PublishedFile::new("hello", 5, Sum::Md5, sum);
    source.deliver(&[&md5], folder.path(), &mut |_| {}).unwrap();
    assert_eq!(fs::read(folder.path().join("hello")).unwrap(), b"other");
    let reason = deliver(&source, folder.path()).unwrap_err().reason;
    assert!(reason.contains("404"), "{reason}");
}

#[test]
fn what_is_nowhere_says_whom_to_ask() {
    let folder = tempfile::tempdir().unwrap();
    let sources = crate::sets::TFD.sources;
    assert_eq!(sources.len(), 1);
    assert!(!sources[0].needs_network());
    let reason = deliver(&sources[0], folder.path()).unwrap_err().reason;
    assert!(reason.contains("--from FOLDER"), "{reason}");
}

#[test]
fn who_is_to_blame_is_said_by_what_failed_and_not_by_where_it_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let kind = |source: Source, into: &Path| deliver(&source, into).unwrap_err().kind;
    let url = |status, body: &'static [u8]| Source::Files(serve(vec![(status, body); 2]).into());
    let of = |name: &str| Source::Folder(folder.path().join(name));

    // Nothing there, something else there, an address that is none.
    assert_eq!(kind(of("nowhere"), folder.path()), Kind::Input);
    fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(kind(of("empty"), folder.path()), Kind::Input);
    assert_eq!(
        kind(url("404 Not Found", b"none!"), folder.path()),
        Kind::Input
    );
    assert_eq!(kind(url("200 OK", b"hallo"), folder.path()), Kind::Input);

    // No connection, a server in trouble.
    let nobody = Source::Files("http://127.0.0.1:1/".into());
    assert_eq!(kind(nobody, folder.path()), Kind::System);
    let broken = url("500 Internal Server Error", b"oops!");
    assert_eq!(kind(broken, folder.path()), Kind::System);
}

#[test]
fn fetches_at_the_same_time_leave_one_right_file() {
    let folder = tempfile::tempdir().unwrap();
    let (from, into) = (folder.path().join("from"), folder.path().join("into"));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&into).unwrap();
    fs::write(from.join("hello"), "hello").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| deliver(&Source::Folder(from.clone()), &into).unwrap());
        }
    });
    assert_eq!(fs::read_dir(&into).unwrap().count(), 1);
    assert_eq!(fs::read(into.join("hello")).unwrap(), b"hello");
}
