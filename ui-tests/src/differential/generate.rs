//! The generator of bodies: what it knows while it writes, and the choice of what to write.

use super::rng::Rng;
use super::scope::{Snapshot, Ty, Value, Vars};

/// A generated function.
#[derive(Debug)]
pub struct Body {
    /// The parameters with their types, as they stand in the signature.
    pub params: String,
    /// The return type.
    pub ret: String,
    /// Whether it returns a `Result`.
    pub fallible: bool,
    /// The statements.
    pub text: String,
}

/// Writes the body that belongs to this seed.
pub fn body(seed: u64) -> Body {
    let mut rng = Rng::new(seed);
    let fallible = rng.percent(85);
    let ret = [Ty::Int, Ty::Str, Ty::Ints, Ty::Item, Ty::MaybeInt][rng.below(5)];
    let size = 20 + rng.below(90);
    let mut generate = Generator {
        rng,
        vars: Vars::default(),
        fuel: size,
        jumps: Vec::new(),
        ret,
        fallible,
        awaits: true,
        pure: false,
        depth: 0,
        next: 0,
    };
    let mut params = String::from("ctx: &OrchestrationContext");
    for (name, ty) in ["a", "b", "c", "s", "v", "t"].iter().zip([
        Ty::Int,
        Ty::Int,
        Ty::Bool,
        Ty::Str,
        Ty::Ints,
        Ty::Item,
    ]) {
        let mutable = generate.rng.percent(50);
        generate.vars.declare(name, ty, mutable, Value::Some);
        let mutable = if mutable { "mut " } else { "" };
        params.push_str(&format!(", {mutable}{name}: {}", ty.text()));
    }
    let mut text = String::new();
    let count = 3 + generate.rng.below(8);
    generate.stmts(count, &mut text);
    let last = generate.expr(ret);
    text.push_str(&generate.returned(&last));
    text.push('\n');
    let ret =
        if fallible { format!("Result<{}, Fault>", ret.text()) } else { ret.text().to_owned() };
    Body { params, ret, fallible, text }
}

/// Something that can be left by a jump.
#[derive(Debug)]
pub(crate) struct Jump {
    pub(crate) label: Option<String>,
    pub(crate) is_loop: bool,
    /// The type of the values that `break` gives.
    pub(crate) value: Option<Ty>,
    /// What the variables held at each `break`.
    pub(crate) breaks: Vec<Snapshot>,
}

/// The state of the generator.
#[derive(Debug)]
pub(crate) struct Generator {
    pub(crate) rng: Rng,
    pub(crate) vars: Vars,
    /// How much more may be written.
    pub(crate) fuel: usize,
    pub(crate) jumps: Vec<Jump>,
    pub(crate) ret: Ty,
    pub(crate) fallible: bool,
    /// Whether awaits may stand here.
    pub(crate) awaits: bool,
    /// Whether only reads may stand here: the inside of closures, macros and guards.
    pub(crate) pure: bool,
    pub(crate) depth: usize,
    next: usize,
}

/// How deep expressions and blocks may nest.
const MAX_DEPTH: usize = 7;

impl Generator {
    /// Takes fuel; without it only the simplest things are written.
    pub(crate) fn spend(&mut self) -> bool {
        if self.fuel == 0 || self.depth > MAX_DEPTH {
            return false;
        }
        self.fuel -= 1;
        true
    }

    /// A name for a new variable. There are few, so that they often shadow each other.
    pub(crate) fn name(&mut self) -> String {
        const NAMES: [&str; 14] =
            ["a", "b", "c", "d", "e", "f", "k", "p", "q", "s", "t", "v", "x", "y"];
        NAMES[self.rng.below(NAMES.len())].to_owned()
    }

    /// A name that nothing else has.
    pub(crate) fn fresh(&mut self, what: &str) -> String {
        self.next += 1;
        format!("{what}{}", self.next)
    }

    pub(crate) fn ty(&mut self) -> Ty {
        const TYPES: [Ty; 10] = [
            Ty::Int,
            Ty::Int,
            Ty::Bool,
            Ty::Str,
            Ty::Ints,
            Ty::Strs,
            Ty::MaybeInt,
            Ty::MaybeStr,
            Ty::Item,
            Ty::Pair,
        ];
        TYPES[self.rng.below(TYPES.len())]
    }

    /// One variable of these.
    pub(crate) fn one(&mut self, vars: &[usize]) -> Option<usize> {
        if vars.is_empty() { None } else { Some(vars[self.rng.below(vars.len())]) }
    }

    /// What the function returns for a value.
    pub(crate) fn returned(&self, value: &str) -> String {
        if self.fallible { format!("Ok({value})") } else { value.to_owned() }
    }

    /// Writes with only reads allowed.
    pub(crate) fn purely<R>(&mut self, write: impl FnOnce(&mut Self) -> R) -> R {
        let (awaits, pure) = (self.awaits, self.pure);
        (self.awaits, self.pure) = (false, true);
        let written = write(self);
        (self.awaits, self.pure) = (awaits, pure);
        written
    }

    /// Writes with reads and awaits allowed, but no changes.
    pub(crate) fn reading<R>(&mut self, write: impl FnOnce(&mut Self) -> R) -> R {
        let pure = std::mem::replace(&mut self.pure, true);
        let written = write(self);
        self.pure = pure;
        written
    }

    /// Writes while a variable is changed through a reference: it cannot be named.
    pub(crate) fn hidden<R>(&mut self, var: usize, write: impl FnOnce(&mut Self) -> R) -> R {
        self.vars.get_mut(var).value = Value::Moved;
        let written = self.locked(var, write);
        self.vars.get_mut(var).value = Value::Some;
        written
    }

    /// Writes code that does not suspend, if `quiet`.
    pub(crate) fn quietly<R>(&mut self, quiet: bool, write: impl FnOnce(&mut Self) -> R) -> R {
        let awaits = self.awaits;
        self.awaits &= !quiet;
        let written = write(self);
        self.awaits = awaits;
        written
    }

    /// Writes while a variable is borrowed.
    pub(crate) fn locked<R>(&mut self, var: usize, write: impl FnOnce(&mut Self) -> R) -> R {
        self.vars.get_mut(var).locks += 1;
        let written = write(self);
        self.vars.get_mut(var).locks -= 1;
        written
    }
}
