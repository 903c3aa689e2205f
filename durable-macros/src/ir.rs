//! The intermediate representation: an orchestrator as blocks of structured code that end by
//! suspending, going on in another block, or returning. It prints, and the golden tests compare
//! what it prints. Later passes know the user's code only as opaque fragments with facts.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use proc_macro2::{Ident, Span};
use quote::ToTokens;

/// A variable. Two bindings of one name are two variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct VarId(pub(crate) usize);

/// A block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockId(pub(crate) usize);

/// An await.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct AwaitId(pub(crate) usize);

/// Code that runs concurrently in branches, until they are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ForkId(pub(crate) usize);

/// A way to make variables again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DeriveId(pub(crate) usize);

/// A branch of a fork.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BranchId(pub(crate) usize);

/// A lexical scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ScopeId(pub(crate) usize);

/// The body of an orchestrator.
#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) vars: Vec<Var>,
    pub(crate) awaits: Vec<Await>,
    pub(crate) forks: Vec<Fork>,
    pub(crate) branches: Vec<Branch>,
    pub(crate) derives: Vec<Derive>,
    /// In source order. The first is the start.
    pub(crate) blocks: Vec<Block>,
}

/// A variable.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // Facts that are independent of each other.
pub(crate) struct Var {
    pub(crate) ident: Ident,
    pub(crate) mutable: bool,
    /// What `let x: T;` says. A `let` with a value says it where it stands.
    pub(crate) ty: Option<syn::Type>,
    /// A literal that is borrowed for ever, such as a string: it is written again where it is
    /// needed, and never saved.
    pub(crate) literal: Option<syn::Lit>,
    /// How it is borrowed again where it is needed, so that it is never saved.
    pub(crate) derived: Option<DeriveId>,
    /// Visibly a borrow that cannot be taken again, so that it cannot cross an await.
    pub(crate) borrows: bool,
    /// It is needed until its scope ends: it holds a critical section.
    pub(crate) guard: bool,
    /// Made by the compiler, for a value that is needed later in the same expression.
    pub(crate) temporary: bool,
}

impl Var {
    /// Whether the variable is made again where it is needed, and so never kept.
    pub(crate) fn is_made_anew(&self) -> bool {
        self.literal.is_some() || self.derived.is_some()
    }
}

/// An await: where it is and what it waits for.
#[derive(Debug)]
pub(crate) struct Await {
    pub(crate) span: Span,
    /// What the state is named after, in camel case.
    pub(crate) subject: String,
    /// A name given by hand.
    pub(crate) pinned: Option<String>,
    /// The source text of what is awaited, shortened.
    pub(crate) text: String,
    /// The state that takes its result.
    pub(crate) resume: BlockId,
}

/// A place where control splits into branches, each with a position of its own.
#[derive(Debug)]
pub(crate) struct Fork {
    /// Names the state that waits for the branches.
    pub(crate) site: AwaitId,
    pub(crate) branches: Vec<BranchId>,
    /// Goes on when every branch has ended.
    pub(crate) joined: BlockId,
    /// Whether the branches that lose are cancelled, and not just dropped.
    pub(crate) cancels: bool,
}

/// How variables that borrow are made again: `let pat = again else ..`.
#[derive(Debug)]
pub(crate) struct Derive {
    pub(crate) pat: syn::Pat,
    pub(crate) again: syn::Expr,
    /// The variables that it needs.
    pub(crate) uses: BTreeSet<VarId>,
}

/// A branch of a [`Fork`].
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) fork: ForkId,
    /// The branch in which the fork itself is.
    pub(crate) outer: Option<BranchId>,
    pub(crate) start: BlockId,
    /// Holds its value while other branches go on.
    pub(crate) result: Option<VarId>,
}

/// Code that begins where an instance is resumed, or where such code meets other code.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: BlockKind,
    /// The branch in which it runs.
    pub(crate) branch: Option<BranchId>,
    /// The scopes that are open where it begins, outermost first.
    pub(crate) scopes: Vec<Scope>,
    pub(crate) code: Seq,
}

/// Why a block is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockKind {
    Start,
    /// Begins by taking the result of an await into a variable.
    Resume {
        site: AwaitId,
        result: VarId,
    },
    /// Code that can be reached from more than one place.
    Join,
    /// The beginning of a branch.
    Branch,
    /// Goes on when every branch of a fork has ended.
    Joined(ForkId),
}

/// An open scope and the variables bound in it so far, in order.
#[derive(Debug, Clone)]
pub(crate) struct Scope {
    pub(crate) id: ScopeId,
    pub(crate) vars: Vec<VarId>,
}

/// Code in order. Scopes open and close in it; what is open at the end closes there.
pub(crate) type Seq = Vec<Node>;

/// A piece of code.
#[derive(Debug)]
pub(crate) enum Node {
    /// A statement or an expression as a statement, copied.
    Code(Fragment),
    /// A binding.
    Let(Box<Let>),
    /// `var = value`, for a temporary or a variable declared before.
    Assign {
        var: VarId,
        value: Fragment,
    },
    /// `let var;`
    Declare {
        var: VarId,
    },
    /// Code that suspends in some of its branches.
    If {
        condition: Fragment,
        binds: Vec<VarId>,
        then: Seq,
        otherwise: Seq,
    },
    /// The same with patterns.
    Match {
        scrutinee: Fragment,
        arms: Vec<Arm>,
    },
    Begin(ScopeId),
    End(ScopeId),
    Exit(Exit),
}

/// A `let` with a value.
#[derive(Debug)]
pub(crate) struct Let {
    pub(crate) attrs: Vec<syn::Attribute>,
    pub(crate) pat: syn::Pat,
    pub(crate) ty: Option<syn::Type>,
    pub(crate) init: Fragment,
    /// Runs, and does not come back, where the pattern does not match.
    pub(crate) otherwise: Option<Seq>,
    pub(crate) binds: Vec<VarId>,
}

/// An arm of a [`Node::Match`].
#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) pat: syn::Pat,
    pub(crate) guard: Option<Fragment>,
    pub(crate) binds: Vec<VarId>,
    pub(crate) code: Seq,
}

/// How control leaves a sequence.
#[derive(Debug)]
pub(crate) enum Exit {
    Suspend {
        site: AwaitId,
        call: Fragment,
    },
    Goto(BlockId),
    Return(Fragment),
    /// Begins the branches; one whose condition is false ends at once.
    Fork {
        fork: ForkId,
        enabled: Vec<Option<Fragment>>,
    },
    /// Ends a branch. One that decides the fork cancels the others and goes on there.
    EndBranch {
        branch: BranchId,
        decides: Option<BlockId>,
    },
}

/// Code of the user's that does not suspend, with what later passes must know about it.
#[derive(Debug, Clone)]
pub(crate) struct Fragment {
    pub(crate) code: FragmentCode,
    /// Variables from outside that it reads before it has assigned them itself.
    pub(crate) uses: BTreeSet<VarId>,
    /// Variables from outside that it assigns somewhere.
    pub(crate) assigns: BTreeSet<VarId>,
    /// Variables from outside that it has assigned on every way to its end; `None` if no way
    /// leads there.
    pub(crate) defines: Option<BTreeSet<VarId>>,
    /// Jumps out of it, in the order of their marks.
    pub(crate) jumps: Vec<Jump>,
    /// Whether it can return from the function.
    pub(crate) returns: bool,
}

/// The code of a [`Fragment`].
#[derive(Debug, Clone)]
pub(crate) enum FragmentCode {
    Expr(Box<syn::Expr>),
    Stmt(Box<syn::Stmt>),
}

/// A `break` or `continue` inside a fragment whose target is a block.
#[derive(Debug, Clone)]
pub(crate) struct Jump {
    /// Stands in the code at the place of the jump.
    pub(crate) mark: Ident,
    pub(crate) target: BlockId,
    /// Names that the fragment itself has bound where the jump is.
    pub(crate) shadowed: BTreeSet<String>,
    /// Variables that the fragment has assigned on every way to the jump; `None` if no way leads
    /// there.
    pub(crate) defines: Option<BTreeSet<VarId>>,
}

impl Body {
    pub(crate) fn var(&self, id: VarId) -> &Var {
        &self.vars[id.0]
    }

    pub(crate) fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0]
    }

    pub(crate) fn branch(&self, id: BranchId) -> &Branch {
        &self.branches[id.0]
    }

    pub(crate) fn fork(&self, id: ForkId) -> &Fork {
        &self.forks[id.0]
    }

    /// The fork that this await names, if it is one.
    pub(crate) fn fork_of(&self, site: AwaitId) -> Option<&Fork> {
        self.forks.iter().find(|fork| fork.site == site)
    }

    /// Whether code of `branch` runs inside of `outer`, or is it.
    pub(crate) fn is_within(&self, branch: Option<BranchId>, outer: BranchId) -> bool {
        let mut at = branch;
        while let Some(branch) = at {
            if branch == outer {
                return true;
            }
            at = self.branch(branch).outer;
        }
        false
    }

    pub(crate) fn block_ids(&self) -> impl DoubleEndedIterator<Item = BlockId> + use<> {
        (0..self.blocks.len()).map(BlockId)
    }
}

/// Calls `f` with every node of the sequence, those inside branches included.
pub(crate) fn walk<'a>(seq: &'a Seq, f: &mut impl FnMut(&'a Node)) {
    for node in seq {
        f(node);
        match node {
            Node::Let(binding) => {
                if let Some(otherwise) = &binding.otherwise {
                    walk(otherwise, f);
                }
            }
            Node::If { then, otherwise, .. } => {
                walk(then, f);
                walk(otherwise, f);
            }
            Node::Match { arms, .. } => {
                for arm in arms {
                    walk(&arm.code, f);
                }
            }
            _ => {}
        }
    }
}

/// The fragments of one node, not of those inside it.
pub(crate) fn fragments(node: &Node) -> Vec<&Fragment> {
    match node {
        Node::Code(fragment)
        | Node::Assign { value: fragment, .. }
        | Node::If { condition: fragment, .. }
        | Node::Exit(Exit::Suspend { call: fragment, .. } | Exit::Return(fragment)) => {
            vec![fragment]
        }
        Node::Let(binding) => vec![&binding.init],
        Node::Match { scrutinee, arms } => {
            std::iter::once(scrutinee).chain(arms.iter().filter_map(|a| a.guard.as_ref())).collect()
        }
        Node::Exit(Exit::Fork { enabled, .. }) => enabled.iter().flatten().collect(),
        Node::Declare { .. }
        | Node::Begin(_)
        | Node::End(_)
        | Node::Exit(Exit::Goto(_) | Exit::EndBranch { .. }) => vec![],
    }
}

// --- printing -----------------------------------------------------------------------------------

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in self.block_ids() {
            let block = self.block(id);
            let kind = match block.kind {
                BlockKind::Start => "start".to_owned(),
                BlockKind::Join => "join".to_owned(),
                BlockKind::Branch => "branch".to_owned(),
                BlockKind::Joined(fork) => format!("joined f{}", fork.0),
                BlockKind::Resume { site, result } => {
                    format!("{} = resume a{}", self.name(result), site.0)
                }
            };
            let scopes: Vec<String> =
                block.scopes.iter().map(|scope| format!("s{}", scope.id.0)).collect();
            let branch = block.branch.map_or_else(String::new, |b| format!(", branch {}", b.0));
            writeln!(f, "b{}: {kind}, in {}{branch}", id.0, scopes.join(" "))?;
            let mut out = String::new();
            self.print_seq(&block.code, 1, &mut out);
            f.write_str(&out)?;
        }
        Ok(())
    }
}

impl Body {
    fn name(&self, var: VarId) -> String {
        format!("{}#{}", self.var(var).ident, var.0)
    }

    fn names(&self, vars: &[VarId]) -> String {
        vars.iter().map(|var| self.name(*var)).collect::<Vec<_>>().join(" ")
    }

    fn print_seq(&self, seq: &Seq, depth: usize, out: &mut String) {
        for node in seq {
            self.print_node(node, depth, out);
        }
    }

    fn print_node(&self, node: &Node, depth: usize, out: &mut String) {
        let pad = "    ".repeat(depth);
        let _ = match node {
            Node::Code(code) => writeln!(out, "{pad}{}", self.fragment(code)),
            Node::Let(binding) => {
                let _ = writeln!(
                    out,
                    "{pad}let {} = {}",
                    self.names(&binding.binds),
                    self.fragment(&binding.init)
                );
                if let Some(otherwise) = &binding.otherwise {
                    let _ = writeln!(out, "{pad}else");
                    self.print_seq(otherwise, depth + 1, out);
                }
                Ok(())
            }
            Node::Assign { var, value } => {
                writeln!(out, "{pad}{} := {}", self.name(*var), self.fragment(value))
            }
            Node::Declare { var } => writeln!(out, "{pad}declare {}", self.name(*var)),
            Node::If { condition, then, otherwise, .. } => {
                let _ = writeln!(out, "{pad}if {}", self.fragment(condition));
                self.print_seq(then, depth + 1, out);
                let _ = writeln!(out, "{pad}else");
                self.print_seq(otherwise, depth + 1, out);
                Ok(())
            }
            Node::Match { scrutinee, arms } => {
                let _ = writeln!(out, "{pad}match {}", self.fragment(scrutinee));
                for arm in arms {
                    let pat = shorten(&arm.pat.to_token_stream().to_string());
                    let _ = writeln!(out, "{pad}  {pat} => {}", self.names(&arm.binds));
                    self.print_seq(&arm.code, depth + 1, out);
                }
                Ok(())
            }
            Node::Begin(scope) => writeln!(out, "{pad}begin s{}", scope.0),
            Node::End(scope) => writeln!(out, "{pad}end s{}", scope.0),
            Node::Exit(Exit::Suspend { site, call }) => {
                writeln!(out, "{pad}suspend a{} on {}", site.0, self.fragment(call))
            }
            Node::Exit(Exit::Goto(target)) => writeln!(out, "{pad}goto b{}", target.0),
            Node::Exit(Exit::Return(value)) => {
                writeln!(out, "{pad}return {}", self.fragment(value))
            }
            Node::Exit(Exit::Fork { fork, enabled }) => {
                let _ = writeln!(out, "{pad}fork f{}", fork.0);
                for (branch, condition) in self.fork(*fork).branches.iter().zip(enabled) {
                    let start = self.branch(*branch).start.0;
                    let _ = write!(out, "{pad}    branch {} at b{start}", branch.0);
                    if let Some(condition) = condition {
                        let _ = write!(out, " if {}", self.fragment(condition));
                    }
                    out.push('\n');
                }
                Ok(())
            }
            Node::Exit(Exit::EndBranch { branch, decides }) => {
                let decides = decides.map_or_else(String::new, |b| format!(", deciding b{}", b.0));
                writeln!(out, "{pad}end branch {}{decides}", branch.0)
            }
        };
    }

    fn fragment(&self, fragment: &Fragment) -> String {
        let code = match &fragment.code {
            FragmentCode::Expr(expr) => expr.to_token_stream(),
            FragmentCode::Stmt(stmt) => stmt.to_token_stream(),
        };
        let mut text = format!("`{}`", shorten(&code.to_string()));
        if !fragment.uses.is_empty() {
            let uses: Vec<VarId> = fragment.uses.iter().copied().collect();
            let _ = write!(text, " uses {}", self.names(&uses));
        }
        for jump in &fragment.jumps {
            let _ = write!(text, " jumps b{}", jump.target.0);
        }
        text
    }
}

/// Source text on one line, cut where it gets long.
pub(crate) fn shorten(text: &str) -> String {
    const LIMIT: usize = 100;
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > LIMIT {
        line = line.chars().take(LIMIT).collect();
        line.push_str("...");
    }
    line
}
