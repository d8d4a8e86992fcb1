//! What survives a power cut, and what a fault leaves.

use super::*;

/// A disk with a durable file `a` that holds `old`, and its number.
fn disk() -> (Disk, Inode) {
    let mut disk = Disk::new(1);
    let (a, made) = disk.open(Some("a"), true).unwrap();
    assert!(made);
    disk.write(a, 0, b"old").unwrap();
    disk.sync(a).unwrap();
    disk.sync_directory().unwrap();
    (disk, a)
}

fn content(disk: &mut Disk, name: &str) -> Option<Vec<u8>> {
    let (inode, _) = disk.open(Some(name), false).ok()?;
    let mut bytes = vec![0; 64];
    let length = disk.read(inode, 0, &mut bytes).unwrap();
    bytes.truncate(length);
    Some(bytes)
}

#[test]
fn only_what_was_synced_survives() {
    type Step = fn(&mut Disk, Inode) -> Result<(), Fail>;
    type Held = Option<&'static [u8]>;
    // What is done, and what `a` and `b` hold after everything unsynced was lost.
    let table: [(&str, Step, Held, Held); 9] = [
        ("nothing", |_, _| Ok(()), Some(b"old"), None),
        ("a write", |d, a| d.write(a, 0, b"new"), Some(b"old"), None),
        (
            "a synced write",
            |d, a| d.write(a, 1, b"new").and_then(|()| d.sync(a)),
            Some(b"onew"),
            None,
        ),
        ("a truncation", |d, a| d.truncate(a, 1), Some(b"old"), None),
        (
            "a synced truncation",
            |d, a| d.truncate(a, 1).and_then(|()| d.sync(a)),
            Some(b"o"),
            None,
        ),
        (
            "a new file, synced without its directory",
            |d, _| {
                let (b, _) = d.open(Some("b"), true)?;
                d.write(b, 0, b"b")?;
                d.sync(b)
            },
            Some(b"old"),
            None,
        ),
        (
            "a new file, its directory synced without it",
            |d, _| {
                let (b, _) = d.open(Some("b"), true)?;
                d.write(b, 0, b"b")?;
                d.sync_directory()
            },
            Some(b"old"),
            Some(b""),
        ),
        ("a removal", |d, _| d.delete("a"), Some(b"old"), None),
        (
            "a synced removal",
            |d, _| d.delete("a").and_then(|()| d.sync_directory()),
            None,
            None,
        ),
    ];
    for (name, step, a, b) in table {
        let (mut disk, inode) = disk();
        step(&mut disk, inode).unwrap();
        disk.crash(Some(Loss::Everything));
        assert_eq!(content(&mut disk, "a").as_deref(), a, "{name}: a");
        assert_eq!(content(&mut disk, "b").as_deref(), b, "{name}: b");
    }
}

#[test]
fn a_disk_that_loses_nothing_keeps_what_is_visible() {
    let (mut disk, a) = disk();
    disk.write(a, 3, b"er").unwrap();
    let (b, _) = disk.open(Some("b"), true).unwrap();
    disk.write(b, 2, b"b").unwrap();
    disk.crash(Some(Loss::Nothing));
    assert_eq!(content(&mut disk, "a").as_deref(), Some(&b"older"[..]));
    let b = content(&mut disk, "b").unwrap();
    assert_eq!((b.len(), b[2]), (3, b'b'));
}

#[test]
fn without_power_nothing_works() {
    let (mut disk, a) = disk();
    disk.faults.power = Some(2);
    disk.write(a, 0, b"one").unwrap();
    assert_eq!(disk.write(a, 0, b"two"), Err(Fail::Broken));
    assert_eq!(disk.sync(a), Err(Fail::Broken));
    assert_eq!(disk.read(a, 0, &mut [0]), Err(Fail::Broken));
    assert_eq!(disk.size(a), Err(Fail::Broken));
    disk.crash(Some(Loss::Nothing));
    assert_eq!(
        content(&mut disk, "a").as_deref(),
        Some(&b"two"[..]),
        "the write in flight arrived"
    );
}

#[test]
fn a_full_disk_writes_what_fits() {
    let (mut disk, a) = disk();
    disk.faults.space = Some(4);
    assert_eq!(disk.write(a, 0, b"abc"), Ok(()));
    assert_eq!(disk.write(a, 3, b"def"), Err(Fail::Full));
    assert_eq!(disk.write(a, 4, b"e"), Err(Fail::Full));
    assert_eq!(content(&mut disk, "a").as_deref(), Some(&b"abcd"[..]));
    disk.faults = Faults::default();
    assert_eq!(disk.write(a, 4, b"e"), Ok(()));
    assert_eq!(disk.report.full, 2);
}

/// After a failed sync a second one succeeds, and what the first should have written is still not there.
#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    let mut lost = 0;
    let mut readable = 0;
    for seed in 0..100 {
        let (mut disk, a) = disk();
        disk.dice = Dice::new(seed);
        disk.write(a, 0, b"new").unwrap();
        disk.faults.sync = Some(1);
        assert_eq!(disk.sync(a), Err(Fail::Broken));
        readable += u32::from(content(&mut disk, "a").as_deref() == Some(b"new"));
        disk.sync(a).unwrap();
        disk.crash(Some(Loss::Nothing));
        lost += u32::from(content(&mut disk, "a").as_deref() == Some(b"old"));
    }
    assert!(lost > 30, "{lost} of 100 were lost");
    assert!(readable + lost > 100, "some of them could still be read");
}

#[test]
fn the_nth_call_fails_once() {
    let (mut disk, a) = disk();
    disk.faults.read = Some(2);
    disk.faults.write = Some(2);
    let reads: Vec<bool> = (0..3).map(|_| disk.read(a, 0, &mut [0]).is_ok()).collect();
    let writes: Vec<bool> = (0..3).map(|_| disk.write(a, 0, b"x").is_ok()).collect();
    assert_eq!(
        (reads, writes),
        (vec![true, false, true], vec![true, false, true])
    );
}

#[test]
fn the_same_seed_gives_the_same_losses() {
    let run = |seed| {
        let mut disk = Disk::new(seed);
        let (a, _) = disk.open(Some("a"), true).unwrap();
        disk.sync_directory().unwrap();
        for n in 0..20 {
            disk.write(a, n * 100, &[n as u8; 5000]).unwrap();
        }
        disk.crash(None);
        (content(&mut disk, "a"), disk.report)
    };
    let first: Vec<_> = (0..20).map(run).collect();
    assert_eq!(first, (0..20).map(run).collect::<Vec<_>>());
    assert!(first.windows(2).any(|w| w[0] != w[1]));
}
