//! Full spans: the parser knows one token per node; the tokens around it say how far the node reaches.

use cel::common::ast::IdedExpr;
use tl_kernel::expr::At;

use super::check::{Checker, Part};
use super::scan::Kind;

impl Checker<'_> {
    /// The span of the one token the parser knows for a node.
    pub(super) fn token(&self, tree: &IdedExpr) -> At {
        let start = self.info.offset_for(tree.id).map_or(0, |(start, _)| start);
        match self.tokens.starting_at(start as usize) {
            Some(i) => At {
                start,
                end: self.tokens.list[i].end as u32,
            },
            None => At {
                start: 0,
                end: self.source.len() as u32,
            },
        }
    }

    /// The span from a node's opening bracket to its partner.
    pub(super) fn bracketed(&self, tree: &IdedExpr) -> At {
        let at = self.token(tree);
        let close = self
            .tokens
            .starting_at(at.start as usize)
            .and_then(|i| self.tokens.list[i].partner)
            .map_or(at.end, |i| self.tokens.list[i].end as u32);
        At {
            start: at.start,
            end: close,
        }
    }

    /// The span of a call: from its receiver or its name to the closing bracket.
    pub(super) fn called(&self, tree: &IdedExpr, receiver: Option<&Part>) -> At {
        let at = self.bracketed(tree);
        let start = match receiver {
            Some(receiver) => self.grouped(receiver.node.at()).start,
            None => self
                .tokens
                .starting_at(at.start as usize)
                .and_then(|i| i.checked_sub(1))
                .map_or(at.start, |i| self.tokens.list[i].start as u32),
        };
        At { start, end: at.end }
    }

    /// The span of the token behind a node's token: the name behind a dot.
    pub(super) fn behind(&self, tree: &IdedExpr) -> At {
        let at = self.token(tree);
        match self.tokens.starting_at(at.start as usize) {
            Some(i) if i + 1 < self.tokens.list.len() => At {
                start: self.tokens.list[i + 1].start as u32,
                end: self.tokens.list[i + 1].end as u32,
            },
            _ => at,
        }
    }

    /// A span with the brackets that stand around it for grouping only: the tree does not know them.
    pub(super) fn grouped(&self, mut at: At) -> At {
        let list = &self.tokens.list;
        loop {
            let Some(first) = self.tokens.starting_at(at.start as usize) else {
                return at;
            };
            let after = list.partition_point(|t| t.start < at.end as usize);
            let around = first.checked_sub(1).filter(|open| {
                list[*open].partner == Some(after)
                    && self.source[list[*open].start..].starts_with('(')
                    && !self.is_call(*open)
            });
            let Some(open) = around else {
                return at;
            };
            at = At {
                start: list[open].start as u32,
                end: list[after].end as u32,
            };
        }
    }

    /// True for the bracket of a call: it stands behind a name.
    fn is_call(&self, open: usize) -> bool {
        open.checked_sub(1).is_some_and(|i| {
            let before = &self.tokens.list[i];
            before.kind == Kind::Name && &self.source[before.start..before.end] != "in"
        })
    }

    /// The span from one part to another, with the brackets around each.
    pub(super) fn spanning(&self, first: At, last: At) -> At {
        At {
            start: self.grouped(first).start,
            end: self.grouped(last).end,
        }
    }
}
