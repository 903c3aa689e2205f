//! Control flow: branches and loops, as statements and as values. Every loop ends by itself.

use super::generate::{Generator, Jump};
use super::scope::{Snapshot, Ty, Value};

impl Generator {
    /// A branching or a block that gives a value, in parentheses where it is an operand.
    pub(crate) fn branching(&mut self, ty: Ty) -> String {
        let text = self.bare_branching(ty);
        if self.rng.percent(85) { format!("({text})") } else { format!("{{ {text} }}") }
    }

    /// The same as it stands behind `let x =`, or at the end of a block.
    pub(crate) fn bare_branching(&mut self, ty: Ty) -> String {
        let quiet = self.rng.percent(35);
        self.quietly(quiet, |this| match this.rng.below(10) {
            0..=2 => this.if_value(ty),
            3 | 4 => this.match_value(ty),
            5 => this.if_let_value(ty),
            6 => this.loop_value(ty),
            7 => this.labelled_value(ty),
            _ => this.block_of(Some(ty), None, |_, _| {}),
        })
    }

    /// The contents of a block with its braces. `bind` writes and declares what comes first; a
    /// diverging end is noted in `ends` by its absence.
    fn block_of(
        &mut self,
        ty: Option<Ty>,
        ends: Option<&mut Vec<Snapshot>>,
        bind: impl FnOnce(&mut Self, &mut String),
    ) -> String {
        self.depth += 1;
        let mark = self.vars.len();
        let mut text = String::from("{\n");
        bind(self, &mut text);
        let count = self.rng.below(3);
        self.stmts(count, &mut text);
        let may_diverge = ends.is_some();
        if may_diverge && self.rng.percent(14) && self.diverge(&mut text) {
            // What follows is not reached: nothing to merge.
        } else {
            if let Some(ty) = ty {
                text.push_str(&self.tail(ty));
                text.push('\n');
            }
            if let Some(ends) = ends {
                let mut end = self.vars.snapshot();
                end.truncate(mark);
                ends.push(end);
            }
        }
        self.vars.truncate(mark);
        text.push('}');
        self.depth -= 1;
        text
    }

    fn tail(&mut self, ty: Ty) -> String {
        if self.rng.percent(20) && self.spend() { self.bare_branching(ty) } else { self.expr(ty) }
    }

    /// Writes a jump as the last statement of a block, if there is one to write.
    fn diverge(&mut self, text: &mut String) -> bool {
        let loops: Vec<usize> =
            (0..self.jumps.len()).filter(|index| self.can_jump(*index)).collect();
        if self.rng.percent(70)
            && let Some(target) = self.one(&loops)
        {
            let label = self.jumps[target].label.clone();
            let innermost = target + 1 == self.jumps.len();
            let label = match label {
                Some(label)
                    if !innermost || self.rng.percent(40) || !self.jumps[target].is_loop =>
                {
                    format!(" '{label}")
                }
                _ if innermost && self.jumps[target].is_loop => String::new(),
                _ => return false,
            };
            if self.jumps[target].is_loop && self.rng.percent(45) {
                text.push_str(&format!("continue{label};\n"));
                return true;
            }
            let value = match self.jumps[target].value {
                Some(ty) => format!(" {}", self.expr(ty)),
                None => String::new(),
            };
            let snapshot = self.vars.snapshot();
            self.jumps[target].breaks.push(snapshot);
            text.push_str(&format!("break{label}{value};\n"));
            return true;
        }
        let ty = self.ret;
        let value = if self.fallible && self.rng.percent(30) {
            format!("Err(Fault::Custom({}))", self.expr(Ty::Str))
        } else {
            let value = self.expr(ty);
            self.returned(&value)
        };
        text.push_str(&format!("return {value};\n"));
        true
    }

    /// Whether a jump may go there: unlabelled loops can be left from directly inside only.
    fn can_jump(&self, index: usize) -> bool {
        self.jumps[index].label.is_some()
            || (index + 1 == self.jumps.len() && self.jumps[index].is_loop)
    }

    // --- branches -------------------------------------------------------------------------------

    pub(crate) fn if_value(&mut self, ty: Ty) -> String {
        self.if_like(Some(ty), true)
    }

    pub(crate) fn if_like(&mut self, ty: Option<Ty>, otherwise: bool) -> String {
        let (condition, bound, then_state) = if self.rng.percent(20) {
            self.chain()
        } else {
            (self.expr(Ty::Bool), None, self.vars.snapshot())
        };
        let before = self.vars.snapshot();
        let mut ends = Vec::new();
        self.vars.restore(&then_state);
        let then = self.block_of(ty, Some(&mut ends), |this, _| {
            if let Some(name) = &bound {
                this.vars.declare(name, Ty::Int, false, Value::Some);
            }
        });
        self.vars.restore(&before);
        let mut text = format!("if {condition} {then}");
        if otherwise {
            if ty.is_none() && self.rng.percent(25) {
                let inner = self.if_like(ty, true);
                text.push_str(&format!(" else {inner}"));
                ends.push(self.vars.snapshot());
            } else {
                // This branch goes on, so that the whole has a type.
                let mut last = Vec::new();
                let block = match ty {
                    None => self.block_of(None, Some(&mut last), |_, _| {}),
                    Some(_) => {
                        let block = self.block_of(ty, None, |_, _| {});
                        last.push(self.vars.snapshot());
                        block
                    }
                };
                ends.extend(last);
                text.push_str(&format!(" else {block}"));
            }
        } else {
            ends.push(before.clone());
        }
        self.vars.merge(&before, &ends);
        text
    }

    /// A chain of conditions, the name that it binds, and the variables where all of it holds. What
    /// is left are the variables where it may not have run to its end.
    fn chain(&mut self) -> (String, Option<String>, Snapshot) {
        let first = self.expr(Ty::Bool);
        let before = self.vars.snapshot();
        let value = self.expr(Ty::MaybeInt);
        let name = self.name();
        let mark = self.vars.len();
        self.vars.declare(&name, Ty::Int, false, Value::Some);
        let second = self.expr(Ty::Bool);
        self.vars.truncate(mark);
        let after = self.vars.snapshot();
        self.vars.merge(&before.clone(), &[before, after.clone()]);
        (format!("{first} && let Some({name}) = {value} && {second}"), Some(name), after)
    }

    fn if_let_value(&mut self, ty: Ty) -> String {
        self.if_let_like(Some(ty))
    }

    pub(crate) fn if_let_like(&mut self, ty: Option<Ty>) -> String {
        let name = self.name();
        let mutable = self.rng.percent(20);
        let prefix = if mutable { "mut " } else { "" };
        let (pattern, scrutinee, bound) = match self.rng.below(if self.awaits { 3 } else { 2 }) {
            0 => (format!("Some({prefix}{name})"), self.expr(Ty::MaybeInt), Ty::Int),
            1 => (format!("Some({prefix}{name})"), self.maybe_str(), Ty::Str),
            _ => (
                format!("Ok({prefix}{name})"),
                format!("num({}).await", self.expr(Ty::Int)),
                Ty::Int,
            ),
        };
        let before = self.vars.snapshot();
        let mut ends = Vec::new();
        let then = self.block_of(ty, Some(&mut ends), |this, _| {
            this.vars.declare(&name, bound, mutable, Value::Some);
        });
        self.vars.restore(&before);
        let mut text = format!("if let {pattern} = {scrutinee} {then}");
        if ty.is_some() || self.rng.percent(50) {
            let block = self.block_of(ty, None, |_, _| {});
            ends.push(self.vars.snapshot());
            text.push_str(&format!(" else {block}"));
        } else {
            ends.push(before.clone());
        }
        self.vars.merge(&before, &ends);
        text
    }

    fn maybe_str(&mut self) -> String {
        let changeable = self.vars.changeable(Ty::Strs);
        if self.rng.percent(40)
            && let Some(var) = self.one(&changeable)
        {
            return format!("{}.pop()", self.vars.get(var).name);
        }
        format!("({}).into_iter().next()", self.expr(Ty::Strs))
    }

    fn match_value(&mut self, ty: Ty) -> String {
        self.match_like(Some(ty))
    }

    pub(crate) fn match_like(&mut self, ty: Option<Ty>) -> String {
        let on = [Ty::Int, Ty::MaybeInt, Ty::Item, Ty::Pair, Ty::Bool][self.rng.below(5)];
        let borrowed = self.rng.percent(15);
        if borrowed && let Some(text) = self.match_borrowed(ty) {
            return text;
        }
        let scrutinee = self.expr(on);
        let before = self.vars.snapshot();
        let mut ends = Vec::new();
        let mut arms = String::new();
        let (first, second) = (self.name(), format!("{}2", self.name()));
        let patterns: Vec<(String, Vec<(String, Ty)>)> = match on {
            Ty::Int => vec![
                ("0 | 1".to_owned(), vec![]),
                (format!("{first} @ 2..=5"), vec![(first.clone(), Ty::Int)]),
                (first.clone(), vec![(first, Ty::Int)]),
            ],
            Ty::MaybeInt => vec![
                ("None".to_owned(), vec![]),
                (format!("Some({first})"), vec![(first, Ty::Int)]),
            ],
            Ty::Bool => vec![("true".to_owned(), vec![]), ("false".to_owned(), vec![])],
            Ty::Pair => vec![
                (format!("(0, {second})"), vec![(second.clone(), Ty::Str)]),
                (format!("({first}, {second})"), vec![(first, Ty::Int), (second, Ty::Str)]),
            ],
            _ => vec![
                ("Item { id: 1, .. }".to_owned(), vec![]),
                (
                    format!("Item {{ id: {first}, name: {second}, tags: _ }}"),
                    vec![(first, Ty::Int), (second, Ty::Str)],
                ),
            ],
        };
        let last = patterns.len() - 1;
        for (index, (pattern, binds)) in patterns.into_iter().enumerate() {
            self.vars.restore(&before);
            if index < last && self.rng.percent(40) {
                let mark = self.vars.len();
                for (name, ty) in &binds {
                    self.vars.declare(name, *ty, false, Value::Some);
                }
                let guard = if self.rng.percent(50) {
                    self.reading(|this| this.expr(Ty::Bool))
                } else {
                    self.purely(|this| this.expr(Ty::Bool))
                };
                self.vars.truncate(mark);
                let mut guarded = Vec::new();
                let block = self.arm(ty, &binds, Some(&mut guarded));
                ends.extend(guarded);
                arms.push_str(&format!("{pattern} if {guard} => {block}\n"));
                self.vars.restore(&before);
            }
            if index == last {
                let block = self.arm(ty, &binds, None);
                let mut end = self.vars.snapshot();
                end.truncate(before.len());
                ends.push(end);
                arms.push_str(&format!("{pattern} => {block}\n"));
            } else {
                let block = self.arm(ty, &binds, Some(&mut ends));
                arms.push_str(&format!("{pattern} => {block}\n"));
            }
        }
        self.vars.merge(&before, &ends);
        format!("match {scrutinee} {{\n{arms}}}")
    }

    /// An arm: a block, or an expression without one.
    fn arm(
        &mut self,
        ty: Option<Ty>,
        binds: &[(String, Ty)],
        ends: Option<&mut Vec<Snapshot>>,
    ) -> String {
        if let Some(ty) = ty
            && self.rng.percent(30)
        {
            let mark = self.vars.len();
            for (name, ty) in binds {
                self.vars.declare(name, *ty, false, Value::Some);
            }
            let text = self.expr(ty);
            self.vars.truncate(mark);
            if let Some(ends) = ends {
                ends.push(self.vars.snapshot());
            }
            // A block or a parenthesis at the head of an arm would end it.
            return format!("({text}),");
        }
        self.block_of(ty, ends, |this, _| {
            for (name, ty) in binds {
                this.vars.declare(name, *ty, false, Value::Some);
            }
        })
    }

    /// A match on a borrow, which is over where the arm suspends.
    fn match_borrowed(&mut self, ty: Option<Ty>) -> Option<String> {
        let readable = self.vars.readable(Ty::Ints);
        let var = self.one(&readable)?;
        let vector = self.vars.get(var).name.clone();
        let name = self.name();
        let limit = self.locked(var, |this| this.purely(|this| this.leaf(Ty::Int)));
        if limit == name {
            return None;
        }
        let before = self.vars.snapshot();
        let mut ends = Vec::new();
        let some = self.block_of(ty, Some(&mut ends), |this, text| {
            text.push_str(&format!("let {name} = *{name};\n"));
            this.vars.declare(&name, Ty::Int, false, Value::Some);
        });
        self.vars.restore(&before);
        let other = self.block_of(ty, None, |_, _| {});
        ends.push(self.vars.snapshot());
        self.vars.merge(&before, &ends);
        Some(format!(
            "match {vector}.iter().max() {{\nSome({name}) if *{name} > {limit} => {some}\n_ => {other}\n}}"
        ))
    }

    // --- loops ----------------------------------------------------------------------------------

    /// Writes a loop's body; `head` writes what keeps it finite.
    fn looped(
        &mut self,
        label: Option<String>,
        value: Option<Ty>,
        head: impl FnOnce(&mut Self, &mut String),
    ) -> (String, Jump) {
        let before = self.vars.snapshot();
        self.vars.loops += 1;
        self.jumps.push(Jump { label, is_loop: true, value, breaks: Vec::new() });
        let mut ends = Vec::new();
        let block = self.block_of(None, Some(&mut ends), head);
        let jump = self.jumps.pop().unwrap_or_else(|| unreachable!("it was pushed above"));
        self.vars.loops -= 1;
        // Whatever a round did to the variables, it may have run any number of times.
        let mut all = ends;
        all.push(before.clone());
        all.extend(jump.breaks.iter().map(|end| end[..before.len().min(end.len())].to_vec()));
        self.vars.merge(&before, &all);
        (block, jump)
    }

    fn label(&mut self) -> Option<String> {
        if self.rng.percent(40) { Some(self.fresh("l")) } else { None }
    }

    fn labelled(label: Option<&String>) -> String {
        label.map_or_else(String::new, |label| format!("'{label}: "))
    }

    /// A counter for a loop, declared before it.
    fn counter(&mut self, text: &mut String) -> (String, usize) {
        let name = self.fresh("n");
        text.push_str(&format!("let mut {name} = 0_i64;\n"));
        let var = self.vars.declare(&name, Ty::Int, true, Value::Some);
        self.vars.get_mut(var).locks += 1;
        (name, 1 + self.rng.below(3))
    }

    fn loop_value(&mut self, ty: Ty) -> String {
        let mut text = String::from("{\n");
        let mark = self.vars.len();
        let (name, limit) = self.counter(&mut text);
        let label = self.label();
        let prefix = Self::labelled(label.as_ref());
        let (block, _) = self.looped(label, Some(ty), |this, text| {
            // A jump in it could begin another round, without end.
            let jumps = std::mem::take(&mut this.jumps);
            let value = this.expr(ty);
            this.jumps = jumps;
            text.push_str(&format!("{name} += 1;\nif {name} > {limit} {{ break {value}; }}\n"));
        });
        self.vars.truncate(mark);
        format!("{text}{prefix}loop {block}\n}}")
    }

    /// A block that is left by its label.
    fn labelled_value(&mut self, ty: Ty) -> String {
        self.labelled_like(Some(ty))
    }

    pub(crate) fn labelled_like(&mut self, ty: Option<Ty>) -> String {
        let label = self.fresh("l");
        let before = self.vars.snapshot();
        self.jumps.push(Jump {
            label: Some(label.clone()),
            is_loop: false,
            value: ty,
            breaks: Vec::new(),
        });
        let block = self.block_of(ty, None, |_, _| {});
        let mut ends = vec![self.vars.snapshot()];
        if let Some(jump) = self.jumps.pop() {
            ends.extend(jump.breaks.iter().map(|end| end[..before.len()].to_vec()));
        }
        self.vars.merge(&before, &ends);
        format!("'{label}: {block}")
    }

    // --- branches that run side by side -----------------------------------------------------------

    /// An `async` block that gives a `Result`. It only reads what is around it.
    fn async_block(&mut self, ty: Ty) -> String {
        let outside = self.vars.len();
        let (jumps, ret, fallible) = (std::mem::take(&mut self.jumps), self.ret, self.fallible);
        (self.ret, self.fallible) = (ty, true);
        self.vars.lock(outside, true);
        self.vars.loops += 1;
        let mut text = String::from("async {\n");
        self.depth += 1;
        let count = 1 + self.rng.below(3);
        self.stmts(count, &mut text);
        let value = self.expr(ty);
        self.depth -= 1;
        text.push_str(&format!("Ok::<{}, Fault>({value})\n}}", ty.text()));
        self.vars.truncate(outside);
        self.vars.loops -= 1;
        self.vars.lock(outside, false);
        (self.jumps, self.ret, self.fallible) = (jumps, ret, fallible);
        text
    }

    pub(crate) fn concurrent(&mut self, text: &mut String) {
        const TYPES: [Ty; 4] = [Ty::Int, Ty::Str, Ty::Ints, Ty::MaybeInt];
        let (ty, ty2) = (TYPES[self.rng.below(4)], TYPES[self.rng.below(4)]);
        let (a, b) = (self.name(), format!("{}5", self.name()));
        let first = self.async_block(ty);
        match self.rng.below(3) {
            0 if self.fallible => {
                let second = self.async_block(ty2);
                text.push_str(&format!("let ({a}, {b}) = try_join!({first}, {second})?;\n"));
                self.vars.declare(&a, ty, false, Value::Some);
                self.vars.declare(&b, ty2, false, Value::Some);
            }
            0 | 1 => {
                let second = self.second_branch(ty2);
                text.push_str(&format!(
                    "let ({a}, {b}) = join!({first}, {second});\n\
                     let ({a}, {b}) = ({a}.unwrap_or_default(), {b}.unwrap_or_default());\n"
                ));
                self.vars.declare(&a, ty, false, Value::Some);
                self.vars.declare(&b, ty2, false, Value::Some);
            }
            _ => {
                let second = self.second_branch(ty2);
                let before = self.vars.snapshot();
                let mut ends = Vec::new();
                let x = self.block_of(None, Some(&mut ends), |this, text| {
                    text.push_str(&format!("let {a} = {a}.unwrap_or_default();\n"));
                    this.vars.declare(&a, ty, false, Value::Some);
                });
                self.vars.restore(&before);
                // This one goes on, so that what follows is reached and has its types.
                let y = self.block_of(None, None, |this, text| {
                    text.push_str(&format!("let {b} = {b}.unwrap_or_default();\n"));
                    this.vars.declare(&b, ty2, false, Value::Some);
                });
                ends.push(self.vars.snapshot());
                self.vars.merge(&before, &ends);
                text.push_str(&format!(
                    "select! {{\nbiased;\n{a} = {first} => {x},\n{b} = {second} => {y},\n}}\n"
                ));
            }
        }
    }

    fn second_branch(&mut self, ty: Ty) -> String {
        let call = if self.rng.percent(50) {
            // Nothing in it is awaited before.
            self.quietly(true, |this| this.purely(|this| this.bare_call(ty)))
        } else {
            None
        };
        match call {
            Some(call) if call.contains('(') => call,
            _ => self.async_block(ty),
        }
    }

    /// A loop as a statement.
    pub(crate) fn loop_stmt(&mut self, text: &mut String) {
        let mark = self.vars.len();
        let label = self.label();
        let prefix = Self::labelled(label.as_ref());
        match self.rng.below(8) {
            0 => {
                let (name, limit) = self.counter(text);
                let (block, _) = self.looped(label, None, |_, text| {
                    text.push_str(&format!("{name} += 1;\nif {name} > {limit} {{ break; }}\n"));
                });
                text.push_str(&format!("{prefix}loop {block}\n"));
            }
            1 | 2 => {
                let (name, limit) = self.counter(text);
                self.vars.loops += 1;
                let before = self.vars.snapshot();
                // Rust takes no jump without a label in the condition of a loop.
                let jumps = std::mem::take(&mut self.jumps);
                let condition = self.expr(Ty::Bool);
                self.jumps = jumps;
                let after = self.vars.snapshot();
                self.vars.merge(&before.clone(), &[before, after]);
                self.vars.loops -= 1;
                let (block, _) = self.looped(label, None, |_, text| {
                    text.push_str(&format!("{name} += 1;\n"));
                });
                text.push_str(&format!("{prefix}while {name} < {limit} && {condition} {block}\n"));
            }
            3 => {
                // The list shrinks by one with each round, and nothing else can change it.
                let list = self.fresh("w");
                let init = self.expr(Ty::Ints);
                text.push_str(&format!("let mut {list} = {init};\n{list}.truncate(3);\n"));
                let var = self.vars.declare(&list, Ty::Ints, true, Value::Some);
                self.vars.get_mut(var).locks += 1;
                let name = self.name();
                let (block, _) = self.looped(label, None, |this, _| {
                    this.vars.declare(&name, Ty::Int, false, Value::Some);
                });
                text.push_str(&format!("{prefix}while let Some({name}) = {list}.pop() {block}\n"));
            }
            _ => self.for_stmt(label, &prefix, text),
        }
        self.vars.truncate(mark);
    }

    /// A loop over borrowed items.
    fn for_borrowed(&mut self, label: Option<String>, prefix: &str, text: &mut String) -> bool {
        let on = if self.rng.percent(60) { Ty::Ints } else { Ty::Strs };
        let changes = on == Ty::Ints && self.rng.percent(30);
        let vars = if changes { self.vars.changeable(on) } else { self.vars.readable(on) };
        let Some(var) = self.one(&vars) else { return false };
        let list = self.vars.get(var).name.clone();
        let (name, index) = (self.name(), self.fresh("i"));
        let item = if on == Ty::Ints { Ty::IntRef } else { Ty::StrRef };
        let (pattern, items, ty, mutable) = match self.rng.below(6) {
            _ if changes => (name.clone(), format!("&mut {list}"), Ty::IntMut, false),
            0 | 1 => (name.clone(), format!("&{list}"), item, false),
            2 => (format!("({index}, {name})"), format!("{list}.iter().enumerate()"), item, false),
            3 => (name.clone(), format!("{list}.iter().rev().skip(1)"), item, false),
            4 if on == Ty::Ints => {
                (format!("mut {name}"), format!("{list}.iter().copied()"), Ty::Int, true)
            }
            4 => (name.clone(), format!("{list}.iter().cloned()"), Ty::Str, false),
            _ => (name.clone(), format!("{list}.iter().filter(|m| m != m || true)"), item, false),
        };
        // A clone is made again in every block, so it is only read.
        let lock = ty == Ty::Str;
        let body = |this: &mut Self| {
            this.looped(label, None, |this, _| {
                let item = this.vars.declare(&name, ty, mutable, Value::Some);
                this.vars.get_mut(item).locks += usize::from(lock);
            })
        };
        let (block, _) = if changes { self.hidden(var, body) } else { self.locked(var, body) };
        text.push_str(&format!("{prefix}for {pattern} in {items} {block}\n"));
        true
    }

    fn for_stmt(&mut self, label: Option<String>, prefix: &str, text: &mut String) {
        if self.rng.percent(35) && self.for_borrowed(label.clone(), prefix, text) {
            return;
        }
        let name = self.name();
        let index = self.fresh("i");
        let (pattern, collection, binds): (String, String, Vec<(String, Ty)>) =
            match self.rng.below(8) {
                0 | 1 => {
                    let limit = self.rng.below(4);
                    (name.clone(), format!("0..{limit}_i64"), vec![(name, Ty::Int)])
                }
                2 => {
                    let limit = self.rng.below(3);
                    (name.clone(), format!("(1..={limit}_i64).rev()"), vec![(name, Ty::Int)])
                }
                3 => {
                    let list = self.expr(Ty::Strs);
                    (
                        format!("mut {name}"),
                        format!("{list}.into_iter().take(3)"),
                        vec![(name, Ty::Str)],
                    )
                }
                4 => {
                    let list = self.expr(Ty::Ints);
                    (
                        format!("({index}, {name})"),
                        format!("{list}.into_iter().take(3).enumerate()"),
                        vec![(name, Ty::Int)],
                    )
                }
                5 => {
                    let value = self.expr(Ty::MaybeInt);
                    (name.clone(), value, vec![(name, Ty::Int)])
                }
                6 => {
                    let (first, second) = (self.expr(Ty::Str), self.expr(Ty::Str));
                    (name.clone(), format!("[{first}, {second}]"), vec![(name, Ty::Str)])
                }
                _ => {
                    let list = self.expr(Ty::Ints);
                    let inner = self.purely(|this| this.leaf(Ty::Int));
                    (
                        name.clone(),
                        format!("{list}.into_iter().take(2).map(move |m| m + {inner})"),
                        vec![(name, Ty::Int)],
                    )
                }
            };
        let mutable = pattern.starts_with("mut ");
        let (block, _) = self.looped(label, None, |this, _| {
            for (name, ty) in &binds {
                this.vars.declare(name, *ty, mutable, Value::Some);
            }
        });
        text.push_str(&format!("{prefix}for {pattern} in {collection} {block}\n"));
    }
}
