//! What becomes of unsynced writes when the power goes.

use crate::dice::Dice;
use crate::report::Report;

/// What a power cut takes of the writes that were not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// All of them.
    Everything,
    /// None: the disk had written them all by itself.
    Nothing,
    /// Each write is kept, dropped or torn by itself, so that later ones survive earlier ones.
    Subset,
    /// The first ones are kept in order, one is torn, the rest is dropped; where, differs from file to file.
    Tail,
    /// All are kept but one per file, which loses at least one of its sectors.
    Tear,
}

impl Loss {
    /// One of them.
    pub(crate) fn draw(dice: &mut Dice) -> Loss {
        match dice.below(8) {
            0 => Loss::Everything,
            1 => Loss::Nothing,
            2 | 3 => Loss::Tail,
            4 => Loss::Tear,
            _ => Loss::Subset,
        }
    }

    /// What happens to each of `count` changes.
    pub(crate) fn fates(self, count: usize, dice: &mut Dice) -> Vec<Fate> {
        let mark = match self {
            Loss::Tail => dice.below(count as u64 + 1),
            Loss::Tear => dice.below(count as u64),
            _ => 0,
        };
        let fate = |n: u64| match self {
            Loss::Everything => Fate::Dropped,
            Loss::Nothing => Fate::Kept,
            Loss::Subset => match dice.below(3) {
                0 => Fate::Kept,
                1 => Fate::Dropped,
                _ => Fate::Torn,
            },
            Loss::Tail | Loss::Tear if n == mark => Fate::Torn,
            Loss::Tail if n > mark => Fate::Dropped,
            Loss::Tail | Loss::Tear => Fate::Kept,
        };
        (0..count as u64).map(fate).collect()
    }
}

/// What happens to one unsynced change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    Dropped,
    /// Some sectors of it are written, at least one is not.
    Torn,
}

/// A change of a file that was not synced.
#[derive(Debug, Clone)]
pub(crate) enum Pending {
    Write { offset: usize, data: Box<[u8]> },
    Truncate { size: usize },
}

/// What settling needs besides the file.
#[derive(Debug)]
pub(crate) struct Settling<'a> {
    pub(crate) loss: Loss,
    pub(crate) sector: usize,
    pub(crate) dice: &'a mut Dice,
    pub(crate) report: &'a mut Report,
}

impl Settling<'_> {
    /// Applies to the durable bytes what the loss leaves of the pending changes; `visible` is the length that the
    /// file had for its readers.
    pub(crate) fn settle(&mut self, durable: &mut Vec<u8>, pending: Vec<Pending>, visible: usize) {
        let fates = self.loss.fates(pending.len(), self.dice);
        // A hole that a lost write leaves before a kept one reads as zeros, or as what was there earlier.
        let stale = self.dice.one_in(2);
        for (change, fate) in pending.into_iter().zip(fates) {
            match change {
                Pending::Truncate { size } => {
                    let kept = fate == Fate::Kept || (fate == Fate::Torn && self.dice.one_in(2));
                    self.count(kept);
                    if kept {
                        self.resize(durable, size, stale);
                    }
                }
                Pending::Write { offset, data } if fate == Fate::Torn => {
                    self.tear(durable, (offset, &data), stale);
                }
                Pending::Write { offset, data } => {
                    self.count(fate == Fate::Kept);
                    if fate == Fate::Kept {
                        self.put(durable, (offset, &data), stale);
                    }
                }
            }
        }
        // A file's length and its content are written at different times.
        if self.loss == Loss::Subset && visible > durable.len() && self.dice.one_in(3) {
            self.resize(durable, visible, stale);
        }
    }

    fn count(&mut self, kept: bool) {
        match kept {
            true => self.report.kept += 1,
            false => self.report.dropped += 1,
        }
    }

    /// Writes some sectors of a write and leaves out at least one.
    fn tear(&mut self, durable: &mut Vec<u8>, (offset, data): (usize, &[u8]), stale: bool) {
        let pieces = pieces(offset, data.len(), self.sector);
        let lost = self.dice.below(pieces.len() as u64) as usize;
        let mut written = 0;
        for (n, (from, to)) in pieces.into_iter().enumerate() {
            if n != lost && self.dice.one_in(2) {
                self.put(durable, (offset + from, &data[from..to]), stale);
                written += 1;
            }
        }
        match written {
            0 => self.report.dropped += 1,
            _ => self.report.torn += 1,
        }
    }

    fn put(&mut self, durable: &mut Vec<u8>, (offset, data): (usize, &[u8]), stale: bool) {
        if durable.len() < offset {
            self.resize(durable, offset, stale);
        }
        put(durable, offset, data);
    }

    fn resize(&mut self, durable: &mut Vec<u8>, size: usize, stale: bool) {
        let before = durable.len();
        durable.resize(size, 0);
        if stale && size > before {
            self.dice.fill(&mut durable[before..]);
        }
    }
}

/// Puts data into the bytes of a file; a hole before it reads as zeros.
pub(crate) fn put(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if bytes.len() < offset {
        bytes.resize(offset, 0);
    }
    let (over, beyond) = data.split_at(data.len().min(bytes.len() - offset));
    bytes[offset..offset + over.len()].copy_from_slice(over);
    bytes.extend_from_slice(beyond);
}

/// Splits a write where sectors of the file begin: positions within the data.
fn pieces(offset: usize, length: usize, sector: usize) -> Vec<(usize, usize)> {
    let mut pieces = Vec::new();
    let mut from = 0;
    while from < length {
        let to = length.min(from + sector - (offset + from) % sector);
        pieces.push((from, to));
        from = to;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_are_split_where_sectors_begin() {
        let table = [
            ((0, 512), vec![(0, 512)]),
            ((24, 24), vec![(0, 24)]),
            ((500, 24), vec![(0, 12), (12, 24)]),
            ((32, 1024), vec![(0, 480), (480, 992), (992, 1024)]),
            ((7, 0), vec![]),
        ];
        for ((offset, length), want) in table {
            assert_eq!(pieces(offset, length, 512), want, "{offset}+{length}");
        }
    }

    /// Three writes of two sectors each, behind 512 bytes that were synced.
    fn outcomes(loss: Loss) -> Vec<(Vec<u8>, Report)> {
        let write = |n: usize| Pending::Write {
            offset: 512 + n * 1024,
            data: vec![n as u8 + 1; 1024].into(),
        };
        let one = |seed| {
            let mut durable = vec![9; 512];
            let mut report = Report::default();
            let mut settling = Settling {
                loss,
                sector: 512,
                dice: &mut Dice::new(seed),
                report: &mut report,
            };
            settling.settle(&mut durable, (0..3).map(write).collect(), 3584);
            (durable, report)
        };
        (0..200).map(one).collect()
    }

    #[test]
    fn each_loss_takes_what_it_says() {
        let all: Vec<u8> = [9].iter().chain(&[1, 1, 2, 2, 3, 3]).copied().collect();
        let sectors = |bytes: &[u8]| -> Vec<u8> { bytes.chunks(512).map(|s| s[0]).collect() };
        for (bytes, report) in outcomes(Loss::Everything) {
            assert_eq!((sectors(&bytes), report.dropped), (vec![9], 3));
        }
        for (bytes, report) in outcomes(Loss::Nothing) {
            assert_eq!((sectors(&bytes), report.kept), (all.clone(), 3));
        }
        for (bytes, report) in outcomes(Loss::Tear) {
            assert_ne!(sectors(&bytes), all);
            assert_eq!((report.kept, report.torn + report.dropped), (2, 1));
        }
        for (_, report) in outcomes(Loss::Tail) {
            assert_eq!(report.kept + report.torn + report.dropped, 3);
        }
        let late_without_early = |(bytes, _): &(Vec<u8>, Report)| {
            let sectors = sectors(bytes);
            sectors.ends_with(&[3, 3]) && !sectors.contains(&1)
        };
        let subsets = outcomes(Loss::Subset);
        assert!(
            subsets.iter().any(late_without_early),
            "writes are reordered"
        );
        assert!(!outcomes(Loss::Tail).iter().any(late_without_early));
        assert!(subsets.iter().all(|(bytes, _)| bytes[..512] == [9; 512]));
    }
}
