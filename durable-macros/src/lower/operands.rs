//! Operands: the parts of an expression in the order in which they are evaluated. Those before a
//! suspension are kept in temporaries, unless using them later is the same.

use syn::{Expr, Token};

use super::expr::unreachable_value;
use super::place::{can_stay, has_index, is_constant, root};
use super::{Lowering, suspends};
use crate::ir::Node;

impl Lowering<'_> {
    /// An expression that evaluates its parts in order.
    pub(super) fn operands_expr(&mut self, expr: Expr) -> Expr {
        match expr {
            Expr::Call(mut e) => {
                let mut parts = vec![*e.func];
                parts.extend(std::mem::take(&mut e.args));
                let mut parts = self.operands(parts, &[0]).into_iter();
                if let Some(func) = parts.next() {
                    e.func = Box::new(func);
                    e.args = parts.collect();
                    return Expr::Call(e);
                }
                unreachable_value()
            }
            Expr::MethodCall(mut e) => {
                let mut parts = vec![*e.receiver];
                parts.extend(std::mem::take(&mut e.args));
                let mut parts = self.operands(parts, &[0]).into_iter();
                if let Some(receiver) = parts.next() {
                    e.receiver = Box::new(receiver);
                    e.args = parts.collect();
                    return Expr::MethodCall(e);
                }
                unreachable_value()
            }
            Expr::Tuple(mut e) => {
                e.elems = self
                    .operands(std::mem::take(&mut e.elems).into_iter().collect(), &[])
                    .into_iter()
                    .collect();
                if e.elems.len() == 1 {
                    e.elems.push_punct(<Token![,]>::default());
                }
                Expr::Tuple(e)
            }
            Expr::Array(mut e) => {
                e.elems = self
                    .operands(std::mem::take(&mut e.elems).into_iter().collect(), &[])
                    .into_iter()
                    .collect();
                Expr::Array(e)
            }
            Expr::Struct(mut e) => {
                let mut parts: Vec<Expr> = e.fields.iter().map(|f| f.expr.clone()).collect();
                parts.extend(e.rest.take().map(|rest| *rest));
                let rest = usize::from(parts.len() > e.fields.len());
                let mut parts = self.operands(parts, &[]).into_iter();
                for field in &mut e.fields {
                    if let Some(part) = parts.next() {
                        field.expr = part;
                        field.colon_token.get_or_insert_default();
                    }
                }
                if rest == 1 {
                    e.rest = parts.next().map(Box::new);
                }
                Expr::Struct(e)
            }
            Expr::Index(mut e) => {
                let mut parts = self.operands(vec![*e.expr, *e.index], &[0]).into_iter();
                if let (Some(base), Some(index)) = (parts.next(), parts.next()) {
                    e.expr = Box::new(base);
                    e.index = Box::new(index);
                    return Expr::Index(e);
                }
                unreachable_value()
            }
            Expr::Repeat(mut e) => {
                *e.expr = self.expr(*e.expr);
                Expr::Repeat(e)
            }
            Expr::Range(mut e) => {
                match (e.start.take(), e.end.take()) {
                    (Some(start), Some(end)) => {
                        let mut parts = self.operands(vec![*start, *end], &[]).into_iter();
                        e.start = parts.next().map(Box::new);
                        e.end = parts.next().map(Box::new);
                    }
                    (start, end) => {
                        e.start = start.map(|part| Box::new(self.expr(*part)));
                        e.end = end.map(|part| Box::new(self.expr(*part)));
                    }
                }
                Expr::Range(e)
            }
            other => other,
        }
    }

    /// Lowers operands in order. Those before the last one that suspends are kept in temporaries,
    /// except where evaluating them later is the same; the ones at `places` are used as places.
    pub(super) fn operands(&mut self, parts: Vec<Expr>, places: &[usize]) -> Vec<Expr> {
        let last = parts.iter().rposition(suspends);
        let stays: Vec<bool> = (0..parts.len())
            .map(|index| places.contains(&index) && can_stay(&parts[index], &parts[index + 1..]))
            .collect();
        let mut out = Vec::with_capacity(parts.len());
        for (index, part) in parts.into_iter().enumerate() {
            let before = last.is_some_and(|last| index < last);
            let part = self.expr(part);
            out.push(match (before, stays[index]) {
                (false, _) => part,
                (true, false) => self.kept(part),
                (true, true) => self.settled(part),
            });
        }
        out
    }

    /// A place that is used behind the suspension that follows. What its indices are is decided
    /// here, and whether they are in bounds, as in plain Rust.
    pub(super) fn settled(&mut self, place: Expr) -> Expr {
        if !has_index(&place) || !self.is_reachable() {
            return place;
        }
        let place = self.keep_indices(place);
        let check = self.expr_fragment(syn::parse_quote!({ let _ = &#place; }));
        self.push(Node::Code(check));
        place
    }

    pub(super) fn keep_indices(&mut self, place: Expr) -> Expr {
        match place {
            Expr::Index(mut e) => {
                *e.expr = self.keep_indices(*e.expr);
                *e.index = self.kept(*e.index);
                Expr::Index(e)
            }
            Expr::Field(mut e) => {
                *e.base = self.keep_indices(*e.base);
                Expr::Field(e)
            }
            Expr::Paren(mut e) => {
                *e.expr = self.keep_indices(*e.expr);
                Expr::Paren(e)
            }
            Expr::Unary(mut e) => {
                *e.expr = self.keep_indices(*e.expr);
                Expr::Unary(e)
            }
            other => other,
        }
    }

    /// Keeps a value over the suspension that follows, unless evaluating it later is the same.
    pub(super) fn kept(&mut self, value: Expr) -> Expr {
        if !self.is_reachable() || self.is_temporary(&value) || is_constant(&value) {
            return value;
        }
        if let Expr::Path(path) = &value
            && path.path.get_ident().is_none_or(|_| self.as_var(&value).is_none())
        {
            // A function, a constant or a unit variant.
            return value;
        }
        match value {
            Expr::Reference(mut reference) if root(&reference.expr).is_some() => {
                // Nothing can change what is borrowed before the borrow is used.
                *reference.expr = self.settled(*reference.expr);
                Expr::Reference(reference)
            }
            value => self.spill(value),
        }
    }
}
