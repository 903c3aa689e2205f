//! Statements: bindings of all kinds, assignments, and what control flow is as a statement.

use super::generate::Generator;
use super::scope::{Ty, Value};

impl Generator {
    /// So many statements.
    pub(crate) fn stmts(&mut self, count: usize, text: &mut String) {
        for _ in 0..count {
            if !self.spend() {
                return;
            }
            self.depth += 1;
            self.stmt(text);
            self.depth -= 1;
        }
    }

    fn stmt(&mut self, text: &mut String) {
        match self.rng.below(34) {
            30 | 31 => self.borrow_across(text),
            32 | 33 if self.awaits && !self.pure => self.concurrent(text),
            9 => self.let_pattern(text),
            10 => self.let_else(text),
            11 | 12 => self.deferred(text),
            13..=15 => self.assign(text),
            16 => self.change(text),
            17..=19 => self.control(text),
            20..=22 => self.loop_stmt(text),
            23 => self.borrow_block(text),
            24 => self.block_stmt(text),
            25 if self.awaits => self.join_stmt(text),
            26 if self.awaits => {
                let millis = self.rng.below(4);
                text.push_str(&format!("ctx.sleep(Duration::from_millis({millis})).await;\n"));
            }
            27 if self.awaits => self.spawn(text),
            28 if self.awaits => self.bare_await(text),
            // The most common statement, and what stands in where nothing may be awaited.
            _ => self.let_stmt(text),
        }
    }

    fn let_stmt(&mut self, text: &mut String) {
        let ty = self.ty();
        let init = if self.rng.percent(20) { self.bare_branching(ty) } else { self.expr(ty) };
        let name = self.name();
        let mutable = self.rng.percent(50);
        let prefix = if mutable { "mut " } else { "" };
        let annotation =
            if self.rng.percent(50) { format!(": {}", ty.text()) } else { String::new() };
        text.push_str(&format!("let {prefix}{name}{annotation} = {init};\n"));
        self.vars.declare(&name, ty, mutable, Value::Some);
    }

    fn let_pattern(&mut self, text: &mut String) {
        let (first, second) = (self.name(), format!("{}3", self.name()));
        match self.rng.below(4) {
            0 => {
                let init = self.expr(Ty::Pair);
                text.push_str(&format!("let ({first}, mut {second}) = {init};\n"));
                self.vars.declare(&first, Ty::Int, false, Value::Some);
                self.vars.declare(&second, Ty::Str, true, Value::Some);
            }
            1 => {
                let init = self.expr(Ty::Item);
                text.push_str(&format!(
                    "let Item {{ id: {first}, tags: {second}, .. }} = {init};\n"
                ));
                self.vars.declare(&first, Ty::Int, false, Value::Some);
                self.vars.declare(&second, Ty::Ints, false, Value::Some);
            }
            2 => {
                let (a, b) = (self.expr(Ty::Int), self.expr(Ty::Ints));
                text.push_str(&format!("let (mut {first}, {second}) = ({a}, {b});\n"));
                self.vars.declare(&first, Ty::Int, true, Value::Some);
                self.vars.declare(&second, Ty::Ints, false, Value::Some);
            }
            _ => {
                let (a, b) = (self.expr(Ty::Int), self.expr(Ty::Int));
                text.push_str(&format!("let [{first}, {second}] = [{a}, {b}];\n"));
                self.vars.declare(&first, Ty::Int, false, Value::Some);
                self.vars.declare(&second, Ty::Int, false, Value::Some);
            }
        }
    }

    fn let_else(&mut self, text: &mut String) {
        let init = self.expr(Ty::MaybeInt);
        let before = self.vars.snapshot();
        let mut inside = String::new();
        self.depth += 1;
        let count = self.rng.below(2);
        self.stmts(count, &mut inside);
        let value = if self.fallible && self.rng.percent(30) {
            format!("Err(Fault::Custom({}))", self.expr(Ty::Str))
        } else {
            let value = self.expr(self.ret);
            self.returned(&value)
        };
        self.depth -= 1;
        self.vars.restore(&before);
        let name = self.name();
        // A brace before `else` would be refused.
        let init = if init.ends_with('}') { format!("({init})") } else { init };
        text.push_str(&format!(
            "let Some({name}) = {init} else {{\n{inside}return {value};\n}};\n"
        ));
        self.vars.declare(&name, Ty::Int, false, Value::Some);
    }

    /// A variable that gets its value later.
    fn deferred(&mut self, text: &mut String) {
        let ty = self.ty();
        let name = self.name();
        let mutable = self.rng.percent(30);
        let prefix = if mutable { "mut " } else { "" };
        text.push_str(&format!("let {prefix}{name}: {};\n", ty.text()));
        let var = self.vars.declare(&name, ty, mutable, Value::None);
        if self.rng.percent(40) {
            let count = self.rng.below(3);
            self.stmts(count, text);
        }
        // It may be hidden by now, or have got its value.
        if self.vars.get(var).value == Value::None && self.vars.visible(|_| true).contains(&var) {
            self.initialise(var, text);
        }
    }

    fn initialise(&mut self, var: usize, text: &mut String) {
        // The value itself must not assign it.
        self.locked(var, |this| this.write_initial(var, text));
        self.vars.get_mut(var).value = Value::Some;
    }

    fn write_initial(&mut self, var: usize, text: &mut String) {
        let (name, ty) = (self.vars.get(var).name.clone(), self.vars.get(var).ty);
        match self.rng.below(3) {
            0 => {
                let value = self.expr(ty);
                text.push_str(&format!("{name} = {value};\n"));
            }
            1 => {
                let quiet = self.rng.percent(50);
                self.quietly(quiet, |this| {
                    let condition = this.expr(Ty::Bool);
                    let before = this.vars.snapshot();
                    let then = this.expr(ty);
                    let after_then = this.vars.snapshot();
                    this.vars.restore(&before);
                    let otherwise = this.expr(ty);
                    let after_else = this.vars.snapshot();
                    this.vars.merge(&before, &[after_then, after_else]);
                    text.push_str(&format!(
                        "if {condition} {{ {name} = {then}; }} else {{ {name} = {otherwise}; }}\n"
                    ));
                });
            }
            _ => {
                let quiet = self.rng.percent(50);
                self.quietly(quiet, |this| {
                    let scrutinee = this.expr(Ty::MaybeInt);
                    let before = this.vars.snapshot();
                    let own = this.fresh("m");
                    this.vars.declare(&own, Ty::Int, false, Value::Some);
                    let some = this.expr(ty);
                    let mut after_some = this.vars.snapshot();
                    after_some.truncate(before.len());
                    this.vars.restore(&before);
                    let none = this.expr(ty);
                    let after_none = this.vars.snapshot();
                    this.vars.merge(&before, &[after_some, after_none]);
                    text.push_str(&format!(
                        "match {scrutinee} {{\nSome({own}) => {name} = {some},\nNone => {{ {name} = {none}; }}\n}}\n"
                    ));
                });
            }
        }
    }

    fn assign(&mut self, text: &mut String) {
        let ty = self.ty();
        let assignable = self.vars.assignable(ty);
        let references = self.vars.visible(|var| var.ty == Ty::IntMut && var.value == Value::Some);
        if self.rng.percent(50)
            && let Some(var) = self.one(&references)
        {
            let name = self.vars.get(var).name.clone();
            let value = self.expr(Ty::Int);
            text.push_str(&format!("*{name} += {value};\n"));
            return;
        }
        if self.rng.percent(50) {
            let ints = self.vars.changeable(Ty::Int);
            if let Some(var) = self.one(&ints) {
                let name = self.vars.get(var).name.clone();
                let op = self.rng.pick(&["+=", "-=", "^="]);
                let value = self.expr(Ty::Int);
                text.push_str(&format!("{name} {op} {value};\n"));
                return;
            }
        }
        let Some(var) = self.one(&assignable) else { return self.let_stmt(text) };
        let name = self.vars.get(var).name.clone();
        let value = if self.rng.percent(20) { self.bare_branching(ty) } else { self.expr(ty) };
        if self.vars.get(var).locks > 0 || !self.vars.assignable(ty).contains(&var) {
            // The value itself has made it impossible.
            text.push_str(&format!("let _ = {value};\n"));
            return;
        }
        text.push_str(&format!("{name} = {value};\n"));
        self.vars.get_mut(var).value = Value::Some;
    }

    /// Changes a variable in place.
    fn change(&mut self, text: &mut String) {
        let ty = [Ty::Ints, Ty::Str, Ty::Item, Ty::Strs][self.rng.below(4)];
        let changeable = self.vars.changeable(ty);
        let Some(var) = self.one(&changeable) else { return self.assign(text) };
        let name = self.vars.get(var).name.clone();
        let line = self.locked(var, |this| match (ty, this.rng.below(3)) {
            (Ty::Ints, 0) => {
                format!(
                    "if !{name}.is_empty() {{ {name}[0] += {}; }}",
                    this.purely(|t| t.expr(Ty::Int))
                )
            }
            (Ty::Ints, 1) => format!("{name}.extend({})", this.expr(Ty::Ints)),
            (Ty::Ints, _) => format!("{name}.push({})", this.expr(Ty::Int)),
            (Ty::Str, 0) => format!("{name} += &{}", this.expr(Ty::Str)),
            (Ty::Str, _) => format!("{name}.push_str(&{})", this.expr(Ty::Str)),
            (Ty::Item, 0) => format!("{name}.id += {}", this.expr(Ty::Int)),
            (Ty::Item, 1) => format!("{name}.name = {}", this.expr(Ty::Str)),
            (Ty::Item, _) => format!("{name}.tags.push({})", this.expr(Ty::Int)),
            (_, 0) => format!(
                "if let Some(0) = {name}.len().checked_sub(1) {{ {name}[0].push_str(&{}); }}",
                this.expr(Ty::Str)
            ),
            _ => format!("{name}.push({})", this.expr(Ty::Str)),
        });
        text.push_str(&format!("{line};\n"));
    }

    fn control(&mut self, text: &mut String) {
        let quiet = self.rng.percent(40);
        let line = self.quietly(quiet, |this| match this.rng.below(7) {
            0..=2 => {
                let otherwise = this.rng.percent(50);
                this.if_like(None, otherwise)
            }
            3 => this.if_let_like(None),
            4 => this.labelled_like(None),
            _ => this.match_like(None),
        });
        text.push_str(&line);
        text.push('\n');
    }

    /// A borrow of a local that lives across whatever follows.
    fn borrow_across(&mut self, text: &mut String) {
        let ty = [Ty::Item, Ty::Str, Ty::Int, Ty::MaybeInt][self.rng.below(4)];
        let changes = ty == Ty::Int && self.rng.percent(50);
        let vars = if changes { self.vars.changeable(ty) } else { self.vars.readable(ty) };
        let Some(var) = self.one(&vars) else { return self.let_stmt(text) };
        let whole = self.vars.get(var).name.clone();
        let name = self.name();
        let (head, bound, tail) = match (ty, self.rng.below(2)) {
            (Ty::Item, 0) => (format!("{{\nlet {name} = &{whole}.name;"), Ty::StrRef, ""),
            (Ty::Item, _) => {
                (format!("match &{whole} {{\nItem {{ id: {name}, .. }} => {{"), Ty::IntRef, "}\n")
            }
            (Ty::Str, 0) => (format!("{{\nlet {name} = {whole}.as_str();"), Ty::StrRef, ""),
            (Ty::Str, _) => (format!("{{\nlet {name}: &str = &{whole};"), Ty::StrRef, ""),
            (Ty::MaybeInt, _) => (format!("if let Some({name}) = &{whole} {{"), Ty::IntRef, ""),
            _ if changes => (format!("{{\nlet {name} = &mut {whole};"), Ty::IntMut, ""),
            _ => (format!("{{\nlet {name} = &{whole};"), Ty::IntRef, ""),
        };
        let mark = self.vars.len();
        let before = self.vars.snapshot();
        let inside = |this: &mut Self| {
            this.vars.declare(&name, bound, false, Value::Some);
            let mut inside = String::new();
            this.depth += 1;
            let count = 1 + this.rng.below(4);
            this.stmts(count, &mut inside);
            this.depth -= 1;
            let value = this.expr(if bound == Ty::StrRef { Ty::Str } else { Ty::Int });
            let end = this.vars.snapshot();
            // What follows may hide what is borrowed from, but not in the same scope.
            (format!("{{\n{inside}let _ = {value};\n}}\n"), end)
        };
        let (inside, mut end) =
            if changes { self.hidden(var, inside) } else { self.locked(var, inside) };
        end.truncate(mark);
        // It may not have run.
        self.vars.merge(&before, &[before.clone(), end]);
        text.push_str(&format!("{head}\n{inside}{tail}}}\n"));
    }

    /// A borrow that lives in a block without awaits.
    fn borrow_block(&mut self, text: &mut String) {
        let changeable = self.vars.changeable(Ty::Ints);
        let Some(var) = self.one(&changeable) else { return self.let_stmt(text) };
        let name = self.vars.get(var).name.clone();
        let borrow = self.fresh("r");
        if self.rng.percent(50) {
            let value = self.locked(var, |this| this.expr(Ty::Int));
            text.push_str(&format!(
                "{{\nlet m0 = {value};\nlet {borrow} = &mut {name};\n{borrow}.push(m0);\n}}\n"
            ));
        } else {
            let own = self.name();
            let value = self
                .quietly(true, |this| this.locked(var, |this| this.purely(|t| t.expr(Ty::Int))));
            text.push_str(&format!(
                "let {borrow} = &{name};\nlet {own} = {borrow}.len() as i64 + {value};\n"
            ));
            self.vars.declare(&own, Ty::Int, false, Value::Some);
        }
    }

    fn block_stmt(&mut self, text: &mut String) {
        let mark = self.vars.len();
        let mut inside = String::new();
        self.depth += 1;
        let count = 1 + self.rng.below(3);
        self.stmts(count, &mut inside);
        self.depth -= 1;
        self.vars.truncate(mark);
        text.push_str(&format!("{{\n{inside}}}\n"));
    }

    fn join_stmt(&mut self, text: &mut String) {
        let (ty, ty2) = (self.ty(), self.ty());
        // The branches themselves are calls: nothing in them is awaited before.
        let calls = self.quietly(true, |this| (this.bare_call(ty), this.bare_call(ty2)));
        let (Some(first), Some(second)) = calls else { return self.let_stmt(text) };
        let (a, b) = (self.name(), format!("{}4", self.name()));
        if self.fallible && self.rng.percent(40) && !is_name(&first) && !is_name(&second) {
            text.push_str(&format!("let ({a}, {b}) = try_join!({first}, {second})?;\n"));
        } else {
            let third = self.rng.percent(30);
            let (extra, pattern) =
                if third { (", ctx.sleep(Duration::from_millis(1))", ", ()") } else { ("", "") };
            text.push_str(&format!(
                "let ({a}, {b}{pattern}) = join!({first}, {second}{extra});\n\
                 let ({a}, {b}) = ({a}.unwrap_or_default(), {b}.unwrap_or_default());\n"
            ));
        }
        self.vars.declare(&a, ty, false, Value::Some);
        self.vars.declare(&b, ty2, false, Value::Some);
    }

    fn spawn(&mut self, text: &mut String) {
        let name = self.name();
        if self.rng.percent(30) {
            let task = self.fresh("z");
            let mut between = String::new();
            let millis = self.rng.below(3);
            text.push_str(&format!(
                "let {task} = ctx.spawn(ctx.sleep(Duration::from_millis({millis})));\n"
            ));
            let count = self.rng.below(2);
            self.stmts(count, &mut between);
            text.push_str(&format!("{between}let {name} = {task}.await.is_ok();\n"));
            self.vars.declare(&name, Ty::Bool, false, Value::Some);
            return;
        }
        let argument = self.expr(Ty::Int);
        text.push_str(&format!("let {name} = ctx.spawn(num({argument}));\n"));
        self.vars.declare(&name, Ty::Task, false, Value::Some);
    }

    /// An await whose value nobody wants.
    fn bare_await(&mut self, text: &mut String) {
        match self.rng.below(3) {
            0 if self.fallible => text.push_str("ping().await?;\n"),
            1 => text.push_str("let _ = ping().await;\n"),
            _ => {
                let argument = self.expr(Ty::Int);
                text.push_str(&format!("_ = num({argument}).await;\n"));
            }
        }
    }
}

fn is_name(call: &str) -> bool {
    !call.contains('(')
}
