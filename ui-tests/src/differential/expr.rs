//! Expressions: operands are written in the order in which Rust evaluates them, so that what has
//! been moved is known where it matters.

use super::generate::Generator;
use super::scope::{Ty, Value};

impl Generator {
    /// An expression of this type.
    pub(crate) fn expr(&mut self, ty: Ty) -> String {
        if !self.spend() {
            return self.leaf(ty);
        }
        self.depth += 1;
        let text = self.any(ty);
        self.depth -= 1;
        text
    }

    fn any(&mut self, ty: Ty) -> String {
        if self.rng.percent(25) {
            return self.leaf(ty);
        }
        if !self.pure && self.rng.percent(22) {
            return self.branching(ty);
        }
        if self.awaits
            && self.rng.percent(45)
            && let Some(call) = self.call(ty)
        {
            return call;
        }
        match ty {
            Ty::Int => self.int(),
            Ty::Bool => self.boolean(),
            Ty::Str => self.string(),
            Ty::Ints => self.ints(),
            Ty::Strs => self.strs(),
            Ty::MaybeInt => self.maybe_int(),
            Ty::MaybeStr => format!("Some({})", self.expr(Ty::Str)),
            Ty::Item => self.item(),
            Ty::Pair => format!("({}, {})", self.expr(Ty::Int), self.expr(Ty::Str)),
            Ty::Task => format!("ctx.spawn(num({}))", self.expr(Ty::Int)),
            Ty::IntRef | Ty::IntMut | Ty::StrRef => self.leaf(ty),
        }
    }

    /// A variable or a constant.
    pub(crate) fn leaf(&mut self, ty: Ty) -> String {
        if self.rng.percent(75)
            && let Some(text) = self.variable(ty)
        {
            return text;
        }
        let n = self.rng.below(5);
        match ty {
            Ty::Int if self.rng.percent(30) => format!("{n}_i64"),
            Ty::Int => n.to_string(),
            Ty::Bool => n.is_multiple_of(2).to_string(),
            Ty::Str => {
                ["String::new()", "\"a\".to_owned()", "String::from(\"b\")"][n % 3].to_owned()
            }
            Ty::Ints => ["vec![1_i64, 2]", "Vec::<i64>::new()", "vec![3_i64; 2]"][n % 3].to_owned(),
            Ty::Strs => ["vec![\"p\".to_owned()]", "Vec::<String>::new()"][n % 2].to_owned(),
            Ty::MaybeInt => ["None::<i64>", "Some(3_i64)"][n % 2].to_owned(),
            Ty::MaybeStr => "None::<String>".to_owned(),
            Ty::Item => "Item::default()".to_owned(),
            Ty::Pair => format!("({n}_i64, \"z\".to_owned())"),
            Ty::Task => format!("ctx.spawn(num({n}))"),
            Ty::IntRef => "&1".to_owned(),
            Ty::StrRef => "\"r\"".to_owned(),
            Ty::IntMut => unreachable!("nothing asks for one"),
        }
    }

    /// The value of a variable: copied, moved or cloned.
    fn variable(&mut self, ty: Ty) -> Option<String> {
        if !ty.copies() && !self.pure && self.rng.percent(60) {
            let movable = self.vars.movable(ty);
            if let Some(var) = self.one(&movable) {
                self.vars.get_mut(var).value = Value::Moved;
                return Some(self.vars.get(var).name.clone());
            }
        }
        if ty == Ty::Task {
            return None;
        }
        let readable = self.vars.readable(ty);
        let var = self.one(&readable)?;
        let name = self.vars.get(var).name.clone();
        Some(if ty.copies() { name } else { format!("{name}.clone()") })
    }

    /// The name of a variable to be read in place.
    fn place(&mut self, ty: Ty) -> Option<usize> {
        let readable = self.vars.readable(ty);
        self.one(&readable)
    }

    fn place_name(&mut self, ty: Ty) -> Option<String> {
        self.place(ty).map(|var| self.vars.get(var).name.clone())
    }

    // --- calls ----------------------------------------------------------------------------------

    /// A call that is awaited, and its result unpacked.
    fn call(&mut self, ty: Ty) -> Option<String> {
        let call = self.bare_call(ty)?;
        Some(self.unpacked(&call))
    }

    /// Takes the value out of the result of an awaited call.
    pub(crate) fn unpacked(&mut self, call: &str) -> String {
        match self.rng.below(10) {
            0..=6 if self.fallible => format!("{call}.await?"),
            7 if self.fallible => format!("{call}.await.map_err(Fault::from)?"),
            _ => format!("{call}.await.unwrap_or_default()"),
        }
    }

    /// A call that gives this type, not awaited.
    pub(crate) fn bare_call(&mut self, ty: Ty) -> Option<String> {
        Some(match ty {
            Ty::Int => match self.rng.below(7) {
                0 | 1 => format!("num({})", self.expr(Ty::Int)),
                2 | 3 => format!("add({}, {})", self.expr(Ty::Int), self.expr(Ty::Int)),
                4 => format!("consume({}, {})", self.expr(Ty::Ints), self.expr(Ty::Item)),
                5 => {
                    let movable = self.vars.movable(Ty::Task);
                    let var = self.one(&movable)?;
                    self.vars.get_mut(var).value = Value::Moved;
                    self.vars.get(var).name.clone()
                }
                _ => format!("num({} + 1)", self.expr(Ty::Int)),
            },
            Ty::Bool => format!("flag({})", self.expr(Ty::Int)),
            Ty::Str => match self.rng.below(3) {
                0 => format!("text({})", self.expr(Ty::Str)),
                1 => format!("label({}, {})", self.expr(Ty::Int), self.expr(Ty::Str)),
                _ => format!("join_names({}, {})", self.expr(Ty::Strs), self.expr(Ty::Bool)),
            },
            Ty::Ints => format!("list({})", self.expr(Ty::Int)),
            Ty::Strs => format!("names({})", self.expr(Ty::Int)),
            Ty::MaybeInt => format!("maybe({})", self.expr(Ty::Int)),
            Ty::Item => format!("item({}, {})", self.expr(Ty::Int), self.expr(Ty::Str)),
            Ty::Pair => format!("pair({})", self.expr(Ty::Int)),
            Ty::MaybeStr | Ty::Task | Ty::IntRef | Ty::IntMut | Ty::StrRef => return None,
        })
    }

    // --- by type --------------------------------------------------------------------------------

    fn int(&mut self) -> String {
        if self.rng.percent(25)
            && let Some(name) = self.reference()
        {
            return name;
        }
        match self.rng.below(22) {
            0..=3 => format!("({} + {})", self.expr(Ty::Int), self.expr(Ty::Int)),
            4 => format!("({} - {})", self.expr(Ty::Int), self.expr(Ty::Int)),
            5 => format!("({} * {})", self.expr(Ty::Int), 2 + self.rng.below(3)),
            6 => format!("({} % {})", self.expr(Ty::Int), 2 + self.rng.below(5)),
            7 => format!("-({})", self.expr(Ty::Int)),
            8 => format!("i64::max({}, {})", self.expr(Ty::Int), self.expr(Ty::Int)),
            9 => format!("({}, {}).{}", self.expr(Ty::Int), self.expr(Ty::Int), self.rng.below(2)),
            10 => {
                format!("[{}, {}][{}]", self.expr(Ty::Int), self.expr(Ty::Int), self.rng.below(2))
            }
            11 => format!("({}).unwrap_or({})", self.expr(Ty::MaybeInt), self.expr(Ty::Int)),
            12 => format!("({}).id", self.expr(Ty::Item)),
            13 => format!("({}).0", self.expr(Ty::Pair)),
            14 => format!("({}).len() as i64", self.expr(Ty::Ints)),
            15 => format!("i64::from({})", self.expr(Ty::Bool)),
            16 => self.read(Ty::Item, &[".id", ".tags.len() as i64"]),
            17 => self.read(Ty::Ints, &[".len() as i64", ".iter().sum::<i64>()", "[0]"]),
            18 => self.closure_over_ints(),
            19 | 20 if !self.pure => self.operand_that_changes(),
            _ => self.read_with_argument(),
        }
    }

    /// What a reference to a number says.
    fn reference(&mut self) -> Option<String> {
        let ty = if self.rng.percent(50) { Ty::IntRef } else { Ty::IntMut };
        self.place_name(ty).map(|name| format!("(*{name})"))
    }

    /// A variable as an operand before one that changes it.
    fn operand_that_changes(&mut self) -> String {
        let changeable = self.vars.changeable(Ty::Int);
        let Some(var) = self.one(&changeable) else { return self.leaf(Ty::Int) };
        let name = self.vars.get(var).name.clone();
        let step = 1 + self.rng.below(3);
        let tail = self.expr(Ty::Int);
        match self.rng.below(3) {
            0 => format!("({name} + {{ {name} += {step}; {tail} }})"),
            1 => format!("i64::max({name}, {{ {name} += {step}; {tail} }})"),
            _ => format!("i64::from({name} < {{ {name} -= {step}; {tail} }})"),
        }
    }

    fn read(&mut self, ty: Ty, suffixes: &[&str]) -> String {
        let suffix = self.rng.pick(suffixes);
        match self.place_name(ty) {
            Some(name) => format!("({name}{suffix})"),
            None => self.leaf(Ty::Int),
        }
    }

    fn closure_over_ints(&mut self) -> String {
        let Some(name) = self.place_name(Ty::Ints) else { return self.leaf(Ty::Int) };
        let own = self.name();
        let mark = self.vars.len();
        let inside = self.purely(|this| {
            this.vars.declare(&own, Ty::Int, false, Value::Some);
            this.expr(Ty::Int)
        });
        self.vars.truncate(mark);
        let reduce = self.rng.pick(&["sum::<i64>()", "max().unwrap_or(0)", "count() as i64"]);
        format!("({name}.iter().copied().map(|{own}| {inside} % 10).{reduce})")
    }

    /// A method of a variable whose argument may suspend, or change another variable.
    fn read_with_argument(&mut self) -> String {
        match self.place(Ty::Ints) {
            Some(var) => {
                let name = self.vars.get(var).name.clone();
                let argument = self.locked(var, |this| this.expr(Ty::Int));
                match self.rng.below(3) {
                    0 => format!(
                        "{name}.get(i64::max({argument}, 0) as usize).copied().unwrap_or(1)"
                    ),
                    1 => format!("i64::from({name}.contains(&({argument})))"),
                    _ => format!("{name}[i64::max({argument}, 0) as usize % 3]"),
                }
            }
            None => self.leaf(Ty::Int),
        }
    }

    fn boolean(&mut self) -> String {
        match self.rng.below(12) {
            11 => {
                let value = self.expr(Ty::MaybeInt);
                let limit = self.purely(|this| this.leaf(Ty::Int));
                format!("matches!({value}, Some(m) if m > {limit})")
            }
            10 => self.indexed_comparison(),
            0 | 1 => {
                let op = self.rng.pick(&["<", ">", "==", "!=", "<=", ">="]);
                format!("(({}) {op} ({}))", self.expr(Ty::Int), self.expr(Ty::Int))
            }
            2 => format!("!({})", self.expr(Ty::Bool)),
            3 | 4 => {
                let op = self.rng.pick(&["&&", "||"]);
                let left = self.expr(Ty::Bool);
                // The right side may not run, so what it moves is moved on some ways only.
                let before = self.vars.snapshot();
                let right = self.expr(Ty::Bool);
                let after = self.vars.snapshot();
                self.vars.merge(&before.clone(), &[before, after]);
                format!("({left} {op} {right})")
            }
            5 => format!("({}).is_empty()", self.expr(Ty::Str)),
            6 => format!("({}).is_some()", self.expr(Ty::MaybeInt)),
            7 => self.comparison(Ty::Str),
            8 => self.comparison(Ty::Ints),
            _ if self.awaits => format!("num({}).await.is_ok()", self.expr(Ty::Int)),
            _ => self.leaf(Ty::Bool),
        }
    }

    /// A comparison of a variable in its place with a value.
    fn comparison(&mut self, ty: Ty) -> String {
        match self.place(ty) {
            Some(var) => {
                let name = self.vars.get(var).name.clone();
                let other = self.locked(var, |this| this.expr(ty));
                format!("({name} == {other})")
            }
            None => self.leaf(Ty::Bool),
        }
    }

    /// A comparison of an element in its place, which may be out of bounds.
    fn indexed_comparison(&mut self) -> String {
        let Some(var) = self.place(Ty::Strs) else { return self.leaf(Ty::Bool) };
        let name = self.vars.get(var).name.clone();
        let other = self.locked(var, |this| this.expr(Ty::Str));
        format!("({name}[0] == {other})")
    }

    fn string(&mut self) -> String {
        if self.rng.percent(25)
            && let Some(name) = self.place_name(Ty::StrRef)
        {
            return format!("{name}.to_string()");
        }
        match self.rng.below(8) {
            0 | 1 => self.format(),
            2 => format!("({} + \"-\")", self.expr(Ty::Str)),
            3 => format!("({} + &{})", self.expr(Ty::Str), self.expr(Ty::Str)),
            4 => format!("({}).join(\".\")", self.expr(Ty::Strs)),
            5 => format!("({}).name", self.expr(Ty::Item)),
            6 => format!("({}).1", self.expr(Ty::Pair)),
            _ => match self.place_name(Ty::Item) {
                Some(name) => format!("{name}.name.clone()"),
                None => self.leaf(Ty::Str),
            },
        }
    }

    /// A `format!` that captures a variable in its text.
    fn format(&mut self) -> String {
        let readable = self.vars.visible(|var| {
            var.value == Value::Some && matches!(var.ty, Ty::Int | Ty::Bool | Ty::Str)
        });
        let captured = self.one(&readable);
        let argument = match captured {
            _ if self.pure || self.rng.percent(40) => self.purely(|this| this.expr(Ty::Int)),
            // The text borrows what it captures.
            Some(var) => self.locked(var, |this| this.expr(Ty::Int)),
            None => self.expr(Ty::Int),
        };
        match captured.map(|var| self.vars.get(var).name.clone()) {
            Some(name) => format!("format!(\"{{{name}}}{{}}{{{{\", {argument})"),
            None => format!("format!(\"{{}}\", {argument})"),
        }
    }

    fn ints(&mut self) -> String {
        match self.rng.below(7) {
            0 => format!("vec![{}, 1, {}]", self.expr(Ty::Int), self.expr(Ty::Int)),
            1 | 2 => format!("[{}, {}].to_vec()", self.expr(Ty::Int), self.expr(Ty::Int)),
            3 => {
                let captured = self.purely(|this| this.leaf(Ty::Int));
                let all = self.expr(Ty::Ints);
                format!("{all}.into_iter().map(|k| k + {captured}).collect::<Vec<i64>>()")
                    .replace("|k| k + k", "|k| k + 1")
            }
            4 if self.awaits => {
                let all = self.expr(Ty::Ints);
                format!(
                    "join_all({all}.into_iter().take(3).map(num)).await.into_iter()\
                     .filter_map(Result::ok).collect::<Vec<i64>>()"
                )
            }
            5 if self.awaits => {
                let all = self.expr(Ty::Ints);
                let call = format!("try_join_all({all}.iter().take(3).map(|k| add(*k, 1)))");
                self.unpacked(&call)
            }
            _ => format!("({}).tags", self.expr(Ty::Item)),
        }
    }

    fn strs(&mut self) -> String {
        match self.rng.below(3) {
            0 => format!("[{}, {}].to_vec()", self.expr(Ty::Str), self.expr(Ty::Str)),
            1 => format!("Vec::from([{}])", self.expr(Ty::Str)),
            _ => self.leaf(Ty::Strs),
        }
    }

    fn maybe_int(&mut self) -> String {
        match self.rng.below(5) {
            0 | 1 => format!("Some({})", self.expr(Ty::Int)),
            2 => match self.place_name(Ty::Ints) {
                Some(name) => format!("{name}.first().copied()"),
                None => self.leaf(Ty::MaybeInt),
            },
            3 if self.awaits => format!("num({}).await.ok()", self.expr(Ty::Int)),
            3 | 4 if !self.pure => {
                let changeable = self.vars.changeable(Ty::Ints);
                match self.one(&changeable) {
                    Some(var) => format!("{}.pop()", self.vars.get(var).name),
                    None => self.leaf(Ty::MaybeInt),
                }
            }
            _ => self.leaf(Ty::MaybeInt),
        }
    }

    fn item(&mut self) -> String {
        if self.rng.percent(30) {
            let id = self.expr(Ty::Int);
            let rest = self.purely(|this| this.leaf(Ty::Item));
            return format!("(Item {{ id: {id}, ..{rest} }})");
        }
        let (name, id, tags) = (self.expr(Ty::Str), self.expr(Ty::Int), self.expr(Ty::Ints));
        format!("(Item {{ name: {name}, id: {id}, tags: {tags} }})")
    }
}
