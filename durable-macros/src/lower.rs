//! Lowering: the body of an orchestrator becomes blocks. Awaits are pulled out of expressions in
//! evaluation order; code that does not suspend is copied. Knows syn and the IR, not what later
//! passes make of it.

mod borrow;
pub(crate) mod branches;
mod control;
mod desugar;
mod expr;
pub(crate) mod fields;
mod flow;
mod fork;
pub(crate) mod macros;
mod names;
mod number;
mod operands;
mod place;
pub(crate) mod scope;
pub(crate) mod suspend;

use std::collections::HashMap;

use proc_macro2::{Ident, Span};
use syn::spanned::Spanned;
use syn::visit::Visit;
use syn::visit_mut::VisitMut;

use self::flow::Flow;
use self::fork::AsyncExit;
use self::scope::{JumpMarks, JumpTarget, bindings, resolve};
use self::suspend::suspends;
use crate::diag::{Code, Diagnostics};
use crate::ir::{
    Await, AwaitId, Block, BlockId, BlockKind, Body, BranchId, Exit, Fragment, FragmentCode, Let,
    Node, Scope, ScopeId, Seq, Var, VarId,
};
use crate::parse::Param;

/// What lowering takes from the parsed function.
pub(crate) struct Source<'a> {
    /// The parameters that the caller passes, in order.
    pub(crate) params: &'a [Param],
    pub(crate) body: &'a syn::Block,
}

/// What lowering gives: the blocks, and the items that stood in the body.
pub(crate) struct Lowered {
    pub(crate) body: Body,
    pub(crate) items: Vec<syn::Item>,
    /// The variables of the parameters.
    pub(crate) params: Vec<VarId>,
}

/// Lowers a body. On errors the result is not complete, and must not be used.
pub(crate) fn lower(source: &Source<'_>, diag: &mut Diagnostics) -> Lowered {
    let mut body = source.body.clone();
    fields::split(&mut body, source.params);
    let mut lowering = Lowering::new(diag);
    lowering.open_scope();
    let params: Vec<VarId> = source
        .params
        .iter()
        .map(|param| {
            let var = lowering.bind_var(param.ident.clone(), param.mutable, false);
            lowering.body.vars[var.0].ty = Some(param.ty.clone());
            var
        })
        .collect();
    let start = lowering.new_block(BlockKind::Start);
    lowering.enter(start);
    lowering.open_scope();
    lowering.block_contents(&body.stmts, &Dest::Return);
    if lowering.is_reachable() {
        let unit = lowering.expr_fragment(syn::parse_quote!(()));
        lowering.exit(Exit::Return(unit));
    }
    lowering.finish(params)
}

/// Where the value of an expression goes.
#[derive(Debug, Clone, Copy)]
enum Dest {
    Ignore,
    Var(VarId),
    Return,
}

/// Identifies a sequence under construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct SeqId(usize);

/// A place where code can be added.
struct Position {
    seq: Seq,
    id: SeqId,
}

/// How a branch came to its end.
enum End {
    /// It does not.
    Diverged,
    /// In the sequence in which it began.
    Falls,
    /// In another block, after a suspension.
    Moved(Position),
}

struct Lowering<'d> {
    diag: &'d mut Diagnostics,
    body: Body,
    items: Vec<syn::Item>,
    scopes: Vec<Scope>,
    next_scope: usize,
    targets: Vec<JumpTarget>,
    next_mark: usize,
    next_temporary: usize,
    /// `None` while what follows cannot be reached.
    position: Option<Position>,
    next_seq: usize,
    /// The blocks whose outermost sequence has this id.
    owners: HashMap<SeqId, BlockId>,
    /// Finished sequences of branches.
    finished: HashMap<SeqId, Seq>,
    /// Blocks in the order in which they were entered.
    order: Vec<BlockId>,
    /// A state name given to the next await.
    pinned: Option<String>,
    /// The branch under construction.
    current_branch: Option<BranchId>,
    /// The `async` blocks under construction, innermost last.
    async_exits: Vec<AsyncExit>,
}

impl<'d> Lowering<'d> {
    fn new(diag: &'d mut Diagnostics) -> Self {
        Self {
            diag,
            body: Body::default(),
            items: Vec::new(),
            scopes: Vec::new(),
            next_scope: 0,
            targets: Vec::new(),
            next_mark: 0,
            next_temporary: 0,
            position: None,
            next_seq: 0,
            owners: HashMap::new(),
            finished: HashMap::new(),
            order: Vec::new(),
            pinned: None,
            current_branch: None,
            async_exits: Vec::new(),
        }
    }

    // --- positions ------------------------------------------------------------------------------

    fn is_reachable(&self) -> bool {
        self.position.is_some()
    }

    fn push(&mut self, node: Node) {
        let Some(position) = &mut self.position else { return };
        let ends = match &node {
            Node::Code(fragment) | Node::Assign { value: fragment, .. } => {
                fragment.defines.is_none()
            }
            Node::Let(binding) => binding.init.defines.is_none(),
            _ => false,
        };
        position.seq.push(node);
        if ends {
            self.leave_unreachable();
        }
    }

    fn new_seq(&mut self) -> Position {
        self.next_seq += 1;
        Position { seq: Vec::new(), id: SeqId(self.next_seq) }
    }

    fn new_block(&mut self, kind: BlockKind) -> BlockId {
        let id = BlockId(self.body.blocks.len());
        let branch = self.current_branch;
        self.body.blocks.push(Block {
            kind,
            branch,
            scopes: self.scopes.clone(),
            code: Vec::new(),
        });
        id
    }

    /// Goes on in `block`, whose scopes are those that are open now.
    fn enter(&mut self, block: BlockId) {
        self.body.blocks[block.0].scopes.clone_from(&self.scopes);
        self.body.blocks[block.0].branch = self.current_branch;
        let position = self.new_seq();
        self.owners.insert(position.id, block);
        self.order.push(block);
        self.position = Some(position);
    }

    /// Ends the current sequence.
    fn exit(&mut self, exit: Exit) {
        self.push(Node::Exit(exit));
        if let Some(position) = self.position.take() {
            self.seal(position);
        }
    }

    fn seal(&mut self, position: Position) {
        match self.owners.get(&position.id) {
            Some(block) => self.body.blocks[block.0].code = position.seq,
            None => {
                self.finished.insert(position.id, position.seq);
            }
        }
    }

    /// Lowers a branch of the current sequence into a sequence of its own.
    fn branch(&mut self, lower: impl FnOnce(&mut Self)) -> (Seq, End) {
        let begin = self.new_seq();
        let id = begin.id;
        let outer = self.position.replace(begin);
        lower(self);
        let end = std::mem::replace(&mut self.position, outer);
        match end {
            None => (self.finished.remove(&id).unwrap_or_default(), End::Diverged),
            Some(position) if position.id == id => (position.seq, End::Falls),
            Some(position) => (self.finished.remove(&id).unwrap_or_default(), End::Moved(position)),
        }
    }

    /// Goes on behind branches: `node` is the branching itself, in the current sequence.
    fn join(&mut self, node: Node, ends: Vec<End>) {
        self.push(node);
        let falls = ends.iter().any(|end| matches!(end, End::Falls));
        let mut moved: Vec<Position> = ends
            .into_iter()
            .filter_map(|end| match end {
                End::Moved(position) => Some(position),
                End::Falls | End::Diverged => None,
            })
            .collect();
        if moved.is_empty() {
            if !falls && let Some(position) = self.position.take() {
                self.seal(position);
            }
            return;
        }
        if !falls && moved.len() == 1 {
            if let Some(position) = self.position.take() {
                self.seal(position);
            }
            self.position = moved.pop();
            return;
        }
        let join = self.new_block(BlockKind::Join);
        if falls {
            self.exit(Exit::Goto(join));
        } else if let Some(position) = self.position.take() {
            self.seal(position);
        }
        for position in moved {
            self.position = Some(position);
            self.exit(Exit::Goto(join));
        }
        self.enter(join);
    }

    // --- scopes and variables -------------------------------------------------------------------

    fn open_scope(&mut self) -> ScopeId {
        let id = ScopeId(self.next_scope);
        self.next_scope += 1;
        self.scopes.push(Scope { id, vars: Vec::new() });
        id
    }

    /// Lowers code in a scope that opens in the current sequence.
    fn in_scope(&mut self, lower: impl FnOnce(&mut Self)) {
        let id = self.open_scope();
        self.push(Node::Begin(id));
        lower(self);
        self.push(Node::End(id));
        self.scopes.pop();
    }

    /// Lowers code in the scope of a branch. The branch itself ends the scope, unless the code has
    /// moved to another block, in which the scope is open from the beginning.
    fn in_branch_scope(&mut self, lower: impl FnOnce(&mut Self)) {
        let begin = self.position.as_ref().map(|position| position.id);
        let id = self.open_scope();
        lower(self);
        if self.position.as_ref().map(|position| position.id) != begin {
            self.push(Node::End(id));
        }
        self.scopes.pop();
    }

    fn bind_var(&mut self, ident: Ident, mutable: bool, temporary: bool) -> VarId {
        let id = VarId(self.body.vars.len());
        self.hide(&ident);
        let var = Var {
            ident,
            mutable,
            ty: None,
            literal: None,
            derived: None,
            borrows: false,
            guard: false,
            temporary,
        };
        self.body.vars.push(var);
        if let Some(scope) = self.scopes.last_mut() {
            scope.vars.push(id);
        }
        id
    }

    fn bind_pat(&mut self, pat: &syn::Pat) -> Vec<VarId> {
        bindings(pat).into_iter().map(|b| self.bind_var(b.ident, b.mutable, false)).collect()
    }

    /// A variable of our own, bound in the innermost scope.
    fn temporary(&mut self, what: &str, mutable: bool) -> VarId {
        self.temporary_at(what, mutable, Span::mixed_site())
    }

    /// The same for a value of the user's, at which errors are shown.
    fn temporary_at(&mut self, what: &str, mutable: bool, at: Span) -> VarId {
        self.next_temporary += 1;
        let name = format!("__{what}{}", self.next_temporary);
        self.bind_var(Ident::new(&name, Span::mixed_site().located_at(at)), mutable, true)
    }

    fn var_expr(&self, var: VarId) -> syn::Expr {
        let ident = &self.body.var(var).ident;
        syn::parse_quote!(#ident)
    }

    /// Puts a value into a new temporary; gives an expression for it.
    fn spill(&mut self, value: syn::Expr) -> syn::Expr {
        let at = value.span();
        let init = self.expr_fragment(value);
        let var = self.temporary_at("value", true, at);
        self.bind_temporary(var, init);
        self.var_expr(var)
    }

    fn bind_temporary(&mut self, var: VarId, init: Fragment) {
        let ident = self.body.var(var).ident.clone();
        let pat: syn::Pat = if self.body.var(var).mutable {
            // The value may be the receiver of a method that changes it.
            syn::parse_quote!(mut #ident)
        } else {
            syn::parse_quote!(#ident)
        };
        self.push(Node::Let(Box::new(Let {
            attrs: Vec::new(),
            pat,
            ty: None,
            init,
            otherwise: None,
            binds: vec![var],
        })));
    }

    // --- fragments ------------------------------------------------------------------------------

    fn expr_fragment(&mut self, expr: syn::Expr) -> Fragment {
        self.fragment(FragmentCode::Expr(Box::new(expr)))
    }

    fn fragment(&mut self, mut code: FragmentCode) -> Fragment {
        let async_exit = self.async_exits.last().map(|exit| (exit.exit, &exit.ident));
        let mut marks = JumpMarks::new(&self.targets, async_exit, &mut self.next_mark);
        match &mut code {
            FragmentCode::Expr(expr) => marks.visit_expr_mut(expr),
            FragmentCode::Stmt(stmt) => marks.visit_stmt_mut(stmt),
        }
        let mut jumps = marks.jumps;
        let marks = jumps.iter().map(|jump| &jump.mark).collect();
        let mut flow = Flow::new(&self.body, &self.scopes, marks);
        match &code {
            FragmentCode::Expr(expr) => flow.visit_expr(expr),
            FragmentCode::Stmt(stmt) => flow.visit_stmt(stmt),
        }
        let defines = flow.defines();
        let Flow { mut uses, assigns, returns, mut at_jumps, .. } = flow;
        let derives: Vec<_> = uses.iter().filter_map(|var| self.body.var(*var).derived).collect();
        for derive in derives {
            uses.extend(&self.body.derives[derive.0].uses);
        }
        for jump in &mut jumps {
            jump.defines = at_jumps.remove(&jump.mark.to_string());
        }
        if let Some(exit) = self.async_exits.last_mut() {
            exit.used |= jumps.iter().any(|jump| jump.target == exit.exit);
        }
        Fragment { code, uses, assigns, defines, jumps, returns }
    }

    /// The variables that a block mentions itself, whatever these are made of.
    fn mentions(&self, block: &syn::Block) -> std::collections::BTreeSet<VarId> {
        let mut flow = Flow::new(&self.body, &self.scopes, Vec::new());
        flow.visit_block(block);
        flow.uses.union(&flow.assigns).copied().collect()
    }

    // --- statements -----------------------------------------------------------------------------

    /// The contents of a block whose scope is open.
    fn block_contents(&mut self, stmts: &[syn::Stmt], dest: &Dest) {
        // Items are visible in the whole block, so they go before everything.
        self.items.extend(stmts.iter().filter_map(|stmt| match stmt {
            syn::Stmt::Item(item) => Some(item.clone()),
            _ => None,
        }));
        let tail = tail(stmts);
        let count = stmts.len() - usize::from(tail.is_some());
        for stmt in &stmts[..count] {
            self.stmt(stmt);
        }
        match (tail, dest) {
            (Some(tail), dest) => self.expr_into(tail, *dest),
            (None, Dest::Var(var)) => self.assign_unit(*var),
            (None, Dest::Return) if self.is_reachable() => {
                // The last statement may be one that never ends, such as a macro that panics; its
                // type then fits any return type, and the unit behind it is never reached.
                let unit = self.expr_fragment(syn::parse_quote!(()));
                if ends_with_divergence(stmts) {
                    self.leave_unreachable();
                } else {
                    self.exit(Exit::Return(unit));
                }
            }
            (None, _) => {}
        }
    }

    /// The code before has no end that rustc can see; nothing follows it.
    fn leave_unreachable(&mut self) {
        if let Some(position) = self.position.take() {
            self.seal(position);
        }
    }

    fn assign_unit(&mut self, var: VarId) {
        let value = self.expr_fragment(syn::parse_quote!(()));
        self.push(Node::Assign { var, value });
    }

    fn stmt(&mut self, stmt: &syn::Stmt) {
        if !self.is_reachable() {
            return;
        }
        match stmt {
            syn::Stmt::Item(_) => {}
            syn::Stmt::Local(local) => self.local(local),
            syn::Stmt::Expr(expr, _) => self.expr_stmt(expr),
            syn::Stmt::Macro(mac) => {
                let expr = syn::Expr::Macro(syn::ExprMacro {
                    attrs: mac.attrs.clone(),
                    mac: mac.mac.clone(),
                });
                if suspends(&expr) {
                    self.expr_stmt(&expr);
                } else {
                    let fragment = self.fragment(FragmentCode::Stmt(Box::new(stmt.clone())));
                    self.push(Node::Code(fragment));
                }
            }
        }
    }

    fn expr_stmt(&mut self, expr: &syn::Expr) {
        let mut expr = expr.clone();
        self.take_pin(expr_attrs(&mut expr));
        if suspends(&expr) || is_jump(&expr) {
            self.expr_into(expr, Dest::Ignore);
        } else {
            self.plain_stmt(expr);
        }
        self.pinned = None;
    }

    /// A statement that does not suspend.
    fn plain_stmt(&mut self, expr: syn::Expr) {
        if let syn::Expr::Assign(assign) = &expr
            && let Some(var) = self.as_var(&assign.left)
        {
            let value = self.expr_fragment((*assign.right).clone());
            self.push(Node::Assign { var, value });
            return;
        }
        let stmt = syn::Stmt::Expr(expr, Some(syn::token::Semi::default()));
        let fragment = self.fragment(FragmentCode::Stmt(Box::new(stmt)));
        self.push(Node::Code(fragment));
    }

    /// The variable that an expression is, if it is just one.
    fn as_var(&self, expr: &syn::Expr) -> Option<VarId> {
        match expr {
            syn::Expr::Path(path) if path.qself.is_none() => {
                resolve(&self.body, &self.scopes, path.path.get_ident()?)
            }
            _ => None,
        }
    }

    /// Notes a `#[state = "name"]` for the next await, and removes it.
    fn take_pin(&mut self, attrs: Option<&mut Vec<syn::Attribute>>) {
        let Some(attrs) = attrs else { return };
        let mut pinned = None;
        attrs.retain(|attr| {
            if !attr.path().is_ident("state") {
                return true;
            }
            if let syn::Meta::NameValue(meta) = &attr.meta
                && let syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. }) = &meta.value
                && syn::parse_str::<Ident>(&name.value()).is_ok()
            {
                pinned = Some(name.value());
            } else {
                self.diag.error(
                    Code::Option,
                    attr,
                    "`#[state = \"Name\"]` takes a name that is an identifier",
                );
            }
            false
        });
        self.pinned = pinned;
    }

    // --- the end --------------------------------------------------------------------------------

    /// Numbers the blocks in the order in which they were entered, which is source order.
    fn finish(mut self, params: Vec<VarId>) -> Lowered {
        let mut number = HashMap::new();
        for (new, old) in self.order.iter().enumerate() {
            number.insert(*old, BlockId(new));
        }
        let renumber = |id: &mut BlockId| {
            if let Some(new) = number.get(id) {
                *id = *new;
            }
        };
        let mut blocks: Vec<Option<Block>> = self.body.blocks.drain(..).map(Some).collect();
        self.body.blocks = self.order.iter().filter_map(|old| blocks[old.0].take()).collect();
        for block in &mut self.body.blocks {
            number::renumber_seq(&mut block.code, &renumber);
        }
        for site in &mut self.body.awaits {
            renumber(&mut site.resume);
        }
        for fork in &mut self.body.forks {
            renumber(&mut fork.joined);
        }
        for branch in &mut self.body.branches {
            renumber(&mut branch.start);
        }
        Lowered { body: self.body, items: self.items, params }
    }

    fn new_await(&mut self, call: &syn::Expr, span: Span) -> AwaitId {
        let id = AwaitId(self.body.awaits.len());
        let pinned = self.pinned.take();
        self.body.awaits.push(Await {
            span,
            subject: names::subject(call),
            pinned,
            text: names::text(call),
            resume: BlockId(0),
        });
        id
    }
}

/// The expression that gives a block its value.
fn tail(stmts: &[syn::Stmt]) -> Option<syn::Expr> {
    match stmts.last()? {
        syn::Stmt::Expr(expr, None) => Some(expr.clone()),
        // With braces a macro at the end reads as a statement.
        syn::Stmt::Macro(syn::StmtMacro { attrs, mac, semi_token: None }) => {
            let mac = syn::Expr::Macro(syn::ExprMacro { attrs: attrs.clone(), mac: mac.clone() });
            suspends(&mac).then_some(mac)
        }
        _ => None,
    }
}

/// Whether the statements end with one that visibly does not come back.
fn ends_with_divergence(stmts: &[syn::Stmt]) -> bool {
    match stmts.last() {
        Some(syn::Stmt::Macro(mac)) => mac
            .mac
            .path
            .segments
            .last()
            .is_some_and(|segment| flow::DIVERGING.iter().any(|name| segment.ident == name)),
        Some(syn::Stmt::Expr(syn::Expr::Loop(_), _)) => true,
        _ => false,
    }
}

/// Whether a statement is a jump itself.
fn is_jump(expr: &syn::Expr) -> bool {
    matches!(expr, syn::Expr::Return(_) | syn::Expr::Break(_) | syn::Expr::Continue(_))
}

/// The attributes of an expression that can be a statement and suspend.
pub(crate) fn expr_attrs(expr: &mut syn::Expr) -> Option<&mut Vec<syn::Attribute>> {
    Some(match expr {
        syn::Expr::Await(e) => &mut e.attrs,
        syn::Expr::Try(e) => &mut e.attrs,
        syn::Expr::Assign(e) => &mut e.attrs,
        syn::Expr::Binary(e) => &mut e.attrs,
        syn::Expr::Block(e) => &mut e.attrs,
        syn::Expr::Call(e) => &mut e.attrs,
        syn::Expr::ForLoop(e) => &mut e.attrs,
        syn::Expr::If(e) => &mut e.attrs,
        syn::Expr::Loop(e) => &mut e.attrs,
        syn::Expr::Macro(e) => &mut e.attrs,
        syn::Expr::Match(e) => &mut e.attrs,
        syn::Expr::MethodCall(e) => &mut e.attrs,
        syn::Expr::Return(e) => &mut e.attrs,
        syn::Expr::While(e) => &mut e.attrs,
        _ => return None,
    })
}
