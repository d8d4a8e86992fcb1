//! Locks of one file among the connections of this process, as SQLite's locking protocol asks for them.

use crate::disk::Fail;

/// How much of a lock a handle holds, in ascending order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    #[default]
    None,
    /// Reads.
    Shared,
    /// Will write; others still read.
    Reserved,
    /// Waits for readers to leave; no new ones come.
    Pending,
    /// Writes, alone.
    Exclusive,
}

/// Who holds which lock of a file. Holders are numbers of handles.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    readers: u32,
    reserved: Option<u64>,
    /// Pending or exclusive.
    writer: Option<u64>,
}

impl Locks {
    /// Raises a handle's lock. What it holds afterwards is in `held`, also when it did not get all of it.
    pub(crate) fn raise(&mut self, who: u64, held: &mut Level, to: Level) -> Result<(), Fail> {
        if *held >= to {
            return Ok(());
        }
        let others = |slot: Option<u64>| slot.is_some_and(|holder| holder != who);
        if others(self.writer) || (to > Level::Shared && others(self.reserved)) {
            return Err(Fail::Busy);
        }
        if *held == Level::None {
            self.readers += 1;
            *held = Level::Shared;
        }
        match to {
            Level::None | Level::Shared => {}
            Level::Reserved => self.reserved = Some(who),
            Level::Pending | Level::Exclusive => {
                self.writer = Some(who);
                *held = Level::Pending;
                if self.readers > 1 {
                    return Err(Fail::Busy);
                }
            }
        }
        *held = to;
        Ok(())
    }

    /// Lowers a handle's lock to shared or none.
    pub(crate) fn lower(&mut self, who: u64, held: &mut Level, to: Level) {
        if *held <= to {
            return;
        }
        let release = |slot: &mut Option<u64>| *slot = slot.filter(|holder| *holder != who);
        release(&mut self.reserved);
        release(&mut self.writer);
        if to == Level::None {
            self.readers -= 1;
        }
        *held = to;
    }

    /// Whether somebody is about to write.
    pub(crate) fn is_reserved(&self) -> bool {
        self.reserved.is_some() || self.writer.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_follow_the_protocol() {
        use Level::*;
        let mut locks = Locks::default();
        let mut held = [Level::None; 3];
        // Who asks for what, whether it is granted, what it holds then.
        let table = [
            (1, Shared, true, Shared),
            (2, Shared, true, Shared),
            (1, Reserved, true, Reserved),
            (2, Reserved, false, Shared),
            (1, Exclusive, false, Pending),
            (0, Shared, false, None),
            (2, None, true, None),
            (2, Shared, false, None),
            (1, Exclusive, true, Exclusive),
            (0, Shared, false, None),
            (1, Shared, true, Shared),
            (0, Shared, true, Shared),
            (1, None, true, None),
            (0, Exclusive, true, Exclusive),
        ];
        for (n, (who, to, granted, holds)) in table.into_iter().enumerate() {
            let got = if to < held[who] {
                locks.lower(who as u64, &mut held[who], to);
                true
            } else {
                locks.raise(who as u64, &mut held[who], to).is_ok()
            };
            assert_eq!((got, held[who]), (granted, holds), "line {n}");
        }
        assert!(locks.is_reserved());
    }
}
