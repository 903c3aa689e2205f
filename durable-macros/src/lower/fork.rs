//! Concurrent branches: `select!`, and `join!` and `try_join!` with `async` blocks. Each branch is
//! blocks of its own with its own position; they share the frame.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{Expr, Pat};

use super::branches::{MAX_BRANCHES, Select, SelectArm, is_irrefutable};
use super::suspend::Waits;
use super::{Dest, End, Lowering, Position};
use crate::diag::Code;
use crate::ir::{
    Arm, Await, AwaitId, BlockId, BlockKind, Branch, BranchId, Exit, Fork, ForkId, Let, Node,
    ScopeId, VarId,
};

/// Where `return` and `?` of an `async` block lead.
#[derive(Debug, Clone)]
pub(super) struct AsyncExit {
    pub(super) exit: BlockId,
    /// Takes the value of the block.
    pub(super) value: VarId,
    pub(super) ident: Ident,
    /// Whether anything goes there.
    pub(super) used: bool,
}

/// What a branch runs.
enum Work {
    Block(syn::ExprAsync),
    Call(Box<Call>),
}

/// A call that was made where the fork is.
struct Call {
    made: Expr,
    /// As it was written.
    name: Expr,
    span: Span,
}

/// A branch under construction.
struct OpenBranch {
    id: BranchId,
    scope: ScopeId,
    outer: Option<BranchId>,
}

impl Lowering<'_> {
    // --- select -----------------------------------------------------------------------------------

    /// Lowers `select!`, whose value goes to `dest`.
    pub(super) fn select(&mut self, mac: &syn::ExprMacro, dest: Dest) {
        let span = mac.mac.path.span();
        let select: Select = match syn::parse2(mac.mac.tokens.clone()) {
            Ok(select) => select,
            Err(error) => return self.diag.syntax(error),
        };
        if !self.check_count(select.arms.len(), &mac.mac.path) {
            return;
        }
        let fork = self.new_fork(Waits::Select, &mac.mac.tokens, span);
        let Select { mut arms, otherwise } = select;
        let conditions: Vec<Option<Expr>> = arms
            .iter_mut()
            .map(|arm| {
                let condition = self.expr(arm.condition.take()?);
                Some(self.kept(condition))
            })
            .collect();
        let works: Vec<Work> = arms.iter().map(|arm| self.work(arm.call.clone())).collect();
        if !self.is_reachable() {
            return;
        }
        let enabled = conditions.into_iter().map(|c| Some(self.expr_fragment(c?))).collect();
        self.exit(Exit::Fork { fork, enabled });

        let ends: Vec<Position> = arms
            .iter()
            .zip(works)
            .filter_map(|(arm, work)| self.select_arm(fork, arm, work, dest))
            .collect();
        self.enter(self.body.fork(fork).joined);
        match otherwise {
            Some(otherwise) => {
                self.in_scope(|this| this.expr_into(otherwise, dest));
            }
            None => {
                let none: Expr = syn::parse_quote!(::durable::__private::no_branch_left());
                let none = self.expr_fragment(none);
                self.push(Node::Code(none));
                self.leave_unreachable();
            }
        }
        self.meet(ends);
    }

    /// Whether there are neither none nor too many branches.
    pub(super) fn check_count(&mut self, count: usize, path: &syn::Path) -> bool {
        let is_right = (1..=MAX_BRANCHES).contains(&count);
        if !is_right {
            self.diag.error(
                Code::AwaitPlace,
                path,
                &format!(
                    "this takes 1 to {MAX_BRANCHES} branches: use `join_all`, `try_join_all` or \
                     `select_all` for any number of calls"
                ),
            );
        }
        is_right
    }

    /// A branch of `select!` and its handler. Gives where the handler ends.
    fn select_arm(
        &mut self,
        fork: ForkId,
        arm: &SelectArm,
        work: Work,
        dest: Dest,
    ) -> Option<Position> {
        let branch = self.open_branch(fork, None);
        let value = self.temporary("value", false);
        self.push(Node::Declare { var: value });
        self.branch_body(work, value);
        let mut handled = None;
        if self.is_reachable() {
            let scrutinee = self.var_expr(value);
            let scrutinee = self.expr_fragment(scrutinee);
            let mut binds = Vec::new();
            let (code, end) = self.branch(|this| {
                this.in_branch_scope(|this| {
                    binds = this.bind_pat(&arm.pat);
                    let handler = this.new_block(BlockKind::Join);
                    this.exit(Exit::EndBranch { branch: branch.id, decides: Some(handler) });
                    // The handler is code of whatever the `select!` stands in.
                    this.current_branch = branch.outer;
                    this.enter(handler);
                    this.expr_into(arm.handler.clone(), dest);
                });
            });
            let pat = match &arm.pat {
                // Here people write what clippy would want to be `()`.
                Pat::Wild(_) => syn::parse_quote!(_),
                pat => pat.clone(),
            };
            let mut arms = vec![Arm { pat, guard: None, binds, code }];
            if !is_irrefutable(&arm.pat) {
                // As in tokio: the branch is out, the others go on.
                let code = vec![Node::Exit(Exit::EndBranch { branch: branch.id, decides: None })];
                let pat = syn::parse_quote!(_);
                arms.push(Arm { pat, guard: None, binds: Vec::new(), code });
            }
            self.push(Node::Match { scrutinee, arms });
            self.leave_unreachable();
            if let End::Moved(position) = end {
                self.position = Some(position);
                self.push(Node::End(branch.scope));
                handled = self.position.take();
            }
        }
        self.close_branch(&branch);
        handled
    }

    // --- join -------------------------------------------------------------------------------------

    /// Lowers `join!` or `try_join!` of which some branches are `async` blocks.
    pub(super) fn fork_join(
        &mut self,
        waits: Waits,
        mac: &syn::ExprMacro,
        branches: Vec<Expr>,
    ) -> Expr {
        let span = mac.mac.path.span();
        let fork = self.new_fork(waits, &mac.mac.tokens, span);
        let works: Vec<Work> = branches.into_iter().map(|branch| self.work(branch)).collect();
        if !self.is_reachable() {
            return super::expr::unreachable_value();
        }
        let value = self.temporary("value", false);
        self.push(Node::Declare { var: value });
        let results: Vec<VarId> = works.iter().map(|_| self.temporary("branch", false)).collect();
        let error = (waits == Waits::TryJoin).then(|| self.temporary("error", false));
        let failed = self.new_block(BlockKind::Join);
        let enabled = works.iter().map(|_| None).collect();
        self.exit(Exit::Fork { fork, enabled });
        for (work, result) in works.into_iter().zip(&results) {
            let branch = self.open_branch(fork, Some(*result));
            match error {
                None => self.branch_body(work, *result),
                Some(error) => self.fallible_branch(work, *result, error, branch.id, failed),
            }
            self.exit(Exit::EndBranch { branch: branch.id, decides: None });
            self.close_branch(&branch);
        }
        self.enter(self.body.fork(fork).joined);
        let results = results.iter().map(|result| self.var_expr(*result));
        let results: Expr = syn::parse_quote!((#(#results,)*));
        let Some(error) = error else { return results };
        let results = self.expr_fragment(syn::parse_quote!(::core::result::Result::Ok(#results)));
        self.push(Node::Assign { var: value, value: results });
        let ok = self.position.take();
        self.enter(failed);
        let error = self.var_expr(error);
        let error = self.expr_fragment(syn::parse_quote!(::core::result::Result::Err(#error)));
        self.push(Node::Assign { var: value, value: error });
        self.meet(ok.into_iter().collect());
        self.var_expr(value)
    }

    /// The body of a branch of `try_join!`: an error decides the whole.
    fn fallible_branch(
        &mut self,
        work: Work,
        result: VarId,
        error: VarId,
        branch: BranchId,
        failed: BlockId,
    ) {
        let value = self.temporary("value", false);
        self.push(Node::Declare { var: value });
        self.branch_body(work, value);
        if !self.is_reachable() {
            return;
        }
        let scrutinee = self.var_expr(value);
        let scrutinee = self.expr_fragment(scrutinee);
        let taken = |this: &mut Self, variant: &TokenStream, into: VarId, exit: Option<Exit>| {
            let mut binds = Vec::new();
            let mut pat: Pat = syn::parse_quote!(_);
            let (code, _) = this.branch(|this| {
                this.in_branch_scope(|this| {
                    let taken = this.temporary("value", false);
                    let ident = this.body.var(taken).ident.clone();
                    pat = syn::parse_quote!(::core::result::Result::#variant(#ident));
                    binds.push(taken);
                    let value = this.expr_fragment(syn::parse_quote!(#ident));
                    this.push(Node::Assign { var: into, value });
                    if let Some(exit) = exit {
                        this.exit(exit);
                    }
                });
            });
            Arm { pat, guard: None, binds, code }
        };
        let decides = Exit::EndBranch { branch, decides: Some(failed) };
        let arms = vec![
            taken(self, &quote!(Ok), result, None),
            taken(self, &quote!(Err), error, Some(decides)),
        ];
        self.push(Node::Match { scrutinee, arms });
    }

    // --- branches ---------------------------------------------------------------------------------

    /// An `async` block is run in its branch; a call is made here, and begun there.
    fn work(&mut self, branch: Expr) -> Work {
        match branch {
            Expr::Async(block) => Work::Block(block),
            Expr::Paren(inner) if matches!(*inner.expr, Expr::Async(_)) => self.work(*inner.expr),
            call => {
                let (name, span) = (call.clone(), call.span());
                let call = self.expr(call);
                Work::Call(Box::new(Call { made: self.kept(call), name, span }))
            }
        }
    }

    fn new_fork(&mut self, waits: Waits, tokens: &TokenStream, span: Span) -> ForkId {
        let site = AwaitId(self.body.awaits.len());
        let pinned = self.pinned.take();
        let subject = if waits == Waits::Select { "Any" } else { "All" };
        self.body.awaits.push(Await {
            span,
            subject: subject.to_owned(),
            pinned,
            text: super::names::tidy(&format!("{} {{ {tokens} }}", waits.name())),
            resume: BlockId(0),
        });
        let id = ForkId(self.body.forks.len());
        let joined = self.new_block(BlockKind::Joined(id));
        self.body.awaits[site.0].resume = joined;
        let cancels = waits == Waits::Select;
        self.body.forks.push(Fork { site, branches: Vec::new(), joined, cancels });
        id
    }

    fn open_branch(&mut self, fork: ForkId, result: Option<VarId>) -> OpenBranch {
        let id = BranchId(self.body.branches.len());
        let outer = self.current_branch;
        let start = self.new_block(BlockKind::Branch);
        self.body.branches.push(Branch { fork, outer, start, result });
        self.body.forks[fork.0].branches.push(id);
        self.current_branch = Some(id);
        let scope = self.open_scope();
        self.enter(start);
        OpenBranch { id, scope, outer }
    }

    fn close_branch(&mut self, branch: &OpenBranch) {
        self.leave_unreachable();
        self.scopes.pop();
        self.current_branch = branch.outer;
    }

    fn branch_body(&mut self, work: Work, into: VarId) {
        match work {
            Work::Block(block) => self.async_block(&block, into),
            Work::Call(call) => {
                let Call { made, name, span } = *call;
                let value = self.suspend(made, &name, span);
                self.value_into(value, Dest::Var(into));
            }
        }
    }

    /// Runs an `async` block here. `return` and `?` in it leave it, and jumps cannot.
    pub(super) fn async_block(&mut self, block: &syn::ExprAsync, into: VarId) {
        let targets = std::mem::take(&mut self.targets);
        let exit = self.new_block(BlockKind::Join);
        let ident = self.body.var(into).ident.clone();
        self.async_exits.push(AsyncExit { exit, value: into, ident, used: false });
        self.in_scope(|this| {
            if block.capture.is_some() {
                this.capture(&block.block);
            }
            this.in_scope(|this| this.block_contents(&block.block.stmts, &Dest::Var(into)));
        });
        self.targets = targets;
        if self.async_exits.pop().is_some_and(|exit| exit.used) {
            self.exit(Exit::Goto(exit));
            self.enter(exit);
        }
    }

    /// An `async move` block has variables of its own, with the values of those around it.
    fn capture(&mut self, block: &syn::Block) {
        let captured: Vec<VarId> = self
            .mentions(block)
            .into_iter()
            .filter(|var| {
                let var = self.body.var(*var);
                !var.temporary && !var.is_made_anew()
            })
            .collect();
        for var in captured {
            let (ident, mutable) = {
                let var = self.body.var(var);
                (var.ident.clone(), var.mutable)
            };
            let init = self.expr_fragment(syn::parse_quote!(#ident));
            let inner = self.bind_var(ident.clone(), mutable, false);
            let ident = Ident::new(&ident.to_string(), ident.span().resolved_at(Span::call_site()));
            let pat: Pat =
                if mutable { syn::parse_quote!(mut #ident) } else { syn::parse_quote!(#ident) };
            self.push(Node::Let(Box::new(Let {
                attrs: vec![syn::parse_quote!(#[allow(unused_mut, unused_variables)])],
                pat,
                ty: None,
                init,
                otherwise: None,
                binds: vec![inner],
            })));
        }
    }

    /// Goes on where several ways come together: these, and the one that is open now.
    fn meet(&mut self, mut ends: Vec<Position>) {
        ends.extend(self.position.take());
        if ends.len() < 2 {
            self.position = ends.pop();
            return;
        }
        let meeting = self.new_block(BlockKind::Join);
        for end in ends {
            self.position = Some(end);
            self.exit(Exit::Goto(meeting));
        }
        self.enter(meeting);
    }
}
