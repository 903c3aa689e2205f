//! The variables that a generated body has where it is being written: their types, whether they
//! have a value, and what they mean. It keeps the body such that rustc accepts it.

/// The types of generated values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ty {
    Int,
    Bool,
    Str,
    Ints,
    Strs,
    MaybeInt,
    MaybeStr,
    Item,
    Pair,
    Task,
    /// A reference to a number, to a changeable one, and to a text.
    IntRef,
    IntMut,
    StrRef,
}

impl Ty {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Int => "i64",
            Self::Bool => "bool",
            Self::Str => "String",
            Self::Ints => "Vec<i64>",
            Self::Strs => "Vec<String>",
            Self::MaybeInt => "Option<i64>",
            Self::MaybeStr => "Option<String>",
            Self::Item => "Item",
            Self::Pair => "(i64, String)",
            Self::Task => "Task<i64>",
            Self::IntRef => "&i64",
            Self::IntMut => "&mut i64",
            Self::StrRef => "&str",
        }
    }

    pub(crate) fn copies(self) -> bool {
        matches!(self, Self::Int | Self::Bool | Self::MaybeInt)
    }
}

/// Whether a variable has a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// Declared, never assigned.
    None,
    /// Moved out of on some way to here.
    Moved,
    Some,
}

/// A variable.
#[derive(Debug, Clone)]
pub(crate) struct Var {
    pub(crate) name: String,
    pub(crate) ty: Ty,
    pub(crate) mutable: bool,
    pub(crate) value: Value,
    /// How many loops are around its declaration.
    pub(crate) loops: usize,
    /// While it is not zero the variable is borrowed, or counts the rounds of a loop: it is
    /// neither moved nor changed.
    pub(crate) locks: usize,
}

/// The values of the variables of a scope, to be compared with those at the end of a branch.
pub(crate) type Snapshot = Vec<Value>;

/// All variables, in the order of their declaration.
#[derive(Debug, Default)]
pub(crate) struct Vars {
    vars: Vec<Var>,
    /// How many loops are around the code being written.
    pub(crate) loops: usize,
}

impl Vars {
    pub(crate) fn len(&self) -> usize {
        self.vars.len()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.vars.truncate(len);
    }

    pub(crate) fn declare(&mut self, name: &str, ty: Ty, mutable: bool, value: Value) -> usize {
        let loops = self.loops;
        self.vars.push(Var { name: name.to_owned(), ty, mutable, value, loops, locks: 0 });
        self.vars.len() - 1
    }

    pub(crate) fn get(&self, index: usize) -> &Var {
        &self.vars[index]
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> &mut Var {
        &mut self.vars[index]
    }

    /// The variables that can be named here, for which `wanted` holds.
    pub(crate) fn visible(&self, wanted: impl Fn(&Var) -> bool) -> Vec<usize> {
        (0..self.vars.len())
            .filter(|index| {
                let var = &self.vars[*index];
                let hidden = self.vars[index + 1..].iter().any(|later| later.name == var.name);
                !hidden && wanted(var)
            })
            .collect()
    }

    /// Locks or unlocks the first variables.
    pub(crate) fn lock(&mut self, count: usize, locked: bool) {
        for var in self.vars.iter_mut().take(count) {
            var.locks = if locked { var.locks + 1 } else { var.locks - 1 };
        }
    }

    pub(crate) fn readable(&self, ty: Ty) -> Vec<usize> {
        self.visible(|var| var.ty == ty && var.value == Value::Some)
    }

    /// Variables that can be moved out of: those from outside of the loop would be moved twice.
    pub(crate) fn movable(&self, ty: Ty) -> Vec<usize> {
        let loops = self.loops;
        self.visible(|var| {
            var.ty == ty && var.value == Value::Some && var.loops == loops && var.locks == 0
        })
    }

    /// Variables that can be given a new value.
    pub(crate) fn assignable(&self, ty: Ty) -> Vec<usize> {
        let loops = self.loops;
        self.visible(|var| {
            var.ty == ty
                && var.locks == 0
                && match var.value {
                    Value::None => var.loops == loops,
                    Value::Some | Value::Moved => var.mutable,
                }
        })
    }

    /// Variables with a value that can be changed in place.
    pub(crate) fn changeable(&self, ty: Ty) -> Vec<usize> {
        self.visible(|var| {
            var.ty == ty && var.value == Value::Some && var.mutable && var.locks == 0
        })
    }

    // --- branches -------------------------------------------------------------------------------

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.vars.iter().map(|var| var.value).collect()
    }

    pub(crate) fn restore(&mut self, snapshot: &Snapshot) {
        self.vars.truncate(snapshot.len());
        for (var, value) in self.vars.iter_mut().zip(snapshot) {
            var.value = *value;
        }
    }

    /// Goes on behind branches that ended with these values; a variable has one only if it has it
    /// at the end of all.
    pub(crate) fn merge(&mut self, before: &Snapshot, ends: &[Snapshot]) {
        self.restore(before);
        for (index, var) in self.vars.iter_mut().enumerate() {
            let values: Vec<Value> =
                ends.iter().filter_map(|end| end.get(index)).copied().collect();
            var.value = if values.is_empty() {
                before[index]
            } else if values.iter().all(|value| *value == values[0]) {
                values[0]
            } else if var.mutable {
                Value::Moved
            } else {
                // Assigned in some branches only: it can neither be read nor assigned.
                var.locks += 1;
                Value::Moved
            };
        }
    }
}
